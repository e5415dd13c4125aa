#include "raft/host/snapshot_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/mutant.h"
#include "base/status.h"
#include "raft/host/snapshot_format.h"

namespace millrace::raft {
namespace {

constexpr size_t kHeldMax = 2;
constexpr size_t kRewriteBytes = 1 << 20;

absl::Status Refuse(const SnapshotId& id, absl::string_view what) {
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("snapshot of index ", id.last.index.value(), ", term ",
                                id.last.term.value(), ": ", what));
}

// Writes the first `bytes` of the file once more and syncs them: a process that died of a failed
// sync may have left bytes in the page cache that the disk does not have.
absl::Status MakeDurable(File& file, uint64_t bytes) {
  RETURN_IF_ERROR(file.Truncate(bytes));
  Buffer buffer(kRewriteBytes);
  for (uint64_t at = 0; at < bytes;) {
    const size_t wanted = std::min<uint64_t>(buffer.size(), bytes - at);
    ASSIGN_OR_RETURN(const size_t read, file.ReadAt(at, absl::MakeSpan(buffer.data(), wanted)));
    if (read != wanted) {
      return MakeError(ErrorCode::kStorageError, "a snapshot's file ends before its size");
    }
    RETURN_IF_ERROR(file.WriteAt(at, Slice(buffer.data(), read)));
    at += read;
  }
  return file.Sync();
}

}  // namespace

absl::StatusOr<std::unique_ptr<SnapshotStore>> SnapshotStore::Open(FileSystem* files,
                                                                   std::string directory) {
  std::unique_ptr<SnapshotStore> store(new SnapshotStore(files, std::move(directory)));
  RETURN_IF_ERROR(store->Recover());
  return store;
}

absl::Status SnapshotStore::Recover() {
  ASSIGN_OR_RETURN(const bool exists, files_.Exists(directory_));
  if (!exists) RETURN_IF_ERROR(files_.CreateDirectory(directory_));
  RETURN_IF_ERROR(files_.SyncDirectory(ParentPath(directory_)));
  // Names that a killed process gave are there, but perhaps not yet on the disk.
  RETURN_IF_ERROR(files_.SyncDirectory(directory_));
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files_.ListDirectory(directory_));
  for (const DirectoryEntry& entry : entries) {
    if (entry.name == kUnfinishedSnapshotName) {
      RETURN_IF_ERROR(files_.RemoveFile(PathOf(entry.name)));
    }
  }
  RETURN_IF_ERROR(RecoverSnapshots(entries));
  return RecoverReception(entries);
}

absl::Status SnapshotStore::RecoverSnapshots(const std::vector<DirectoryEntry>& entries) {
  // Names sort as their last entries do.
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    const std::optional<EntryId> last = ParseSnapshotFileName(entry->name);
    if (!last.has_value()) continue;
    const std::string path = PathOf(entry->name);
    if (held_.size() == kHeldMax) {
      RETURN_IF_ERROR(files_.RemoveFile(path));
      continue;
    }
    absl::StatusOr<SnapshotFile> snapshot = ReadSnapshotFile(files_, path);
    if (snapshot.ok() && snapshot->head.last != *last) {
      snapshot = MakeError(ErrorCode::kCorruptLog,
                           absl::StrCat("snapshot '", path, "' is of another entry, index ",
                                        snapshot->head.last.index.value(), ", than its name says"),
                           {.name = path});
    }
    if (snapshot.ok()) {
      held_.push_back({path, *std::move(snapshot)});
    } else if (CodeOf(snapshot.status()) == ErrorCode::kUnsupportedFormatVersion) {
      return snapshot.status();
    } else {
      // A disk that cannot read it has lost it as well as one that reads it wrong.
      damaged_.push_back({path, snapshot.status()});
    }
  }
  if (!held_.empty()) newest_ = held_.front().snapshot.offer();
  return absl::OkStatus();
}

