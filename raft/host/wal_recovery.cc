#include "raft/host/wal_recovery.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "raft/host/wal_format.h"
#include "raft/host/wal_replay.h"
#include "raft/host/wal_scan.h"

namespace millrace::raft {
namespace {

// A segment in memory: `scan` borrows from `bytes`.
struct Segment {
  uint64_t generation = 0;
  std::string bytes;
  WalScan scan;
};

// What a segment's first group says of the one before.
struct Start {
  WalGroupHeader header;
  uint64_t previous_generation = 0;
};

absl::Status Corrupt(const std::string& path, absl::string_view what) {
  return MakeError(
      ErrorCode::kCorruptLog,
      absl::StrCat("WAL segment '", path, "' is damaged where it was acknowledged: ", what,
                   ". Refusing to start from it; rebuild this voter from the others, or look at "
                   "it with 'millrace log dump'"),
      {.name = path});
}

class Recovery {
 public:
  Recovery(const WalOptions& options, FileSystem& files, EntryId snapshot)
      : options_(options), files_(files), snapshot_(snapshot), replay_(snapshot) {}

  absl::StatusOr<WalRecovered> Run() {
    RETURN_IF_ERROR(ListFiles());
    RETURN_IF_ERROR(FindChain());
    for (size_t i = 0; i < chain_.size(); ++i) {
      const Start* next = i + 1 < chain_.size() ? &chain_[i + 1].second : nullptr;
      RETURN_IF_ERROR(ReplaySegment(chain_[i].first, next));
    }
    RETURN_IF_ERROR(Conclude());
    return std::move(out_);
  }

 private:
  std::string Path(uint64_t generation) const {
    return JoinPath(options_.directory, WalSegmentName(generation));
  }

  absl::Status ListFiles() {
    ASSIGN_OR_RETURN(std::vector<DirectoryEntry> entries, files_.ListDirectory(options_.directory));
    for (const DirectoryEntry& entry : entries) {
      const std::optional<uint64_t> generation = ParseWalSegmentName(entry.name);
      if (!generation.has_value() || entry.is_directory) continue;
      sizes_[*generation] = entry.size_bytes;
    }
    if (!sizes_.empty()) out_.position.generation_max = sizes_.rbegin()->first;
    return absl::OkStatus();
  }

