#include "storage/segment_repair.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"
#include "record/batch_builder.h"
#include "storage/file_names.h"
#include "storage/index_file.h"

namespace millrace::storage {
namespace {

constexpr uint64_t kIndexBytesMax = uint64_t{1} << 31;
constexpr size_t kWriteBytes = 1 << 20;

absl::Status DoesNotBelong(const std::string& why) {
  return MakeError(ErrorCode::kCorruptMessage, why);
}

}  // namespace

SegmentRepair::SegmentRepair(FileSystem* files, std::shared_ptr<const Segment> segment,
                             Options options)
    : files_(files),
      segment_(std::move(segment)),
      options_(std::move(options)),
      truncations_(segment_->log->truncations.load(std::memory_order_acquire)) {
  scan_.end_offset = segment_->base_offset;
  scan_.builder = IndexBuilder(segment_->base_offset, options_.index_interval_bytes);
}

std::string SegmentRepair::CopyPath() const {
  // Recovery removes files of this ending.
  return absl::StrCat(segment_->Path(kLogSuffix), ".tmp");
}

absl::Status SegmentRepair::CheckStillThere() const {
  if (segment_->log->truncations.load(std::memory_order_acquire) == truncations_) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kOffsetNotAvailable,
                   absl::StrCat("the log of ", segment_->log->name,
                                " was cut, or has gone, while a segment of it was repaired"),
                   {.name = segment_->log->name});
}

