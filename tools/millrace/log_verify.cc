#include "tools/millrace/log_verify.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "raft/host/snapshot_format.h"
#include "raft/host/wal_reader.h"
#include "storage/checked_text.h"
#include "storage/dir_identity.h"
#include "storage/file_names.h"
#include "storage/journal.h"
#include "storage/leftovers.h"
#include "storage/partition_metadata.h"
#include "storage/partitions_journal.h"
#include "storage/recovery_points.h"
#include "storage/sync_journal.h"
#include "tools/millrace/snapshot_verify.h"

namespace millrace::tools {
namespace {

constexpr uint64_t kSmallFileBytesMax = uint64_t{64} << 20;
// No journal is rewritten here.
constexpr uint64_t kJournalBytesMax = uint64_t{1} << 62;

bool Has(const std::vector<DirectoryEntry>& entries, absl::string_view name) {
  return std::any_of(entries.begin(), entries.end(),
                     [name](const DirectoryEntry& entry) { return entry.name == name; });
}

bool HoldsWal(const std::vector<DirectoryEntry>& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const DirectoryEntry& entry) {
    return absl::EndsWith(entry.name, ".wal");
  });
}

bool HoldsSnapshots(const std::vector<DirectoryEntry>& entries) {
  return std::any_of(entries.begin(), entries.end(),
                     [](const DirectoryEntry& entry) { return raft::IsSnapshotPath(entry.name); });
}

// Refuses a directory that a server uses; else keeps servers out while it is read. Null where there
// is no lock file, or none that may be opened.
absl::StatusOr<std::unique_ptr<FileLock>> KeepServersOut(FileSystem& files,
                                                         const std::string& directory,
                                                         absl::string_view lock_name) {
  const std::string path = JoinPath(directory, lock_name);
  const absl::StatusOr<bool> exists = files.Exists(path);
  if (!exists.ok() || !*exists) return nullptr;
  absl::StatusOr<std::unique_ptr<FileLock>> lock = files.Lock(path);
  if (lock.ok()) return lock;
  if (CodeOf(lock.status()) != ErrorCode::kDirectoryLocked) return nullptr;
  return MakeError(ErrorCode::kDirectoryLocked,
                   absl::StrCat("a server uses '", directory,
                                "': stop it first, or verify a copy; `millrace log dump` reads "
                                "beside a server"),
                   {.name = "path", .value = directory});
}

class LogDirVerifier {
 public:
  LogDirVerifier(FileSystem& files, const std::string& path, const VerifyOptions& options,
                 VerifyReport* report)
      : files_(files),
        path_(path),
        options_(options),
        report_(report),
        syncs_(&files, In(storage::kSyncJournalFile), kJournalBytesMax),
        partitions_(&files, In(storage::kPartitionsJournalFile), kJournalBytesMax, &syncs_) {}

  void Run(const std::vector<DirectoryEntry>& entries) {
    CheckText<storage::DirIdentity>(storage::kMetaPropertiesFile, ProblemKind::kDamage,
                                    &storage::DecodeDirIdentity);
    CheckText<storage::OpenRecord>(storage::kOpenRecordFile, ProblemKind::kDamage,
                                   &storage::DecodeOpenRecord);
    const auto clean = CheckText<storage::CleanShutdown>(
        storage::kCleanShutdownFile, ProblemKind::kHint, &storage::DecodeCleanShutdown);
    if (clean.has_value()) clean_ends_ = clean->log_ends;
    const auto points = CheckText<std::map<TopicPartition, storage::RecoveryPoint>>(
        storage::kRecoveryPointsFile, ProblemKind::kHint, &storage::DecodeRecoveryPoints);
    if (points.has_value()) points_ = *points;
    CheckJournal(storage::kSyncJournalFile, storage::JournalKind::kSync);
    CheckJournal(storage::kPartitionsJournalFile, storage::JournalKind::kPartitions);
    const absl::Status syncs = syncs_.Load();
    report_->AddUnlessOk(syncs, In(storage::kSyncJournalFile));
    const absl::Status loaded = partitions_.Load();
    report_->AddUnlessOk(loaded, In(storage::kPartitionsJournalFile));
    // Where the sync journal is gone too, so that nothing vouched for it.
    if (loaded.ok() && !partitions_.found()) {
      report_->Add(ProblemKind::kDamage, {In(storage::kPartitionsJournalFile)},
                   "it is gone, so that nothing tells which partitions should be here");
    }
    VerifyPartitions(entries, loaded.ok() && partitions_.found());
  }

 private:
  std::string In(absl::string_view name) const { return JoinPath(path_, name); }

