// What the metadata costs with 100,000 partitions of three replicas: one change (one partition's
// leader epoch, as a failover would change thousands; one iteration is one log entry of one
// record), and the whole image to a snapshot's body and back.
#include <malloc.h>

#include <string>
#include <vector>

#include "base/check.h"
#include "benchmark/benchmark.h"
#include "metadata/apply.h"
#include "metadata/image_records.h"
#include "metadata/image_snapshot.h"
#include "metadata/record_types.h"

namespace millrace::bench {
namespace {

using metadata::Image;
using metadata::PartitionImage;

constexpr int kTopics = 100;
constexpr int kPartitions = 1000;

TopicId Topic(int n) { return TopicId(Uuid(1, static_cast<uint64_t>(n) + 1)); }

Image LargeImage() {
  PartitionImage partition;
  for (int id = 1; id <= 3; ++id) {
    partition.replicas.push_back({NodeId(id), DirectoryId(Uuid(2, static_cast<uint64_t>(id)))});
    partition.isr.push_back(NodeId(id));
  }
  partition.leader = NodeId(1);
  Image image;
  for (int topic = 0; topic < kTopics; ++topic) {
    metadata::records::TopicRecord record;
    record.set_topic_id(Topic(topic).ToBytes());
    record.set_name("topic-" + std::to_string(topic));
    std::vector<rsm::Record> records = {metadata::Encode(record)};
    for (int i = 0; i < kPartitions; ++i) {
      records.push_back(metadata::Encode(
          metadata::PartitionRecordOf({Topic(topic), PartitionIndex(i)}, partition)));
    }
    image = metadata::Apply(image, image.index() + 1, records);
  }
  return image;
}

void ImageChange(benchmark::State& state) {
  Image image = LargeImage();
  int i = 0;
  for (auto _ : state) {
    const TopicPartition id = {Topic(i % kTopics), PartitionIndex(i * 7 % kPartitions)};
    const PartitionImage before = *image.FindPartition(id);
    PartitionImage after = before;
    ++after.leader_epoch;
    after.partition_epoch = before.partition_epoch + 1;
    const std::vector<rsm::Record> records = {
        metadata::Encode(metadata::PartitionChangeOf(id, before, after))};
    image = metadata::Apply(image, image.index() + 1, records);
    ++i;
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(ImageChange)->Name("image_change_100k_partitions");

void ImageEncode(benchmark::State& state) {
  const Image image = LargeImage();
  size_t bytes = 0;
  for (auto _ : state) bytes = metadata::EncodeImageSnapshot(image).size();
  state.counters["bytes"] = static_cast<double>(bytes);
}
BENCHMARK(ImageEncode)
    ->Name("image_snapshot_encode_100k_partitions")
    ->Unit(benchmark::kMillisecond);

void ImageDecode(benchmark::State& state) {
  const std::string bytes = metadata::EncodeImageSnapshot(LargeImage());
  for (auto _ : state) CHECK_OK(metadata::DecodeImageSnapshot(bytes));
}
BENCHMARK(ImageDecode)
    ->Name("image_snapshot_decode_100k_partitions")
    ->Unit(benchmark::kMillisecond);

// What the allocator has given out for it; the image is the only thing made in between.
void ImageMemory(benchmark::State& state) {
  double bytes = 0;
  for (auto _ : state) {
    const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
    const Image image = LargeImage();
    bytes = static_cast<double>(mallinfo2().uordblks + mallinfo2().hblkhd - before);
    benchmark::DoNotOptimize(image);
  }
  state.counters["bytes_per_partition"] = bytes / (kTopics * kPartitions);
}
BENCHMARK(ImageMemory)->Name("image_memory_100k_partitions")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace millrace::bench

BENCHMARK_MAIN();
