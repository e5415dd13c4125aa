#include "controller/current_broker.h"

#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

TEST(CurrentBrokerTest, OnlyTheLatestRegistrationCounts) {
  TestCluster cluster;
  EXPECT_THAT(CurrentBroker(cluster.image(), NodeId(1), BrokerEpoch(1)),
              HasCode(ErrorCode::kBrokerIdNotRegistered));
  cluster.Register(1, 1);
  const BrokerEpoch first = cluster.image().FindBroker(NodeId(1))->epoch;
  ASSERT_OK_AND_ASSIGN(const metadata::BrokerImage* found,
                       CurrentBroker(cluster.image(), NodeId(1), first));
  EXPECT_EQ(found->id, NodeId(1));
  cluster.Register(1, 2);
  EXPECT_THAT(CurrentBroker(cluster.image(), NodeId(1), first),
              HasCode(ErrorCode::kStaleBrokerEpoch));
}

}  // namespace
}  // namespace millrace::controller
