#include "tools/millrace/partition_verify.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "storage/checked_text.h"
#include "storage/epoch_checkpoint.h"
#include "storage/file_names.h"
#include "storage/producer_snapshot.h"
#include "tools/millrace/segment_verify.h"

namespace millrace::tools {
namespace {

constexpr uint64_t kSmallFileBytesMax = uint64_t{64} << 20;

// A batch that a producer snapshot remembers.
struct RememberedBatch {
  ProducerId producer;
  storage::ProducerBatch batch;
  std::string snapshot;
};

class PartitionVerifier {
 public:
  PartitionVerifier(FileSystem& files, const std::string& directory, const PartitionFacts& facts,
                    const VerifyOptions& options, VerifyReport* report)
      : files_(files), directory_(directory), facts_(facts), options_(options), report_(report) {}

  absl::Status Run() {
    ++report_->partitions;
    ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files_.ListDirectory(directory_));
    for (const DirectoryEntry& entry : entries) {
      const auto base = storage::ParseSegmentFileName(entry.name, storage::kLogSuffix);
      if (base.has_value()) bases_.push_back(*base);
      const auto snapshot = storage::ParseSegmentFileName(entry.name, storage::kSnapshotSuffix);
      if (snapshot.has_value()) LoadSnapshot(*snapshot);
    }
    CheckPartitionMetadata();
    if (bases_.empty()) {
      if (facts_.replica.has_value() && facts_.replica->has_data) {
        report_->Add(ProblemKind::kDamage, {directory_}, "it held data, and has no segment");
      }
      return absl::OkStatus();
    }
    for (size_t i = 0; i < bases_.size(); ++i) VerifySegmentAt(i);
    CheckEnd();
    CheckEpochCheckpoint();
    CheckSnapshots();
    return absl::OkStatus();
  }

 private:
  std::string In(absl::string_view name) const { return JoinPath(directory_, name); }
  Offset synced_to() const { return facts_.synced_to.value_or(Offset(0)); }

  void VerifySegmentAt(size_t i) {
    const std::string path = In(storage::SegmentFileName(bases_[i], storage::kLogSuffix));
    if (i > 0 && bases_[i] != end_ && !broken_) {
      report_->Add(ProblemKind::kDamage, {path, 0, end_},
                   absl::StrCat("the segment before it ends at offset ", end_.value(),
                                ", and this one begins at ", bases_[i].value()));
    }
    const size_t problems = report_->problems.size();
    const absl::StatusOr<Offset> end =
        VerifySegment(files_,
                      {.directory = directory_,
                       .base_offset = bases_[i],
                       .sealed = i + 1 < bases_.size(),
                       .synced_to = synced_to(),
                       .records = options_.records,
                       .visit = [this](const record::BatchView& batch,
                                       uint64_t position) { OnBatch(batch, position); }},
                      report_);
    report_->AddUnlessOk(end.status(), path);
    end_ = end.ok() ? *end : bases_[i];
    // A batch that cannot be read makes the next segment seem to begin too late: said once.
    broken_ = std::any_of(
        report_->problems.begin() + static_cast<int64_t>(problems), report_->problems.end(),
        [](const Problem& problem) { return problem.kind == ProblemKind::kDamage; });
    any_broken_ = any_broken_ || broken_;
    current_ = i + 1;
  }

