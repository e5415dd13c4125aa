// Samples: the batches and values that the micro benchmarks share.
//
// Values are words and numbers that a codec shrinks to about half: neither noise nor zeros. Not
// here: load on a server (`millrace perf`).
//
// Thread: any (pure functions).
#ifndef TOOLS_BENCH_MICRO_SAMPLES_H_
#define TOOLS_BENCH_MICRO_SAMPLES_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "record/batch_builder.h"

namespace millrace::bench {

inline constexpr int64_t kSampleTime = 1'767'225'600'000;
// The size of batches that busy producers send.
inline constexpr size_t kBatchBytes = 64 << 10;

inline std::string SampleText(size_t size) {
  static constexpr const char* kWords[] = {"stream", "partition", "offset",  "leader",
                                           "epoch",  "record",    "segment", "batch"};
  std::string text;
  uint64_t state = 0x9e3779b97f4a7c15;
  while (text.size() < size) {
    state = state * 6364136223846793005 + 1442695040888963407;
    text += kWords[state >> 61];
    text += ' ';
    text += std::to_string(state >> 33 & 0xffff);
    text += ' ';
  }
  text.resize(size);
  return text;
}

// As many records of `value_bytes` as fill `batch_bytes`; returns how many.
inline int FillBatch(size_t value_bytes, size_t batch_bytes, const std::string& text,
                     record::BatchBuilder* builder) {
  const size_t most =
      batch_bytes - record::BatchBuilder::RecordBytesMax(absl::nullopt, Slice(text.data(), 1));
  size_t at = 0;
  while (builder->estimated_bytes() + value_bytes + 20 < most) {
    builder->Add(kSampleTime, absl::nullopt, Slice(text.data() + at, value_bytes));
    at = (at + 17) % (text.size() - value_bytes);
  }
  return builder->count();
}

inline Bytes SampleBatch(size_t value_bytes,
                         record::Compression compression = record::Compression::kNone) {
  record::BatchBuilder builder({.compression = compression});
  FillBatch(value_bytes, kBatchBytes, SampleText(64 << 10), &builder);
  return builder.Build();
}

}  // namespace millrace::bench

#endif  // TOOLS_BENCH_MICRO_SAMPLES_H_
