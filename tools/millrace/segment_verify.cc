#include "tools/millrace/segment_verify.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "record/record_reader.h"
#include "storage/batch_cursor.h"
#include "storage/file_names.h"
#include "storage/index_file.h"

namespace millrace::tools {
namespace {

constexpr uint64_t kIndexBytesMax = uint64_t{1} << 30;

using storage::BatchCursor;

class SegmentVerifier {
 public:
  SegmentVerifier(FileSystem& files, const SegmentToVerify& segment, VerifyReport* report)
      : files_(files),
        segment_(segment),
        report_(report),
        path_(Path(storage::kLogSuffix)),
        end_(segment.base_offset) {}

  absl::StatusOr<Offset> Run() {
    ++report_->segments;
    ASSIGN_OR_RETURN(const std::unique_ptr<File> log, files_.Open(path_, OpenMode::kRead));
    ASSIGN_OR_RETURN(size_, log->Size());
    // The indexes first: their entries are checked as the batches go by.
    LoadOffsetIndex();
    LoadTimeIndex();
    RETURN_IF_ERROR(WalkBatches(*log));
    report_->bytes += size_;
    FinishOffsetIndex();
    FinishTimeIndex();
    return end_;
  }

 private:
  std::string Path(absl::string_view suffix) const {
    return JoinPath(segment_.directory, storage::SegmentFileName(segment_.base_offset, suffix));
  }

  absl::Status WalkBatches(const File& log) {
    uint64_t position = 0;
    std::optional<Offset> expected = segment_.base_offset;
    while (true) {
      BatchCursor cursor(log, position, size_, expected);
      BatchCursor::Step step = BatchCursor::Step::kEnd;
      while (true) {
        ASSIGN_OR_RETURN(step, cursor.Next());
        if (step != BatchCursor::Step::kBatch) break;
        OnBatch(cursor.batch(), cursor.position());
      }
      if (step == BatchCursor::Step::kEnd) return absl::OkStatus();
      position = cursor.position();
      ASSIGN_OR_RETURN(const bool zeros, storage::IsZeroFilled(log, position, size_));
      if (zeros) {
        if (segment_.sealed) AddDamage(position, "zeros follow the last batch");
        return absl::OkStatus();
      }
      ASSIGN_OR_RETURN(const std::optional<uint64_t> next, FindNextBatch(log, position));
      if (!next.has_value()) {
        AddBadEnd(position, cursor.damage());
        return absl::OkStatus();
      }
      AddDamage(position, cursor.damage().message());
      position = *next;
      // What was damaged may have held any number of records.
      expected.reset();
    }
  }

  // Where a valid batch begins behind a damaged one, if the damage has spared its length, or if it
  // is a batch by itself at a wrong offset.
  absl::StatusOr<std::optional<uint64_t>> FindNextBatch(const File& log, uint64_t position) {
    BatchCursor alone(log, position, size_, std::nullopt);
    ASSIGN_OR_RETURN(const BatchCursor::Step step, alone.Next());
    if (step == BatchCursor::Step::kBatch) return position;
    char head[record::kPeekBytes];
    ASSIGN_OR_RETURN(const size_t peeked, log.ReadAt(position, absl::MakeSpan(head)));
    const absl::StatusOr<size_t> size =
        record::PeekBatchSize(Slice(head, peeked), storage::kBatchBytesMax);
    if (!size.ok() || position + *size >= size_) return std::nullopt;
    BatchCursor behind(log, position + *size, size_, std::nullopt);
    ASSIGN_OR_RETURN(const BatchCursor::Step next, behind.Next());
    if (next != BatchCursor::Step::kBatch) return std::nullopt;
    return position + *size;
  }

  void OnBatch(const record::BatchView& batch, uint64_t position) {
    ++report_->batches;
    report_->records += batch.record_count();
    if (report_->progress != nullptr) report_->progress(path_);
    if (segment_.records) {
      const absl::Status readable = record::ForEachRecord(
          batch, {}, [](const record::RecordView&) { return absl::OkStatus(); });
      if (!readable.ok()) {
        report_->Add(ProblemKind::kDamage, {path_, position, batch.base_offset()},
                     std::string(readable.message()));
      }
    }
    CheckOffsetEntry(batch, position);
    CheckTimeEntry(batch);
    max_timestamp_ms_ = std::max(max_timestamp_ms_, batch.max_timestamp_ms());
    end_ = batch.next_offset();
    if (segment_.visit != nullptr) segment_.visit(batch, position);
  }

  void AddDamage(uint64_t position, absl::string_view what) {
    report_->Add(ProblemKind::kDamage, {path_, position, end_}, std::string(what));
  }

  // No valid batch begins at `position` or can be found behind it.
  void AddBadEnd(uint64_t position, const absl::Status& why) {
    if (segment_.sealed || end_ < segment_.synced_to) return AddDamage(position, why.message());
    report_->Add(ProblemKind::kTorn, {path_, position, end_},
                 absl::StrCat(size_ - position,
                              " bytes of an unfinished write: ", std::string(why.message())));
  }

