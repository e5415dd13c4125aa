#include "api/codec/partition_fields.h"

#include <string>

#include "base/status_matchers.h"

namespace millrace::api {
namespace {

TEST(PartitionFields, TopicIdsHaveSixteenBytesOrNone) {
  TopicId id;
  EXPECT_TRUE(ReadTopicId("", &id));
  EXPECT_TRUE(id.is_zero());
  EXPECT_TRUE(ReadTopicId(TopicId(Uuid(1, 2)).ToBytes(), &id));
  EXPECT_EQ(id, TopicId(Uuid(1, 2)));
  EXPECT_FALSE(ReadTopicId("fifteen bytes..", &id));
}

TEST(PartitionFields, DurationsAreClampedToWhatTheWireCanSay) {
  EXPECT_EQ(ToMs(absl::Milliseconds(1500)), 1500);
  EXPECT_EQ(ToMs(absl::InfiniteDuration()), INT32_MAX);
  EXPECT_EQ(ToMs(-absl::InfiniteDuration()), INT32_MIN);
}

TEST(PartitionFields, ANameAndAnOutcomeComeBack) {
  const PartitionName name{"t", TopicId(Uuid(3, 4)), PartitionIndex(5)};
  const PartitionOutcome outcome{ErrorCode::kNotLeaderOrFollower, "moved \xFF",
                                 LeaderHint{NodeId(7), LeaderEpoch(8), "host:1"}};
  const Bytes wire = Join(EncodeMessage([&](auto& sink) {
    PutName(sink, name);
    PutCodeAndMessage(sink, outcome);
    PutLeader(sink, 10, name, outcome);
  }));
  PartitionName name_back;
  PartitionOutcome outcome_back;
  WireReader reader(wire);
  while (reader.Next()) {
    ASSERT_TRUE(ReadNameField(reader, &name_back) || ReadOutcomeField(reader, 10, &outcome_back));
  }
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(name_back, name);
  EXPECT_EQ(outcome_back.leader, outcome.leader);
  EXPECT_EQ(outcome_back.message, "moved \xEF\xBF\xBD") << "what is not UTF-8 is replaced";
}

}  // namespace
}  // namespace millrace::api
