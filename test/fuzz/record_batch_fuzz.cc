// Fuzzes what reads record batches: framing, BatchView, the produce checks and the records inside.
//
// The input's checksum is made right first, since a fuzzer does not find one: what is behind it is
// what a malicious client reaches. Run with: bazel run --config=fuzz //test/fuzz:record_batch_fuzz
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/check.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "record/batch_builder.h"
#include "record/batch_stamp.h"
#include "record/batch_view.h"
#include "record/control_record.h"
#include "record/produce_checks.h"
#include "record/record_reader.h"

namespace millrace::record {
namespace {

// Small, so that bombs are cheap to refuse.
constexpr DecompressionLimits kLimits = {.bytes_max = 1 << 20};

// Length and checksum that fit the bytes, the magic too: all else is the fuzzer's.
std::string Repaired(Slice input) {
  std::string bytes(input);
  StoreBig<int32_t>(bytes.data() + kBatchLengthAt,
                    static_cast<int32_t>(bytes.size() - kBatchLengthEnd));
  bytes[kMagicAt] = kMagic;
  StoreBig<uint32_t>(bytes.data() + kCrcAt, Crc32c(Slice(bytes).substr(kCrcCoversFrom)));
  return bytes;
}

// Records that can be read must survive being written and read again.
void CheckRebuilt(const BatchView& batch) {
  BatchBuilder builder({.timestamp_type = batch.timestamp_type()});
  const absl::Status read = ForEachRecord(batch, kLimits, [&](const RecordView& record) {
    builder.Add(record.timestamp_ms, record.key, record.value, record.headers);
    return absl::OkStatus();
  });
  if (!read.ok() || builder.empty()) return;
  const Bytes rebuilt = builder.Build();
  const absl::StatusOr<BatchView> again = BatchView::Parse(rebuilt);
  CHECK_OK(again);
  absl::StatusOr<RecordReader> before = RecordReader::Open(batch, kLimits);
  absl::StatusOr<RecordReader> after = RecordReader::Open(*again);
  CHECK_OK(before);
  CHECK_OK(after);
  RecordView a;
  RecordView b;
  while (before->Next(&a).value()) {
    CHECK(after->Next(&b).value());
    CHECK(a.timestamp_ms == b.timestamp_ms && a.key == b.key && a.value == b.value);
    CHECK(a.headers == b.headers);
  }
  CHECK(!after->Next(&b).value());
}

void Fuzz(Slice input) {
  // As it is: almost always refused, but never more.
  BatchView::Parse(input).IgnoreError();
  BatchView::ParseWithVerifiedCrc(input).IgnoreError();
  if (input.size() < kBatchHeaderSize) return;

  std::string bytes = Repaired(input);
  const absl::StatusOr<BatchView> batch = BatchView::Parse(bytes);
  ParseProducedBatch(bytes, {.deep = true, .keys_required = true, .limits = kLimits}).IgnoreError();
  if (!batch.ok()) return;
  CHECK_EQ(batch->size(), bytes.size());
  CHECK_LE(batch->base_offset(), batch->last_offset());
  ForEachRecord(*batch, kLimits, [](const RecordView& record) {
    ParseEndTransactionMarker(record).IgnoreError();
    return absl::OkStatus();
  }).IgnoreError();
  CheckRebuilt(*batch);
  StampLogAppendTime(bytes.data(), bytes.size(), 5);
  CHECK_OK(BatchView::Parse(bytes));
}

}  // namespace
}  // namespace millrace::record

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  millrace::record::Fuzz(millrace::Slice(reinterpret_cast<const char*>(data), size));
  return 0;
}
