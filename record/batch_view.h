// BatchView: a checked window on the contiguous bytes of one record batch. To construct it is to
// validate it: structure, length, magic, checksum, counts and attributes. Not validated: the
// records inside (record_reader.h), and what a broker demands of producers (produce_checks.h).
//
// Borrows the bytes, allocates nothing, and decodes fields where they lie. What the checksum does
// not cover (base offset, length, leader epoch, magic) is verified by structure as far as a single
// batch allows; the rest is the log's part (S-24: base offset by contiguity, length by the next
// batch, leader epoch against the epoch cache).
//
// Thread: any (a value).
#ifndef RECORD_BATCH_VIEW_H_
#define RECORD_BATCH_VIEW_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/coding.h"
#include "base/ids.h"
#include "record/format.h"

namespace millrace::record {

// Size of the batch that begins at `first_bytes`, learned from its first kPeekBytes and validated
// in no other way: for framing. Errors: CORRUPT_MESSAGE if there are fewer bytes than that, or the
// length cannot be a batch's; MESSAGE_TOO_LARGE if the batch would exceed `batch_bytes_max`.
absl::StatusOr<size_t> PeekBatchSize(Slice first_bytes, size_t batch_bytes_max);

class BatchView {
 public:
  // The batch at the start of `bytes`, which may be followed by more: size() tells how much of it
  // is the batch. One pass over the bytes, for the CRC. Errors: CORRUPT_MESSAGE for a cut off
  // batch, a wrong checksum or impossible fields; UNSUPPORTED_VERSION for the old magics 0 and 1;
  // UNSUPPORTED_COMPRESSION_TYPE and INVALID_RECORD for attributes that this version does not know.
  static absl::StatusOr<BatchView> Parse(Slice bytes);

  // Like Parse, without the checksum: for bytes whose CRC this process has verified before.
  static absl::StatusOr<BatchView> ParseWithVerifiedCrc(Slice bytes);

  Offset base_offset() const { return Offset(Get<int64_t>(kBaseOffsetAt)); }
  Offset last_offset() const { return base_offset() + last_offset_delta(); }
  // Where the next batch of the same log begins.
  Offset next_offset() const { return last_offset() + 1; }
  int32_t last_offset_delta() const { return Get<int32_t>(kLastOffsetDeltaAt); }
  // Bytes after the field itself; see size().
  int32_t batch_length() const { return Get<int32_t>(kBatchLengthAt); }
  LeaderEpoch leader_epoch() const { return LeaderEpoch(Get<int32_t>(kLeaderEpochAt)); }
  int8_t magic() const { return static_cast<int8_t>(bytes_[kMagicAt]); }
  uint32_t crc() const { return Get<uint32_t>(kCrcAt); }

  int16_t attributes() const { return Get<int16_t>(kAttributesAt); }
  Compression compression() const {
    return static_cast<Compression>(attributes() & kCompressionMask);
  }
  TimestampType timestamp_type() const {
    return Has(kTimestampTypeBit) ? TimestampType::kLogAppendTime : TimestampType::kCreateTime;
  }
  bool is_transactional() const { return Has(kTransactionalBit); }
  bool is_control() const { return Has(kControlBit); }
  bool has_delete_horizon() const { return Has(kDeleteHorizonBit); }

  // Milliseconds since 1970, or kNoTimestamp. With has_delete_horizon() the base timestamp is that
  // horizon, and the records' timestamps still count from it.
  int64_t base_timestamp_ms() const { return Get<int64_t>(kBaseTimestampAt); }
  int64_t max_timestamp_ms() const { return Get<int64_t>(kMaxTimestampAt); }

  ProducerId producer_id() const { return ProducerId(Get<int64_t>(kProducerIdAt)); }
  bool has_producer_id() const { return producer_id() != kNoProducerId; }
  ProducerEpoch producer_epoch() const { return ProducerEpoch(Get<int16_t>(kProducerEpochAt)); }
  int32_t base_sequence() const { return Get<int32_t>(kBaseSequenceAt); }
  // Sequences wrap from 2^31 - 1 to 0. kNoSequence if the batch has none.
  int32_t last_sequence() const;

  // May be less than last_offset_delta() + 1, even 0: compaction removes records, not offsets.
  int32_t record_count() const { return Get<int32_t>(kRecordCountAt); }

  // The batch, header included.
  Slice bytes() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  // The records as they are stored: compressed, if compression() is not kNone.
  Slice records() const { return bytes_.substr(kBatchHeaderSize); }

 private:
  explicit BatchView(Slice bytes) : bytes_(bytes) {}

  template <class T>
  T Get(size_t at) const {
    return LoadBig<T>(bytes_.data() + at);
  }
  bool Has(int16_t bit) const { return (attributes() & bit) != 0; }

  Slice bytes_;
};

// The sequence `delta` records after `sequence`, wrapping from 2^31 - 1 to 0.
// REQUIRES: sequence >= 0, delta >= 0.
int32_t SequenceAfter(int32_t sequence, int32_t delta);

}  // namespace millrace::record

#endif  // RECORD_BATCH_VIEW_H_