  // An index's bytes; nullopt, and why noted, if there are none to check.
  std::optional<std::string> LoadIndex(absl::string_view suffix, uint64_t entry_bytes) {
    const std::string path = Path(suffix);
    const absl::StatusOr<bool> exists = files_.Exists(path);
    if (exists.ok() && !*exists) {
      if (segment_.sealed) report_->Add(ProblemKind::kHint, {path}, "the file is missing");
      return std::nullopt;
    }
    absl::StatusOr<std::string> bytes = ReadWholeFile(files_, path, kIndexBytesMax);
    if (!bytes.ok()) {
      report_->Add(ProblemKind::kHint, {path}, std::string(bytes.status().message()));
      return std::nullopt;
    }
    report_->bytes += bytes->size();
    if (bytes->size() % entry_bytes != 0) {
      report_->Add(ProblemKind::kHint, {path, bytes->size() / entry_bytes * entry_bytes},
                   absl::StrCat("its size is no multiple of ", entry_bytes));
    }
    return *std::move(bytes);
  }

  void LoadOffsetIndex() {
    const auto bytes = LoadIndex(storage::kOffsetIndexSuffix, storage::kOffsetIndexEntrySize);
    if (!bytes.has_value()) return;
    int64_t previous_offset = -1;
    int64_t previous_position = -1;
    for (uint64_t at = 0; at + storage::kOffsetIndexEntrySize <= bytes->size();
         at += storage::kOffsetIndexEntrySize) {
      const auto entry = storage::LoadOffsetIndexEntry(bytes->data() + at);
      const Offset offset = segment_.base_offset + entry.relative_offset;
      if (entry.relative_offset <= previous_offset || entry.position <= previous_position) {
        report_->Add(ProblemKind::kHint, {Path(storage::kOffsetIndexSuffix), at, offset},
                     "the entry does not rise from the one before");
        continue;
      }
      previous_offset = entry.relative_offset;
      previous_position = entry.position;
      offsets_[static_cast<uint64_t>(entry.position)] = {offset, at};
    }
  }

  void CheckOffsetEntry(const record::BatchView& batch, uint64_t position) {
    const auto entry = offsets_.find(position);
    if (entry != offsets_.end() && entry->second.first == batch.last_offset()) {
      offsets_.erase(entry);
    }
  }

  void FinishOffsetIndex() {
    for (const auto& [position, entry] : offsets_) {
      // Entries of a write that was cut short go with it.
      if (!segment_.sealed && entry.first >= end_) continue;
      report_->Add(ProblemKind::kHint,
                   {Path(storage::kOffsetIndexSuffix), entry.second, entry.first},
                   absl::StrCat("no batch that ends with this offset begins at byte ", position,
                                " of the segment"));
    }
  }

  void LoadTimeIndex() {
    const auto bytes = LoadIndex(storage::kTimeIndexSuffix, storage::kTimeIndexEntrySize);
    if (!bytes.has_value()) return;
    has_time_index_ = true;
    int64_t previous_offset = -1;
    int64_t previous_time = record::kNoTimestamp;
    for (uint64_t at = 0; at + storage::kTimeIndexEntrySize <= bytes->size();
         at += storage::kTimeIndexEntrySize) {
      const auto entry = storage::LoadTimeIndexEntry(bytes->data() + at);
      const Offset offset = segment_.base_offset + entry.relative_offset;
      if (entry.relative_offset <= previous_offset || entry.timestamp_ms <= previous_time) {
        report_->Add(ProblemKind::kHint, {Path(storage::kTimeIndexSuffix), at, offset},
                     "the entry does not rise from the one before");
        continue;
      }
      previous_offset = entry.relative_offset;
      previous_time = entry.timestamp_ms;
      times_[offset] = {entry.timestamp_ms, at};
    }
    last_time_entry_ms_ = previous_time;
  }

  void CheckTimeEntry(const record::BatchView& batch) {
    const auto entry = times_.find(batch.last_offset());
    if (entry == times_.end()) return;
    // It is the latest time up to and including the batch that it names.
    if (entry->second.first == batch.max_timestamp_ms() &&
        batch.max_timestamp_ms() > max_timestamp_ms_) {
      times_.erase(entry);
    }
  }

  void FinishTimeIndex() {
    const std::string path = Path(storage::kTimeIndexSuffix);
    for (const auto& [offset, entry] : times_) {
      if (!segment_.sealed && offset >= end_) continue;
      report_->Add(ProblemKind::kHint, {path, entry.second, offset},
                   absl::StrCat("no batch that ends with this offset has the latest time so far, ",
                                entry.first));
    }
    if (segment_.sealed && has_time_index_ && last_time_entry_ms_ < max_timestamp_ms_) {
      report_->Add(ProblemKind::kHint, {path},
                   absl::StrCat("its last entry should be of the segment's latest time, ",
                                max_timestamp_ms_));
    }
  }

  FileSystem& files_;
  const SegmentToVerify& segment_;
  VerifyReport* const report_;
  const std::string path_;
  uint64_t size_ = 0;
  // After the last valid batch.
  Offset end_;
  int64_t max_timestamp_ms_ = record::kNoTimestamp;
  // Entries not borne out yet: position -> {last offset, place in the index}.
  std::map<uint64_t, std::pair<Offset, uint64_t>> offsets_;
  // Last offset -> {timestamp, place in the index}.
  std::map<Offset, std::pair<int64_t, uint64_t>> times_;
  bool has_time_index_ = false;
  int64_t last_time_entry_ms_ = record::kNoTimestamp;
};

}  // namespace

absl::StatusOr<Offset> VerifySegment(FileSystem& files, const SegmentToVerify& segment,
                                     VerifyReport* report) {
  return SegmentVerifier(files, segment, report).Run();
}

}  // namespace millrace::tools