absl::Status SegmentRepair::Open() {
  if (copy_ != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(damaged_, files_->Open(segment_->Path(kLogSuffix), OpenMode::kRead));
  ASSIGN_OR_RETURN(damaged_size_, damaged_->Size());
  ASSIGN_OR_RETURN(copy_, files_->Open(CopyPath(), OpenMode::kTruncateCreate));
  cursor_.emplace(*damaged_, 0, damaged_size_, segment_->base_offset);
  return absl::OkStatus();
}

void SegmentRepair::Abandon() {
  if (copy_ == nullptr || !CheckStillThere().ok()) return;
  copy_.reset();
  // If it stays, the next start removes it.
  files_->RemoveFile(CopyPath()).IgnoreError();
}

// --- What is good ---

absl::Status SegmentRepair::CheckNext(const record::BatchView& batch) const {
  if (batch.base_offset() != scan_.end_offset) {
    return DoesNotBelong(absl::StrCat("a batch begins with offset ", batch.base_offset().value(),
                                      " instead of ", scan_.end_offset.value()));
  }
  if (batch.next_offset() > options_.end_offset) {
    return DoesNotBelong(absl::StrCat("a batch ends at offset ", batch.next_offset().value(),
                                      ", and the segment at ", options_.end_offset.value()));
  }
  const LeaderEpoch epoch = options_.epochs.EpochAt(batch.base_offset());
  if (epoch != kNoLeaderEpoch && epoch != batch.leader_epoch() &&
      !MUTANT("storage.repaired-across-epochs")) {
    return DoesNotBelong(absl::StrCat("the batch at offset ", batch.base_offset().value(),
                                      " has leader epoch ", batch.leader_epoch().value(),
                                      " instead of ", epoch.value()));
  }
  return absl::OkStatus();
}

absl::Status SegmentRepair::Take(const record::BatchView& batch) {
  scan_.builder.Add(batch, scan_.size, &scan_.offset_index, &scan_.time_index);
  scan_.end_offset = batch.next_offset();
  scan_.size += batch.size();
  absl::StrAppend(&unwritten_, Slice(batch.bytes()));
  return unwritten_.size() < kWriteBytes ? absl::OkStatus() : Flush();
}

absl::Status SegmentRepair::TakeDeleted(Offset to, LeaderEpoch epoch) {
  shortened_ = true;
  // Which epochs it had nobody asks any more, but they must not fall along the log.
  const record::BatchBuilder builder({.base_offset = scan_.end_offset, .leader_epoch = epoch});
  const Bytes empty = builder.BuildEmpty(to);
  return Take(record::BatchView::Parse(empty).value());
}

absl::Status SegmentRepair::Flush() {
  if (unwritten_.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(copy_->WriteAt(scan_.size - unwritten_.size(), unwritten_));
  unwritten_.clear();
  return absl::OkStatus();
}

absl::StatusOr<SegmentRepair::Step> SegmentRepair::Continue(uint64_t bytes_max) {
  RETURN_IF_ERROR(CheckStillThere());
  RETURN_IF_ERROR(Open());
  const uint64_t until = scan_.size + bytes_max;
  while (scan_.end_offset < options_.end_offset) {
    if (scan_.size >= until) return Step::kMore;
    ASSIGN_OR_RETURN(const BatchCursor::Step step, cursor_->Next());
    if (step == BatchCursor::Step::kDamaged) {
      return BeginHole(cursor_->position(), cursor_->damage());
    }
    if (step == BatchCursor::Step::kEnd) {
      return BeginHole(damaged_size_, DoesNotBelong("the file ends too early"));
    }
    if (const absl::Status next = CheckNext(cursor_->batch()); !next.ok()) {
      return BeginHole(cursor_->position(), next);
    }
    RETURN_IF_ERROR(Take(cursor_->batch()));
  }
  return Finish();
}

absl::StatusOr<SegmentRepair::Step> SegmentRepair::Finish() {
  RETURN_IF_ERROR(Flush());
  // What was filled in and given up may have gone further.
  RETURN_IF_ERROR(copy_->Truncate(scan_.size));
  RETURN_IF_ERROR(copy_->Sync());
  RETURN_IF_ERROR(CheckStillThere());
  return Step::kWhole;
}

// --- What is not ---

absl::StatusOr<std::optional<SegmentRepair::Anchor>> SegmentRepair::NextAnchor(
    uint64_t position) const {
  const absl::StatusOr<std::string> index =
      ReadWholeFile(*files_, segment_->Path(kOffsetIndexSuffix), kIndexBytesMax);
  // Without a usable index the hole reaches to the end.
  if (!index.ok()) return std::nullopt;
  for (size_t at = 0; at + kOffsetIndexEntrySize <= index->size(); at += kOffsetIndexEntrySize) {
    const OffsetIndexEntry entry = LoadOffsetIndexEntry(index->data() + at);
    if (entry.position < 0 || static_cast<uint64_t>(entry.position) <= position) continue;
    const auto named = static_cast<uint64_t>(entry.position);
    BatchCursor cursor(*damaged_, named, damaged_size_, std::nullopt, 16 << 10);
    ASSIGN_OR_RETURN(const BatchCursor::Step step, cursor.Next());
    if (step != BatchCursor::Step::kBatch) continue;
    const record::BatchView& batch = cursor.batch();
    const LeaderEpoch epoch = options_.epochs.EpochAt(batch.base_offset());
    const bool proves_true = batch.last_offset() == segment_->base_offset + entry.relative_offset &&
                             batch.base_offset() > scan_.end_offset &&
                             batch.next_offset() <= options_.end_offset &&
                             (epoch == kNoLeaderEpoch || epoch == batch.leader_epoch());
    if (proves_true) return Anchor{named, batch.base_offset(), batch.leader_epoch()};
  }
  return std::nullopt;
}

absl::StatusOr<SegmentRepair::Step> SegmentRepair::BeginHole(uint64_t position,
                                                             const absl::Status& damage) {
  RETURN_IF_ERROR(Flush());
  damage_ = damage;
  ASSIGN_OR_RETURN(const std::optional<Anchor> anchor, NextAnchor(position));
  hole_to_ = anchor.has_value() ? anchor->offset : options_.end_offset;
  after_hole_ = anchor.has_value() ? anchor->position : damaged_size_;
  hole_bytes_.reset();
  if (anchor.has_value()) hole_bytes_ = anchor->position - position;
  mark_ = {scan_.end_offset, scan_.size, scan_.offset_index.size(), scan_.time_index.size(),
           scan_.builder};
  shortened_ = false;
  if (hole_to_ > options_.log_start) return Step::kHole;
  const LeaderEpoch next =
      anchor.has_value() ? anchor->epoch : options_.epochs.EpochAt(options_.log_start);
  RETURN_IF_ERROR(TakeDeleted(hole_to_, next));
  return EndHole();
}

void SegmentRepair::ReturnToMark() {
  unwritten_.clear();
  scan_.end_offset = mark_.end_offset;
  scan_.size = mark_.size;
  scan_.offset_index.resize(mark_.offset_index_bytes);
  scan_.time_index.resize(mark_.time_index_bytes);
  scan_.builder = mark_.builder;
  shortened_ = false;
}

absl::StatusOr<SegmentRepair::Step> SegmentRepair::Fill(Slice batches) {
  RETURN_IF_ERROR(CheckStillThere());
  const auto refuse = [this](const absl::Status& why) {
    ReturnToMark();
    return DoesNotBelong(absl::StrCat("what was to fill a hole does not fit: ", why.message()));
  };
  while (!batches.empty()) {
    const absl::StatusOr<record::BatchView> batch = record::BatchView::Parse(batches);
    if (!batch.ok()) return refuse(batch.status());
    const Offset base = batch->base_offset();
    if (base > scan_.end_offset && base <= options_.log_start) {
      RETURN_IF_ERROR(TakeDeleted(base, batch->leader_epoch()));
    }
    if (const absl::Status next = CheckNext(*batch); !next.ok()) return refuse(next);
    if (batch->next_offset() > hole_to_) {
      return refuse(DoesNotBelong(absl::StrCat("a batch goes beyond offset ", hole_to_.value())));
    }
    RETURN_IF_ERROR(Take(*batch));
    batches.remove_prefix(batch->size());
  }
  if (scan_.end_offset < hole_to_) return Step::kHole;
  const uint64_t filled = scan_.size - mark_.size;
  if (hole_bytes_.has_value() && filled != *hole_bytes_ && !shortened_) {
    return refuse(DoesNotBelong(absl::StrCat(filled, " bytes for a hole of ", *hole_bytes_)));
  }
  return EndHole();
}

absl::StatusOr<SegmentRepair::Step> SegmentRepair::EndHole() {
  ++filled_ranges_;
  filled_bytes_ += static_cast<int64_t>(scan_.size - mark_.size);
  cursor_.emplace(*damaged_, after_hole_, damaged_size_, hole_to_);
  return Step::kMore;
}

// --- Its place ---

absl::Status SegmentRepair::PutInPlace() {
  // Not there if this is done again for want of room.
  ASSIGN_OR_RETURN(const bool exists, files_->Exists(CopyPath()));
  if (exists) RETURN_IF_ERROR(files_->Rename(CopyPath(), segment_->Path(kLogSuffix)));
  RETURN_IF_ERROR(files_->SyncDirectory(segment_->log->directory));
  return WriteIndexes(*files_, segment_->log->directory, segment_->base_offset, &scan_,
                      /*finished=*/true);
}

}  // namespace millrace::storage
