#include "controller/leader_watch.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::controller {
namespace {

using ::testing::ElementsAre;

TEST(LeaderWatch, ASubscriberHearsWhoLeadsNowAndEveryChangeOnce) {
  LeaderWatch watch;
  watch.Set({.leader = NodeId(1), .leader_epoch = LeaderEpoch(4), .address = "one:9093"});
  std::vector<LeaderHint> heard;
  watch.Subscribe([&](const LeaderHint& leader) { heard.push_back(leader); });
  watch.Set(watch.leader());
  watch.Set({.leader_epoch = LeaderEpoch(5)});
  watch.Set({.leader = NodeId(2), .leader_epoch = LeaderEpoch(5), .address = "two:9093"});
  ASSERT_EQ(heard.size(), 3u);
  EXPECT_EQ(heard[0].address, "one:9093");
  EXPECT_EQ(heard[1].leader, kNoNode);
  EXPECT_EQ(heard[2], watch.leader());
}

TEST(LeaderWatch, SubscribersAreCalledInTheirOrder) {
  LeaderWatch watch;
  std::vector<int> order;
  watch.Subscribe([&](const LeaderHint&) { order.push_back(1); });
  watch.Subscribe([&](const LeaderHint&) { order.push_back(2); });
  watch.Set({.leader = NodeId(1), .leader_epoch = LeaderEpoch(1)});
  EXPECT_THAT(order, ElementsAre(1, 2, 1, 2));
}

}  // namespace
}  // namespace millrace::controller
