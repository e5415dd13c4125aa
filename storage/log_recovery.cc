#include "storage/log_recovery.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutant.h"
#include "base/status.h"
#include "storage/batch_cursor.h"
#include "storage/checked_text.h"
#include "storage/cut_mark.h"
#include "storage/epoch_checkpoint.h"
#include "storage/file_names.h"
#include "storage/index_file.h"
#include "storage/log_op.h"
#include "storage/partition_metadata.h"
#include "storage/segment_reader.h"
#include "storage/segment_scan.h"

namespace millrace::storage {
namespace {

constexpr uint64_t kSmallFileBytesMax = uint64_t{64} << 20;
constexpr uint64_t kIndexBytesMax = uint64_t{1} << 31;

// The recovery of one log. Methods return errors of the file system; what is wrong with this log
// goes to log_.status.
class Recovery {
 public:
  Recovery(FileSystem& files, const RecoveryInput& input)
      : files_(files), input_(input), directory_(input.identity->directory) {}

  absl::StatusOr<RecoveredLog> Run() {
    log_.topic_partition = input_.replica.topic_partition;
    log_.name = input_.identity->name;
    log_.log_start = log_.end = input_.replica.log_start;
    log_.disk = std::make_shared<DiskLog>(&files_, input_.replica.number,
                                          input_.replica.topic_partition, input_.identity);
    log_.disk->SetRecovered(log_.end, std::nullopt, nullptr);
    RETURN_IF_ERROR(ListFiles());
    if (!log_.status.ok()) return std::move(log_);
    if (segments_.empty()) {
      if (IsBeingReset()) {
        EndReset();
        log_.end = log_.log_start;
        log_.disk->SetRecovered(log_.end, std::nullopt, nullptr);
      }
      CheckEnd(log_.end, "no segment is there");
      return std::move(log_);
    }
    RETURN_IF_ERROR(LoadHints());
    for (size_t i = 0; i < segments_.size() && log_.status.ok(); ++i) {
      RETURN_IF_ERROR(i + 1 < segments_.size() ? RecoverSealed(i) : RecoverLast());
      if (ends_earlier_) return Recovery(files_, input_).Run();
      if (input_.progress != nullptr) input_.progress->SegmentDone(segments_[i].file_size);
    }
    if (log_.status.ok()) RETURN_IF_ERROR(Finish());
    return std::move(log_);
  }

 private:
  struct Found {
    Offset base;
    uint64_t file_size = 0;
    uint64_t offset_index_size = 1;  // 1: missing or of an impossible size.
    uint64_t time_index_size = 1;
  };

  void Corrupt(absl::string_view what) {
    log_.status = MakeError(ErrorCode::kCorruptLog,
                            absl::StrCat("partition ", log_.name, " is offline: ", what,
                                         "; nothing was cut: restore it from another replica"),
                            {.name = log_.name});
  }

  std::string Path(Offset base, absl::string_view suffix) const {
    return JoinPath(directory_, SegmentFileName(base, suffix));
  }

  // Whether all that was vouched for is below `end`.
  bool CheckEnd(Offset end, absl::string_view why) {
    const Offset vouched =
        std::max(input_.mark.value_or(Offset(0)), input_.clean_end.value_or(Offset(0)));
    // What was deleted since needs not be there.
    if (end >= vouched || vouched <= log_.log_start || input_.cuts_damage) return true;
    Corrupt(absl::StrCat("its batches end at offset ", end.value(), ", but were synced up to ",
                         vouched.value(), " (", why, ")"));
    return false;
  }

  absl::Status ListFiles() {
    ASSIGN_OR_RETURN(const bool exists, files_.Exists(directory_));
    if (!exists) {
      if (input_.replica.has_data) Corrupt("it held data, and its directory is gone");
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(CheckPartitionMetadata());
    ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files_.ListDirectory(directory_));
    for (const DirectoryEntry& entry : entries) {
      // What was being removed or replaced.
      if (absl::EndsWith(entry.name, kDeletedSuffix) || absl::EndsWith(entry.name, ".tmp")) {
        RETURN_IF_ERROR(files_.RemoveFile(JoinPath(directory_, entry.name)));
      }
      const std::optional<Offset> snapshot = ParseSegmentFileName(entry.name, kSnapshotSuffix);
      if (snapshot.has_value()) snapshots_.push_back(*snapshot);
      const std::optional<Offset> base = ParseSegmentFileName(entry.name, kLogSuffix);
      if (base.has_value()) segments_.push_back({*base, entry.size_bytes});
    }
    // Indexes only now: "1.index" comes before "1.log".
    for (const DirectoryEntry& entry : entries) {
      for (Found& segment : segments_) {
        if (entry.name == SegmentFileName(segment.base, kOffsetIndexSuffix)) {
          segment.offset_index_size = entry.size_bytes;
        }
        if (entry.name == SegmentFileName(segment.base, kTimeIndexSuffix)) {
          segment.time_index_size = entry.size_bytes;
        }
      }
    }
    if (segments_.empty()) {
      if (input_.replica.has_data) Corrupt("it held data, and has no segment");
      return absl::OkStatus();
    }
    return DropBelowLogStart();
  }

