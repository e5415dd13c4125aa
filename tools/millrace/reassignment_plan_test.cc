#include "tools/millrace/reassignment_plan.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

TEST(ReassignmentPlanTest, AWordIsATopicOrOneOfItsPartitions) {
  ASSERT_OK_AND_ASSIGN(const TopicPartitionWord all, ParseTopicPartition("orders"));
  EXPECT_EQ(all.topic, "orders");
  EXPECT_FALSE(all.partition.has_value());
  ASSERT_OK_AND_ASSIGN(const TopicPartitionWord one, ParseTopicPartition("orders:12"));
  EXPECT_EQ(one.partition, 12);
  for (const char* word : {"", ":1", "orders:", "orders:x", "orders:-1", "orders:1:2"}) {
    EXPECT_THAT(ParseTopicPartition(word), HasCode(ErrorCode::kInvalidRequest)) << word;
  }
}

TEST(ReassignmentPlanTest, BrokersAreNumbersWithCommas) {
  ASSERT_OK_AND_ASSIGN(const std::vector<int32_t> brokers, ParseBrokers("103,101"));
  EXPECT_THAT(brokers, ElementsAre(103, 101));
  EXPECT_THAT(ParseBrokers("101,"), IsError(ErrorCode::kInvalidRequest, "'' is no broker id"));
  EXPECT_THAT(ParseBrokers("-1"), HasCode(ErrorCode::kInvalidRequest));
}

TEST(ReassignmentPlanTest, AFileNamesEveryPartition) {
  ASSERT_OK_AND_ASSIGN(
      const auto plan,
      ParsePlan(R"({"version":1,"partitions":[{"topic":"t","partition":1,"replicas":[3,4],
                    "log_dirs":["any","any"]},{"topic":"u","partition":0,"replicas":[1]}]})"));
  ASSERT_THAT(plan, SizeIs(2));
  EXPECT_EQ(plan[0].topic(), "t");
  EXPECT_EQ(plan[0].partition(), 1);
  EXPECT_THAT(plan[0].replicas(), ElementsAre(3, 4));
}

TEST(ReassignmentPlanTest, WhatIsNoPlanIsSaidWhere) {
  for (const char* text : {"", "[]", "{", R"({"partitions":[]})", R"({"partitions":{}})"}) {
    EXPECT_THAT(ParsePlan(text), IsError(ErrorCode::kInvalidRequest, "a plan is JSON")) << text;
  }
  EXPECT_THAT(ParsePlan(R"({"partitions":[{"topic":"t","partition":0}]})"),
              IsError(ErrorCode::kInvalidRequest, "partitions[0] is not like"));
  EXPECT_THAT(ParsePlan(R"({"partitions":[{"topic":"t","partition":0,"replicas":["a"]}]})"),
              IsError(ErrorCode::kInvalidRequest, "is no broker id"));
}

}  // namespace
}  // namespace millrace::tools