  void OnBatch(const record::BatchView& batch, uint64_t position) {
    const Offset base = batch.base_offset();
    const auto place = [&] {
      return Place{In(storage::SegmentFileName(bases_[current_], storage::kLogSuffix)), position,
                   base};
    };
    if (const absl::StatusOr<bool> assigned = epochs_.Assign(batch.leader_epoch(), base);
        !assigned.ok()) {
      report_->Add(ProblemKind::kDamage, place(), std::string(assigned.status().message()));
    }
    if (facts_.vouched_epochs != nullptr && base < facts_.vouched_to) {
      const LeaderEpoch expected = facts_.vouched_epochs->EpochAt(base);
      if (expected != kNoLeaderEpoch && expected != batch.leader_epoch()) {
        report_->Add(ProblemKind::kDamage, place(),
                     absl::StrCat("the batch has leader epoch ", batch.leader_epoch().value(),
                                  ", but was synced with ", expected.value()));
      }
    }
    const auto [begin, end] = remembered_.equal_range(base);
    for (auto it = begin; it != end;) {
      const RememberedBatch& remembered = it->second;
      const bool same = remembered.producer == batch.producer_id() &&
                        remembered.batch.first_sequence == batch.base_sequence() &&
                        remembered.batch.last_offset == batch.last_offset();
      it = same ? remembered_.erase(it) : std::next(it);
    }
  }

  void CheckEnd() {
    const Offset log_start = facts_.replica.has_value() ? facts_.replica->log_start : Offset(0);
    if (facts_.replica.has_value() && bases_.front() > log_start) {
      report_->Add(
          ProblemKind::kDamage,
          {In(storage::SegmentFileName(bases_.front(), storage::kLogSuffix)), 0, bases_.front()},
          absl::StrCat("the log begins at offset ", log_start.value(),
                       ", and this is its first segment"));
    }
    if (end_ < synced_to() && synced_to() > log_start) {
      report_->Add(
          ProblemKind::kDamage,
          {In(storage::SegmentFileName(bases_.back(), storage::kLogSuffix)), std::nullopt, end_},
          absl::StrCat("its batches end here, but were synced up to offset ", synced_to().value()));
    }
    if (facts_.recovery_point.has_value() && *facts_.recovery_point > end_) {
      report_->Add(
          ProblemKind::kHint,
          {In(storage::SegmentFileName(bases_.back(), storage::kLogSuffix)), std::nullopt, end_},
          absl::StrCat("its batches end here, and its recovery point is offset ",
                       facts_.recovery_point->value()));
    }
  }

  // The contents of a small file; nullopt if it is missing, or cannot be read, which is noted.
  std::optional<std::string> ReadSmall(const std::string& path) {
    const absl::StatusOr<bool> exists = files_.Exists(path);
    if (exists.ok() && !*exists) return std::nullopt;
    absl::StatusOr<std::string> contents = ReadWholeFile(files_, path, kSmallFileBytesMax);
    if (!contents.ok()) {
      report_->Add(ProblemKind::kHint, {path}, std::string(contents.status().message()));
      return std::nullopt;
    }
    report_->bytes += contents->size();
    return *std::move(contents);
  }

  void CheckPartitionMetadata() {
    const std::string path = In(storage::kPartitionMetadataFile);
    const auto contents = ReadSmall(path);
    if (!contents.has_value()) return;
    const auto lines = storage::DecodeCheckedText("partition", *contents, path);
    if (!lines.ok()) {
      report_->Add(ProblemKind::kHint, {path}, std::string(lines.status().message()));
      return;
    }
    if (!facts_.replica.has_value()) return;
    const std::string right =
        absl::StrCat("topic_id=", facts_.replica->topic_partition.topic_id.ToString());
    if (lines->empty() || lines->front() != right) {
      report_->Add(ProblemKind::kDamage, {path},
                   absl::StrCat("the directory is another topic's: ",
                                lines->empty() ? "" : lines->front(), " instead of ", right));
    }
  }

