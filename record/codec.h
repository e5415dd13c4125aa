// Encoder, Decoder: what each codec_*.cc implements, for compression.cc alone; and BoundedOutput,
// into which a decoder writes.
//
// Thread: one at a time (they hold their library's context).
#ifndef RECORD_CODEC_H_
#define RECORD_CODEC_H_

#include <cstddef>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "base/bytes.h"

namespace millrace::record {

// A block that grows up to a bound which nothing can pass: the memory of a decompression bomb stays
// within it. A decoder alternates Room (where to write) and Wrote (how much it did).
class BoundedOutput {
 public:
  BoundedOutput(size_t bytes_max, size_t first_bytes);

  // At least one byte to write to; grows the block if it is full. Errors: MESSAGE_TOO_LARGE once
  // more than the bound was written. One byte beyond the bound can be written, so that a stream
  // which ends exactly there is told from one that goes on.
  absl::StatusOr<absl::Span<char>> Room();
  // Room for exactly so many more. Errors: MESSAGE_TOO_LARGE if the bound does not allow them.
  absl::StatusOr<absl::Span<char>> Room(size_t bytes);
  // REQUIRES: within what Room returned last.
  void Wrote(size_t bytes) { size_ += bytes; }

  // Bytes written so far, at most one more than the bound.
  size_t size() const { return size_; }
  // What was written. Errors: MESSAGE_TOO_LARGE if that is more than the bound.
  absl::StatusOr<Bytes> Finish() &&;

 private:
  void Grow(size_t capacity);
  absl::Status TooLarge() const;

  size_t bytes_max_;
  size_t size_ = 0;
  // Never larger than bytes_max_ + 1.
  Buffer block_;
};

// Compresses one run of bytes after another, each on its own.
class Encoder {
 public:
  virtual ~Encoder() = default;
  // See Compressor, whose contract this is.
  virtual size_t OutputMax(size_t input_bytes) const = 0;
  virtual absl::StatusOr<size_t> Encode(Slice input, char* out, size_t out_bytes) = 0;
};

// Decompresses one run of bytes after another, each on its own.
class Decoder {
 public:
  virtual ~Decoder() = default;
  // Appends all that `input` decompresses to. Errors: CORRUPT_MESSAGE, MESSAGE_TOO_LARGE. May be
  // called again after an error.
  virtual absl::Status Decode(Slice input, BoundedOutput* out) = 0;
};

// `level` none: the codec's default.
std::unique_ptr<Encoder> NewGzipEncoder(absl::optional<int> level);
std::unique_ptr<Encoder> NewSnappyEncoder();
std::unique_ptr<Encoder> NewLz4Encoder(absl::optional<int> level);
std::unique_ptr<Encoder> NewZstdEncoder(absl::optional<int> level);

std::unique_ptr<Decoder> NewGzipDecoder();
std::unique_ptr<Decoder> NewSnappyDecoder();
std::unique_ptr<Decoder> NewLz4Decoder();
// `window_bytes_max` bounds the memory that a frame may demand for its window.
std::unique_ptr<Decoder> NewZstdDecoder(size_t window_bytes_max);

// CORRUPT_MESSAGE: "`codec` data is damaged: `what`".
absl::Status DamagedData(absl::string_view codec, absl::string_view what);

}  // namespace millrace::record

#endif  // RECORD_CODEC_H_
