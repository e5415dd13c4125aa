// Which seeds the test of a simulation runs: those that once found a bug first, whatever else it
// runs, then a range. MILLRACE_SEED=n repeats n alone.
//
// As a simulation changes, so does what a seed does in it: what a seed found has a unit test too.
//
// Thread: any; getenv is not for beside setenv.
#ifndef BASE_SIM_SEEDS_H_
#define BASE_SIM_SEEDS_H_

#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "base/check.h"

namespace millrace::sim {

// What a variable of the environment says, if it is there.
inline std::optional<uint64_t> SeedSetting(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  uint64_t value = 0;
  CHECK(absl::SimpleAtoi(text, &value)) << name << "=" << text;
  return value;
}

// The seed that is to be repeated alone.
inline std::optional<uint64_t> OnlySeed() { return SeedSetting("MILLRACE_SEED"); }

struct SeedRange {
  uint64_t first = 1;
  uint64_t count = 0;
  uint64_t step = 1;
};

inline std::vector<uint64_t> SeedsToRun(std::initializer_list<uint64_t> found_bugs,
                                        const SeedRange& range) {
  if (const std::optional<uint64_t> only = OnlySeed()) return {*only};
  std::vector<uint64_t> seeds = found_bugs;
  for (uint64_t i = 0; i < range.count; ++i) seeds.push_back(range.first + i * range.step);
  return seeds;
}

}  // namespace millrace::sim

#endif  // BASE_SIM_SEEDS_H_
