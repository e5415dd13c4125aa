// SimClock: the clock of one simulated process: virtual time, with a process's own origin, a rate
// that drifts and a wall clock that is skewed and jumps.
//
// Either stands alone and is moved by Advance (unit tests), or follows the time of a SimLoop.
//
// Thread: the simulation's one.
#ifndef BASE_SIM_SIM_CLOCK_H_
#define BASE_SIM_SIM_CLOCK_H_

#include <cmath>

#include "base/check.h"
#include "base/clock.h"

namespace millrace::sim {

class SimClock : public Clock {
 public:
  // 2026-01-01T00:00:00Z: a plausible time of day for world time zero.
  static constexpr int64_t kWallOrigin = 1'767'225'600'000;

  // A clock that stands still unless advanced.
  SimClock() : world_(&own_) {}

  // Follows `*world` (SimLoop::time()), which must outlive it. Its own time is `origin` now: the
  // monotonic times of two processes have nothing to do with one another.
  explicit SimClock(const MonotonicTime* world, MonotonicTime origin = {})
      : world_(world), world_mark_(*world), local_mark_(origin) {}

  SimClock(const SimClock&) = delete;
  SimClock& operator=(const SimClock&) = delete;

  MonotonicTime Now() const override { return ToLocal(*world_); }
  WallTime WallNow() const override {
    return {kWallOrigin + (world_->nanos() + absl::ToInt64Nanoseconds(wall_offset_)) / 1'000'000};
  }

  // REQUIRES: stands alone; not backwards.
  void Advance(absl::Duration by) {
    CHECK(world_ == &own_) << "this clock follows a SimLoop";
    CHECK(by >= absl::ZeroDuration());
    own_ = own_ + by;
  }

  // Moves wall time only, either way, as an administrator or NTP does.
  void JumpWall(absl::Duration by) { wall_offset_ += by; }

  // From now on this clock gains `parts_per_million` on the world (loses, if negative).
  void SetDrift(double parts_per_million) {
    local_mark_ = Now();
    world_mark_ = *world_;
    rate_ = 1 + parts_per_million / 1e6;
    CHECK_GT(rate_, 0) << "a monotonic clock does not run backwards";
  }

  MonotonicTime ToLocal(MonotonicTime world) const {
    if (world == MonotonicTime::Never()) return world;
    const int64_t passed = world.nanos() - world_mark_.nanos();
    return MonotonicTime::FromNanos(local_mark_.nanos() + Scaled(passed, rate_));
  }
  // The first moment of world time at which this clock shows `local` or later.
  MonotonicTime ToWorld(MonotonicTime local) const {
    if (local == MonotonicTime::Never()) return local;
    const int64_t passed = local.nanos() - local_mark_.nanos();
    int64_t world = world_mark_.nanos() + Scaled(passed, 1 / rate_);
    // Rounding may have gone down; a timer must never be early by its own clock.
    while (ToLocal(MonotonicTime::FromNanos(world)) < local) ++world;
    return MonotonicTime::FromNanos(world);
  }

 private:
  static int64_t Scaled(int64_t nanos, double rate) {
    // Exact where the clock does not drift.
    return rate == 1 ? nanos : nanos + std::llround(static_cast<double>(nanos) * (rate - 1));
  }

  MonotonicTime own_;
  const MonotonicTime* const world_;
  // Local time was local_mark_ when world time was world_mark_; it has had rate_ since.
  MonotonicTime world_mark_;
  MonotonicTime local_mark_;
  double rate_ = 1;
  absl::Duration wall_offset_;
};

}  // namespace millrace::sim

#endif  // BASE_SIM_SIM_CLOCK_H_
