#include "test/cluster/batches.h"

#include "absl/time/clock.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "record/batch_builder.h"

namespace millrace::test {

std::string MakeBatch(const std::vector<std::string>& values, record::Compression compression) {
  record::BatchBuilder builder({.compression = compression});
  const int64_t now_ms = absl::ToUnixMillis(absl::Now());
  for (const std::string& value : values) builder.Add(now_ms, absl::nullopt, Slice(value));
  const Bytes batch = builder.Build();
  return std::string(batch.data(), batch.size());
}

void FixCrc(std::string* batch) {
  const uint32_t crc = Crc32c(Slice(*batch).substr(record::kCrcCoversFrom));
  StoreBig<uint32_t>(batch->data() + record::kCrcAt, crc);
}

}  // namespace millrace::test