absl::Status SnapshotStore::RecoverReception(const std::vector<DirectoryEntry>& entries) {
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    const std::optional<SnapshotId> id = ParseReceivedFileName(entry->name);
    if (!id.has_value()) continue;
    const std::string path = PathOf(entry->name);
    if (!reception_.has_value() && CheckNewer(id->last).ok()) {
      ASSIGN_OR_RETURN(reception_, AdoptReception(*id, path));
      if (reception_.has_value()) continue;
    }
    RETURN_IF_ERROR(files_.RemoveFile(path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<SnapshotStore::Reception>> SnapshotStore::AdoptReception(
    const SnapshotId& id, const std::string& path) {
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, files_.Open(path, OpenMode::kReadWrite));
  SnapshotParser parser;
  // Where it stops being whole is where the reception goes on.
  ParseSnapshotFile(*file, &parser).IgnoreError();
  if (!parser.has_head() || parser.head().last != id.last ||
      parser.head().FileBytes() != id.bytes) {
    return std::nullopt;
  }
  // Cheaper to receive again than to fail for.
  if (!MakeDurable(*file, parser.verified_bytes()).ok()) return std::nullopt;
  return Reception{id, parser.verified_bytes(), path, std::move(file)};
}

absl::StatusOr<std::string> SnapshotStore::ReadBody(const SnapshotId& id) {
  ASSIGN_OR_RETURN(const Held* held, Find(id));
  std::string body;
  ASSIGN_OR_RETURN(const SnapshotFile snapshot, ReadSnapshotFile(files_, held->path, &body));
  if (snapshot.id != id) {
    return MakeError(ErrorCode::kCorruptLog,
                     absl::StrCat("snapshot '", held->path, "' is not the file that was written"),
                     {.name = held->path});
  }
  return body;
}

absl::StatusOr<Bytes> SnapshotStore::ReadChunk(const SnapshotId& id, uint64_t offset,
                                               uint64_t size) {
  ASSIGN_OR_RETURN(const Held* held, Find(id));
  if (offset >= id.bytes || size == 0) {
    return Refuse(id, absl::StrCat("there is no piece of ", size, " bytes at byte ", offset, " of ",
                                   id.bytes));
  }
  return ReadSnapshotChunk(files_, held->path, held->snapshot, offset,
                           std::min(size, id.bytes - offset));
}

absl::StatusOr<SnapshotOffer> SnapshotStore::Write(const EntryId& last, const VoterSet& voters,
                                                   Slice body) {
  RETURN_IF_ERROR(broken_);
  const bool again = newest_.has_value() && newest_->id.last == last;
  if (!again) RETURN_IF_ERROR(CheckNewer(last));
  ASSIGN_OR_RETURN(const std::string contents, EncodeSnapshotFile(last, voters, body));
  const std::string path = PathOf(kUnfinishedSnapshotName);
  absl::StatusOr<SnapshotFile> written = WriteUnfinished(path, contents);
  absl::Status status = written.status();
  if (status.ok()) status = Adopt(path, *std::move(written), kHeldMax);
  if (!status.ok()) {
    // It would hold space on a full disk. What Open finds of it, it removes too.
    if (broken_.ok()) files_.RemoveFile(path).IgnoreError();
    return status;
  }
  return *newest_;
}

absl::StatusOr<SnapshotFile> SnapshotStore::WriteUnfinished(const std::string& path,
                                                            Slice contents) {
  {
    ASSIGN_OR_RETURN(std::unique_ptr<File> file, files_.Open(path, OpenMode::kTruncateCreate));
    RETURN_IF_ERROR(file->WriteAt(0, contents));
    if (!MUTANT("store.snapshot-not-synced")) RETURN_IF_ERROR(file->Sync());
  }
  ASSIGN_OR_RETURN(SnapshotFile snapshot, ReadSnapshotFile(files_, path));
  if (snapshot.id.bytes == contents.size() && snapshot.id.checksum == Crc32c(contents)) {
    return snapshot;
  }
  return MakeError(ErrorCode::kCorruptLog,
                   absl::StrCat("snapshot '", path, "' is not read back as it was written"),
                   {.name = path});
}

absl::Status SnapshotStore::Adopt(const std::string& path, SnapshotFile snapshot, size_t keep) {
  const std::string name = PathOf(SnapshotFileName(snapshot.head.last));
  RETURN_IF_ERROR(files_.Rename(path, name));
  if (!MUTANT("store.name-not-synced")) broken_ = files_.SyncDirectory(directory_);
  RETURN_IF_ERROR(broken_);
  // A snapshot of the same entry was replaced.
  if (!held_.empty() && held_.front().path == name) held_.erase(held_.begin());
  held_.insert(held_.begin(), Held{name, std::move(snapshot)});
  if (held_.size() > keep) held_.resize(keep);
  newest_ = held_.front().snapshot.offer();
  damaged_.clear();
  // What is left over takes room and no more; the next one, or Open, removes it.
  if (absl::Status status = RemoveOthers(); !status.ok()) {
    LOG_WARN("raft", "an old snapshot could not be removed", {{"error", status.ToString()}});
  }
  return absl::OkStatus();
}

absl::Status SnapshotStore::RemoveOthers() {
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files_.ListDirectory(directory_));
  for (const DirectoryEntry& entry : entries) {
    const std::string path = PathOf(entry.name);
    const auto is_it = [&path](const Held& held) { return held.path == path; };
    if (!ParseSnapshotFileName(entry.name).has_value()) continue;
    if (std::none_of(held_.begin(), held_.end(), is_it)) RETURN_IF_ERROR(files_.RemoveFile(path));
  }
  return absl::OkStatus();
}

absl::Status SnapshotStore::AppendReceived(const SnapshotId& id, uint64_t offset, Slice data) {
  RETURN_IF_ERROR(broken_);
  if (id.bytes > kSnapshotBytesMax || offset >= id.bytes || data.empty() ||
      data.size() > id.bytes - offset || id.last.index < LogIndex(1) || id.last.term < Term(1)) {
    return Refuse(id, absl::StrCat("a piece of ", data.size(), " bytes at byte ", offset, " of ",
                                   id.bytes, " cannot be"));
  }
  if (offset == 0) {
    RETURN_IF_ERROR(BeginReception(id));
  } else if (!reception_.has_value() || reception_->id != id || reception_->received != offset) {
    return Refuse(id, absl::StrCat("the piece at byte ", offset, " is not the next one"));
  }
  reception_->verified.reset();
  absl::Status status = reception_->file->WriteAt(offset, data);
  if (status.ok() && !MUTANT("store.reception-not-synced")) status = reception_->file->Sync();
  if (!status.ok()) {
    // What is in the file now is not known (ATC'20): it is received anew.
    DiscardReception().IgnoreError();
    return status;
  }
  reception_->received += data.size();
  return absl::OkStatus();
}

absl::Status SnapshotStore::BeginReception(const SnapshotId& id) {
  RETURN_IF_ERROR(DiscardReception());
  const std::string path = PathOf(ReceivedFileName(id));
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, files_.Open(path, OpenMode::kTruncateCreate));
  reception_ = Reception{id, 0, path, std::move(file)};
  absl::Status status = files_.SyncDirectory(directory_);
  if (!status.ok()) DiscardReception().IgnoreError();
  return status;
}

