// Each check names the field, its value and what is wrong with it. None of them trusts the one
// before it further than it says: the order is size, magic, checksum, attributes, positions.
#include "record/batch_view.h"

#include <cinttypes>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "base/status.h"

namespace millrace::record {
namespace {

absl::Status Corrupt(absl::string_view name, int64_t value, absl::string_view what) {
  return MakeError(
      ErrorCode::kCorruptMessage,
      absl::StrCat("this is no intact record batch: ", name, " is ", value, ", ", what),
      {.name = std::string(name), .value = absl::StrCat(value)});
}

// Old formats get an error of their own, since their senders can do something about it.
absl::Status CheckMagic(int8_t magic) {
  if (magic == kMagic) return absl::OkStatus();
  if (magic == 0 || magic == 1) {
    return MakeError(
        ErrorCode::kUnsupportedVersion,
        absl::StrCat("the batch has the old message format ", magic,
                     "; only format 2 is supported: send with a client of Kafka 0.11 or later"),
        {.name = "magic", .value = absl::StrCat(magic)});
  }
  return Corrupt("magic", magic, "but must be 2");
}

// Bits and codecs that a newer version may give a meaning: that the batch is intact does not make
// it readable, and guessing would misread it.
absl::Status CheckAttributes(int16_t attributes) {
  if ((attributes & ~kKnownAttributes) != 0) {
    return MakeError(
        ErrorCode::kInvalidRecord,
        absl::StrCat("the batch has attribute bits that this version does not know: 0x",
                     absl::Hex(static_cast<uint16_t>(attributes)), "; upgrade, or do not set them"),
        {.name = "attributes", .value = absl::StrCat(attributes)});
  }
  const int compression = attributes & kCompressionMask;
  if (compression > static_cast<int>(Compression::kZstd)) {
    return MakeError(ErrorCode::kUnsupportedCompressionType,
                     absl::StrCat("the batch is compressed with codec number ", compression,
                                  ", which this version does not know; use none, gzip, snappy, lz4 "
                                  "or zstd"),
                     {.name = "compression", .value = absl::StrCat(compression)});
  }
  return absl::OkStatus();
}

// Positions and counts that no writer makes, whatever the checksum says.
absl::Status CheckPositions(const BatchView& batch) {
  const int64_t base_offset = batch.base_offset().value();
  const int32_t last_delta = batch.last_offset_delta();
  const int32_t count = batch.record_count();
  if (base_offset < 0) return Corrupt("base_offset", base_offset, "but must not be negative");
  if (last_delta < 0) return Corrupt("last_offset_delta", last_delta, "but must not be negative");
  // The next offset must exist, too.
  if (base_offset > std::numeric_limits<int64_t>::max() - last_delta - 1) {
    return Corrupt("base_offset", base_offset, "which leaves no room for its records");
  }
  if (batch.leader_epoch() < kNoLeaderEpoch) {
    return Corrupt("leader_epoch", batch.leader_epoch().value(), "but must not be below -1");
  }
  if (count < 0) return Corrupt("record_count", count, "but must not be negative");
  // Fewer than offsets there may be, after compaction; more would have to share one.
  if (count > static_cast<int64_t>(last_delta) + 1) {
    return Corrupt("record_count", count,
                   absl::StrCat("more than the ", int64_t{last_delta} + 1, " offsets it spans"));
  }
  // Bounds what a reader may reserve for a batch; compressed records are bounded when decompressed.
  const size_t bytes = batch.records().size();
  if (batch.compression() == Compression::kNone &&
      static_cast<size_t>(count) > bytes / kRecordBytesMin) {
    return Corrupt("record_count", count, absl::StrCat("too many for ", bytes, " bytes"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<size_t> PeekBatchSize(Slice first_bytes, size_t batch_bytes_max) {
  if (first_bytes.size() < kPeekBytes) {
    return Corrupt("size", static_cast<int64_t>(first_bytes.size()),
                   "too few bytes to hold a batch's length");
  }
  const int32_t length = LoadBig<int32_t>(first_bytes.data() + kBatchLengthAt);
  if (length < static_cast<int32_t>(kBatchHeaderSize - kBatchLengthEnd)) {
    return Corrupt("batch_length", length, "less than a batch's header");
  }
  const size_t size = static_cast<size_t>(length) + kBatchLengthEnd;
  if (size > batch_bytes_max) {
    return MakeError(ErrorCode::kMessageTooLarge,
                     absl::StrCat("the batch has ", size, " bytes, and at most ", batch_bytes_max,
                                  " are allowed; make smaller batches or raise the limit"),
                     {.name = "batch_length", .value = absl::StrCat(length)});
  }
  return size;
}

absl::StatusOr<BatchView> BatchView::ParseWithVerifiedCrc(Slice bytes) {
  ASSIGN_OR_RETURN(const size_t size, PeekBatchSize(bytes, std::numeric_limits<size_t>::max()));
  if (size > bytes.size()) {
    return Corrupt("batch_length", LoadBig<int32_t>(bytes.data() + kBatchLengthAt),
                   absl::StrCat("but only ", bytes.size() - kBatchLengthEnd, " bytes follow it"));
  }
  // From here on the fields can be read, though nothing is known of their values.
  const BatchView batch(bytes.substr(0, size));
  RETURN_IF_ERROR(CheckMagic(batch.magic()));
  RETURN_IF_ERROR(CheckAttributes(batch.attributes()));
  RETURN_IF_ERROR(CheckPositions(batch));
  return batch;
}

absl::StatusOr<BatchView> BatchView::Parse(Slice bytes) {
  ASSIGN_OR_RETURN(const size_t size, PeekBatchSize(bytes, std::numeric_limits<size_t>::max()));
  // The magic says where the checksum lies, and a wrong checksum explains any other wrong field
  // better than the field's own check would: hence this order.
  if (size <= bytes.size()) {
    RETURN_IF_ERROR(CheckMagic(static_cast<int8_t>(bytes[kMagicAt])));
    const uint32_t stored = LoadBig<uint32_t>(bytes.data() + kCrcAt);
    const uint32_t computed = Crc32c(bytes.substr(kCrcCoversFrom, size - kCrcCoversFrom));
    if (stored != computed) {
      return Corrupt("crc", stored, absl::StrCat("but its bytes have ", computed));
    }
  }
  return ParseWithVerifiedCrc(bytes);
}

int32_t BatchView::last_sequence() const {
  if (base_sequence() < 0) return kNoSequence;
  return SequenceAfter(base_sequence(), last_offset_delta());
}

int32_t SequenceAfter(int32_t sequence, int32_t delta) {
  // In 64 bits nothing overflows.
  constexpr int64_t kSequences = int64_t{1} << 31;
  return static_cast<int32_t>((int64_t{sequence} + delta) % kSequences);
}

}  // namespace millrace::record
