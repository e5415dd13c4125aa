// Encoding is in two passes over a record's parts: the first adds up its length, which stands
// before it as a varint of unknown width; the second writes. So nothing is moved, and nothing
// allocated but the one buffer.
#include "record/batch_builder.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"

namespace millrace::record {
namespace {

// Enough for a small batch; larger ones double it, once for the life of the builder.
constexpr size_t kFirstCapacity = 4096;
// The length field is an int32.
constexpr size_t kBatchBytesMax = std::numeric_limits<int32_t>::max();
constexpr int64_t kNullLength = -1;

// The same encoding serves 32 and 64 bits.
size_t SignedVarintSize(int64_t value) { return VarintSize(ZigZag64(value)); }
char* StoreSignedVarint(char* to, int64_t value) { return StoreVarint(to, ZigZag64(value)); }

int64_t LengthOf(const absl::optional<Slice>& bytes) {
  return bytes.has_value() ? static_cast<int64_t>(bytes->size()) : kNullLength;
}

// Bytes of a nullable run: its length as a varint, and itself.
size_t EncodedBytes(const absl::optional<Slice>& bytes) {
  return SignedVarintSize(LengthOf(bytes)) + (bytes.has_value() ? bytes->size() : 0);
}

char* Put(char* to, const absl::optional<Slice>& bytes) {
  to = StoreSignedVarint(to, LengthOf(bytes));
  if (!bytes.has_value() || bytes->empty()) return to;
  std::memcpy(to, bytes->data(), bytes->size());
  return to + bytes->size();
}

size_t HeadersBytes(absl::Span<const Header> headers) {
  size_t total = SignedVarintSize(static_cast<int64_t>(headers.size()));
  for (const Header& header : headers) {
    total += EncodedBytes(header.key) + EncodedBytes(header.value);
  }
  return total;
}

// Timestamps are any 64 bits: a difference that overflows comes back by overflowing again.
int64_t Difference(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

}  // namespace

BatchBuilder::BatchBuilder(const Options& options) : options_(options) {
  if (options.compression != Compression::kNone) {
    compressor_.emplace(options.compression, options.compression_level);
  }
  Reserve(kFirstCapacity);
}

void BatchBuilder::Add(int64_t timestamp_ms, absl::optional<Slice> key, absl::optional<Slice> value,
                       absl::Span<const Header> headers) {
  CHECK_LT(count_, std::numeric_limits<int32_t>::max());
  // The base is the first record's time, not the least: deltas may be negative.
  if (empty()) base_timestamp_ms_ = max_timestamp_ms_ = timestamp_ms;
  max_timestamp_ms_ = std::max(max_timestamp_ms_, timestamp_ms);
  const int64_t timestamp_delta = Difference(timestamp_ms, base_timestamp_ms_);
  const size_t body_bytes = 1 + SignedVarintSize(timestamp_delta) + SignedVarintSize(count_) +
                            EncodedBytes(key) + EncodedBytes(value) + HeadersBytes(headers);
  CHECK_LE(body_bytes, kBatchBytesMax) << "the caller bounds records";
  const size_t record_bytes = SignedVarintSize(static_cast<int64_t>(body_bytes)) + body_bytes;
  Reserve(record_bytes);

  char* to = buffer_.get() + size_;
  to = StoreSignedVarint(to, static_cast<int64_t>(body_bytes));
  *to++ = 0;  // attributes: none are defined
  to = StoreSignedVarint(to, timestamp_delta);
  to = StoreSignedVarint(to, count_);
  to = Put(to, key);
  to = Put(to, value);
  to = StoreSignedVarint(to, static_cast<int64_t>(headers.size()));
  for (const Header& header : headers) {
    to = Put(to, header.key);
    to = Put(to, header.value);
  }
  size_ += record_bytes;
  ++count_;
  // Both passes agree, or the next record would overwrite this one's end.
  CHECK(to == buffer_.get() + size_);
}

size_t BatchBuilder::RecordBytesMax(absl::optional<Slice> key, absl::optional<Slice> value,
                                    absl::Span<const Header> headers) {
  // Length, attributes, timestamp delta and offset delta at their longest.
  return kVarint32SizeMax + 1 + kVarint64SizeMax + kVarint32SizeMax + EncodedBytes(key) +
         EncodedBytes(value) + HeadersBytes(headers);
}

void BatchBuilder::SetProducer(ProducerId id, ProducerEpoch epoch, int32_t base_sequence) {
  options_.producer_id = id;
  options_.producer_epoch = epoch;
  options_.base_sequence = base_sequence;
}

Bytes BatchBuilder::Build() {
  CHECK(!empty()) << "a batch needs a record";
  Slice stored = records();
  Compression compression = Compression::kNone;
  if (const absl::optional<Slice> compressed = CompressRecords(); compressed.has_value()) {
    stored = *compressed;
    compression = options_.compression;
  }
  // Of exactly its size: it may stay in a queue or a log's tail for long, and is accounted for by
  // size(), not by capacity.
  Buffer batch(kBatchHeaderSize + stored.size());
  std::memcpy(batch.data() + kBatchHeaderSize, stored.data(), stored.size());
  WriteHeader(batch.data(), batch.size(), compression, count_ - 1);
  Clear();
  return std::move(batch).Freeze();
}

Bytes BatchBuilder::BuildEmpty(Offset to) const {
  CHECK(empty());
  CHECK_LT(options_.base_offset, to);
  Buffer batch(kBatchHeaderSize);
  WriteHeader(batch.data(), batch.size(), Compression::kNone,
              static_cast<int32_t>(to - options_.base_offset - 1));
  return std::move(batch).Freeze();
}

void BatchBuilder::Clear() {
  size_ = kBatchHeaderSize;
  count_ = 0;
  base_timestamp_ms_ = max_timestamp_ms_ = kNoTimestamp;
}

void BatchBuilder::Reserve(size_t more_bytes) {
  CHECK_LE(more_bytes, kBatchBytesMax - size_) << "the caller bounds batches";
  if (size_ + more_bytes <= capacity_) return;
  // Doubling makes the copies of all growth together no more than the bytes themselves.
  const size_t capacity = std::max(2 * capacity_, size_ + more_bytes);
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  if (buffer_ != nullptr) std::memcpy(larger.get(), buffer_.get(), size_);
  buffer_ = std::move(larger);
  capacity_ = capacity;
}

absl::optional<Slice> BatchBuilder::CompressRecords() {
  if (!compressor_.has_value()) return absl::nullopt;
  const size_t bound = compressor_->OutputMax(records().size());
  if (bound > scratch_capacity_) {
    scratch_ = std::make_unique_for_overwrite<char[]>(bound);
    scratch_capacity_ = bound;
  }
  const absl::StatusOr<size_t> bytes =
      compressor_->Compress(records(), scratch_.get(), scratch_capacity_);
  // A codec without memory is no reason to lose records: they go uncompressed.
  if (!bytes.ok() || *bytes >= records().size()) return absl::nullopt;
  // Readers know the default limits only, and what they refuse would be stored for nobody.
  if (records().size() > DecompressionLimits().OutputMax(*bytes)) return absl::nullopt;
  return Slice(scratch_.get(), *bytes);
}

void BatchBuilder::WriteHeader(char* batch, size_t size, Compression compression,
                               int32_t last_offset_delta) const {
  int16_t attributes = static_cast<int16_t>(compression);
  if (options_.timestamp_type == TimestampType::kLogAppendTime) attributes |= kTimestampTypeBit;
  if (options_.is_transactional) attributes |= kTransactionalBit;
  if (options_.is_control) attributes |= kControlBit;
  StoreBig<int64_t>(batch + kBaseOffsetAt, options_.base_offset.value());
  StoreBig<int32_t>(batch + kBatchLengthAt, static_cast<int32_t>(size - kBatchLengthEnd));
  StoreBig<int32_t>(batch + kLeaderEpochAt, options_.leader_epoch.value());
  batch[kMagicAt] = kMagic;
  StoreBig<int16_t>(batch + kAttributesAt, attributes);
  StoreBig<int32_t>(batch + kLastOffsetDeltaAt, last_offset_delta);
  StoreBig<int64_t>(batch + kBaseTimestampAt, base_timestamp_ms_);
  StoreBig<int64_t>(batch + kMaxTimestampAt, max_timestamp_ms_);
  StoreBig<int64_t>(batch + kProducerIdAt, options_.producer_id.value());
  StoreBig<int16_t>(batch + kProducerEpochAt, options_.producer_epoch.value());
  StoreBig<int32_t>(batch + kBaseSequenceAt, options_.base_sequence);
  StoreBig<int32_t>(batch + kRecordCountAt, count_);
  // Last, since it covers what was written above.
  const Slice covered(batch + kCrcCoversFrom, size - kCrcCoversFrom);
  StoreBig<uint32_t>(batch + kCrcAt, Crc32c(covered));
}

}  // namespace millrace::record
