// Bytes: an immutable run of bytes with counted ownership; Buffer: the one who fills it.
//
// A record batch is copied once, from the network library's memory into a Buffer of the right size;
// from there every holder (log tail, write queue, follower, fetch response) shares it as Bytes.
// The block may carry a Reservation, given back when its last holder goes.
//
// Slice is a borrowed view of bytes, owned by somebody else for as long as the callee runs.
//
// Thread: a Bytes value belongs to one thread at a time; its block may be shared by many.
#ifndef BASE_BYTES_H_
#define BASE_BYTES_H_

#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/memory_budget.h"

namespace millrace {

using Slice = absl::string_view;

class Bytes {
 public:
  Bytes() = default;

  static Bytes Copy(Slice data);
  // Takes the string without copying its characters.
  static Bytes FromString(std::string data);
  // Shares memory that something else owns, until the last holder goes. `data` must stay valid for
  // as long as `owner` lives.
  static Bytes Share(Slice data, std::shared_ptr<const void> owner) {
    return Bytes(std::move(owner), data);
  }

  const char* data() const { return view_.data(); }
  size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }
  Slice slice() const { return view_; }
  operator Slice() const { return view_; }  // NOLINT: a Bytes is a Slice that keeps its memory.

  // Bytes [from, from + length) of this, sharing the memory. REQUIRES: within size().
  Bytes Sub(size_t from, size_t length) const {
    CHECK(from <= size() && length <= size() - from) << from << "+" << length << "/" << size();
    return Bytes(owner_, view_.substr(from, length));
  }
  std::string ToString() const { return std::string(view_); }

  friend bool operator==(const Bytes& a, const Bytes& b) { return a.view_ == b.view_; }

 private:
  friend class Buffer;
  Bytes(std::shared_ptr<const void> owner, Slice view) : owner_(std::move(owner)), view_(view) {}

  std::shared_ptr<const void> owner_;
  Slice view_;
};

// Memory of a fixed size that one owner fills and then freezes into Bytes.
class Buffer {
 public:
  // Uninitialised. The reservation, if any, lives as long as the memory.
  explicit Buffer(size_t size, Reservation reservation = {})
      : block_(std::make_shared<Block>(size, std::move(reservation))) {}

  char* data() { return block_->data.get(); }
  size_t size() const { return block_->size; }

  // The first `length` bytes, for sharing; this Buffer is spent. REQUIRES: length <= size().
  Bytes Freeze(size_t length) && {
    CHECK_LE(length, size());
    const Slice view(block_->data.get(), length);
    return Bytes(std::move(block_), view);
  }
  Bytes Freeze() && {
    const size_t all = size();
    return std::move(*this).Freeze(all);
  }

 private:
  struct Block {
    Block(size_t n, Reservation r)
        : data(std::make_unique_for_overwrite<char[]>(n)), size(n), reservation(std::move(r)) {}
    std::unique_ptr<char[]> data;
    size_t size;
    Reservation reservation;
  };
  std::shared_ptr<Block> block_;
};

inline Bytes Bytes::Copy(Slice data) {
  Buffer buffer(data.size());
  if (!data.empty()) std::memcpy(buffer.data(), data.data(), data.size());
  return std::move(buffer).Freeze();
}

inline Bytes Bytes::FromString(std::string data) {
  auto owner = std::make_shared<const std::string>(std::move(data));
  const Slice view(*owner);
  return Bytes(std::move(owner), view);
}

inline std::ostream& operator<<(std::ostream& out, const Bytes& bytes) {
  return out << bytes.slice();
}

}  // namespace millrace

#endif  // BASE_BYTES_H_
