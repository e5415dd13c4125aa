// The table of codecs: their levels, and which encoder and decoder belong to which number. All
// bounds on what decompression may take are set here; the codecs only keep within them.
#include "record/compression.h"

#include <algorithm>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "record/codec.h"

namespace millrace::record {
namespace {

// Kafka's ranges (KIP-390), but for lz4, whose library has 12 levels, and zstd, whose negative
// levels give the speed of lz4 without its ratio.
struct LevelRange {
  int low;
  int high;
};

absl::optional<LevelRange> LevelsOf(Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return LevelRange{1, 9};
    case Compression::kLz4:
      return LevelRange{1, 12};
    case Compression::kZstd:
      return LevelRange{1, 22};
    default:
      return absl::nullopt;
  }
}

std::unique_ptr<Encoder> NewEncoder(Compression compression, absl::optional<int> level) {
  const absl::optional<LevelRange> range = LevelsOf(compression);
  if (level.has_value() && range.has_value()) level = std::clamp(*level, range->low, range->high);
  switch (compression) {
    case Compression::kNone:
      break;
    case Compression::kGzip:
      return NewGzipEncoder(level);
    case Compression::kSnappy:
      return NewSnappyEncoder();
    case Compression::kLz4:
      return NewLz4Encoder(level);
    case Compression::kZstd:
      return NewZstdEncoder(level);
  }
  CHECK(false) << "no codec for compression " << static_cast<int>(compression);
  return nullptr;
}

// nullptr for a codec of a newer version.
std::unique_ptr<Decoder> NewDecoder(Compression compression, const DecompressionLimits& limits) {
  switch (compression) {
    case Compression::kNone:
      break;
    case Compression::kGzip:
      return NewGzipDecoder();
    case Compression::kSnappy:
      return NewSnappyDecoder();
    case Compression::kLz4:
      return NewLz4Decoder();
    case Compression::kZstd:
      return NewZstdDecoder(limits.bytes_max);
  }
  return nullptr;
}

}  // namespace

size_t DecompressionLimits::OutputMax(size_t compressed_bytes) const {
  // The product saturates instead of wrapping around to a small bound.
  const size_t no_overflow = std::numeric_limits<size_t>::max() / std::max<size_t>(ratio_max, 1);
  const size_t by_ratio = std::min(compressed_bytes, no_overflow) * ratio_max;
  return std::min(bytes_max, std::max(by_ratio, ratio_free_bytes));
}

absl::Status CheckCompressionLevel(Compression compression, int level) {
  const absl::optional<LevelRange> range = LevelsOf(compression);
  if (!range.has_value()) {
    return MakeError(
        ErrorCode::kInvalidConfig,
        absl::StrCat("compression ", CompressionName(compression), " has no levels; leave it out"),
        {.name = "compression.level", .value = absl::StrCat(level)});
  }
  if (level >= range->low && level <= range->high) return absl::OkStatus();
  return MakeError(
      ErrorCode::kInvalidConfig,
      absl::StrCat("compression level ", level, " is not one of ", CompressionName(compression),
                   "'s: ", range->low, " to ", range->high),
      {.name = "compression.level", .value = absl::StrCat(level)});
}

// Defined here, where Encoder and Decoder are complete types.
Compressor::Compressor(Compression compression, absl::optional<int> level)
    : encoder_(NewEncoder(compression, level)) {}
Compressor::~Compressor() = default;
Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;

size_t Compressor::OutputMax(size_t input_bytes) const { return encoder_->OutputMax(input_bytes); }

absl::StatusOr<size_t> Compressor::Compress(Slice input, char* out, size_t out_bytes) {
  CHECK_GE(out_bytes, encoder_->OutputMax(input.size()));
  return encoder_->Encode(input, out, out_bytes);
}

Decompressor::Decompressor(DecompressionLimits limits) : limits_(limits) {}
Decompressor::~Decompressor() = default;
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;

absl::StatusOr<Bytes> Decompressor::Decompress(Compression compression, Slice input) {
  const size_t number = static_cast<size_t>(compression);
  CHECK(compression != Compression::kNone);
  if (number >= std::size(decoders_)) {
    return MakeError(ErrorCode::kUnsupportedCompressionType,
                     absl::StrCat("there is no codec number ", number),
                     {.name = "compression", .value = absl::StrCat(number)});
  }
  if (decoders_[number] == nullptr) decoders_[number] = NewDecoder(compression, limits_);
  // The bound is computed anew for each input: the ratio depends on it.
  // Records shrink to a quarter or so: a first guess that spares most batches a second block.
  constexpr size_t kGuessedRatio = 4;
  constexpr size_t kFirstBytesMin = 1024;
  BoundedOutput out(limits_.OutputMax(input.size()),
                    std::max(kFirstBytesMin, input.size() * kGuessedRatio));
  RETURN_IF_ERROR(decoders_[number]->Decode(input, &out));
  return std::move(out).Finish();
}

}  // namespace millrace::record
