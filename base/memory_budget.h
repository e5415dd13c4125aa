// MemoryBudget: one bound on the bytes that are in flight through this process, and Reservation, a
// share of it that gives itself back.
//
// Past the budget the edge stops reading instead of growing. Reserving never blocks: the caller
// parks itself and is woken by `on_release` (set once, by rpc/), which runs on the releasing
// thread.
//
// Thread: any. Reservations may be released on another thread than the one that made them.
#ifndef BASE_MEMORY_BUDGET_H_
#define BASE_MEMORY_BUDGET_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

#include "base/check.h"

namespace millrace {

class MemoryBudget;

// Bytes taken from a budget. Movable; gives the bytes back when it goes.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept
      : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Reservation& operator=(Reservation&& other) noexcept {
    if (this != &other) {
      Release();
      budget_ = std::exchange(other.budget_, nullptr);
      bytes_ = std::exchange(other.bytes_, 0);
    }
    return *this;
  }
  ~Reservation() { Release(); }

  int64_t bytes() const { return bytes_; }
  void Release();
  // `bytes` of this as one of their own; nothing of one that is empty. REQUIRES: bytes <= bytes(),
  // unless this is empty.
  Reservation Split(int64_t bytes) {
    if (budget_ == nullptr) return {};
    CHECK(0 <= bytes && bytes <= bytes_) << bytes << " of " << bytes_;
    bytes_ -= bytes;
    return {budget_, bytes};
  }

 private:
  friend class MemoryBudget;
  Reservation(MemoryBudget* budget, int64_t bytes) : budget_(budget), bytes_(bytes) {}

  MemoryBudget* budget_ = nullptr;
  int64_t bytes_ = 0;
};

class MemoryBudget {
 public:
  // REQUIRES: limit_bytes > 0.
  explicit MemoryBudget(int64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  // False, and `out` untouched, if `bytes` do not fit now. A request larger than the whole budget
  // fits when nothing else is reserved, so that it is slow rather than impossible. `left_free`: so
  // many bytes of the limit are for others.
  bool TryReserve(int64_t bytes, Reservation* out, int64_t left_free = 0) {
    int64_t used = used_bytes_.load(std::memory_order_relaxed);
    do {
      if (used != 0 && used + bytes > limit_bytes_ - left_free) return false;
    } while (!used_bytes_.compare_exchange_weak(used, used + bytes, std::memory_order_relaxed));
    *out = Reservation(this, bytes);
    return true;
  }

  // Takes `bytes` whether they fit or not: for memory that exists already.
  Reservation ReserveAlways(int64_t bytes) {
    used_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    return Reservation(this, bytes);
  }

  int64_t limit_bytes() const { return limit_bytes_; }
  int64_t used_bytes() const { return used_bytes_.load(std::memory_order_relaxed); }

  // REQUIRES: called before the first reservation. Runs after each release, on its thread.
  void SetOnRelease(std::function<void()> on_release) { on_release_ = std::move(on_release); }

 private:
  friend class Reservation;
  void Give(int64_t bytes) {
    used_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    if (on_release_) on_release_();
  }

  const int64_t limit_bytes_;
  std::atomic<int64_t> used_bytes_{0};
  std::function<void()> on_release_;
};

inline void Reservation::Release() {
  if (budget_ != nullptr && bytes_ != 0) budget_->Give(bytes_);
  budget_ = nullptr;
  bytes_ = 0;
}

}  // namespace millrace

#endif  // BASE_MEMORY_BUDGET_H_
