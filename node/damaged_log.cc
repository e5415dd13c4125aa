#include "node/damaged_log.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "base/status.h"
#include "node/founding_file.h"
#include "raft/host/snapshot_store.h"
#include "raft/host/wal_format.h"
#include "raft/host/wal_recovery.h"
#include "raft/host/wal_scan.h"

namespace millrace::node {
namespace {

absl::Status LogIsGone(const MetadataDir& dir) {
  return MakeError(ErrorCode::kInvalidDirectory,
                   absl::StrCat("metadata directory '", dir.path(), "' belongs to cluster ",
                                dir.cluster_id().ToString(),
                                " but its log is gone, and with it what this voter "
                                "promised and acknowledged"),
                   {.name = "metadata.log.dir", .value = dir.path()});
}

// The newest set that the undamaged groups of the log name; empty if there is none.
absl::StatusOr<raft::VoterSet> NewestReadableVoters(FileSystem& files, const std::string& wal) {
  raft::VoterSet newest;
  ASSIGN_OR_RETURN(const bool exists, files.Exists(wal));
  if (!exists) return newest;
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.ListDirectory(wal));
  std::map<uint64_t, std::string> segments;
  for (const DirectoryEntry& entry : entries) {
    const std::optional<uint64_t> generation = raft::ParseWalSegmentName(entry.name);
    if (generation.has_value()) segments[*generation] = JoinPath(wal, entry.name);
  }
  const auto look = [&newest](const std::vector<raft::WalGroup>& groups) {
    for (const raft::WalGroup& group : groups) {
      for (const raft::WalRecord& record : group.records) {
        if (record.type != raft::WalRecordType::kVoters) continue;
        absl::StatusOr<std::vector<raft::Voter>> voters = raft::DecodeVoters(record.payload);
        if (!voters.ok() || voters->empty()) continue;
        newest = {EntryId{record.term, record.index}, *std::move(voters)};
      }
    }
  };
  for (const auto& [generation, path] : segments) {
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kRead));
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    std::string bytes(size, '\0');
    ASSIGN_OR_RETURN(const size_t read, file->ReadAt(0, absl::MakeSpan(bytes)));
    bytes.resize(read);
    const raft::WalScan scan = raft::ScanWalSegment(bytes, generation);
    look(scan.groups);
    look(scan.beyond_damage);
  }
  return newest;
}

// The rest is the id of the directory that it was.
constexpr absl::string_view kAsidePrefix = "damaged-";
// In such a directory, empty: this node has led since.
constexpr absl::string_view kLedSinceName = "led-since";

// The directories of logs that were set aside, and since which this node has not led.
absl::StatusOr<std::vector<std::string>> LastSetAside(FileSystem& files, const MetadataDir& dir) {
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.ListDirectory(dir.path()));
  std::vector<std::string> last;
  for (const DirectoryEntry& entry : entries) {
    if (!absl::StartsWith(entry.name, kAsidePrefix)) continue;
    const std::string aside = JoinPath(dir.path(), entry.name);
    ASSIGN_OR_RETURN(const bool led_since, files.Exists(JoinPath(aside, kLedSinceName)));
    if (!led_since) last.push_back(aside);
  }
  return last;
}

bool HasOthers(const std::vector<raft::Voter>& voters, NodeId self) {
  return std::any_of(voters.begin(), voters.end(), [self](const raft::Voter& voter) {
    return voter.id.node != self && !voter.learner;
  });
}

}  // namespace

absl::Status CheckVotersLog(FileSystem& files, const MetadataDir& dir) {
  const bool of_cluster = !dir.cluster_id().is_zero();
  ASSIGN_OR_RETURN(const bool has_log, files.Exists(dir.wal_path()));
  if (!has_log) return of_cluster ? LogIsGone(dir) : absl::OkStatus();
  ASSIGN_OR_RETURN(const auto snapshots, raft::SnapshotStore::Open(&files, dir.snapshot_path()));
  EntryId snapshot;
  if (snapshots->newest().has_value()) snapshot = snapshots->newest()->id.last;
  raft::WalOptions options;
  options.directory = dir.wal_path();
  ASSIGN_OR_RETURN(const raft::WalRecovered log, raft::RecoverWal(options, files, snapshot));
  return of_cluster && log.recovery.created ? LogIsGone(dir) : absl::OkStatus();
}