absl::Status SnapshotStore::DiscardReception() {
  if (!reception_.has_value()) return absl::OkStatus();
  const std::string path = reception_->path;
  reception_.reset();
  return files_.RemoveFile(path);
}

std::optional<SnapshotStore::Receiving> SnapshotStore::receiving() const {
  if (!reception_.has_value()) return std::nullopt;
  return Receiving{reception_->id, reception_->received};
}

absl::StatusOr<bool> SnapshotStore::VerifyReceived(const SnapshotId& id) {
  if (!reception_.has_value() || reception_->id != id) return false;
  reception_->verified.reset();
  absl::StatusOr<SnapshotFile> snapshot = ReadSnapshotFile(files_, reception_->path);
  if (CodeOf(snapshot.status()) == ErrorCode::kCorruptLog) return false;
  RETURN_IF_ERROR(snapshot.status());
  if (snapshot->id != id || reception_->received != id.bytes) return false;
  reception_->verified = *std::move(snapshot);
  return true;
}

absl::Status SnapshotStore::InstallReceived(const SnapshotId& id) {
  RETURN_IF_ERROR(broken_);
  if (newest_.has_value() && newest_->id == id) return absl::OkStatus();
  if (!reception_.has_value() || reception_->id != id || !reception_->verified.has_value()) {
    return Refuse(id, "it was not received and verified");
  }
  RETURN_IF_ERROR(CheckNewer(id.last));
  RETURN_IF_ERROR(Adopt(reception_->path, *reception_->verified, 1));
  reception_.reset();
  return absl::OkStatus();
}

absl::StatusOr<const SnapshotStore::Held*> SnapshotStore::Find(const SnapshotId& id) const {
  for (const Held& held : held_) {
    if (held.snapshot.id == id) return &held;
  }
  return Refuse(id, "it is not held here (any more)");
}

absl::Status SnapshotStore::CheckNewer(const EntryId& last) const {
  if (!newest_.has_value() || newest_->id.last.index < last.index) return absl::OkStatus();
  return MakeError(
      ErrorCode::kInvalidRequest,
      absl::StrCat("a snapshot of index ", last.index.value(), " is not newer than ",
                   "the one of index ", newest_->id.last.index.value(), " that is held"));
}

}  // namespace millrace::raft
