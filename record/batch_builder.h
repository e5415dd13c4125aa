// BatchBuilder: packs records into a batch, as a producer does, and checksums it.
//
// Records are encoded one after another into one buffer, which is used again for the next batch: no
// allocation per record beyond its growth. Not here: when a batch is full or old enough to be sent
// (the producer's part), and what a broker stamps (batch_stamp.h).
//
// Thread: one at a time.
#ifndef RECORD_BATCH_BUILDER_H_
#define RECORD_BATCH_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "record/compression.h"
#include "record/format.h"
#include "record/record.h"

namespace millrace::record {

class BatchBuilder {
 public:
  struct Options {
    Compression compression = Compression::kNone;
    // None: the codec's default. See CheckCompressionLevel.
    absl::optional<int> compression_level = absl::nullopt;
    // kLogAppendTime makes the largest timestamp that of every record; producers use kCreateTime.
    TimestampType timestamp_type = TimestampType::kCreateTime;
    // An idempotent producer sets all three; sequences count records, per partition.
    ProducerId producer_id = kNoProducerId;
    ProducerEpoch producer_epoch = kNoProducerEpoch;
    int32_t base_sequence = kNoSequence;
    // The batch is part of its producer's transaction (KIP-98).
    bool is_transactional = false;
    // Its records are control records (control_record.h): brokers only.
    bool is_control = false;
    // A broker stamps these; set them for batches that do not pass through one.
    Offset base_offset = Offset(0);
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
  };

  explicit BatchBuilder(const Options& options);

  // Appends a record; its offset is base_offset + count(). The slices are copied. `timestamp_ms` is
  // milliseconds since 1970 or kNoTimestamp. REQUIRES: the batch stays under 2^31 bytes and records
  // (RecordBytesMax tells before).
  void Add(int64_t timestamp_ms, absl::optional<Slice> key, absl::optional<Slice> value,
           absl::Span<const Header> headers = {});

  // The most bytes that such a record can add to a batch.
  static size_t RecordBytesMax(absl::optional<Slice> key, absl::optional<Slice> value,
                               absl::Span<const Header> headers = {});

  // What Build would return now, before compression: an upper bound of its size.
  size_t estimated_bytes() const { return size_; }
  int32_t count() const { return count_; }
  bool empty() const { return count_ == 0; }

  // For the batches from now on, the one under way included: a producer learns its sequence only
  // when it sends.
  void SetProducer(ProducerId id, ProducerEpoch epoch, int32_t base_sequence);

  // The batch, in memory of exactly its size; the builder is empty afterwards and keeps its
  // options. If compression does not make the records smaller, or makes them so small that readers
  // would refuse to decompress them (DecompressionLimits), they are stored uncompressed, and the
  // attributes say so. REQUIRES: !empty().
  Bytes Build();

  // A batch without records that spans the offsets from base_offset to `to`, exclusive: it stands
  // where records were deleted, as after compaction. REQUIRES: empty(), base_offset < to.
  Bytes BuildEmpty(Offset to) const;

  // Forgets the records added since the last Build.
  void Clear();

 private:
  void Reserve(size_t more_bytes);
  // The compressed records, in scratch_; nullopt if that saves nothing, or nobody would read them.
  absl::optional<Slice> CompressRecords();
  void WriteHeader(char* batch, size_t size, Compression compression,
                   int32_t last_offset_delta) const;
  Slice records() const {
    return Slice(buffer_.get() + kBatchHeaderSize, size_ - kBatchHeaderSize);
  }

  Options options_;
  absl::optional<Compressor> compressor_;
  // Encoded records, after room for the header. Kept from batch to batch, like scratch_.
  std::unique_ptr<char[]> buffer_;
  size_t capacity_ = 0;
  size_t size_ = kBatchHeaderSize;
  std::unique_ptr<char[]> scratch_;
  size_t scratch_capacity_ = 0;
  int32_t count_ = 0;
  // Of the records since the last Build.
  int64_t base_timestamp_ms_ = kNoTimestamp;
  int64_t max_timestamp_ms_ = kNoTimestamp;
};

}  // namespace millrace::record

#endif  // RECORD_BATCH_BUILDER_H_
