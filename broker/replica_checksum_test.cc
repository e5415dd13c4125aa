#include "broker/replica_checksum.h"

#include <optional>
#include <vector>

#include "base/crc32c.h"
#include "broker/testing/shard_fixture.h"

namespace millrace::broker {
namespace {

class ReplicaChecksumTest : public ::testing::Test {
 protected:
  ReplicaChecksumTest() {
    f_.Lead(1);
    std::vector<ProduceReply> replies;
    for (int i = 0; i < 10; ++i) {
      f_.Produce(0, MakeBatch(2, 400 + static_cast<size_t>(i)), &replies);
      f_.loop.RunFor(absl::Seconds(1));
    }
  }
  ReplicaChecksum Ask(int64_t from, int64_t to, size_t bytes_max,
                      std::optional<LeaderEpoch> epoch = std::nullopt) {
    std::optional<ReplicaChecksum> answer;
    f_.executor->RunNow([&] {
      ChecksumReplica(f_.shard, {f_.Partition(0), epoch, Offset(from), Offset(to), bytes_max},
                      [&](const ReplicaChecksum& sum) { answer = sum; });
    });
    f_.loop.RunFor(absl::Seconds(1));
    EXPECT_TRUE(answer.has_value());
    return answer.value_or(ReplicaChecksum());
  }
  uint32_t SumOf(size_t first, size_t end) const {
    uint32_t crc = 0;
    for (size_t i = first; i < end; ++i) crc = Crc32cExtend(crc, f_.logs.at(0)->batches()[i]);
    return crc;
  }

  ShardFixture f_;
};

TEST_F(ReplicaChecksumTest, TheBoundsAloneReadNothing) {
  const ReplicaChecksum sum = Ask(0, 0, 0);
  EXPECT_TRUE(sum.outcome.ok()) << sum.outcome.message;
  EXPECT_EQ(sum.log_start_offset, Offset(0));
  EXPECT_EQ(sum.end_offset, Offset(20));
  EXPECT_EQ(sum.leader_epoch, LeaderEpoch(1));
  EXPECT_TRUE(sum.is_leader);
  EXPECT_EQ(sum.bytes, 0);
}

TEST_F(ReplicaChecksumTest, TheSumIsOfTheBytesOfWholeBatchesHoweverTheyAreRead) {
  for (const bool cold : {false, true}) {
    f_.logs[0]->set_cold(cold);
    const ReplicaChecksum all = Ask(0, 20, 1 << 20);
    EXPECT_EQ(all.from_offset, Offset(0));
    EXPECT_EQ(all.next_offset, Offset(20));
    EXPECT_EQ(all.crc32c, SumOf(0, 10));
    // From the middle of a batch: all of it.
    const ReplicaChecksum part = Ask(5, 12, 1 << 20);
    EXPECT_EQ(part.from_offset, Offset(4));
    EXPECT_EQ(part.next_offset, Offset(12));
    EXPECT_EQ(part.crc32c, SumOf(2, 6));
    // At least one batch, and not many more bytes than asked for.
    const ReplicaChecksum one = Ask(8, 20, 1);
    EXPECT_EQ(one.next_offset, Offset(10));
    EXPECT_EQ(one.crc32c, SumOf(4, 5));
  }
}

TEST_F(ReplicaChecksumTest, NothingMoreIsReadForOneWhoHasGone) {
  // So large that each is a read of its own.
  std::vector<ProduceReply> replies;
  for (int i = 0; i < 4; ++i) {
    f_.Produce(0, MakeBatch(1, 700 << 10), &replies);
    f_.loop.RunFor(absl::Seconds(1));
  }
  f_.logs[0]->set_cold(true);
  int asked = 0;
  std::optional<ReplicaChecksum> answer;
  f_.executor->RunNow([&] {
    ChecksumReplica(f_.shard,
                    {.topic_partition = f_.Partition(0),
                     .from = Offset(20),
                     .to = Offset(24),
                     .bytes_max = kChecksumBytesMax,
                     .given_up = [&] { return ++asked > 2; }},
                    [&](const ReplicaChecksum& sum) { answer = sum; });
  });
  f_.loop.RunFor(absl::Seconds(1));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->outcome.code, ErrorCode::kCancelled);
  EXPECT_EQ(answer->next_offset, Offset(22)) << "two of the four";
  EXPECT_EQ(asked, 3);
}

// As another replica may have its batches, if the two differ.
TEST_F(ReplicaChecksumTest, AnEndInsideOfABatchEndsTheSumBeforeIt) {
  for (const bool cold : {false, true}) {
    f_.logs[0]->set_cold(cold);
    const ReplicaChecksum sum = Ask(0, 5, 1 << 20);
    EXPECT_TRUE(sum.outcome.ok()) << sum.outcome.message;
    EXPECT_EQ(sum.next_offset, Offset(4));
    EXPECT_EQ(sum.crc32c, SumOf(0, 2));
    const ReplicaChecksum nothing = Ask(4, 5, 1 << 20);
    EXPECT_TRUE(nothing.outcome.ok()) << nothing.outcome.message;
    EXPECT_EQ(nothing.next_offset, Offset(4));
    EXPECT_EQ(nothing.bytes, 0);
  }
}

TEST_F(ReplicaChecksumTest, NothingBeyondTheHighWatermarkIsSummed) {
  f_.logs[0]->set_auto_advance(false);
  std::vector<ProduceReply> replies;
  f_.Produce(0, MakeBatch(2), &replies);
  f_.loop.RunFor(absl::Seconds(1));
  const ReplicaChecksum sum = Ask(0, 100, 1 << 20);
  EXPECT_EQ(sum.end_offset, Offset(20));
  EXPECT_EQ(sum.next_offset, Offset(20));
}

TEST_F(ReplicaChecksumTest, OtherEpochsAndOffsetsAreRefusedByName) {
  EXPECT_TRUE(Ask(0, 20, 100, LeaderEpoch(1)).outcome.ok());
  EXPECT_EQ(Ask(0, 20, 100, LeaderEpoch(0)).outcome.code, ErrorCode::kFencedLeaderEpoch);
  EXPECT_EQ(Ask(0, 20, 100, LeaderEpoch(2)).outcome.code, ErrorCode::kUnknownLeaderEpoch);
  EXPECT_EQ(Ask(21, 30, 100).outcome.code, ErrorCode::kOffsetOutOfRange);
}

TEST_F(ReplicaChecksumTest, DamageIsToldAsSuchWithWhereItIs) {
  f_.logs[0]->set_read_error(MakeError(ErrorCode::kCorruptLog, "damaged"));
  const ReplicaChecksum sum = Ask(4, 20, 1 << 20);
  EXPECT_EQ(sum.outcome.code, ErrorCode::kCorruptLog);
  EXPECT_EQ(sum.next_offset, Offset(4));
}

TEST_F(ReplicaChecksumTest, AReplicaThatIsNotHereIsItsOwnError) {
  f_.executor->RunNow([&] {
    f_.shard->RemoveReplica(f_.Partition(0), MakeError(ErrorCode::kUnknownTopicOrPartition, "x"));
  });
  EXPECT_EQ(Ask(0, 20, 100).outcome.code, ErrorCode::kNotLeaderOrFollower);
}

}  // namespace
}  // namespace millrace::broker
