// Compressor and Decompressor: the records of a batch as one run of bytes, made small and back.
//
// Both keep their library's context from batch to batch, since making one costs more than a small
// batch. What is read may come from anywhere, so that the result of decompression is bounded twice:
// by its size, and by its ratio to the input.
//
// Framings are those of Kafka's Java clients: gzip members (RFC 1952); snappy in xerial's blocks
// (raw snappy is read too, since librdkafka writes it); LZ4 frames with independent blocks; zstd
// frames. The codecs are in codec_*.cc, behind codec.h; no other folder sees their libraries.
//
// Thread: one at a time (each object holds a context).
#ifndef RECORD_COMPRESSION_H_
#define RECORD_COMPRESSION_H_

#include <cstddef>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "base/bytes.h"
#include "record/format.h"

namespace millrace::record {

// How large decompressed records may get. Whoever accepts batches must not allow more than those
// who read them, or it would store what nobody can read.
struct DecompressionLimits {
  // No more than this, ever.
  size_t bytes_max = 64 << 20;
  // No more than `ratio_max` times the compressed bytes, unless the result is within
  // `ratio_free_bytes`: only zstd gets beyond 1,032 (gzip's limit), and then on constant data.
  size_t ratio_max = 4096;
  size_t ratio_free_bytes = 8 << 20;

  // The bound for so many compressed bytes: both what a reader keeps to, and what a writer must
  // stay within for its batch to be read.
  size_t OutputMax(size_t compressed_bytes) const;
};

// OK if `level` is one that the codec knows: gzip 1 to 9, lz4 1 to 12, zstd 1 to 22; none and
// snappy have no levels. Errors: INVALID_CONFIG, with the range.
absl::Status CheckCompressionLevel(Compression compression, int level);

class Encoder;
class Decoder;

// Compresses with one codec at one level.
class Compressor {
 public:
  // A level outside the codec's range is brought into it; none means the codec's default.
  // REQUIRES: compression is not kNone.
  explicit Compressor(Compression compression, absl::optional<int> level = absl::nullopt);
  ~Compressor();
  Compressor(Compressor&&) noexcept;
  Compressor& operator=(Compressor&&) noexcept;

  // The most that `input_bytes` can become.
  size_t OutputMax(size_t input_bytes) const;
  // Compresses into `out` and returns how many bytes it took. REQUIRES: out_bytes >=
  // OutputMax(input.size()). Errors: RESOURCE_EXHAUSTED if the library has no memory.
  absl::StatusOr<size_t> Compress(Slice input, char* out, size_t out_bytes);

 private:
  std::unique_ptr<Encoder> encoder_;
};

// Decompresses with any codec; contexts are made at first use.
class Decompressor {
 public:
  explicit Decompressor(DecompressionLimits limits = {});
  ~Decompressor();
  Decompressor(Decompressor&&) noexcept;
  Decompressor& operator=(Decompressor&&) noexcept;

  const DecompressionLimits& limits() const { return limits_; }

  // All that `input` decompresses to. REQUIRES: compression is not kNone. Errors: CORRUPT_MESSAGE
  // if the input is damaged, cut off or followed by something else; MESSAGE_TOO_LARGE past the
  // limits; UNSUPPORTED_COMPRESSION_TYPE for a codec of a newer version.
  absl::StatusOr<Bytes> Decompress(Compression compression, Slice input);

 private:
  DecompressionLimits limits_;
  std::unique_ptr<Decoder> decoders_[std::size(kAllCompressions)];
};

}  // namespace millrace::record

#endif  // RECORD_COMPRESSION_H_
