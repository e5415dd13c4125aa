#include "node/damaged_log.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "node/founding_file.h"
#include "raft/host/snapshot_store.h"
#include "raft/host/wal_recovery.h"

namespace millrace::node {

absl::Status CheckVotersLog(FileSystem& files, const MetadataDir& dir) {
  ASSIGN_OR_RETURN(const bool has_log, files.Exists(dir.wal_path()));
  if (!has_log) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto snapshots, raft::SnapshotStore::Open(&files, dir.snapshot_path()));
  EntryId snapshot;
  if (snapshots->newest().has_value()) snapshot = snapshots->newest()->id.last;
  raft::WalOptions options;
  options.directory = dir.wal_path();
  return raft::RecoverWal(options, files, snapshot).status();
}

absl::StatusOr<std::string> SetDamagedLogAside(FileSystem& files, MetadataDir* dir,
                                               Random* random) {
  CHECK(!dir->cluster_id().is_zero());
  ASSIGN_OR_RETURN(raft::FoundingRecord founding,
                   ReadFoundingFile(files, dir->path(), dir->cluster_id()));
  const DirectoryId before = dir->directory_id();
  // In this order: a log that is gone under the old identity would be a forgotten vote.
  founding.voters.clear();
  founding.replaced.clear();
  RETURN_IF_ERROR(WriteFoundingFile(files, dir->path(), founding));
  RETURN_IF_ERROR(dir->BecomeDirectory(DirectoryId::Draw(*random)));
  const std::string aside = JoinPath(dir->path(), absl::StrCat("damaged-", before.ToString()));
  RETURN_IF_ERROR(files.CreateDirectory(aside));
  // Snapshots without their log would be taken for an installation that had just begun.
  for (const absl::string_view name : {"snapshots", "wal"}) {
    const std::string from = JoinPath(dir->path(), name);
    ASSIGN_OR_RETURN(const bool exists, files.Exists(from));
    if (!exists) continue;
    RETURN_IF_ERROR(files.Rename(from, JoinPath(aside, name)));
    RETURN_IF_ERROR(files.SyncDirectory(aside));
    RETURN_IF_ERROR(files.SyncDirectory(dir->path()));
  }
  return aside;
}

}  // namespace millrace::node
