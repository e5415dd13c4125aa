// SampleStep: of the cases of an exhaustive test (every bit of a file, every call), how far one
// that is tried is from the next.
//
// 1, unless MILLRACE_SAMPLE_STEP says otherwise, as the sanitizers' build does, where a case takes
// ten times as long. A step that is odd meets every bit of a byte.
//
// Thread: any.
#ifndef BASE_SIM_SAMPLE_STEP_H_
#define BASE_SIM_SAMPLE_STEP_H_

#include <cstdint>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "base/check.h"

namespace millrace::sim {

inline uint64_t SampleStep() {
  const char* text = std::getenv("MILLRACE_SAMPLE_STEP");
  if (text == nullptr) return 1;
  uint64_t step = 0;
  CHECK(absl::SimpleAtoi(text, &step) && step > 0);
  return step;
}

// How many of `count` seeds are run: all, or a tenth where cases are sampled.
inline uint64_t SampledSeeds(uint64_t count) { return SampleStep() == 1 ? count : count / 10; }

}  // namespace millrace::sim

#endif  // BASE_SIM_SAMPLE_STEP_H_