  // What a checked text file says; nullopt, and noted, if it is damaged.
  template <class T>
  std::optional<T> CheckText(absl::string_view name, ProblemKind kind,
                             absl::StatusOr<T> (*decode)(Slice, absl::string_view)) {
    const std::string path = In(name);
    const absl::StatusOr<bool> exists = files_.Exists(path);
    if (exists.ok() && !*exists) return std::nullopt;
    const absl::StatusOr<std::string> contents = ReadWholeFile(files_, path, kSmallFileBytesMax);
    if (!contents.ok()) {
      report_->AddUnlessOk(contents.status(), path);
      return std::nullopt;
    }
    report_->bytes += contents->size();
    absl::StatusOr<T> value = decode(*contents, path);
    if (value.ok()) return *std::move(value);
    report_->Add(kind, {path}, std::string(value.status().message()));
    return std::nullopt;
  }

  void CheckJournal(absl::string_view name, storage::JournalKind kind) {
    const std::string path = In(name);
    // What Load says too is said there.
    const absl::StatusOr<storage::JournalContents> contents =
        storage::ReadJournal(files_, path, kind);
    if (!contents.ok()) return;
    if (contents->damaged_at != 0) {
      report_->Add(ProblemKind::kDamage, {path, contents->damaged_at},
                   "a frame does not verify, and valid ones follow");
    }
    if (contents->torn_bytes != 0) {
      report_->Add(ProblemKind::kTorn, {path},
                   absl::StrCat(contents->torn_bytes, " bytes of an unfinished last frame"));
    }
  }

  void VerifyPartitions(const std::vector<DirectoryEntry>& entries, bool journal_is_whole) {
    const std::set<std::string> deleted = HalfDeleted();
    std::set<std::string> known = deleted;
    for (const auto& [number, replica] : partitions_.replicas()) {
      const std::string name = DirectoryNameOf(replica, entries);
      known.insert(name);
      if (Has(entries, name) && !deleted.contains(name)) {
        VerifyPartition(files_, In(name), FactsOf(number, replica), options_, report_);
      } else if (replica.has_data) {
        report_->Add(ProblemKind::kDamage, {In(name)}, "it held data, and is gone");
      }
    }
    for (const DirectoryEntry& entry : entries) {
      if (!entry.is_directory || known.count(entry.name) != 0 ||
          absl::EndsWith(entry.name, storage::kDeletedDirectorySuffix)) {
        continue;
      }
      const absl::StatusOr<std::vector<DirectoryEntry>> inside =
          files_.ListDirectory(In(entry.name));
      if (!inside.ok() || !HoldsSegments(*inside)) continue;
      if (journal_is_whole) {
        report_->Add(ProblemKind::kDamage, {In(entry.name)},
                     "it holds segments, and the partitions journal does not name it");
      }
      VerifyPartition(files_, In(entry.name), {}, options_, report_);
    }
  }

  // What is deleted, as the journal says, and is still there: the next start removes it.
  std::set<std::string> HalfDeleted() {
    std::set<std::string> names;
    for (const storage::ReplicaRecord& replica : partitions_.deleted()) {
      const absl::StatusOr<bool> there = storage::HoldsDeleted(files_, path_, replica, partitions_);
      if (!there.ok() || !*there) continue;
      names.insert(storage::PartitionName(replica.topic_name, replica.topic_partition.partition));
    }
    return names;
  }

  std::string DirectoryNameOf(const storage::ReplicaRecord& replica,
                              const std::vector<DirectoryEntry>& entries) {
    std::string name =
        storage::PartitionName(replica.topic_name, replica.topic_partition.partition);
    if (!replica.stray) return name;
    std::string aside = storage::AsideName(replica.topic_name, replica.topic_partition,
                                           storage::kStrayDirectorySuffix);
    if (Has(entries, aside)) return aside;
    // It may not have been renamed yet: the next start does that.
    const auto id = storage::ReadTopicIdOf(files_, In(name));
    const bool is_its_own = id.ok() && *id == replica.topic_partition.topic_id;
    return is_its_own ? name : aside;
  }

  PartitionFacts FactsOf(uint32_t number, const storage::ReplicaRecord& replica) const {
    PartitionFacts facts;
    facts.replica = replica;
    if (const auto mark = syncs_.marks().find(number); mark != syncs_.marks().end()) {
      facts.synced_to = mark->second;
      facts.vouched_epochs = syncs_.epochs(number);
      facts.vouched_to = mark->second;
    }
    if (const auto end = clean_ends_.find(replica.topic_partition); end != clean_ends_.end()) {
      facts.synced_to = std::max(facts.synced_to.value_or(end->second), end->second);
    }
    if (const auto point = points_.find(replica.topic_partition); point != points_.end()) {
      facts.recovery_point = point->second.offset;
    }
    return facts;
  }

  FileSystem& files_;
  const std::string path_;
  const VerifyOptions& options_;
  VerifyReport* const report_;
  std::map<TopicPartition, Offset> clean_ends_;
  std::map<TopicPartition, storage::RecoveryPoint> points_;
  storage::SyncJournal syncs_;
  storage::PartitionsJournal partitions_;
};

// Notes the damage of a write-ahead log.
class WalVerifier final : public raft::WalVisitor {
 public:
  explicit WalVerifier(VerifyReport* report) : report_(report) {}

