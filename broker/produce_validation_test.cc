#include "broker/produce_validation.h"

#include <string>

#include "api/topic_checksum.h"
#include "base/status_matchers.h"
#include "broker/testing/fake_replica_log.h"

namespace millrace::broker {
namespace {

const TopicPartition kPartition{TopicId(Uuid(1, 2)), PartitionIndex(3)};
constexpr WallTime kNow{1'767'225'600'000};

absl::StatusOr<ProducedBatches> Validate(Slice batches, const TopicSettings& settings = {},
                                         std::optional<uint32_t> checksum = std::nullopt) {
  return ValidateProduce(batches, kPartition, checksum, settings, kNow);
}

TEST(ProduceValidation, TakesOneBatchOrSeveral) {
  EXPECT_EQ(Validate(MakeBatch(3))->size(), 1u);
  EXPECT_EQ(Validate(MakeBatch(3).ToString() + MakeBatch(2).ToString())->size(), 2u);
}

TEST(ProduceValidation, EveryBitFlipIsRefusedOrOutsideTheChecksum) {
  const std::string batch = MakeBatch(2).ToString();
  for (size_t bit = 0; bit < batch.size() * 8; ++bit) {
    // Base offset and leader epoch are the broker's to write, whatever the client put there.
    const size_t byte = bit / 8;
    if (byte < 8 || (byte >= 12 && byte < 16)) continue;
    std::string flipped = batch;
    flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << (bit % 8)));
    EXPECT_FALSE(Validate(flipped).ok()) << "bit " << bit;
  }
}

TEST(ProduceValidation, EveryTruncationIsRefused) {
  const std::string batch = MakeBatch(2).ToString();
  for (size_t size = 0; size < batch.size(); ++size) {
    EXPECT_FALSE(Validate(Slice(batch).substr(0, size)).ok()) << size;
  }
  EXPECT_THAT(Validate(""), HasCode(ErrorCode::kInvalidRecord));
}

TEST(ProduceValidation, ATooLargeBatchIsToldTheLimit) {
  TopicSettings settings;
  settings.message_bytes_max = 1000;
  EXPECT_OK(Validate(MakeBatch(1, 800), settings));
  const Bytes large = MakeBatch(1, 1000);
  const absl::Status status = Validate(large, settings).status();
  EXPECT_THAT(status,
              IsError(ErrorCode::kMessageTooLarge, "max.message.bytes of the topic is 1000"));
  EXPECT_THAT(status, IsError(ErrorCode::kMessageTooLarge, absl::StrCat(large.size(), " bytes")));
  EXPECT_EQ(DetailOf(status).name, "max.message.bytes");
  EXPECT_EQ(DetailOf(status).value, absl::StrCat(large.size()));
}

TEST(ProduceValidation, ABatchForAnotherPartitionIsRefused_S24) {
  const Bytes batch = MakeBatch();
  EXPECT_OK(Validate(batch, {}, *api::TopicChecksum(kPartition, batch)));
  EXPECT_THAT(
      Validate(batch, {}, *api::TopicChecksum({TopicId(Uuid(9, 9)), PartitionIndex(3)}, batch)),
      HasCode(ErrorCode::kWrongTopicChecksum));
}

TEST(ProduceValidation, TimestampsFarFromTheClockAreRefused) {
  TopicSettings settings;
  settings.timestamp_after_ms_max = 1000;
  settings.timestamp_before_ms_max = 5000;
  EXPECT_OK(Validate(MakeBatch(1, 1, kNow.ms + 1000), settings));
  EXPECT_THAT(Validate(MakeBatch(1, 1, kNow.ms + 1001), settings),
              IsError(ErrorCode::kInvalidTimestamp, "after.max.ms"));
  EXPECT_OK(Validate(MakeBatch(1, 1, kNow.ms - 5000), settings));
  EXPECT_THAT(Validate(MakeBatch(1, 1, kNow.ms - 5001), settings),
              IsError(ErrorCode::kInvalidTimestamp, "before.max.ms"));
  settings.log_append_time = true;
  EXPECT_OK(Validate(MakeBatch(1, 1, 1), settings)) << "the leader's clock is used instead";
}

TEST(ProduceValidation, ControlBatchesAreForBrokersOnly) {
  EXPECT_THAT(Validate(MakeBatch(1, 1, kNow.ms, {.is_control = true})),
              HasCode(ErrorCode::kInvalidRecord));
}

TEST(ProduceValidation, AnIdempotentProducerSendsOneBatchAtATime) {
  const Bytes batch = MakeBatch(
      1, 1, kNow.ms,
      {.producer_id = ProducerId(5), .producer_epoch = ProducerEpoch(0), .base_sequence = 0});
  EXPECT_OK(Validate(batch));
  EXPECT_THAT(Validate(batch.ToString() + MakeBatch().ToString()),
              HasCode(ErrorCode::kInvalidRecord));
}

}  // namespace
}  // namespace millrace::broker