  absl::Status CheckPartitionMetadata() {
    ASSIGN_OR_RETURN(const std::optional<TopicId> id, ReadTopicIdOf(files_, directory_));
    // A damaged one tells nothing that the journal does not.
    if (id.has_value() && *id != input_.replica.topic_partition.topic_id) {
      Corrupt(absl::StrCat("its directory is another topic's (", id->ToString(), " instead of ",
                           input_.replica.topic_partition.topic_id.ToString(), ")"));
    }
    return absl::OkStatus();
  }

  absl::Status RemoveSegment(Offset base) {
    for (const absl::string_view suffix :
         {kOffsetIndexSuffix, kTimeIndexSuffix, kSnapshotSuffix, kLogSuffix}) {
      const std::string path = Path(base, suffix);
      ASSIGN_OR_RETURN(const bool exists, files_.Exists(path));
      if (exists) RETURN_IF_ERROR(files_.RemoveFile(path));
    }
    return absl::OkStatus();
  }

  // Segments whose deletion was decided, durably, and not finished.
  absl::Status DropBelowLogStart() {
    while (segments_.size() > 1 && segments_[1].base <= log_.log_start) {
      RETURN_IF_ERROR(RemoveSegment(segments_[0].base));
      segments_.erase(segments_.begin());
    }
    if (segments_[0].base > log_.log_start) {
      Corrupt(absl::StrCat("its first segment begins with offset ", segments_[0].base.value(),
                           ", but its log start is ", log_.log_start.value()));
    }
    return absl::OkStatus();
  }

  absl::Status LoadHints() {
    const std::string path = JoinPath(directory_, kEpochCheckpointFile);
    ASSIGN_OR_RETURN(const bool exists, files_.Exists(path));
    if (exists) {
      ASSIGN_OR_RETURN(const std::string contents, ReadWholeFile(files_, path, kSmallFileBytesMax));
      absl::StatusOr<EpochCheckpoint> checkpoint = DecodeEpochCheckpoint(contents, path);
      if (checkpoint.ok()) {
        log_.epochs = std::move(checkpoint->epochs);
        epochs_from_ = checkpoint->covers_to;
      }
    }
    ASSIGN_OR_RETURN(LoadedSnapshot snapshot,
                     LoadSnapshot(files_, directory_, Offset(std::numeric_limits<int64_t>::max())));
    log_.producers = std::move(snapshot.state);
    producers_from_ = snapshot.offset;
    return absl::OkStatus();
  }

  SegmentScanOptions ScanOptions(Offset base) {
    SegmentScanOptions options;
    options.base_offset = base;
    options.index_interval_bytes = input_.index_interval_bytes;
    options.epochs = &log_.epochs;
    options.epochs_from = epochs_from_;
    options.vouched = input_.vouched_epochs;
    options.log_start = log_.log_start;
    options.vouched_to = input_.mark.value_or(Offset(0));
    options.producers = &log_.producers;
    options.producers_from = producers_from_;
    return options;
  }

  // The part of an index that is of the batches below the point; nullopt if it cannot be: too
  // short, entries that do not rise, or that lie beyond.
  absl::StatusOr<std::optional<std::string>> IndexBelowPoint(absl::string_view suffix,
                                                             uint64_t bytes) {
    const RecoveryPoint& point = *input_.point;
    const std::string path = Path(point.segment_base, suffix);
    ASSIGN_OR_RETURN(const bool exists, files_.Exists(path));
    if (!exists) return std::nullopt;
    ASSIGN_OR_RETURN(std::string index, ReadWholeFile(files_, path, kIndexBytesMax));
    const bool is_time = suffix == kTimeIndexSuffix;
    const size_t entry_size = is_time ? kTimeIndexEntrySize : kOffsetIndexEntrySize;
    if (index.size() < bytes || bytes % entry_size != 0) return std::nullopt;
    index.resize(bytes);
    // Offset, and position or time, of the entry before.
    std::pair<int64_t, int64_t> before = {-1, -1};
    for (size_t at = 0; at < bytes; at += entry_size) {
      std::pair<int64_t, int64_t> now;
      if (is_time) {
        const TimeIndexEntry entry = LoadTimeIndexEntry(&index[at]);
        now = {entry.relative_offset, entry.timestamp_ms};
      } else {
        const OffsetIndexEntry entry = LoadOffsetIndexEntry(&index[at]);
        now = {entry.relative_offset, entry.position};
        if (now.second >= static_cast<int64_t>(point.position)) return std::nullopt;
      }
      if (now.first <= before.first || now.second <= before.second) return std::nullopt;
      before = now;
    }
    if (before.first >= point.offset - point.segment_base) return std::nullopt;
    return index;
  }

