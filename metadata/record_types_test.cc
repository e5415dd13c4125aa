#include "metadata/record_types.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/test_image.h"
#include "metadata/testing/golden_records.h"

namespace millrace::metadata {
namespace {

// One record of every type, in order of number, with every field set.
std::vector<rsm::Record> Samples() {
  PartitionImage changed = TestPartition();
  changed.isr = {NodeId(2)};
  changed.elr = {NodeId(1)};
  changed.leader = kNoNode;
  changed.last_known_leader = NodeId(1);
  changed.leader_epoch = LeaderEpoch(300);
  changed.recovery_state = RecoveryState::kRecovering;
  changed.replicas[2].directory = TestDirectory(9);
  records::FeatureLevelRecord level;
  level.set_feature_level(1);
  return {Encode(records::NoOpRecord()),
          Founded(),
          Encode(level),
          Registered(1, 1),
          BrokerBecame(1, 300, records::BROKER_STATE_SHUTTING_DOWN),
          TopicMade(1, "a.topic"),
          TopicGone(1),
          PartitionMade(1, 300),
          PartitionBecame(1, 300, TestPartition(), changed),
          Configured(ConfigOwner::Topic(TestTopicId(1)), "retention.ms", "1000"),
          ProducerIdsUpTo(1000),
          Completed(1, 300),
          Cordoned(300, true),
          BrokerGone(300, 400)};
}

std::string Line(const rsm::Record& record) {
  return absl::StrCat(RecordTypeName(record.type), " ", record.type.value(), " ", record.version,
                      " ", absl::BytesToHexString(record.payload), "\n");
}

TEST(RecordTypesTest, NumbersAndBytesAreThoseOfEarlierVersions) {
  // A line per record: type, version, payload in hex.
  std::string lines = "\n";
  for (const rsm::Record& record : Samples()) lines += Line(record);
  EXPECT_EQ(lines, absl::StrCat(kGolden, kGoldenOfLevel2, kGoldenOfLevel3));
}

TEST(RecordTypesTest, ReassignmentsAreFieldsThatCameWithLevel3) {
  const TopicPartition id{TestTopicId(1), PartitionIndex(300)};
  EXPECT_EQ(Line(Encode(PartitionRecordOf(id, ReassignedPartition()))) +
                Line(PartitionBecame(1, 300, TestPartition(), ReassignedPartition())),
            kGoldenReassignments);
}

TEST(RecordTypesTest, ThrottlesAndSlowDirectoriesAreFieldsThatCameWithLevel4) {
  const TopicPartition id{TestTopicId(1), PartitionIndex(300)};
  EXPECT_EQ(Line(Encode(PartitionRecordOf(id, ThrottledPartition()))) +
                Line(PartitionBecame(1, 300, ReassignedPartition(), ThrottledPartition())) +
                Line(DirectoryBecame(1, 300, true)) + Line(DirectoryBecame(1, 300, false)),
            kGoldenThrottles);
}

TEST(RecordTypesTest, S07_ARaiseIsAFieldThatCameWithLevel5) {
  const TopicPartition id{TestTopicId(1), PartitionIndex(300)};
  EXPECT_EQ(Line(Encode(PartitionRecordOf(id, RaisedPartition()))) +
                Line(PartitionBecame(1, 300, ThrottledPartition(), RaisedPartition())) +
                Line(PartitionBecame(1, 300, RaisedPartition(), ThrottledPartition())),
            kGoldenRaise);
}

TEST(RecordTypesTest, S08_ImpairedReplicasAreAFieldThatCameWithLevel6) {
  const TopicPartition id{TestTopicId(1), PartitionIndex(300)};
  EXPECT_EQ(Line(Encode(PartitionRecordOf(id, ImpairedPartition()))) +
                Line(PartitionBecame(1, 300, TestPartition(), ImpairedPartition())) +
                Line(PartitionBecame(1, 300, ImpairedPartition(), TestPartition())),
            kGoldenImpaired);
}

TEST(RecordTypesTest, S05_AnAbsentDirectoryIsAFieldThatCameWithLevel7) {
  EXPECT_EQ(Line(RegisteredWithout(1, 1)), kGoldenAbsent);
}

TEST(RecordTypesTest, EveryTypeSurvivesTheWayThroughBytes) {
  int type = 0;
  for (const rsm::Record& record : Samples()) {
    EXPECT_EQ(record.type.value(), type++);
    ASSERT_OK_AND_ASSIGN(const AnyRecord decoded, Decode(record));
    EXPECT_EQ(Encode(decoded), record);
  }
  EXPECT_EQ(type, static_cast<int>(std::variant_size_v<AnyRecord>));
}

TEST(RecordTypesTest, UnknownTypesAndVersionsAreErrorsNotSkips) {
  rsm::Record record = Founded();
  record.version = 1;
  EXPECT_THAT(Decode(record), IsError(ErrorCode::kUnsupportedVersion, "newer version"));
  record = Founded();
  for (const int16_t type : {int16_t{14}, int16_t{-1}, int16_t{32767}}) {
    record.type = rsm::RecordType(type);
    EXPECT_THAT(Decode(record), HasCode(ErrorCode::kUnsupportedVersion));
    EXPECT_EQ(RecordTypeName(record.type), "Unknown");
  }
}

TEST(RecordTypesTest, DamagedPayloadsAndShortIdsAreRefused) {
  rsm::Record record = Founded();
  record.payload = Bytes::FromString("\xff\xff\xff");
  EXPECT_THAT(Decode(record), HasCode(ErrorCode::kCorruptLog));
  records::TopicRemovedRecord message;
  message.set_topic_id("short");
  record = {.type = kTopicRemoved,
            .version = 0,
            .key = {},
            .payload = Bytes::FromString(message.SerializeAsString())};
  EXPECT_THAT(Decode(record), IsError(ErrorCode::kCorruptLog, "16 bytes"));
  EXPECT_DEATH(Encode(message), "16 bytes");
}

}  // namespace
}  // namespace millrace::metadata
