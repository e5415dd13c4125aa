#include "test/sim/cluster_logs.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "record/batch_view.h"
#include "test/sim/client_records.h"

namespace millrace::sim {
namespace {

constexpr size_t kBatchBytesMax = 16 << 20;

// The batches of a segment: only so much of its file is read, which is preallocated with zeros.
std::string BatchesOf(const SimFileSystem& disk, const std::string& path) {
  std::string segment;
  std::string header(record::kPeekBytes, '\0');
  while (disk.Peek(path, segment.size(), absl::MakeSpan(header)) == header.size()) {
    const absl::StatusOr<size_t> size = record::PeekBatchSize(header, kBatchBytesMax);
    if (!size.ok()) break;
    const size_t at = segment.size();
    segment.resize(at + *size);
    if (disk.Peek(path, at, absl::MakeSpan(segment).subspan(at)) == *size) continue;
    segment.resize(at);
    break;
  }
  return segment;
}

// Not of a topic that had the name before, and is on its way out.
bool IsOf(const SimFileSystem& disk, const std::string& directory, TopicId topic) {
  std::string text(256, '\0');
  text.resize(disk.Peek(absl::StrCat(directory, "/partition.metadata"), 0, absl::MakeSpan(text)));
  return absl::StrContains(text, topic.ToString());
}

// One after the other; "" if the replica is not on this disk.
std::string LogOf(const SimFileSystem& disk, const std::string& directory) {
  std::string log;
  // In order: names are base offsets with leading zeros.
  for (const std::string& name : disk.PeekNames(directory)) {
    if (absl::EndsWith(name, ".log")) log += BatchesOf(disk, absl::StrCat(directory, "/", name));
  }
  return log;
}

}  // namespace

std::vector<std::string> CopiesOn(const SimFileSystem& disk, const ClusterTopic& topic,
                                  PartitionIndex partition) {
  std::vector<std::string> copies;
  for (const char* log_dir : {"disk-a", "disk-b"}) {
    const std::string directory = absl::StrCat(log_dir, "/", topic.name, "-", partition.value());
    if (IsOf(disk, directory, topic.id)) copies.push_back(LogOf(disk, directory));
  }
  return copies;
}

std::string LogOn(ClusterState& world, int host, const ClusterTopic& topic,
                  PartitionIndex partition) {
  return absl::StrJoin(CopiesOn(world.server(host).disk(), topic, partition), "");
}

LeaderEpoch WrittenIn(ClusterState& world, const TopicPartition& partition, Offset offset,
                      int64_t number) {
  const ClusterTopic* const topic = world.Find(partition.topic_id);
  if (topic == nullptr) return kNoLeaderEpoch;
  LeaderEpoch newest = kNoLeaderEpoch;
  for (const int host : world.broker_hosts()) {
    for (const std::string& log :
         CopiesOn(world.server(host).disk(), *topic, partition.partition)) {
      for (Slice rest = log; !rest.empty();) {
        const auto batch = record::BatchView::Parse(rest);
        if (!batch.ok() || batch->base_offset() > offset) break;
        const Slice bytes = rest.substr(0, batch->size());
        rest.remove_prefix(batch->size());
        if (batch->next_offset() <= offset) continue;
        const auto records = RecordsIn(bytes, offset);
        const bool there = records.ok() && !records->empty() && records->front().offset == offset &&
                           records->front().value == world.history.ValueOf(number);
        if (there) newest = std::max(newest, batch->leader_epoch());
      }
    }
  }
  return newest;
}

}  // namespace millrace::sim
