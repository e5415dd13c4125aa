#include "test/sim/cluster_logs.h"

#include <cstddef>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/sim/sim_file_system.h"
#include "record/batch_view.h"

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

std::string LogOn(ClusterState& world, int host, const ClusterTopic& topic,
                  PartitionIndex partition) {
  const SimFileSystem& disk = world.server(host).disk();
  std::string log;
  for (const char* log_dir : {"disk-a", "disk-b"}) {
    const std::string directory = absl::StrCat(log_dir, "/", topic.name, "-", partition.value());
    if (IsOf(disk, directory, topic.id)) log += LogOf(disk, directory);
  }
  return log;
}

}  // namespace millrace::sim
