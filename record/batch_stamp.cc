#include "record/batch_stamp.h"

#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"

namespace millrace::record {
namespace {

void StampCrc(char* batch, size_t size) {
  const Slice covered(batch + kCrcCoversFrom, size - kCrcCoversFrom);
  StoreBig<uint32_t>(batch + kCrcAt, Crc32c(covered));
}

}  // namespace

void StampBaseOffset(char* batch, Offset base_offset) {
  CHECK_GE(base_offset.value(), 0);
  StoreBig<int64_t>(batch + kBaseOffsetAt, base_offset.value());
}

void StampLeaderEpoch(char* batch, LeaderEpoch leader_epoch) {
  CHECK_GE(leader_epoch, kNoLeaderEpoch);
  StoreBig<int32_t>(batch + kLeaderEpochAt, leader_epoch.value());
}

void StampLogAppendTime(char* batch, size_t size, int64_t timestamp_ms) {
  CHECK_GE(size, kBatchHeaderSize);
  const int16_t attributes = LoadBig<int16_t>(batch + kAttributesAt);
  StoreBig<int16_t>(batch + kAttributesAt, static_cast<int16_t>(attributes | kTimestampTypeBit));
  // The base timestamp stays, as in Kafka: the records' deltas count from it, but nobody asks.
  StoreBig<int64_t>(batch + kMaxTimestampAt, timestamp_ms);
  StampCrc(batch, size);
}

void StampProducer(char* batch, size_t size, ProducerId id, ProducerEpoch epoch,
                   int32_t base_sequence) {
  CHECK_GE(size, kBatchHeaderSize);
  CHECK(id.value() >= 0 && epoch.value() >= 0 && base_sequence >= 0) << id;
  StoreBig<int64_t>(batch + kProducerIdAt, id.value());
  StoreBig<int16_t>(batch + kProducerEpochAt, epoch.value());
  StoreBig<int32_t>(batch + kBaseSequenceAt, base_sequence);
  StampCrc(batch, size);
}

}  // namespace millrace::record
