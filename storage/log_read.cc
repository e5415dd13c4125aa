// Reading a Log: from its tail cache, or as a plan for the cold-read pool.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "storage/log.h"
#include "storage/read_plan.h"
#include "storage/segment.h"
#include "storage/segment_reader.h"

namespace millrace::storage {
namespace {

absl::Status WasTruncated(const std::string& name) {
  return MakeError(ErrorCode::kOffsetNotAvailable,
                   absl::StrCat("the log of ", name, " was truncated during the read: ask again"),
                   {.name = name});
}

}  // namespace

std::optional<ReadResult> Log::ReadFromCache(Offset from, const ReadLimits& limits) const {
  const auto begin = cache_.begin() + static_cast<std::ptrdiff_t>(cache_first_);
  if (begin == cache_.end() || from < begin->base_offset) return std::nullopt;
  auto at =
      std::prev(std::upper_bound(begin, cache_.end(), from, [](Offset o, const CachedBatch& batch) {
        return o < batch.base_offset;
      }));
  ReadResult result;
  result.next_offset = from;
  for (; at != cache_.end() && at->end_offset <= limits.up_to; ++at) {
    const bool too_much = result.bytes + at->bytes.size() > limits.bytes_max;
    if (too_much && (!result.pieces.empty() || !limits.at_least_one)) break;
    result.pieces.push_back(at->bytes);
    result.bytes += at->bytes.size();
    result.next_offset = at->end_offset;
    if (too_much) break;
  }
  return result;
}

absl::StatusOr<ReadPlan> Log::Read(Offset from, const ReadLimits& limits) {
  RETURN_IF_ERROR(status_);
  const Offset first =
      limits.deleted_too && !segments_.empty() ? segments_.front()->base_offset : log_start_;
  if (from < first || from > end_) {
    return MakeError(
        ErrorCode::kOffsetOutOfRange,
        absl::StrCat("offset ", from.value(), " of ", name_, " is not within the log, which has ",
                     log_start_.value(), " to ", end_.value()),
        {.name = "offset", .value = absl::StrCat(from.value())});
  }
  ReadPlan plan;
  plan.limits_ = limits;
  plan.limits_.up_to = std::min(limits.up_to, end_);
  plan.result_.next_offset = from;
  if (from >= plan.limits_.up_to) return plan;
  if (!limits.from_files || from >= written_) {
    if (std::optional<ReadResult> cached = ReadFromCache(from, plan.limits_)) {
      plan.result_ = *std::move(cached);
      return plan;
    }
  }
  // What is not in the cache was written.
  const auto after = std::upper_bound(
      segments_.begin(), segments_.end(), from,
      [](Offset o, const std::shared_ptr<Segment>& segment) { return o < segment->base_offset; });
  CHECK(after != segments_.begin()) << name_ << " has no segment of offset " << from;
  plan.segment_ = *std::prev(after);
  plan.limits_.up_to = std::min({plan.limits_.up_to, written_, plan.segment_->end_offset});
  plan.files_ = files_;
  plan.from_ = from;
  plan.epochs_ = epochs_.Covering(from, plan.limits_.up_to);
  plan.truncations_ = identity_->truncations.load(std::memory_order_acquire);
  return plan;
}

ReadResult ReadPlan::TakeResult() {
  CHECK(ready()) << "this read needs the disk: Execute it";
  return std::move(result_);
}

absl::StatusOr<ReadResult> ReadPlan::Execute() {
  if (ready()) return TakeResult();
  const SegmentRange range{from_, limits_, epochs_};
  absl::StatusOr<ReadResult> result = ReadSegment(*files_, *segment_, range);
  // What was read may be of before or after, and damage may be a batch half replaced.
  if (segment_->log->truncations.load(std::memory_order_acquire) != truncations_) {
    return WasTruncated(segment_->log->name);
  }
  return result;
}

absl::StatusOr<TimestampPlan> Log::OffsetForTimestamp(int64_t timestamp_ms, Offset up_to) {
  RETURN_IF_ERROR(status_);
  TimestampPlan plan;
  plan.files_ = files_;
  plan.timestamp_ms_ = timestamp_ms;
  plan.from_ = log_start_;
  plan.up_to_ = std::min(up_to, written_);
  for (const auto& segment : segments_) {
    if (segment->max_timestamp_ms >= timestamp_ms && segment->base_offset < plan.up_to_) {
      plan.candidates_.push_back({segment, segment->max_timestamp_ms});
    }
  }
  plan.epochs_ = epochs_.entries();
  plan.truncations_ = identity_->truncations.load(std::memory_order_acquire);
  return plan;
}

absl::StatusOr<TimestampPlan> Log::OffsetOfMaxTimestamp(Offset up_to) {
  ASSIGN_OR_RETURN(TimestampPlan plan, OffsetForTimestamp(0, up_to));
  plan.latest_ = true;
  // Of equal ones the older first, which is the one to find.
  std::stable_sort(plan.candidates_.begin(), plan.candidates_.end(),
                   [](const TimestampPlan::Candidate& a, const TimestampPlan::Candidate& b) {
                     return a.max_timestamp_ms > b.max_timestamp_ms;
                   });
  return plan;
}

absl::StatusOr<std::optional<TimestampAndOffset>> TimestampPlan::Find() const {
  std::optional<TimestampAndOffset> best;
  for (const Candidate& candidate : candidates_) {
    if (!latest_) {
      ASSIGN_OR_RETURN(best,
                       FindTimestamp(*files_, *candidate.segment, timestamp_ms_, from_, up_to_));
      if (best.has_value()) break;
      continue;
    }
    if (best.has_value() && best->timestamp_ms >= candidate.max_timestamp_ms) break;
    ASSIGN_OR_RETURN(const std::optional<TimestampAndOffset> found,
                     FindLatestTimestamp(*files_, *candidate.segment, from_, up_to_));
    if (found.has_value() && (!best.has_value() || found->timestamp_ms > best->timestamp_ms)) {
      best = found;
    }
  }
  return best;
}

bool TimestampPlan::Truncated() const {
  return !candidates_.empty() &&
         candidates_[0].segment->log->truncations.load(std::memory_order_acquire) != truncations_;
}

absl::StatusOr<std::optional<TimestampAndOffset>> TimestampPlan::Execute() {
  const absl::StatusOr<std::optional<TimestampAndOffset>> found = Find();
  if (Truncated()) return WasTruncated(candidates_[0].segment->log->name);
  if (!found.ok() || !found->has_value()) return found;
  // No checksum covers a batch's leader epoch (S-24).
  LeaderEpoch expected = kNoLeaderEpoch;
  for (const EpochEntry& entry : epochs_) {
    if (entry.start_offset <= (*found)->offset) expected = entry.epoch;
  }
  if (expected != kNoLeaderEpoch && expected != (*found)->leader_epoch) {
    return MakeError(
        ErrorCode::kCorruptLog,
        absl::StrCat("the batch at offset ", (*found)->offset.value(), " of ",
                     candidates_[0].segment->log->name, " has leader epoch ",
                     (*found)->leader_epoch.value(), " instead of ", expected.value()));
  }
  return found;
}

}  // namespace millrace::storage
