#include "test/sim/disk_faults.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file_system.h"

namespace millrace::sim {
namespace {

// Of a batch's header: its base offset, then the length of what follows.
constexpr size_t kLengthAt = 8;
constexpr size_t kCountedFrom = 12;

uint32_t BigEndian32(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// A segment is preallocated, so that zeros follow its last batch.
struct BatchBytes {
  size_t last = 0;  // Where the last batch begins.
  size_t end = 0;
};

BatchBytes BatchBytesOf(const std::string& segment) {
  BatchBytes bytes;
  while (bytes.end + kCountedFrom <= segment.size()) {
    const uint32_t length = BigEndian32(segment, bytes.end + kLengthAt);
    if (length == 0 || bytes.end + kCountedFrom + length > segment.size()) break;
    bytes.last = std::exchange(bytes.end, bytes.end + kCountedFrom + length);
  }
  return bytes;
}

bool NeedsRoom(const SimCall& call) {
  return call.kind == SimCall::Kind::kCreate || call.kind == SimCall::Kind::kWrite ||
         call.kind == SimCall::Kind::kZeroFill || call.kind == SimCall::Kind::kCreateDirectory;
}

}  // namespace

bool IsBelow(const std::string& path, const std::string& directory) {
  return absl::StrContains(path, directory);
}

void FailDirectory(SimFileSystem* disk, const std::string& directory, SimFault fault) {
  disk->SetFaults([directory, fault](const SimCall& call) -> std::optional<SimFault> {
    if (!IsBelow(call.path, directory)) return std::nullopt;
    if (fault == SimFault::kNoSpace && !NeedsRoom(call)) return std::nullopt;
    return fault;
  });
}

void FailOneCall(SimFileSystem* disk, const std::string& directory, uint64_t calls) {
  disk->SetFaults(
      [directory, left = calls + 1](const SimCall& call) mutable -> std::optional<SimFault> {
        if (left == 0 || !IsBelow(call.path, directory) || --left > 0) return std::nullopt;
        return SimFault::kIoError;
      });
}

void FailReads(SimFileSystem* disk, const std::string& directory) {
  disk->SetFaults([directory](const SimCall& call) -> std::optional<SimFault> {
    if (call.kind != SimCall::Kind::kRead || !IsBelow(call.path, directory)) return std::nullopt;
    return SimFault::kIoError;
  });
}

bool RotLog(SimFileSystem* disk, const std::string& directory, SimRandom* random, RotWhere where) {
  const auto entries = disk->ListDirectory(directory);
  if (!entries.ok()) return false;
  std::vector<std::pair<std::string, BatchBytes>> segments;
  for (const DirectoryEntry& entry : *entries) {
    if (!absl::EndsWith(entry.name, ".log")) continue;
    std::string path = absl::StrCat(directory, "/", entry.name);
    const auto contents = ReadWholeFile(*disk, path, 64 << 20);
    segments.emplace_back(std::move(path), contents.ok() ? BatchBytesOf(*contents) : BatchBytes());
  }
  std::ranges::sort(segments, {}, [](const auto& segment) { return segment.first; });
  if (where != RotWhere::kAnySegment && segments.size() > 1) {
    segments.erase(segments.begin(), std::prev(segments.end()));
  }
  std::erase_if(segments, [](const auto& segment) { return segment.second.end == 0; });
  if (segments.empty()) return false;
  const auto& [path, bytes] = segments[random->Below(segments.size())];
  const size_t from = where == RotWhere::kLastBatch ? bytes.last : 0;
  disk->FlipBit(path, 8 * from + random->Below(8 * (bytes.end - from)));
  return true;
}

}  // namespace millrace::sim
