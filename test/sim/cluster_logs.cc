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

std::string LogOn(ClusterState& world, int host, const std::string& topic,
                  PartitionIndex partition) {
  std::string log;
  for (const char* log_dir : {"disk-a", "disk-b"}) {
    log +=
        LogOf(world.server(host).disk(), absl::StrCat(log_dir, "/", topic, "-", partition.value()));
  }
  return log;
}

}  // namespace millrace::sim
