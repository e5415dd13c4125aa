// PieceReader: takes bytes from the front of a message that lies in pieces, as the network library
// received it, so that each large field is copied once, into memory of its own.
//
// Never looks past its end: what it is given came from a peer. Each Read... returns false, and
// leaves its argument alone, if what is left is too short or malformed.
//
// Thread: one owner (a cursor).
#ifndef BROKER_CODEC_PIECE_READER_H_
#define BROKER_CODEC_PIECE_READER_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/coding.h"

namespace millrace::broker {

class PieceReader {
 public:
  // The pieces outlive the reader.
  explicit PieceReader(absl::Span<const Slice> pieces);

  bool empty() const { return left_ == 0; }
  size_t remaining() const { return left_; }
  // Bytes taken so far.
  size_t position() const { return position_; }

  template <std::integral T>
  [[nodiscard]] bool ReadLittle(T* out) {
    char bytes[sizeof(T)];
    if (!ReadInto(bytes, sizeof(T))) return false;
    *out = LoadLittle<T>(bytes);
    return true;
  }
  template <std::integral T>
  [[nodiscard]] bool ReadBig(T* out) {
    char bytes[sizeof(T)];
    if (!ReadInto(bytes, sizeof(T))) return false;
    *out = LoadBig<T>(bytes);
    return true;
  }
  // At most five bytes.
  [[nodiscard]] bool ReadVarint32(uint32_t* out);
  // The next `size` bytes, copied.
  [[nodiscard]] bool ReadInto(char* to, size_t size);
  [[nodiscard]] bool Skip(size_t size);
  // The next `size` bytes as a reader of their own; this one steps over them.
  [[nodiscard]] bool Split(size_t size, PieceReader* out);

 private:
  // Calls `take(data, size)` with the next `size` bytes, run by run. REQUIRES: size <= left_.
  template <class Take>
  void Advance(size_t size, Take take);

  const Slice* piece_;
  // Of *piece_, taken already.
  size_t used_ = 0;
  size_t left_ = 0;
  size_t position_ = 0;
};

}  // namespace millrace::broker

#endif  // BROKER_CODEC_PIECE_READER_H_
