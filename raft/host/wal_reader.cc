#include "raft/host/wal_reader.h"

#include <map>
#include <optional>
#include <vector>

#include "base/status.h"

namespace millrace::raft {
namespace {

// A segment is never larger than a few times an entry; a file beyond this is not one.
constexpr uint64_t kSegmentBytesMax = uint64_t{1} << 30;

void VisitGroup(const WalGroup& group, bool behind_damage, WalVisitor* visitor) {
  visitor->OnGroup(group, behind_damage);
  uint64_t offset = group.offset + kWalGroupHeaderBytes;
  for (const WalRecord& record : group.records) {
    visitor->OnRecord(record, offset);
    offset += WalRecordBytes(record.payload.size());
  }
}

}  // namespace

absl::Status VisitWal(FileSystem& files, const std::string& directory, WalVisitor* visitor) {
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.ListDirectory(directory));
  std::map<uint64_t, std::string> segments;
  for (const DirectoryEntry& entry : entries) {
    const std::optional<uint64_t> generation = ParseWalSegmentName(entry.name);
    if (generation.has_value()) segments[*generation] = JoinPath(directory, entry.name);
  }
  for (const auto& [generation, path] : segments) {
    ASSIGN_OR_RETURN(const std::string bytes, ReadWholeFile(files, path, kSegmentBytesMax));
    visitor->OnSegment(path, generation, bytes.size());
    const WalScan scan = ScanWalSegment(bytes, generation);
    for (const WalGroup& group : scan.groups) VisitGroup(group, false, visitor);
    visitor->OnTail(scan);
    for (const WalGroup& group : scan.beyond_damage) VisitGroup(group, true, visitor);
  }
  return absl::OkStatus();
}

absl::string_view WalTailName(WalTail tail) {
  switch (tail) {
    case WalTail::kClean:
      return "CLEAN";
    case WalTail::kUnknown:
      return "UNKNOWN";
    case WalTail::kTorn:
      return "TORN";
    case WalTail::kDamaged:
      return "DAMAGED";
  }
  return "UNKNOWN";
}

absl::string_view WalRecordTypeName(WalRecordType type) {
  switch (type) {
    case WalRecordType::kSegmentStart:
      return "SEGMENT_START";
    case WalRecordType::kHardState:
      return "HARD_STATE";
    case WalRecordType::kVoters:
      return "VOTERS";
    case WalRecordType::kTruncate:
      return "TRUNCATE";
    case WalRecordType::kRestart:
      return "RESTART";
    case WalRecordType::kEntry:
      return "ENTRY";
  }
  return "UNKNOWN";
}

}  // namespace millrace::raft