  void CheckEpochCheckpoint() {
    const std::string path = In(storage::kEpochCheckpointFile);
    const auto contents = ReadSmall(path);
    if (!contents.has_value()) return;
    const auto checkpoint = storage::DecodeEpochCheckpoint(*contents, path);
    if (!checkpoint.ok()) {
      report_->Add(ProblemKind::kHint, {path}, std::string(checkpoint.status().message()));
      return;
    }
    // Batches that cannot be read leave nothing to compare with.
    if (any_broken_) return;
    if (checkpoint->covers_to > end_) {
      report_->Add(ProblemKind::kHint, {path, std::nullopt, end_},
                   absl::StrCat("it covers batches up to offset ", checkpoint->covers_to.value(),
                                ", and the log ends here"));
      return;
    }
    storage::EpochCache said = checkpoint->epochs;
    storage::EpochCache are = epochs_;
    are.TruncateFromEnd(checkpoint->covers_to);
    if (are.entries().empty() && said.entries().empty()) return;
    // Of what was deleted since, either may know more.
    Offset from = bases_.front();
    if (!said.entries().empty()) from = std::max(from, said.entries().front().start_offset);
    said.TruncateFromStart(from);
    are.TruncateFromStart(from);
    if (said == are) return;
    report_->Add(ProblemKind::kHint, {path},
                 absl::StrCat("it says [", Text(said), "], and the batches [", Text(are), "]"));
  }

  static std::string Text(const storage::EpochCache& epochs) {
    std::string text;
    for (const storage::EpochEntry& entry : epochs.entries()) {
      absl::StrAppend(&text, text.empty() ? "" : ", ", "epoch ", entry.epoch.value(), " from ",
                      entry.start_offset.value());
    }
    return text;
  }

  void LoadSnapshot(Offset offset) {
    const std::string path = In(storage::SegmentFileName(offset, storage::kSnapshotSuffix));
    const auto contents = ReadSmall(path);
    if (!contents.has_value()) return;
    const auto state = storage::DecodeProducerSnapshot(*contents, offset);
    if (!state.ok()) {
      report_->Add(ProblemKind::kHint, {path}, std::string(state.status().message()));
      return;
    }
    snapshots_.push_back(offset);
    for (const auto& [producer, entry] : state->producers()) {
      for (const storage::ProducerBatch& batch : entry.batches) {
        remembered_.emplace(batch.base_offset, RememberedBatch{producer, batch, path});
      }
    }
  }

  // Every batch that a snapshot remembers must be there, unless it was deleted since.
  void CheckSnapshots() {
    for (const Offset offset : snapshots_) {
      if (offset <= end_) continue;
      report_->Add(
          ProblemKind::kHint,
          {In(storage::SegmentFileName(offset, storage::kSnapshotSuffix)), std::nullopt, offset},
          absl::StrCat("the log ends before it, at offset ", end_.value()));
    }
    if (any_broken_) return;
    for (const auto& [base, remembered] : remembered_) {
      if (base < bases_.front() || base >= end_) continue;
      report_->Add(ProblemKind::kHint, {remembered.snapshot, std::nullopt, base},
                   absl::StrCat("the batch that it remembers of producer ",
                                remembered.producer.value(), " is not in the log"));
    }
  }

  FileSystem& files_;
  const std::string& directory_;
  const PartitionFacts& facts_;
  const VerifyOptions& options_;
  VerifyReport* const report_;
  // In order: a listing is sorted by name, and the names have all their digits.
  std::vector<Offset> bases_;
  std::vector<Offset> snapshots_;
  // The segment that is being read.
  size_t current_ = 0;
  Offset end_;
  // Damage was found in the segment before, or in any.
  bool broken_ = false;
  bool any_broken_ = false;
  storage::EpochCache epochs_;
  std::multimap<Offset, RememberedBatch> remembered_;
};

}  // namespace

bool HoldsSegments(const std::vector<DirectoryEntry>& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const DirectoryEntry& entry) {
    return storage::ParseSegmentFileName(entry.name, storage::kLogSuffix).has_value();
  });
}

void VerifyPartition(FileSystem& files, const std::string& directory, const PartitionFacts& facts,
                     const VerifyOptions& options, VerifyReport* report) {
  report->AddUnlessOk(PartitionVerifier(files, directory, facts, options, report).Run(), directory);
}

}  // namespace millrace::tools
