#include "node/founding_file.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "storage/checked_text.h"

namespace millrace::node {
namespace {

using raft::FoundingPhase;
using raft::FoundingRecord;
using raft::Voter;

constexpr char kName[] = "founding";
constexpr char kKind[] = "founding";
// The largest record: all sets full, with the longest addresses.
constexpr uint64_t kBytesMax = 1 << 20;

constexpr struct {
  FoundingPhase phase;
  absl::string_view name;
} kPhases[] = {{FoundingPhase::kEmpty, "empty"},
               {FoundingPhase::kPrepared, "prepared"},
               {FoundingPhase::kFounded, "founded"}};

absl::Status Damaged(absl::string_view path, absl::string_view line) {
  return MakeError(ErrorCode::kCorruptLog,
                   absl::StrCat("file '", path, "' makes no sense at '", line, "'"),
                   {.name = std::string(path), .value = std::string(line)});
}

absl::Status AppendVoters(const std::vector<Voter>& voters, std::vector<std::string>* lines) {
  for (const Voter& voter : voters) {
    const bool plain = std::all_of(voter.address.begin(), voter.address.end(),
                                   [](char c) { return absl::ascii_isgraph(c); });
    if (!plain || voter.address.size() > raft::kVoterAddressBytesMax) {
      return MakeError(ErrorCode::kInvalidRequest,
                       absl::StrCat("the address of node ", voter.id.node.value(),
                                    " is no host:port that can be written down"),
                       {.name = "address", .value = voter.address.substr(0, 64)});
    }
    lines->push_back(absl::StrCat("voter=", voter.id.node.value(), ",",
                                  voter.id.directory.ToString(), ",", voter.address));
  }
  return absl::OkStatus();
}

// "1,<directory id>,host:port"
absl::StatusOr<Voter> ParseVoter(absl::string_view text, absl::string_view path) {
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits(',', 2));
  int32_t node = -1;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &node) || node < 0) {
    return Damaged(path, text);
  }
  const absl::StatusOr<DirectoryId> directory = DirectoryId::FromString(parts[1]);
  if (!directory.ok()) return Damaged(path, text);
  return Voter{.id = {NodeId(node), *directory}, .address = parts[2]};
}

bool IsSet(const std::vector<Voter>& voters) {
  // No two neighbours out of order, nor the same.
  const auto wrong =
      std::adjacent_find(voters.begin(), voters.end(),
                         [](const Voter& a, const Voter& b) { return a.id.node >= b.id.node; });
  return !voters.empty() && voters.size() <= raft::kVotersMax && wrong == voters.end();
}

// Whether the parts fit together.
bool MakesSense(const FoundingRecord& record) {
  const bool sets_are_sets = std::all_of(record.replaced.begin(), record.replaced.end(), IsSet);
  if (!sets_are_sets || record.replaced.size() > raft::kReplacedPromisesMax) return false;
  const bool founded = record.phase == FoundingPhase::kFounded;
  if (record.generation < 0 || (record.generation > 0 && !founded)) return false;
  if (record.phase == FoundingPhase::kEmpty) return record.voters.empty();
  if (record.phase == FoundingPhase::kPrepared) {
    return IsSet(record.voters) && record.cluster_id.is_zero();
  }
  if (record.cluster_id.is_zero()) return false;
  return record.voters.empty() ||
         (IsSet(record.voters) && raft::FoundingClusterId(record.voters) == record.cluster_id);
}

}  // namespace

absl::StatusOr<std::string> EncodeFoundingFile(const FoundingRecord& record) {
  std::vector<std::string> lines;
  for (const auto& phase : kPhases) {
    if (phase.phase == record.phase) lines.push_back(absl::StrCat("phase=", phase.name));
  }
  if (!record.cluster_id.is_zero()) {
    lines.push_back(absl::StrCat("cluster.id=", record.cluster_id.ToString()));
  }
  if (record.generation > 0) lines.push_back(absl::StrCat("generation=", record.generation));
  RETURN_IF_ERROR(AppendVoters(record.voters, &lines));
  for (const std::vector<Voter>& set : record.replaced) {
    lines.push_back("replaced=");
    RETURN_IF_ERROR(AppendVoters(set, &lines));
  }
  return storage::EncodeCheckedText(kKind, lines);
}

absl::StatusOr<FoundingRecord> DecodeFoundingFile(Slice contents, absl::string_view path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> lines,
                   storage::DecodeCheckedText(kKind, contents, path));
  FoundingRecord record;
  bool has_phase = false;
  for (const std::string& line : lines) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (parts.size() != 2) return Damaged(path, line);
    if (parts[0] == "phase") {
      for (const auto& phase : kPhases) {
        if (phase.name != parts[1]) continue;
        record.phase = phase.phase;
        has_phase = true;
      }
    } else if (parts[0] == "cluster.id") {
      const absl::StatusOr<ClusterId> id = ClusterId::FromString(parts[1]);
      if (!id.ok()) return Damaged(path, line);
      record.cluster_id = *id;
    } else if (parts[0] == "generation") {
      if (!absl::SimpleAtoi(parts[1], &record.generation)) return Damaged(path, line);
    } else if (parts[0] == "voter") {
      ASSIGN_OR_RETURN(Voter voter, ParseVoter(parts[1], path));
      std::vector<Voter>& set = record.replaced.empty() ? record.voters : record.replaced.back();
      set.push_back(std::move(voter));
    } else if (parts[0] == "replaced") {
      record.replaced.emplace_back();
    } else {
      return Damaged(path, line);
    }
  }
  if (!has_phase || !MakesSense(record)) return Damaged(path, lines.empty() ? "" : lines[0]);
  return record;
}

absl::StatusOr<FoundingRecord> ReadFoundingFile(FileSystem& files, const std::string& metadata_path,
                                                ClusterId cluster_id) {
  const std::string path = JoinPath(metadata_path, kName);
  FoundingRecord record;
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (exists) {
    ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(files, path, kBytesMax));
    ASSIGN_OR_RETURN(record, DecodeFoundingFile(text, path));
  }
  if (cluster_id.is_zero() || cluster_id == record.cluster_id) return record;
  if (record.phase == FoundingPhase::kEmpty) {
    FoundingRecord founded;
    founded.phase = FoundingPhase::kFounded;
    founded.cluster_id = cluster_id;
    return founded;
  }
  const std::string theirs = record.phase == FoundingPhase::kPrepared
                                 ? "only promised to found one"
                                 : absl::StrCat("belongs to ", record.cluster_id.ToString());
  return MakeError(ErrorCode::kInvalidDirectory,
                   absl::StrCat("metadata directory '", metadata_path, "' is of cluster ",
                                cluster_id.ToString(), " by its meta.properties, but ", theirs,
                                " by its file 'founding': one of them was copied from elsewhere; "
                                "give this node an empty metadata.log.dir, and it joins as a new "
                                "one"),
                   {.name = "metadata.log.dir", .value = metadata_path});
}

absl::Status WriteFoundingFile(FileSystem& files, const std::string& metadata_path,
                               const FoundingRecord& record) {
  ASSIGN_OR_RETURN(const std::string text, EncodeFoundingFile(record));
  return ReplaceFile(files, JoinPath(metadata_path, kName), text);
}

}  // namespace millrace::node
