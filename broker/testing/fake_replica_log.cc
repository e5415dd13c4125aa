#include "broker/testing/fake_replica_log.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "record/batch_stamp.h"
#include "record/batch_view.h"
#include "storage/segment_repair.h"

namespace millrace::broker {

Bytes MakeBatch(int count, size_t value_bytes, int64_t timestamp_ms,
                const record::BatchBuilder::Options& options) {
  record::BatchBuilder builder(options);
  for (int i = 0; i < count; ++i) {
    builder.Add(timestamp_ms, absl::nullopt, std::string(value_bytes, 'v'));
  }
  return builder.Build();
}

int64_t FakeReplicaLog::size_bytes() const {
  int64_t bytes = 0;
  for (const Bytes& batch : batches_) bytes += static_cast<int64_t>(batch.size());
  return bytes;
}

std::unique_ptr<FakeReplicaLog> FakeReplicaLog::CrashImage(Offset kept) const {
  return before_ != nullptr && kept <= durable_ ? before_->CrashImage() : ImageOf(kept);
}

std::unique_ptr<FakeReplicaLog> FakeReplicaLog::ImageOf(Offset kept) const {
  const Offset start = before_ != nullptr ? std::max(durable_start_, begun_at_) : durable_start_;
  auto image = std::make_unique<FakeReplicaLog>(executor_);
  image->config_ = config_;
  image->start_ = image->durable_start_ = image->end_ = image->high_watermark_ = start;
  if (!batches_.empty()) {
    const auto first = record::BatchView::ParseWithVerifiedCrc(batches_.front());
    CHECK_OK(first);
    image->end_ = first->base_offset();
  }
  for (const Bytes& bytes : batches_) {
    const auto batch = record::BatchView::ParseWithVerifiedCrc(bytes);
    CHECK_OK(batch);
    if (batch->next_offset() > durable_ && batch->base_offset() >= kept) break;
    image->Keep(*batch, WallTime());
  }
  image->epochs_.TruncateFromStart(start);
  if (image->end_ < start) image->BeginAt(start);
  image->written_ = image->durable_ = image->end_;
  return image;
}

void FakeReplicaLog::Keep(const record::BatchView& batch, WallTime now) {
  CHECK_EQ(batch.base_offset(), end_);
  CHECK_OK(epochs_.Assign(batch.leader_epoch(), batch.base_offset()).status());
  producers_.Apply(batch, now);
  batches_.push_back(Bytes::Copy(batch.bytes()));
  end_ = batch.next_offset();
}

void FakeReplicaLog::AdvanceSoon() {
  if (executor_ == nullptr || !auto_advance_) return;
  executor_->Post([self = self_] {
    if (*self == nullptr || !(*self)->status_.ok()) return;
    (*self)->Sync();
    (*self)->Tell();
  });
}

absl::StatusOr<storage::StagedRange> FakeReplicaLog::StageAsLeader(Buffer batches,
                                                                   LeaderEpoch epoch,
                                                                   WallTime now) {
  RETURN_IF_ERROR(status_);
  RETURN_IF_ERROR(stage_error_);
  if (epoch < epochs_.latest()) {
    return MakeError(ErrorCode::kFencedLeaderEpoch, "the log has batches of a later epoch");
  }
  storage::StagedRange range{end_, end_, batches.size()};
  char* at = batches.data();
  size_t left = batches.size();
  while (left > 0) {
    record::StampBaseOffset(at, end_);
    record::StampLeaderEpoch(at, epoch);
    const auto batch = record::BatchView::Parse(Slice(at, left));
    CHECK_OK(batch);
    Keep(*batch, now);
    at += batch->size();
    left -= batch->size();
  }
  range.end_offset = end_;
  AdvanceSoon();
  return range;
}

absl::StatusOr<storage::StagedRange> FakeReplicaLog::StageAsFollower(Bytes batches, WallTime now) {
  RETURN_IF_ERROR(status_);
  RETURN_IF_ERROR(stage_error_);
  storage::StagedRange range{end_, end_, batches.size()};
  LeaderEpoch epoch = epochs_.latest();
  for (Slice rest = batches; !rest.empty();) {
    ASSIGN_OR_RETURN(const record::BatchView batch, record::BatchView::Parse(rest));
    if (batch.base_offset() != range.end_offset) {
      return MakeError(ErrorCode::kOffsetOutOfRange, "the batches do not abut the log");
    }
    if (batch.leader_epoch() < epoch) {
      return MakeError(ErrorCode::kCorruptLog, "the leader epoch falls");
    }
    epoch = batch.leader_epoch();
    range.end_offset = batch.next_offset();
    rest.remove_prefix(batch.size());
  }
  for (Slice rest = batches; !rest.empty();) {
    const auto batch = record::BatchView::ParseWithVerifiedCrc(rest);
    CHECK_OK(batch);
    Keep(*batch, now);
    rest.remove_prefix(batch->size());
  }
  AdvanceSoon();
  return range;
}

void FakeReplicaLog::TruncateTo(Offset to, Offset high_watermark) {
  CHECK_GE(to, high_watermark) << "committed batches would be cut";
  TruncateBelowHighWatermark(to);
}

void FakeReplicaLog::TruncateBelowHighWatermark(Offset to) {
  if (to >= end_) return;
  CHECK_GE(to, start_);
  while (!batches_.empty()) {
    const auto batch = record::BatchView::ParseWithVerifiedCrc(batches_.back());
    CHECK_OK(batch);
    if (batch->next_offset() <= to) break;
    CHECK_GE(batch->base_offset(), to) << "not a batch boundary";
    batches_.pop_back();
  }
  end_ = to;
  written_ = std::min(written_, to);
  durable_ = std::min(durable_, to);
  high_watermark_ = std::min(high_watermark_, to);
  epochs_.TruncateFromEnd(to);
  producers_.Clear();
  for (const Bytes& bytes : batches_) {
    const auto batch = record::BatchView::ParseWithVerifiedCrc(bytes);
    CHECK_OK(batch);
    producers_.Apply(*batch, WallTime());
  }
}

void FakeReplicaLog::ResetTo(Offset start) {
  if (start == start_ && start == end_ && epochs_.entries().empty()) return;
  if (before_ == nullptr) before_ = CrashImage();
  const Offset durable = std::min(durable_, start);
  const Offset durable_start = std::min(durable_start_, start);
  BeginAt(start);
  durable_ = durable;
  durable_start_ = durable_start;
  AdvanceSoon();
}

void FakeReplicaLog::BeginAt(Offset start) {
  start_ = durable_start_ = end_ = written_ = durable_ = high_watermark_ = begun_at_ = start;
  batches_.clear();
  epochs_.Clear();
  producers_.Clear();
}

storage::ReadResult FakeReplicaLog::ReadNow(Offset from, const storage::ReadLimits& limits) const {
  storage::ReadResult result;
  result.next_offset = from;
  for (const Bytes& bytes : batches_) {
    const auto batch = record::BatchView::ParseWithVerifiedCrc(bytes);
    CHECK_OK(batch);
    if (batch->next_offset() <= from) continue;
    if (batch->next_offset() > limits.up_to) break;
    const bool first = result.pieces.empty() && limits.at_least_one;
    if (!first && result.bytes + bytes.size() > limits.bytes_max) break;
    result.pieces.push_back(bytes);
    result.bytes += bytes.size();
    result.next_offset = batch->next_offset();
  }
  return result;
}

absl::StatusOr<LogRead> FakeReplicaLog::Read(Offset from, const storage::ReadLimits& limits) {
  RETURN_IF_ERROR(status_);
  RETURN_IF_ERROR(read_error_);
  if (from < start_ || from > end_) {
    return MakeError(ErrorCode::kOffsetOutOfRange, "not in the log");
  }
  LogRead read;
  read.cold_reads = cold_reads_;
  if (cold_) {
    read.cold = [error = cold_error_,
                 result = ReadNow(from, limits)]() mutable -> absl::StatusOr<storage::ReadResult> {
      RETURN_IF_ERROR(error);
      return std::move(result);
    };
  } else {
    read.result = ReadNow(from, limits);
  }
  return read;
}

absl::StatusOr<TimeLookup> FakeReplicaLog::OffsetForTimestamp(int64_t timestamp_ms, Offset up_to) {
  std::optional<storage::TimestampAndOffset> found;
  for (const Bytes& bytes : batches_) {
    const auto batch = record::BatchView::ParseWithVerifiedCrc(bytes);
    if (batch->next_offset() > up_to || batch->max_timestamp_ms() < timestamp_ms) continue;
    found = {batch->max_timestamp_ms(), batch->base_offset(), batch->leader_epoch()};
    break;
  }
  return TimeLookup([found] { return found; });
}

absl::StatusOr<TimeLookup> FakeReplicaLog::OffsetOfMaxTimestamp(Offset up_to) {
  std::optional<storage::TimestampAndOffset> found;
  for (const Bytes& bytes : batches_) {
    const auto batch = record::BatchView::ParseWithVerifiedCrc(bytes);
    if (batch->next_offset() > up_to) break;
    if (found && found->timestamp_ms >= batch->max_timestamp_ms()) continue;
    found = {batch->max_timestamp_ms(), batch->base_offset(), batch->leader_epoch()};
  }
  return TimeLookup([found] { return found; });
}

void FakeReplicaLog::FinishRepair(std::shared_ptr<storage::SegmentRepair> repair,
                                  absl::AnyInvocable<void(absl::Status) &&> done) {
  std::move(done)(repair->PutInPlace());
}

void FakeReplicaLog::RaiseLogStart(Offset start, absl::AnyInvocable<void(absl::Status) &&> done) {
  CHECK_LE(start, high_watermark_);
  if (start > start_) start_ = start;
  epochs_.TruncateFromStart(start_);
  if (executor_ == nullptr) return done ? std::move(done)(absl::OkStatus()) : void();
  executor_->Post([self = self_, done = std::move(done)]() mutable {
    if (*self != nullptr && (*self)->status_.ok()) {
      if ((*self)->before_ == nullptr) (*self)->durable_start_ = (*self)->start_;
      (*self)->Tell();
    }
    if (done) std::move(done)(absl::OkStatus());
  });
}

void FakeReplicaLog::Close(absl::AnyInvocable<void(absl::Status) &&> done) {
  closed_ = true;
  if (executor_ == nullptr) return std::move(done)(absl::OkStatus());
  executor_->Post([done = std::move(done)]() mutable { std::move(done)(absl::OkStatus()); });
}

}  // namespace millrace::broker