  // Walks from the newest started segment back to the oldest that is still there.
  absl::Status FindChain() {
    std::optional<uint64_t> wanted;
    for (auto it = sizes_.rbegin(); it != sizes_.rend(); ++it) {
      const uint64_t generation = it->first;
      if (wanted.has_value() && generation != *wanted) {
        out_.position.orphans.push_back(Path(generation));
        continue;
      }
      ASSIGN_OR_RETURN(std::optional<Start> start, ReadStart(generation));
      if (!start.has_value()) {
        if (wanted.has_value()) return Corrupt(Path(generation), "its first group does not verify");
        RETURN_IF_ERROR(CheckNeverStarted(generation));
        out_.position.orphans.push_back(Path(generation));
        continue;
      }
      wanted = start->previous_generation;
      chain_.emplace_back(generation, *start);
    }
    std::reverse(chain_.begin(), chain_.end());
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> ReadPrefix(uint64_t generation, uint64_t bytes_max) {
    ASSIGN_OR_RETURN(std::unique_ptr<File> file, files_.Open(Path(generation), OpenMode::kRead));
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    std::string bytes(std::min(size, bytes_max), '\0');
    ASSIGN_OR_RETURN(const size_t read, file->ReadAt(0, absl::MakeSpan(bytes)));
    bytes.resize(read);
    out_.recovery.bytes_read += read;
    return bytes;
  }

  // Nothing if the first group does not verify.
  absl::StatusOr<std::optional<Start>> ReadStart(uint64_t generation) {
    ASSIGN_OR_RETURN(const std::string bytes, ReadPrefix(generation, kWalStartGroupBytesMax));
    const auto header = ParseWalGroupHeader(bytes);
    if (!header.has_value() || header->generation != generation) return std::nullopt;
    if (header->version > kWalVersion) {
      return MakeError(
          ErrorCode::kUnsupportedFormatVersion,
          absl::StrCat("WAL segment '", Path(generation), "' has format version ", header->version,
                       ", this program knows up to ", kWalVersion, ": run the newer version"),
          {.name = Path(generation), .value = absl::StrCat(header->version)});
    }
    uint32_t chain = 0;
    const auto records = ParseWalRecords(*header, bytes, &chain);
    if ((header->flags & kWalFlagStart) == 0 || !records.has_value() || records->empty() ||
        records->front().type != WalRecordType::kSegmentStart) {
      return std::nullopt;
    }
    const auto start = WalSegmentStart::Decode(records->front().payload);
    if (!start.has_value()) return std::nullopt;
    return Start{*header, start->previous_generation};
  }

  // A file whose first group does not verify may only be one that was never (wholly) started.
  absl::Status CheckNeverStarted(uint64_t generation) {
    ASSIGN_OR_RETURN(const std::string bytes, ReadPrefix(generation, ~uint64_t{0}));
    const WalScan scan = ScanWalSegment(bytes, generation);
    if (scan.tail == WalTail::kDamaged) return Corrupt(Path(generation), scan.reason);
    return absl::OkStatus();
  }

  // `next`: what the segment after this one says, or null if it is the last.
  absl::Status ReplaySegment(uint64_t generation, const Start* next) {
    Segment segment{.generation = generation};
    ASSIGN_OR_RETURN(segment.bytes, ReadPrefix(generation, ~uint64_t{0}));
    segment.scan = ScanWalSegment(segment.bytes, generation);
    if (next != nullptr) {
      RETURN_IF_ERROR(CutToSuccessor(next->header, &segment));
    } else {
      RETURN_IF_ERROR(JudgeLast(segment));
    }
    WalSegmentInfo info{.generation = generation, .size_bytes = segment.bytes.size()};
    for (const WalGroup& group : segment.scan.groups) {
      for (const WalRecord& record : group.records) {
        if (absl::Status s = replay_.Apply(record); !s.ok()) {
          return Annotate(s, absl::StrCat("'", Path(generation), "' at byte ", group.offset));
        }
        info.index_max = std::max(info.index_max, replay_.last().index);
      }
    }
    out_.position.segments.push_back(info);
    return absl::OkStatus();
  }

  // Every group up to the one the successor names must be there, and end in the checksum that it
  // names; what is beyond was a torn tail.
  absl::Status CutToSuccessor(const WalGroupHeader& next, Segment* segment) {
    std::vector<WalGroup>& groups = segment->scan.groups;
    while (!groups.empty() && groups.back().header.number > next.durable_through) {
      groups.pop_back();
    }
    if (groups.empty() || groups.back().header.number != next.durable_through) {
      return Corrupt(Path(segment->generation),
                     absl::StrCat("group ", next.durable_through,
                                  " was durable, but the groups "
                                  "end at byte ",
                                  segment->scan.tail_offset, ": ", segment->scan.reason));
    }
    if (groups.back().chain != next.previous_chain) {
      return Corrupt(Path(segment->generation),
                     absl::StrCat("its checksum chain ends otherwise than segment ",
                                  next.generation, " says"));
    }
    return absl::OkStatus();
  }

  absl::Status JudgeLast(const Segment& segment) {
    const WalScan& scan = segment.scan;
    const std::string path = Path(segment.generation);
    if (scan.tail == WalTail::kDamaged || scan.groups.empty()) {
      return Corrupt(path, absl::StrCat("at byte ", scan.tail_offset, ": ", scan.reason));
    }
    if (scan.tail == WalTail::kTorn || scan.tail == WalTail::kUnknown) {
      out_.recovery.cut = WalCut{segment.generation, scan.tail_offset, scan.reason};
    }
    const WalGroup& last = scan.groups.back();
    WalPosition& position = out_.position;
    position.salt = last.header.salt;
    position.tail_offset = scan.tail_offset;
    position.last_number = last.header.number;
    position.chain = last.chain;
    position.last_group_offset = last.offset;
    position.last_group = segment.bytes.substr(last.offset, last.header.TotalBytes());
    position.last_is_seal = (last.header.flags & kWalFlagSeal) != 0;
    position.can_continue = scan.tail == WalTail::kClean &&
                            segment.generation == position.generation_max &&
                            segment.bytes.size() <= options_.segment_bytes;
    return absl::OkStatus();
  }

  absl::Status Conclude() {
    WalRecovery& recovery = out_.recovery;
    recovery.created = chain_.empty();
    recovery.segments = chain_.size();
    recovery.hard_state = replay_.hard_state();
    recovery.voters = replay_.voters();
    out_.position.last_entry = replay_.last();
    if (replay_.ConflictsWithSnapshot()) {
      if (options_.refuse_conflicting_snapshot) {
        return MakeError(
            ErrorCode::kCorruptLog,
            absl::StrCat("the image at term ", snapshot_.term.value(), ", index ",
                         snapshot_.index.value(), " is not of the history in '", options_.directory,
                         "', which ends at term ", replay_.last().term.value(), ", index ",
                         replay_.last().index.value()),
            {.name = options_.directory});
      }
      out_.position.restart_after = snapshot_;
      return absl::OkStatus();
    }
    absl::StatusOr<std::vector<Entry>> entries = replay_.TakeEntries();
    if (!entries.ok()) return Annotate(entries.status(), options_.directory);
    recovery.entries = *std::move(entries);
    return absl::OkStatus();
  }

  const WalOptions& options_;
  FileSystem& files_;
  const EntryId snapshot_;
  // By generation.
  std::map<uint64_t, uint64_t> sizes_;
  // Oldest first.
  std::vector<std::pair<uint64_t, Start>> chain_;
  WalReplay replay_;
  WalRecovered out_;
};

}  // namespace

absl::StatusOr<WalRecovered> RecoverWal(const WalOptions& options, FileSystem& files,
                                        EntryId snapshot) {
  return Recovery(options, files, snapshot).Run();
}

}  // namespace millrace::raft
