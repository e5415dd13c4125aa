#include "broker/follower_lag.h"

#include <map>
#include <string>

#include "broker/testing/cluster_fixture.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

using Lags = std::map<std::string, double>;

class FollowerLagTest : public ::testing::TestWithParam<int> {
 protected:
  Lags Told(int id) {
    Lags lags;
    for (const MetricSample& sample : f_.members.at(id)->metrics->Collect()) {
      if (sample.name == "millrace_replication_follower_lag_records") {
        lags[sample.labels.at(0).second] = sample.value;
      }
    }
    return lags;
  }
  bool RunUntilTold(int id, const Lags& lags) {
    return f_.RunUntil([&] { return Told(id) == lags; }, 2 * FollowerLag::kInterval);
  }

  ClusterFixture f_{3, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Shards, FollowerLagTest, ::testing::Values(1, 2));

TEST_P(FollowerLagTest, TheLeaderTellsForEachFollowerTheSumOverPartitions) {
  f_.CreateTopic(3);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(f_.Produce(MakeBatch(2), i).outcome.ok());
  EXPECT_TRUE(RunUntilTold(1, {{"2", 0}, {"3", 0}}));
  f_.Kill(3);
  for (int i = 0; i < 3; ++i) {
    f_.Elect(1, {1, 2}, i);
    ASSERT_TRUE(f_.ProduceUntilTaken(MakeBatch(5), i).outcome.ok());
  }
  // In these leader epochs 3 has not said what it has.
  EXPECT_TRUE(RunUntilTold(1, {{"2", 0}, {"3", 3 * 7}}));
  f_.Start(3);
  ASSERT_TRUE(f_.RunUntil([&] { return f_.Isr(0).size() == 3 && f_.Isr(1).size() == 3; }));
  EXPECT_TRUE(RunUntilTold(1, {{"2", 0}, {"3", 0}}));
}

TEST_P(FollowerLagTest, OnlyWhoeverLeadsTellsIt) {
  f_.CreateTopic();
  ASSERT_TRUE(f_.Produce(MakeBatch(2)).outcome.ok());
  EXPECT_TRUE(RunUntilTold(1, {{"2", 0}, {"3", 0}}));
  EXPECT_EQ(Told(2), Lags());
  f_.Elect(2, {1, 2, 3});
  EXPECT_TRUE(RunUntilTold(2, {{"1", 0}, {"3", 0}}));
  EXPECT_TRUE(RunUntilTold(1, {}));
}

}  // namespace
}  // namespace millrace::broker
