// Random: the seam through which randomness and fresh ids come in.
//
// The real side is seeded by the system (base/system_random.h); the simulated side derives from
// the run's seed, so that a run can be repeated. Cores never draw.
//
// Thread: one owner; not synchronised.
#ifndef BASE_RANDOM_H_
#define BASE_RANDOM_H_

#include <cstdint>

namespace millrace {

class Random {
 public:
  virtual ~Random() = default;

  // 64 uniform bits.
  virtual uint64_t Next() = 0;

  // Uniform in [0, bound). REQUIRES: bound > 0.
  uint64_t Below(uint64_t bound) {
    // Multiply-shift keeps the bias under bound / 2^64, which no user of this can see.
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }
};

}  // namespace millrace

#endif  // BASE_RANDOM_H_
