#include "broker/testing/fake_replica_log.h"

#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "record/batch_stamp.h"
#include "record/batch_view.h"

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

absl::StatusOr<storage::StagedRange> FakeReplicaLog::StageAsLeader(Buffer batches,
                                                                   LeaderEpoch epoch,
                                                                   WallTime now) {
  RETURN_IF_ERROR(status_);
  RETURN_IF_ERROR(stage_error_);
  storage::StagedRange range{end_, end_, batches.size()};
  char* at = batches.data();
  size_t left = batches.size();
  while (left > 0) {
    record::StampBaseOffset(at, end_);
    record::StampLeaderEpoch(at, epoch);
    const auto batch = record::BatchView::Parse(Slice(at, left));
    CHECK_OK(batch);
    producers_.Apply(*batch, now);
    batches_.push_back(Bytes::Copy(batch->bytes()));
    end_ = batch->next_offset();
    at += batch->size();
    left -= batch->size();
  }
  epoch_ = epoch;
  range.end_offset = end_;
  if (executor_ != nullptr && auto_advance_) {
    executor_->Post([self = self_] {
      if (*self == nullptr || !(*self)->status_.ok()) return;
      (*self)->Sync();
      (*self)->Tell();
    });
  }
  return range;
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
  LogRead read;
  if (cold_) {
    read.cold = [result = ReadNow(from, limits)]() mutable -> absl::StatusOr<storage::ReadResult> {
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

void FakeReplicaLog::RaiseLogStart(Offset start, absl::AnyInvocable<void(absl::Status) &&> done) {
  CHECK_LE(start, high_watermark_);
  if (start > start_) start_ = start;
  if (executor_ == nullptr) return std::move(done)(absl::OkStatus());
  executor_->Post([done = std::move(done)]() mutable { std::move(done)(absl::OkStatus()); });
}

void FakeReplicaLog::Close(absl::AnyInvocable<void(absl::Status) &&> done) {
  closed_ = true;
  if (executor_ == nullptr) return std::move(done)(absl::OkStatus());
  executor_->Post([done = std::move(done)]() mutable { std::move(done)(absl::OkStatus()); });
}

}  // namespace millrace::broker
