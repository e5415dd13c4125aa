// Batches: built as a producer does, parsed and validated as a broker does, read as a consumer
// does; checksums and codecs. Bytes are those of the batch; items are records.
#include <string>
#include <vector>

#include "base/crc32c.h"
#include "benchmark/benchmark.h"
#include "record/batch_view.h"
#include "record/compression.h"
#include "record/produce_checks.h"
#include "record/record_reader.h"
#include "tools/bench/micro/samples.h"

namespace millrace::bench {
namespace {

using record::Compression;

void BatchBuild(benchmark::State& state, size_t value_bytes) {
  const std::string text = SampleText(64 << 10);
  record::BatchBuilder builder({});
  int64_t bytes = 0;
  int64_t records = 0;
  for (auto _ : state) {
    records += FillBatch(value_bytes, kBatchBytes, text, &builder);
    const Bytes batch = builder.Build();
    bytes += static_cast<int64_t>(batch.size());
    benchmark::DoNotOptimize(batch.data());
  }
  state.SetBytesProcessed(bytes);
  state.SetItemsProcessed(records);
}
BENCHMARK_CAPTURE(BatchBuild, , 100)->Name("batch_build_100");
BENCHMARK_CAPTURE(BatchBuild, , 1024)->Name("batch_build_1024");

// Header and checksum only, or every record too.
void BatchValidate(benchmark::State& state, bool deep) {
  const Bytes batch = SampleBatch(100);
  const record::ProduceChecks checks = {.deep = deep};
  for (auto _ : state) {
    const auto view = record::ParseProducedBatch(batch, checks);
    if (!view.ok()) state.SkipWithError("not a valid batch");
    benchmark::DoNotOptimize(view);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * batch.size()));
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) *
                          record::BatchView::Parse(batch)->record_count());
}
BENCHMARK_CAPTURE(BatchValidate, , false)->Name("batch_validate");
BENCHMARK_CAPTURE(BatchValidate, , true)->Name("batch_validate_deep");

void BatchRead(benchmark::State& state) {
  const Bytes batch = SampleBatch(100);
  int64_t records = 0;
  for (auto _ : state) {
    const auto view = record::BatchView::Parse(batch);
    const absl::Status status = record::ForEachRecord(*view, {}, [&](const auto& record) {
      benchmark::DoNotOptimize(record.value);
      ++records;
      return absl::OkStatus();
    });
    if (!status.ok()) state.SkipWithError("not readable");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * batch.size()));
  state.SetItemsProcessed(records);
}
BENCHMARK(BatchRead)->Name("batch_read");

void Checksum(benchmark::State& state, uint32_t (*extend)(uint32_t, Slice)) {
  if (extend == &internal::Crc32cExtendHardware && !internal::Crc32cHasHardware()) {
    extend = &internal::Crc32cExtendPortable;
    state.SetLabel("no hardware here: portable");
  }
  const std::string data = SampleText(kBatchBytes);
  for (auto _ : state) benchmark::DoNotOptimize(extend(0, data));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * data.size()));
}
BENCHMARK_CAPTURE(Checksum, , &internal::Crc32cExtendHardware)->Name("crc32c_hardware");
BENCHMARK_CAPTURE(Checksum, , &internal::Crc32cExtendPortable)->Name("crc32c_portable");

void Compress(benchmark::State& state, Compression compression) {
  const std::string input = SampleText(kBatchBytes);
  record::Compressor compressor(compression);
  std::string output(compressor.OutputMax(input.size()), '\0');
  for (auto _ : state) {
    benchmark::DoNotOptimize(compressor.Compress(input, output.data(), output.size()));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * input.size()));
}

void Decompress(benchmark::State& state, Compression compression) {
  const std::string text = SampleText(kBatchBytes);
  record::Compressor compressor(compression);
  std::string packed(compressor.OutputMax(text.size()), '\0');
  packed.resize(*compressor.Compress(text, packed.data(), packed.size()));
  record::Decompressor decompressor;
  for (auto _ : state) {
    benchmark::DoNotOptimize(decompressor.Decompress(compression, packed)->data());
  }
  // Of what comes out, as for Compress.
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK_CAPTURE(Compress, , Compression::kGzip)->Name("compress_gzip");
BENCHMARK_CAPTURE(Compress, , Compression::kSnappy)->Name("compress_snappy");
BENCHMARK_CAPTURE(Compress, , Compression::kLz4)->Name("compress_lz4");
BENCHMARK_CAPTURE(Compress, , Compression::kZstd)->Name("compress_zstd");
BENCHMARK_CAPTURE(Decompress, , Compression::kGzip)->Name("decompress_gzip");
BENCHMARK_CAPTURE(Decompress, , Compression::kSnappy)->Name("decompress_snappy");
BENCHMARK_CAPTURE(Decompress, , Compression::kLz4)->Name("decompress_lz4");
BENCHMARK_CAPTURE(Decompress, , Compression::kZstd)->Name("decompress_zstd");

}  // namespace
}  // namespace millrace::bench