  // Scans the last segment from the recovery point on; nullopt if that is of no use here.
  absl::StatusOr<std::optional<SegmentScan>> ScanFromPoint(const File& file, Offset base) {
    const RecoveryPoint* const point = input_.point;
    if (point == nullptr || point->segment_base != base || point->last_batch >= point->position ||
        epochs_from_ < point->offset || producers_from_ < point->offset) {
      return std::nullopt;
    }
    ASSIGN_OR_RETURN(std::optional<std::string> offsets,
                     IndexBelowPoint(kOffsetIndexSuffix, point->offset_index_bytes));
    ASSIGN_OR_RETURN(std::optional<std::string> times,
                     IndexBelowPoint(kTimeIndexSuffix, point->time_index_bytes));
    if (!offsets.has_value() || !times.has_value()) return std::nullopt;
    SegmentScanOptions options = ScanOptions(base);
    options.from = point;
    options.from_offset_index = *std::move(offsets);
    options.from_time_index = *std::move(times);
    ASSIGN_OR_RETURN(SegmentScan scan, ScanSegment(file, options));
    if (scan.from_is_wrong) return std::nullopt;
    return scan;
  }

  absl::Status RecoverSealed(size_t i) {
    const Found& found = segments_[i];
    const Offset end = segments_[i + 1].base;
    RecoveredSegment segment;
    segment.base_offset = found.base;
    segment.end_offset = end;
    segment.size_bytes = static_cast<int64_t>(found.file_size);
    const bool indexes_fit = found.offset_index_size % kOffsetIndexEntrySize == 0 &&
                             found.time_index_size % kTimeIndexEntrySize == 0;
    std::optional<int64_t> max_timestamp;
    if (indexes_fit) {
      ASSIGN_OR_RETURN(max_timestamp,
                       VerifiedMaxTimestamp(files_, Segment(input_.identity, found.base)));
    }
    if (max_timestamp.has_value() && epochs_from_ >= end && producers_from_ >= end) {
      segment.max_timestamp_ms = *max_timestamp;
      log_.segments.push_back(segment);
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                     files_.Open(Path(found.base, kLogSuffix), OpenMode::kRead));
    ASSIGN_OR_RETURN(SegmentScan scan, ScanSegment(*file, ScanOptions(found.base)));
    if (scan.end_offset != end || !scan.damage.ok()) {
      if (input_.cuts_damage) return EndWith(i);
      Corrupt(absl::StrCat("segment ", found.base.value(), " ends at offset ",
                           scan.end_offset.value(), " instead of ", end.value(), ". ",
                           scan.damage.message()));
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(WriteIndexes(files_, directory_, found.base, &scan, true));
    segment.max_timestamp_ms = scan.builder.max_timestamp_ms();
    segment.first_timestamp_ms = scan.first_timestamp_ms;
    log_.segments.push_back(segment);
    return absl::OkStatus();
  }

  // Segment i is the last one from now on.
  absl::Status EndWith(size_t i) {
    for (size_t last = segments_.size() - 1; last > i; --last) {
      RETURN_IF_ERROR(RemoveSegment(segments_[last].base));
    }
    ends_earlier_ = true;
    return files_.SyncDirectory(directory_);
  }

  // A round begins when the one before it is synced: if bytes of a later one are there, then what
  // ends before this round's end was on the disk, and was damaged since (S-08).
  absl::Status CheckRound(const File& file, const SegmentScan& scan) {
    const RoundEnd* const round = input_.round_end;
    if (round == nullptr || round->segment_base != segments_.back().base ||
        scan.size >= round->position || scan.file_size <= round->position ||
        round->end <= log_.log_start) {
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const bool zero, IsZeroFilled(file, round->position, scan.file_size));
    if (zero) return absl::OkStatus();
    log_.proven_end = round->end;
    Corrupt(absl::StrCat("its batches end at offset ", scan.end_offset.value(),
                         ", but what follows offset ", round->end.value(),
                         " was written after a sync (",
                         scan.damage.ok() ? "zeros are between" : scan.damage.message(), ")"));
    return absl::OkStatus();
  }

  // Makes pages of the cache dirty, so that the next sync writes them.
  static absl::Status WriteAgain(File& file, uint64_t from, uint64_t to) {
    constexpr uint64_t kStep = 1 << 20;
    std::string bytes;
    for (uint64_t at = from; at < to; at += bytes.size()) {
      bytes.resize(std::min(kStep, to - at));
      ASSIGN_OR_RETURN(const size_t read, file.ReadAt(at, absl::MakeSpan(bytes)));
      if (read != bytes.size()) {
        return MakeError(ErrorCode::kStorageError, "a log became shorter while it was recovered");
      }
      RETURN_IF_ERROR(file.WriteAt(at, bytes));
    }
    return absl::OkStatus();
  }

  absl::Status RecoverLast() {
    const Offset base = segments_.back().base;
    ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                     files_.Open(Path(base, kLogSuffix), OpenMode::kReadWrite));
    ASSIGN_OR_RETURN(std::optional<SegmentScan> resumed, ScanFromPoint(*file, base));
    log_.point_used = resumed.has_value();
    if (!resumed.has_value()) {
      ASSIGN_OR_RETURN(resumed, ScanSegment(*file, ScanOptions(base)));
    }
    SegmentScan& scan = *resumed;
    if (!CheckEnd(scan.end_offset,
                  scan.damage.ok() ? "the rest is empty" : scan.damage.message())) {
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(CheckRound(*file, scan));
    if (!log_.status.ok()) return absl::OkStatus();
    if (!scan.damage.ok()) log_.cut_bytes = scan.file_size - scan.size;
    if (input_.marks_cut) {
      ASSIGN_OR_RETURN(log_.cut, MarkIfCut(files_, directory_, log_.cut_bytes > 0));
    }
    const bool untouched = scan.file_size == scan.size;
    // Garbage beyond the cut must not come to light again after the next crash.
    if (!untouched) RETURN_IF_ERROR(file->Truncate(scan.size));
    // A process that was killed leaves data that nobody synced, and after a failed sync the page
    // cache calls clean what the disk does not have (ATC'20): a sync alone would prove nothing.
    if (!untouched || input_.clean_end != scan.end_offset) {
      RETURN_IF_ERROR(WriteAgain(*file, log_.point_used ? input_.point->position : 0, scan.size));
      RETURN_IF_ERROR(file->Sync());
    }
    RETURN_IF_ERROR(WriteIndexes(files_, directory_, base, &scan, false));
    log_.end = scan.end_offset;
    log_.segments.push_back({base, scan.end_offset, static_cast<int64_t>(scan.size),
                             scan.builder.max_timestamp_ms(), scan.first_timestamp_ms});
    log_.disk->SetRecovered(log_.end, base, &scan);
    return absl::OkStatus();
  }

  bool IsBeingReset() const { return log_.log_start >= kResetMark; }
  void EndReset() { log_.log_start = Offset(log_.log_start - kResetMark); }

  absl::Status Finish() {
    const bool empties = IsBeingReset() || log_.end < log_.log_start;
    if (IsBeingReset()) EndReset();
    if (empties) {
      // The tail that was deleted up to there was lost with what followed it.
      log_.point_used = false;
      RETURN_IF_ERROR(log_.disk->Restart(log_.log_start));
      log_.end = log_.log_start;
      log_.segments = {{log_.end, log_.end}};
      log_.epochs.Clear();
      log_.producers.Clear();
      return log_.disk->WriteEpochs(EncodeEpochCheckpoint(log_.epochs, log_.end));
    }
    if (MUTANT("storage.producers-forgotten")) log_.producers.Clear();
    if (MUTANT("storage.epochs-forgotten")) log_.epochs.Clear();
    log_.epochs.TruncateFromEnd(log_.end);
    log_.epochs.TruncateFromStart(log_.log_start);
    // Hints that speak of batches that are gone must not be believed about others that follow.
    if (epochs_from_ > log_.end) {
      RETURN_IF_ERROR(log_.disk->WriteEpochs(EncodeEpochCheckpoint(log_.epochs, log_.end)));
    }
    if (producers_from_ > log_.end) {
      RETURN_IF_ERROR(log_.disk->RemoveSnapshotsAbove(log_.end));
      ASSIGN_OR_RETURN(const std::vector<Offset> bases, log_.disk->ListSegments());
      ASSIGN_OR_RETURN(log_.producers, RebuildProducers(files_, directory_, bases, log_.end));
    }
    // Of recovery points that were passed; the newest says more.
    for (const Offset snapshot : snapshots_) {
      if (snapshot < producers_from_) RETURN_IF_ERROR(log_.disk->RemovePassingSnapshot(snapshot));
    }
    return files_.SyncDirectory(directory_);
  }

  FileSystem& files_;
  const RecoveryInput& input_;
  const std::string directory_;
  RecoveredLog log_;
  std::vector<Found> segments_;
  std::vector<Offset> snapshots_;
  // Its last segments were removed, so that what is known of it is another log's.
  bool ends_earlier_ = false;
  // Offsets below which the hints hold.
  Offset epochs_from_;
  Offset producers_from_;
};

}  // namespace

absl::StatusOr<RecoveredLog> RecoverLog(FileSystem& files, const RecoveryInput& input) {
  return Recovery(files, input).Run();
}

}  // namespace millrace::storage
