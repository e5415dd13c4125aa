#include "storage/segment_scan.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "storage/batch_cursor.h"
#include "storage/file_names.h"
#include "storage/index_file.h"

namespace millrace::storage {
namespace {

constexpr uint64_t kIndexBytesMax = uint64_t{1} << 31;

int32_t Relative(Offset offset, Offset base) { return static_cast<int32_t>(offset - base); }

absl::Status CheckVouched(const SegmentScanOptions& options, const record::BatchView& batch) {
  const bool vouched = options.vouched != nullptr && batch.base_offset() < options.vouched_to;
  // What is deleted may have been replaced (segment_repair.h).
  if (!vouched || batch.next_offset() <= options.log_start) return absl::OkStatus();
  const LeaderEpoch expected = options.vouched->EpochAt(batch.base_offset());
  if (expected == kNoLeaderEpoch || expected == batch.leader_epoch()) return absl::OkStatus();
  return MakeError(
      ErrorCode::kCorruptLog,
      absl::StrCat("the batch at offset ", batch.base_offset().value(), " has leader epoch ",
                   batch.leader_epoch().value(), ", but was synced with ", expected.value()));
}

absl::Status WriteIfDifferent(FileSystem& files, const std::string& path, Slice contents,
                              Slice also_right) {
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (exists) {
    const absl::StatusOr<std::string> now = ReadWholeFile(files, path, kIndexBytesMax);
    if (!now.ok() && CodeOf(now.status()) != ErrorCode::kResourceExhausted) return now.status();
    if (now.ok() && (Slice(*now) == contents || Slice(*now) == also_right)) {
      return absl::OkStatus();
    }
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(path, OpenMode::kTruncateCreate));
  return contents.empty() ? absl::OkStatus() : file->WriteAt(0, contents);
}

}  // namespace

void IndexBuilder::Add(const record::BatchView& batch, uint64_t position, std::string* offsets,
                       std::string* times) {
  if (batch.max_timestamp_ms() > state_.max_timestamp_ms) {
    state_.max_timestamp_ms = batch.max_timestamp_ms();
    state_.max_timestamp_at = batch.last_offset();
  }
  if (state_.bytes_since_entry > interval_bytes_) {
    AppendOffsetIndexEntry(
        {Relative(batch.last_offset(), base_offset_), static_cast<int32_t>(position)}, offsets);
    AddTime(times);
    state_.bytes_since_entry = 0;
  }
  state_.bytes_since_entry += static_cast<int64_t>(batch.size());
}

void IndexBuilder::AddTime(std::string* times) {
  if (state_.max_timestamp_ms <= state_.last_time_entry_ms) return;
  AppendTimeIndexEntry({state_.max_timestamp_ms, Relative(state_.max_timestamp_at, base_offset_)},
                       times);
  state_.last_time_entry_ms = state_.max_timestamp_ms;
}

void IndexBuilder::Finish(std::string* times) { AddTime(times); }

absl::StatusOr<SegmentScan> ScanSegment(const File& log, const SegmentScanOptions& options) {
  SegmentScan scan;
  scan.end_offset = options.base_offset;
  scan.builder = IndexBuilder(options.base_offset, options.index_interval_bytes);
  ASSIGN_OR_RETURN(scan.file_size, log.Size());
  const RecoveryPoint* const from = options.from;
  if (from != nullptr && from->position > scan.file_size) {
    scan.from_is_wrong = true;
    return scan;
  }
  BatchCursor cursor(log, from == nullptr ? 0 : from->last_batch, scan.file_size,
                     from == nullptr ? std::optional(options.base_offset) : std::nullopt);
  if (from != nullptr) {
    // The batch before the point must be there, and end where the point is.
    ASSIGN_OR_RETURN(const BatchCursor::Step step, cursor.Next());
    scan.from_is_wrong = step != BatchCursor::Step::kBatch ||
                         cursor.next_position() != from->position ||
                         cursor.batch().next_offset() != from->offset;
    if (scan.from_is_wrong) return scan;
    scan.builder.set_state(from->index);
    scan.offset_index = options.from_offset_index;
    scan.time_index = options.from_time_index;
    scan.first_timestamp_ms = from->first_timestamp_ms;
    scan.end_offset = from->offset;
    scan.size = from->position;
    scan.last_batch = from->last_batch;
  }
  while (true) {
    ASSIGN_OR_RETURN(const BatchCursor::Step step, cursor.Next());
    if (step == BatchCursor::Step::kEnd) break;
    if (step == BatchCursor::Step::kDamaged) {
      ASSIGN_OR_RETURN(const bool zero, IsZeroFilled(log, scan.size, scan.file_size));
      if (!zero) scan.damage = cursor.damage();
      break;
    }
    const record::BatchView& batch = cursor.batch();
    if (options.stop_at.has_value() && batch.base_offset() >= *options.stop_at) break;
    if (const absl::Status vouched = CheckVouched(options, batch); !vouched.ok()) {
      scan.damage = vouched;
      break;
    }
    if (options.epochs != nullptr && batch.base_offset() >= options.epochs_from) {
      const absl::StatusOr<bool> assigned =
          options.epochs->Assign(batch.leader_epoch(), batch.base_offset());
      if (!assigned.ok()) {
        scan.damage = assigned.status();
        break;
      }
    }
    if (options.producers != nullptr && batch.base_offset() >= options.producers_from) {
      options.producers->Apply(batch, WallTime{batch.max_timestamp_ms()});
    }
    if (scan.size == 0) scan.first_timestamp_ms = batch.max_timestamp_ms();
    scan.builder.Add(batch, cursor.position(), &scan.offset_index, &scan.time_index);
    scan.end_offset = batch.next_offset();
    scan.size = cursor.next_position();
    scan.last_batch = cursor.position();
  }
  return scan;
}

absl::Status WriteIndexes(FileSystem& files, const std::string& directory, Offset base_offset,
                          SegmentScan* scan, bool finished) {
  std::string with_last = scan->time_index;
  IndexBuilder builder = scan->builder;
  builder.Finish(&with_last);
  if (finished) {
    scan->time_index = with_last;
    scan->builder = builder;
  }
  const auto path = [&](absl::string_view suffix) {
    return JoinPath(directory, SegmentFileName(base_offset, suffix));
  };
  RETURN_IF_ERROR(
      WriteIfDifferent(files, path(kOffsetIndexSuffix), scan->offset_index, scan->offset_index));
  RETURN_IF_ERROR(WriteIfDifferent(files, path(kTimeIndexSuffix), scan->time_index, with_last));
  return absl::OkStatus();
}

}  // namespace millrace::storage