  void OnSegment(const std::string& path, uint64_t /*generation*/, uint64_t size_bytes) override {
    path_ = path;
    ++report_->segments;
    report_->bytes += size_bytes;
    if (report_->progress != nullptr) report_->progress(path);
  }
  void OnGroup(const raft::WalGroup& /*group*/, bool /*behind_damage*/) override {
    ++report_->batches;
  }
  void OnRecord(const raft::WalRecord& /*record*/, uint64_t /*offset*/) override {
    ++report_->records;
  }
  void OnTail(const raft::WalScan& scan) override {
    if (scan.tail == raft::WalTail::kDamaged) {
      report_->Add(ProblemKind::kDamage, {path_, scan.tail_offset}, scan.reason);
    } else if (scan.tail == raft::WalTail::kTorn) {
      report_->Add(ProblemKind::kTorn, {path_, scan.tail_offset}, scan.reason);
    }
  }

 private:
  VerifyReport* const report_;
  std::string path_;
};

void VerifyWal(FileSystem& files, const std::string& path, VerifyReport* report) {
  WalVerifier visitor(report);
  report->AddUnlessOk(raft::VisitWal(files, path, &visitor), path);
}

void VerifyMetadataDir(FileSystem& files, const std::string& path, bool has_snapshots,
                       VerifyReport* report) {
  for (const auto& [name, kind] : {std::pair("meta.properties", "metadata-meta.properties"),
                                   std::pair("start-counter", "start-counter")}) {
    const std::string file = JoinPath(path, name);
    const absl::StatusOr<std::string> contents = ReadWholeFile(files, file, kSmallFileBytesMax);
    report->AddUnlessOk(contents.status(), file);
    if (!contents.ok()) continue;
    report->bytes += contents->size();
    report->AddUnlessOk(storage::DecodeCheckedText(kind, *contents, file).status(), file);
  }
  VerifyWal(files, JoinPath(path, "wal"), report);
  if (has_snapshots) VerifySnapshots(files, JoinPath(path, "snapshots"), report);
}

// The metadata, and all log directories beside it, whatever log.dirs calls them; a controller alone
// has none.
absl::Status VerifyDataDir(FileSystem& files, const std::string& path,
                           const std::vector<DirectoryEntry>& entries, const VerifyOptions& options,
                           VerifyReport* report) {
  RETURN_IF_ERROR(VerifyDirectory(files, JoinPath(path, "metadata"), options, report));
  for (const DirectoryEntry& entry : entries) {
    if (!entry.is_directory || entry.name == "metadata") continue;
    const std::string inside = JoinPath(path, entry.name);
    ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> contents, files.ListDirectory(inside));
    if (entry.name != "logs" && !Has(contents, storage::kPartitionsJournalFile) &&
        !Has(contents, storage::kOpenRecordFile)) {
      continue;
    }
    RETURN_IF_ERROR(VerifyDirectory(files, inside, options, report));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status VerifyDirectory(FileSystem& files, const std::string& path,
                             const VerifyOptions& options, VerifyReport* report) {
  if (raft::IsSnapshotPath(path)) {
    VerifySnapshotFile(files, path, report);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.ListDirectory(path));
  if (HoldsSegments(entries)) {
    ASSIGN_OR_RETURN(const auto lock, KeepServersOut(files, ParentPath(path), storage::kLockFile));
    VerifyPartition(files, path, {}, options, report);
    return absl::OkStatus();
  }
  if (HoldsWal(entries)) {
    ASSIGN_OR_RETURN(const auto lock, KeepServersOut(files, ParentPath(path), "lock"));
    VerifyWal(files, path, report);
    return absl::OkStatus();
  }
  if (HoldsSnapshots(entries)) {
    ASSIGN_OR_RETURN(const auto lock, KeepServersOut(files, ParentPath(path), "lock"));
    VerifySnapshots(files, path, report);
    return absl::OkStatus();
  }
  if (Has(entries, storage::kPartitionsJournalFile)) {
    ASSIGN_OR_RETURN(const auto lock, KeepServersOut(files, path, storage::kLockFile));
    LogDirVerifier(files, path, options, report).Run(entries);
    return absl::OkStatus();
  }
  if (Has(entries, "wal")) {
    ASSIGN_OR_RETURN(const auto lock, KeepServersOut(files, path, "lock"));
    VerifyMetadataDir(files, path, Has(entries, "snapshots"), report);
    return absl::OkStatus();
  }
  // Its other files tell a log directory that has lost its journal.
  if (Has(entries, storage::kOpenRecordFile)) {
    ASSIGN_OR_RETURN(const auto lock, KeepServersOut(files, path, storage::kLockFile));
    LogDirVerifier(files, path, options, report).Run(entries);
    return absl::OkStatus();
  }
  if (Has(entries, "metadata")) return VerifyDataDir(files, path, entries, options, report);
  return MakeError(
      ErrorCode::kInvalidDirectory,
      absl::StrCat("'", path,
                   "' is neither a server's data directory nor a log directory, a partition, a "
                   "metadata directory, its wal or its snapshots: name one of these"),
      {.name = "path", .value = path});
}

}  // namespace millrace::tools
