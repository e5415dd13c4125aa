// Bytes: an immutable run of bytes with counted ownership; Buffer: the one who fills it.
//
// A record batch is copied once, from the network library's memory into a Buffer of the right size;
// from there every holder (log tail, write queue, follower, fetch response) shares it as Bytes.
// The block may carry a Reservation, given back when its last holder goes or when a holder of the
// Buffer takes it.
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
#include <new>
#include <optional>
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
  // Uninitialised. The reservation, if any, lives as long as the memory, or until it is taken.
  explicit Buffer(size_t size, Reservation reservation = {})
      : block_(NewBlock(size, std::move(reservation)), DeleteBlock()) {}

  char* data() { return DataOf(block_.get()); }
  size_t size() const { return block_->size; }

  // The share of the budget that this memory holds; from then on its new owner decides.
  Reservation TakeReservation() { return std::move(block_->reservation); }
  void SetReservation(Reservation reservation) { block_->reservation = std::move(reservation); }

  // The first `length` bytes, for sharing; this Buffer is spent. REQUIRES: length <= size().
  Bytes Freeze(size_t length) && {
    CHECK_LE(length, size());
    const Slice view(data(), length);
    return Bytes(std::move(block_), view);
  }
  Bytes Freeze() && {
    const size_t all = size();
    return std::move(*this).Freeze(all);
  }

  // The memory of `bytes` to be written to again: if a Buffer was frozen into it, whole, and nobody
  // else holds it. Otherwise nothing, and `bytes` is as before.
  static std::optional<Buffer> Reclaim(Bytes* bytes);

 private:
  // Followed by its data.
  struct Block {
    size_t size;
    Reservation reservation;
  };
  // Also the mark by which a Block is known among all that Bytes may own.
  struct DeleteBlock {
    void operator()(Block* block) const {
      block->~Block();
      ::operator delete(block);
    }
  };
  static Block* NewBlock(size_t size, Reservation reservation) {
    return new (::operator new(sizeof(Block) + size)) Block{size, std::move(reservation)};
  }
  static char* DataOf(Block* block) { return reinterpret_cast<char*>(block + 1); }
  explicit Buffer(std::shared_ptr<Block> block) : block_(std::move(block)) {}

  std::shared_ptr<Block> block_;
};

inline std::optional<Buffer> Buffer::Reclaim(Bytes* bytes) {
  if (bytes->owner_.use_count() != 1) return std::nullopt;
  if (std::get_deleter<DeleteBlock>(bytes->owner_) == nullptr) return std::nullopt;
  auto block = std::const_pointer_cast<Block>(std::static_pointer_cast<const Block>(bytes->owner_));
  if (bytes->data() != DataOf(block.get()) || bytes->size() != block->size) return std::nullopt;
  // What other holders did before they let go happened before what is written now.
  std::atomic_thread_fence(std::memory_order_acquire);
  *bytes = Bytes();
  return Buffer(std::move(block));
}

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
