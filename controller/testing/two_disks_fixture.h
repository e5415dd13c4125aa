// TwoDisksFixture: a cluster in which one broker has two log directories, for tests of what happens
// to one of them.
//
// Thread: tests only.
#ifndef CONTROLLER_TESTING_TWO_DISKS_FIXTURE_H_
#define CONTROLLER_TESTING_TWO_DISKS_FIXTURE_H_

#include "controller/testing/test_cluster.h"

namespace millrace::controller {

// Broker 1 with two directories, 2 and 3 with one each; topic "a" with two partitions on all three,
// led by 1, one of them in each of its directories.
class TwoDisksFixture : public ::testing::Test {
 protected:
  TwoDisksFixture() {
    EXPECT_OK(cluster_.Run(
        TestCluster::Registration(1, 1, {{TestCluster::DirectoryOf(1)}, {kSecondDisk}})));
    cluster_.Activate(1);
    cluster_.Start(2, 1);
    cluster_.Start(3, 1);
    // Two partitions of one topic: placement takes the directories in turn.
    CreateTopicsCommand command = cluster_.Creation("a", 0, 0);
    for (int partition = 0; partition < 2; ++partition) {
      auto* assignment = command.request.mutable_topics(0)->add_assignments();
      assignment->set_partition(partition);
      for (const int broker : {1, 2, 3}) assignment->add_replicas(broker);
    }
    EXPECT_OK(cluster_.Run(command));
    first_ = cluster_.Partition("a", 0).DirectoryOf(NodeId(1));
    EXPECT_NE(cluster_.Partition("a", 1).DirectoryOf(NodeId(1)), first_);
  }

  BrokerEpoch EpochOf(int id) const { return cluster_.image().FindBroker(NodeId(id))->epoch; }

  const DirectoryId kSecondDisk{Uuid(4000, 1)};
  TestCluster cluster_;
  // Of broker 1, where partition 0 lies.
  DirectoryId first_;
};

}  // namespace millrace::controller

#endif  // CONTROLLER_TESTING_TWO_DISKS_FIXTURE_H_