absl::StatusOr<bool> OthersVote(FileSystem& files, const MetadataDir& dir,
                                const std::vector<raft::Peer>& configured) {
  ASSIGN_OR_RETURN(raft::VoterSet newest, NewestReadableVoters(files, dir.wal_path()));
  ASSIGN_OR_RETURN(const auto snapshots, raft::SnapshotStore::Open(&files, dir.snapshot_path()));
  // That of a quorum that was recovered is newer than its log.
  if (const auto& snapshot = snapshots->newest();
      snapshot.has_value() &&
      (newest.voters.empty() || snapshot->voters.id.index > newest.id.index)) {
    newest = snapshot->voters;
  }
  if (!newest.voters.empty()) return HasOthers(newest.voters, dir.node_id());
  ASSIGN_OR_RETURN(const raft::FoundingRecord founding,
                   ReadFoundingFile(files, dir.path(), dir.cluster_id()));
  // A quorum that grew out of this node alone has more configured than founded it.
  if (HasOthers(founding.voters, dir.node_id()) || configured.size() > 1) return true;
  if (!founding.voters.empty()) return false;
  // What said so was set aside, and nothing has come in its place.
  ASSIGN_OR_RETURN(const std::vector<std::string> last, LastSetAside(files, dir));
  return !last.empty();
}

absl::StatusOr<std::string> SetDamagedLogAside(FileSystem& files, MetadataDir* dir,
                                               Random* random) {
  CHECK(!dir->cluster_id().is_zero());
  ASSIGN_OR_RETURN(raft::FoundingRecord founding,
                   ReadFoundingFile(files, dir->path(), dir->cluster_id()));
  const DirectoryId before = dir->directory_id();
  const std::string aside = JoinPath(dir->path(), absl::StrCat(kAsidePrefix, before.ToString()));
  // Before anything that says who votes is gone: it tells the next start, if this one gets no
  // further than that, even where there is no log to be kept in it.
  ASSIGN_OR_RETURN(const std::vector<std::string> last, LastSetAside(files, *dir));
  if (last.empty()) {
    RETURN_IF_ERROR(files.CreateDirectory(aside));
    RETURN_IF_ERROR(files.SyncDirectory(dir->path()));
  }
  // In this order: a log that is gone under the old identity would be a forgotten vote.
  founding.voters.clear();
  founding.replaced.clear();
  RETURN_IF_ERROR(WriteFoundingFile(files, dir->path(), founding));
  RETURN_IF_ERROR(dir->BecomeDirectory(DirectoryId::Draw(*random)));
  // Snapshots without their log would be taken for an installation that had just begun.
  for (const absl::string_view name : {"snapshots", "wal"}) {
    const std::string from = JoinPath(dir->path(), name);
    ASSIGN_OR_RETURN(const bool exists, files.Exists(from));
    if (!exists) continue;
    RETURN_IF_ERROR(files.CreateDirectory(aside));
    RETURN_IF_ERROR(files.Rename(from, JoinPath(aside, name)));
    RETURN_IF_ERROR(files.SyncDirectory(aside));
    RETURN_IF_ERROR(files.SyncDirectory(dir->path()));
  }
  return aside;
}

absl::Status NoteLeads(FileSystem& files, const MetadataDir& dir) {
  ASSIGN_OR_RETURN(const std::vector<std::string> last, LastSetAside(files, dir));
  for (const std::string& aside : last) {
    RETURN_IF_ERROR(ReplaceFile(files, JoinPath(aside, kLedSinceName), ""));
  }
  return absl::OkStatus();
}

}  // namespace millrace::node
