// SystemRandom: the real Random, seeded by the kernel. Good for ids and jitter, not for secrets.
//
// Source: xoshiro256** by D. Blackman and S. Vigna.
//
// Thread: one owner; make one per strand.
#ifndef BASE_SYSTEM_RANDOM_H_
#define BASE_SYSTEM_RANDOM_H_

#include <array>
#include <cstdint>

#include "base/random.h"

namespace millrace {

class SystemRandom : public Random {
 public:
  // Seeded from getrandom(2).
  SystemRandom();

  uint64_t Next() override;

 private:
  std::array<uint64_t, 4> state_;
};

}  // namespace millrace

#endif  // BASE_SYSTEM_RANDOM_H_
