#include "storage/disk_log.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"
#include "storage/file_names.h"
#include "storage/partition_metadata.h"
#include "storage/producer_snapshot.h"

namespace millrace::storage {
namespace {

constexpr uint64_t kSnapshotBytesMax = uint64_t{256} << 20;

absl::Status RemoveIfExists(FileSystem& files, const std::string& path) {
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  return exists ? files.RemoveFile(path) : absl::OkStatus();
}

}  // namespace

void DiskLog::SetRecovered(Offset recovered_end, std::optional<Offset> base, SegmentScan* scan) {
  exists = base.has_value();
  active_base = base;
  end = durable = recovered_end;
  if (!base.has_value()) return;
  size = allocated = scan->size;
  index_size = scan->offset_index.size();
  time_size = scan->time_index.size();
  builder = scan->builder;
  last_batch = scan->last_batch;
  first_timestamp_ms = scan->first_timestamp_ms;
}

absl::Status DiskLog::CreateSegmentFiles(Offset base) {
  ASSIGN_OR_RETURN(log_file, files_->Open(Path(base, kLogSuffix), OpenMode::kTruncateCreate));
  ASSIGN_OR_RETURN(index_file,
                   files_->Open(Path(base, kOffsetIndexSuffix), OpenMode::kTruncateCreate));
  ASSIGN_OR_RETURN(time_file,
                   files_->Open(Path(base, kTimeIndexSuffix), OpenMode::kTruncateCreate));
  return absl::OkStatus();
}

void DiskLog::BeginAt(Offset base) {
  exists = true;
  active_base = base;
  size = allocated = index_size = time_size = last_batch = 0;
  first_timestamp_ms = record::kNoTimestamp;
  builder = IndexBuilder(base, 0);
}

absl::Status DiskLog::CreateSegment(Offset base, bool* created) {
  if (!exists) {
    *created = true;
    return CreateTogether({{this, base}});
  }
  RETURN_IF_ERROR(CreateSegmentFiles(base));
  RETURN_IF_ERROR(files_->SyncDirectory(directory()));
  BeginAt(base);
  return absl::OkStatus();
}

absl::Status DiskLog::CreateTogether(absl::Span<const NewLog> logs) {
  if (logs.empty()) return absl::OkStatus();
  FileSystem& files = *logs[0].log->files_;
  std::vector<std::string> directories;
  for (const auto& [log, base] : logs) directories.push_back(log->directory());
  const auto create = [&]() -> absl::Status {
    std::vector<FileReplacement> metadata;
    for (const auto& [log, base] : logs) {
      RETURN_IF_ERROR(files.CreateDirectory(log->directory()));
      metadata.push_back({JoinPath(log->directory(), kPartitionMetadataFile),
                          EncodePartitionMetadata(log->topic_partition_)});
    }
    // Whose directory it is, is known before it holds anything.
    RETURN_IF_ERROR(ReplaceFiles(files, metadata));
    RETURN_IF_ERROR(files.SyncDirectories(directories));
    for (const auto& [log, base] : logs) RETURN_IF_ERROR(log->CreateSegmentFiles(base));
    RETURN_IF_ERROR(files.SyncDirectories(directories));
    return files.SyncDirectory(ParentPath(logs[0].log->directory()));
  };
  const absl::Status status = create();
  for (const auto& [log, base] : logs) {
    if (status.ok()) {
      log->BeginAt(base);
    } else {
      // May be tried again when there is room.
      log->ForgetFiles();
    }
  }
  return status;
}

absl::Status DiskLog::OpenActive(Offset base, bool* created) {
  if (active_base != base) {
    CHECK(!active_base.has_value() || log_file == nullptr) << "the segment before is not sealed";
    absl::Status status = CreateSegment(base, created);
    if (!status.ok()) ForgetFiles();
    return status;
  }
  if (log_file != nullptr) return absl::OkStatus();
  absl::Status status = OpenSegmentFiles(base);
  if (!status.ok()) ForgetFiles();
  return status;
}

absl::Status DiskLog::OpenSegmentFiles(Offset base) {
  ASSIGN_OR_RETURN(index_file,
                   files_->Open(Path(base, kOffsetIndexSuffix), OpenMode::kOpenOrCreate));
  ASSIGN_OR_RETURN(time_file, files_->Open(Path(base, kTimeIndexSuffix), OpenMode::kOpenOrCreate));
  ASSIGN_OR_RETURN(log_file, files_->Open(Path(base, kLogSuffix), OpenMode::kReadWrite));
  ASSIGN_OR_RETURN(allocated, log_file->Size());
  return absl::OkStatus();
}

absl::Status DiskLog::Allocate(uint64_t end, uint64_t bytes, int64_t step_min, int64_t step_max) {
  if (end <= allocated) return absl::OkStatus();
  if (step_min <= 0 || bytes >= static_cast<uint64_t>(step_min)) {
    allocated = end;
    return absl::OkStatus();
  }
  // What was appended without allocating, and after a step that found no room.
  allocated = std::max(allocated, end - bytes);
  // Doubling, so that a small log costs little and a busy one few steps.
  const uint64_t step = std::clamp<uint64_t>(allocated, static_cast<uint64_t>(step_min),
                                             static_cast<uint64_t>(std::max(step_min, step_max)));
  const uint64_t length = std::max(step, end - allocated);
  const absl::Status filled = log_file->ZeroFill(allocated, length);
  if (CodeOf(filled) == ErrorCode::kStorageFull) {
    // Too little room for the step may still be enough for the batch: the write will tell. What
    // there is of the step is given back: the journals need room too, or all wait for some that
    // nobody uses.
    const absl::Status cut = log_file->Truncate(allocated);
    return CodeOf(cut) == ErrorCode::kStorageFull ? NoteAllocated() : cut;
  }
  RETURN_IF_ERROR(filled);
  allocated += length;
  return absl::OkStatus();
}

absl::Status DiskLog::NoteAllocated() {
  ASSIGN_OR_RETURN(const uint64_t file_size, log_file->Size());
  allocated = std::max(allocated, file_size);
  return absl::OkStatus();
}

absl::Status DiskLog::SyncData() {
  if (!unsynced || log_file == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(log_file->Sync());
  unsynced = false;
  durable = end;
  return absl::OkStatus();
}

absl::Status DiskLog::FinishActive() {
  if (!active_base.has_value()) return absl::OkStatus();
  bool created = false;
  RETURN_IF_ERROR(OpenActive(*active_base, &created));
  std::string times;
  // Ours only when it is written: where there is no room, this is called again.
  IndexBuilder finished = builder;
  finished.Finish(&times);
  if (!times.empty()) {
    RETURN_IF_ERROR(time_file->WriteAt(time_size, times));
    time_size += times.size();
  }
  builder = finished;
  if (allocated != size) {
    RETURN_IF_ERROR(log_file->Truncate(size));
    allocated = size;
  }
  RETURN_IF_ERROR(log_file->Sync());
  RETURN_IF_ERROR(index_file->Sync());
  RETURN_IF_ERROR(time_file->Sync());
  unsynced = false;
  durable = end;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<RecoveryPoint>> DiskLog::MakeRecoveryPoint() {
  if (!active_base.has_value() || size == 0) return std::nullopt;
  bool created = false;
  RETURN_IF_ERROR(OpenActive(*active_base, &created));
  RETURN_IF_ERROR(SyncData());
  // So that after a power loss they need not be made from the batches.
  RETURN_IF_ERROR(index_file->Sync());
  RETURN_IF_ERROR(time_file->Sync());
  RecoveryPoint point;
  point.segment_base = *active_base;
  point.offset = end;
  point.position = size;
  point.last_batch = last_batch;
  point.offset_index_bytes = index_size;
  point.time_index_bytes = time_size;
  point.index = builder.state();
  point.first_timestamp_ms = first_timestamp_ms;
  return point;
}

void DiskLog::ForgetFiles() {
  log_file.reset();
  index_file.reset();
  time_file.reset();
}

absl::Status DiskLog::Seal(int64_t index_interval_bytes) {
  builder.set_interval_bytes(index_interval_bytes);
  RETURN_IF_ERROR(FinishActive());
  ForgetFiles();
  return absl::OkStatus();
}

absl::Status DiskLog::CloseFiles() {
  RETURN_IF_ERROR(SyncData());
  ForgetFiles();
  return absl::OkStatus();
}

absl::Status DiskLog::RemoveSegment(Offset base) {
  // The log file last: while it is there, the segment exists.
  RETURN_IF_ERROR(RemoveIfExists(*files_, Path(base, kOffsetIndexSuffix)));
  RETURN_IF_ERROR(RemoveIfExists(*files_, Path(base, kTimeIndexSuffix)));
  RETURN_IF_ERROR(RemoveIfExists(*files_, Path(base, kSnapshotSuffix)));
  return RemoveIfExists(*files_, Path(base, kLogSuffix));
}

absl::Status DiskLog::RemoveSnapshotsAbove(Offset offset) {
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files_->ListDirectory(directory()));
  for (const DirectoryEntry& entry : entries) {
    const std::optional<Offset> of = ParseSegmentFileName(entry.name, kSnapshotSuffix);
    if (of.has_value() && *of > offset) {
      names_unsynced_ = true;
      RETURN_IF_ERROR(files_->RemoveFile(JoinPath(directory(), entry.name)));
    }
  }
  // One that came back with a power loss would be believed as soon as the log has grown beyond it
  // again: retries of batches that were cut would be acknowledged as if the log had them (S-13).
  if (MUTANT("storage.cut-snapshot-comes-back")) names_unsynced_ = false;
  return SyncNames();
}

absl::Status DiskLog::SyncNames() {
  if (!names_unsynced_) return absl::OkStatus();
  RETURN_IF_ERROR(files_->SyncDirectory(directory()));
  names_unsynced_ = false;
  return absl::OkStatus();
}

absl::Status DiskLog::RemovePassingSnapshot(Offset offset) {
  ASSIGN_OR_RETURN(const bool of_segment, files_->Exists(Path(offset, kLogSuffix)));
  return of_segment ? absl::OkStatus() : RemoveIfExists(*files_, Path(offset, kSnapshotSuffix));
}

absl::Status DiskLog::Truncate(Offset to, Offset keep, int64_t index_interval_bytes) {
  ForgetFiles();
  absl::Status status = CutAt(to, keep, index_interval_bytes);
  if (!status.ok()) {
    // The sizes are those of a segment that is gone perhaps: nothing is finished by them.
    ForgetFiles();
    active_base.reset();
  }
  return status;
}

absl::Status DiskLog::CutAt(Offset to, Offset keep, int64_t index_interval_bytes) {
  RETURN_IF_ERROR(RemoveSnapshotsAbove(to));
  ASSIGN_OR_RETURN(const std::vector<Offset> segments, ListSegments());
  for (size_t i = segments.size(); i > 0 && segments[i - 1] > keep; --i) {
    names_unsynced_ = true;
    RETURN_IF_ERROR(RemoveSegment(segments[i - 1]));
    // One after the other, so that no crash leaves a hole.
    RETURN_IF_ERROR(SyncNames());
  }
  active_base = keep;
  bool created = false;
  RETURN_IF_ERROR(OpenActive(keep, &created));
  SegmentScanOptions options;
  options.base_offset = keep;
  options.index_interval_bytes = index_interval_bytes;
  options.stop_at = to;
  ASSIGN_OR_RETURN(SegmentScan scan, ScanSegment(*log_file, options));
  if (scan.end_offset != to) {
    return MakeError(ErrorCode::kCorruptLog,
                     absl::StrCat("partition ", identity_->name, " cannot be cut at offset ",
                                  to.value(), ": its batches end at ", scan.end_offset.value(),
                                  " there. ", scan.damage.message()),
                     {.name = identity_->name, .value = absl::StrCat(to.value())});
  }
  RETURN_IF_ERROR(log_file->Truncate(scan.size));
  RETURN_IF_ERROR(log_file->Sync());
  index_file.reset();
  time_file.reset();
  RETURN_IF_ERROR(WriteIndexes(*files_, directory(), keep, &scan, true));
  ForgetFiles();
  SetRecovered(to, keep, &scan);
  unsynced = false;
  return absl::OkStatus();
}

absl::Status DiskLog::Restart(Offset base) {
  ForgetFiles();
  std::vector<Offset> segments;
  if (exists) {
    ASSIGN_OR_RETURN(segments, ListSegments());
  }
  bool created = false;
  active_base.reset();
  // The new segment first: a replica that had data never stands without any.
  RETURN_IF_ERROR(CreateSegment(base, &created));
  ForgetFiles();
  for (size_t i = segments.size(); i > 0; --i) {
    if (segments[i - 1] == base) continue;
    RETURN_IF_ERROR(RemoveSegment(segments[i - 1]));
  }
  RETURN_IF_ERROR(RemoveSnapshotsAbove(Offset(-1)));
  RETURN_IF_ERROR(files_->SyncDirectory(directory()));
  end = durable = base;
  unsynced = false;
  return absl::OkStatus();
}

absl::Status DiskLog::WriteEpochs(const std::string& text) {
  if (!exists) return absl::OkStatus();
  return ReplaceFile(*files_, JoinPath(directory(), kEpochCheckpointFile), text);
}

absl::Status DiskLog::WriteSnapshot(Offset offset, const std::string& bytes) {
  if (!bytes.empty()) return ReplaceFile(*files_, Path(offset, kSnapshotSuffix), bytes);
  ASSIGN_OR_RETURN(const std::vector<Offset> segments, ListSegments());
  ASSIGN_OR_RETURN(const ProducerState state,
                   RebuildProducers(*files_, directory(), segments, offset));
  return ReplaceFile(*files_, Path(offset, kSnapshotSuffix), EncodeProducerSnapshot(state, offset));
}

absl::StatusOr<std::vector<Offset>> DiskLog::ListSegments() const {
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files_->ListDirectory(directory()));
  std::vector<Offset> segments;
  for (const DirectoryEntry& entry : entries) {
    const std::optional<Offset> base = ParseSegmentFileName(entry.name, kLogSuffix);
    if (base.has_value()) segments.push_back(*base);
  }
  return segments;  // Sorted: the names are, and have equal length.
}

absl::StatusOr<LoadedSnapshot> LoadSnapshot(FileSystem& files, const std::string& directory,
                                            Offset to) {
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.ListDirectory(directory));
  for (size_t i = entries.size(); i > 0; --i) {
    const std::optional<Offset> offset = ParseSegmentFileName(entries[i - 1].name, kSnapshotSuffix);
    if (!offset.has_value() || *offset > to) continue;
    ASSIGN_OR_RETURN(
        const std::string contents,
        ReadWholeFile(files, JoinPath(directory, entries[i - 1].name), kSnapshotBytesMax));
    absl::StatusOr<ProducerState> state = DecodeProducerSnapshot(contents, *offset);
    // A damaged one is of no use: an older one, and more batches, say the same.
    if (state.ok()) return LoadedSnapshot{*offset, *std::move(state)};
  }
  return LoadedSnapshot{Offset(0), ProducerState()};
}

absl::StatusOr<ProducerState> RebuildProducers(FileSystem& files, const std::string& directory,
                                               const std::vector<Offset>& segments, Offset to) {
  ASSIGN_OR_RETURN(LoadedSnapshot snapshot, LoadSnapshot(files, directory, to));
  for (size_t i = 0; i < segments.size() && segments[i] < to; ++i) {
    if (i + 1 < segments.size() && segments[i + 1] <= snapshot.offset) continue;
    ASSIGN_OR_RETURN(
        const std::unique_ptr<File> log,
        files.Open(JoinPath(directory, SegmentFileName(segments[i], kLogSuffix)), OpenMode::kRead));
    SegmentScanOptions options;
    options.base_offset = segments[i];
    options.stop_at = to;
    options.producers = &snapshot.state;
    options.producers_from = snapshot.offset;
    ASSIGN_OR_RETURN(const SegmentScan scan, ScanSegment(*log, options));
    if (!scan.damage.ok()) break;
  }
  return std::move(snapshot.state);
}

}  // namespace millrace::storage
