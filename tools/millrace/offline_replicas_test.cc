#include "tools/millrace/offline_replicas.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

class OfflineReplicasTest : public testing::Test {
 protected:
  OfflineReplicasTest() {
    for (const int32_t broker : {1, 2}) {
      server_.describe_cluster.response.add_brokers()->set_broker_id(broker);
    }
    server_.describe_log_dirs.response.set_broker_id(1);
    dir_ = server_.describe_log_dirs.response.add_log_dirs();
    topics_.resize(1);
    topics_[0].set_name("t");
    partition_ = topics_[0].add_partitions();
    partition_->add_replicas(1);
  }
  void SayDamaged(const std::string& topic) {
    v1::LogDirPartition* const partition = dir_->add_partitions();
    partition->set_topic(topic);
    partition->set_code(v1::ERROR_CODE_CORRUPT_LOG);
    partition->set_message("bits rot");
  }
  std::vector<OfflineReplica> Ask() {
    GlobalOptions global;
    auto admin = client::Admin::Create({server_.address()}, absl::Seconds(10));
    EXPECT_OK(admin);
    return AddOfflineReplicas(global, admin->get(), &topics_);
  }

  FakeAdminServer server_;
  v1::LogDirDescription* dir_ = nullptr;
  std::vector<v1::TopicDescription> topics_;
  v1::PartitionDescription* partition_ = nullptr;
};

TEST_F(OfflineReplicasTest, WhatItsBrokerCannotUseIsOffline) {
  SayDamaged("t");
  SayDamaged("another");
  const std::vector<OfflineReplica> offline = Ask();
  ASSERT_EQ(offline.size(), 1u);
  EXPECT_EQ(offline[0].broker, 1);
  EXPECT_EQ(offline[0].why, "bits rot");
  EXPECT_TRUE(IsOffline(*partition_, 1));
  EXPECT_FALSE(IsOffline(*partition_, 2));
  const v1::DescribeLogDirsRequest& request = server_.describe_log_dirs.request;
  EXPECT_EQ(request.broker_id(), 1) << "the other broker has none of it";
  EXPECT_THAT(request.topics(), ::testing::ElementsAre("t"));
}

TEST_F(OfflineReplicasTest, WhatIsWellIsNot) {
  dir_->add_partitions()->set_topic("t");
  EXPECT_TRUE(Ask().empty());
  EXPECT_TRUE(partition_->offline_replicas().empty());
}

TEST_F(OfflineReplicasTest, ABrokerThatIsFencedIsNotAsked) {
  SayDamaged("t");
  server_.describe_cluster.response.mutable_brokers(0)->set_fenced(true);
  EXPECT_TRUE(Ask().empty());
  EXPECT_FALSE(server_.describe_log_dirs.request.has_broker_id());
}

// One that hangs would hold the answer up.
TEST_F(OfflineReplicasTest, AMemberOfAnInSyncSetOfSeveralIsNotAsked) {
  SayDamaged("t");
  partition_->add_replicas(2);
  for (const int32_t broker : {1, 2}) partition_->add_in_sync_replicas(broker);
  EXPECT_TRUE(Ask().empty());
  EXPECT_FALSE(server_.describe_log_dirs.request.has_broker_id());
  partition_->mutable_in_sync_replicas()->RemoveLast();
  EXPECT_FALSE(Ask().empty()) << "the last copy keeps its seat";
}

}  // namespace
}  // namespace millrace::tools
