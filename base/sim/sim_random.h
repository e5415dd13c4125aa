// SimRandom: numbers that follow from a seed alone, on every machine and with every compiler.
//
// Fork gives a stream of its own to each part of a simulated world, so that a draw more in one part
// does not change what the others see.
//
// Source: xoshiro256** and splitmix64 by D. Blackman and S. Vigna (public domain), written anew.
//
// Thread: one owner.
#ifndef BASE_SIM_SIM_RANDOM_H_
#define BASE_SIM_SIM_RANDOM_H_

#include <array>
#include <bit>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "base/random.h"

namespace millrace::sim {

// Bijective mixing of 64 bits: what splitmix64 does to its counter.
constexpr uint64_t MixBits(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// FNV-1a: the same on every platform, unlike std::hash.
constexpr uint64_t HashText(absl::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

class SimRandom : public Random {
 public:
  explicit SimRandom(uint64_t seed) : seed_(seed) {
    for (uint64_t& word : state_) word = MixBits(seed += 0x9e3779b97f4a7c15);
  }

  uint64_t Next() override {
    const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // A stream that depends on this one's seed and `name` only, not on what was drawn so far.
  SimRandom Fork(absl::string_view name) const {
    return SimRandom(MixBits(seed_) ^ HashText(name));
  }

  uint64_t seed() const { return seed_; }

 private:
  uint64_t seed_;
  std::array<uint64_t, 4> state_;
};

// True once in `n` times. REQUIRES: n > 0.
inline bool OneIn(Random& random, uint64_t n) { return random.Below(n) == 0; }

// Uniform in [low, high]. REQUIRES: low <= high.
inline int64_t Between(Random& random, int64_t low, int64_t high) {
  CHECK_LE(low, high);
  return low + static_cast<int64_t>(random.Below(static_cast<uint64_t>(high - low) + 1));
}
inline absl::Duration Between(Random& random, absl::Duration low, absl::Duration high) {
  return absl::Nanoseconds(
      Between(random, absl::ToInt64Nanoseconds(low), absl::ToInt64Nanoseconds(high)));
}

}  // namespace millrace::sim

#endif  // BASE_SIM_SIM_RANDOM_H_
