#include "base/system_random.h"

#include <sys/random.h>

#include <bit>
#include <cerrno>

#include "base/check.h"

namespace millrace {

SystemRandom::SystemRandom() {
  ssize_t got = 0;
  do {
    // This few bytes come whole or not at all.
    got = getrandom(state_.data(), sizeof(state_), 0);
  } while (got < 0 && errno == EINTR);
  CHECK_EQ(got, static_cast<ssize_t>(sizeof(state_))) << "getrandom failed, errno " << errno;
  // The one state that the generator never leaves.
  if (state_ == std::array<uint64_t, 4>{}) state_[0] = 1;
}

uint64_t SystemRandom::Next() {
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

}  // namespace millrace
