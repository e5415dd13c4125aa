#include "raft/host/wal_files.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"
#include "raft/host/wal_format.h"

namespace millrace::raft {

std::string WalFiles::SegmentPath(uint64_t generation) const {
  return JoinPath(options_.directory, WalSegmentName(generation));
}
std::string WalFiles::SparePath() const { return JoinPath(options_.directory, "spare.wal"); }
std::string WalFiles::UnfinishedSparePath() const {
  return JoinPath(options_.directory, "spare.tmp");
}

absl::Status WalFiles::Open() {
  ASSIGN_OR_RETURN(const bool exists, files_.Exists(options_.directory));
  if (!exists) {
    RETURN_IF_ERROR(files_.CreateDirectory(options_.directory));
    RETURN_IF_ERROR(files_.SyncDirectory(ParentPath(options_.directory)));
  }
  ASSIGN_OR_RETURN(const bool unfinished, files_.Exists(UnfinishedSparePath()));
  if (unfinished) RETURN_IF_ERROR(files_.RemoveFile(UnfinishedSparePath()));
  ASSIGN_OR_RETURN(has_spare_, files_.Exists(SparePath()));
  if (!has_spare_) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::unique_ptr<File> spare, files_.Open(SparePath(), OpenMode::kRead));
  ASSIGN_OR_RETURN(const uint64_t size, spare->Size());
  if (size == options_.segment_bytes) return absl::OkStatus();
  // Of another configured size, or its name outlived its contents in a crash.
  has_spare_ = false;
  return files_.RemoveFile(SparePath());
}

absl::StatusOr<WalSegmentFile> WalFiles::Activate(uint64_t generation) {
  WalSegmentFile segment;
  segment.path = SegmentPath(generation);
  if (has_spare_) {
    has_spare_ = false;
    RETURN_IF_ERROR(files_.Rename(SparePath(), segment.path));
    ASSIGN_OR_RETURN(segment.file, files_.Open(segment.path, OpenMode::kReadWrite));
    segment.filled_bytes = options_.segment_bytes;
  } else {
    ASSIGN_OR_RETURN(segment.file, files_.Open(segment.path, OpenMode::kCreate));
    RETURN_IF_ERROR(Fill(&segment, 1));
  }
  // The name first: a group in a file that a crash could make nameless is not durable.
  if (!MUTANT("wal.names-not-synced")) RETURN_IF_ERROR(SyncNames());
  return segment;
}

absl::StatusOr<WalSegmentFile> WalFiles::OpenExisting(uint64_t generation) {
  WalSegmentFile segment;
  segment.path = SegmentPath(generation);
  ASSIGN_OR_RETURN(segment.file, files_.Open(segment.path, OpenMode::kReadWrite));
  ASSIGN_OR_RETURN(segment.filled_bytes, segment.file->Size());
  return segment;
}

absl::Status WalFiles::Fill(WalSegmentFile* segment, uint64_t bytes) {
  if (bytes <= segment->filled_bytes) return absl::OkStatus();
  CHECK_LE(bytes, options_.segment_bytes);
  const uint64_t wanted = std::max(bytes, segment->filled_bytes + options_.fill_step_bytes);
  const uint64_t end = std::min(wanted, options_.segment_bytes);
  absl::Status status = segment->file->ZeroFill(segment->filled_bytes, end - segment->filled_bytes);
  if (status.ok()) {
    segment->filled_bytes = end;
  } else if (absl::StatusOr<uint64_t> size = segment->file->Size(); size.ok()) {
    // A full disk may have taken a part.
    segment->filled_bytes = *size;
  }
  return status;
}

absl::Status WalFiles::PrepareSpareStep() {
  CHECK(!has_spare_);
  absl::Status step = [this]() -> absl::Status {
    if (unfinished_.file == nullptr) {
      unfinished_.path = UnfinishedSparePath();
      unfinished_.filled_bytes = 0;
      ASSIGN_OR_RETURN(unfinished_.file, files_.Open(unfinished_.path, OpenMode::kTruncateCreate));
    }
    RETURN_IF_ERROR(Fill(&unfinished_, unfinished_.filled_bytes + 1));
    RETURN_IF_ERROR(unfinished_.file->Sync());
    if (unfinished_.filled_bytes < options_.segment_bytes) return absl::OkStatus();
    RETURN_IF_ERROR(files_.Rename(unfinished_.path, SparePath()));
    unfinished_.file.reset();
    has_spare_ = true;
    return absl::OkStatus();
  }();
  if (CodeOf(step) != ErrorCode::kStorageFull) return step;
  unfinished_.file.reset();
  // Where there was no room for its name either, there is nothing.
  ASSIGN_OR_RETURN(const bool exists, files_.Exists(UnfinishedSparePath()));
  return exists ? files_.RemoveFile(UnfinishedSparePath()) : absl::OkStatus();
}

absl::Status WalFiles::Retire(const WalSegmentInfo& segment) {
  const std::string path = SegmentPath(segment.generation);
  if (has_spare_ || unfinished_.file != nullptr || segment.size_bytes != options_.segment_bytes) {
    return files_.RemoveFile(path);
  }
  RETURN_IF_ERROR(files_.Rename(path, SparePath()));
  has_spare_ = true;
  return absl::OkStatus();
}

}  // namespace millrace::raft
