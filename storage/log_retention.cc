// What a Log gives up at its beginning: prefix deletion, retention by time and size, idle memory.

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/crc32c.h"
#include "storage/log.h"
#include "storage/log_op.h"
#include "storage/segment.h"
#include "storage/staging_port.h"

namespace millrace::storage {

std::vector<std::shared_ptr<const Segment>> Log::TakeSegmentsBelow(Offset start) {
  size_t count = 0;
  while (count + 1 < segments_.size() && segments_[count + 1]->base_offset <= start) ++count;
  const auto end = segments_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<std::shared_ptr<const Segment>> taken(segments_.begin(), end);
  segments_.erase(segments_.begin(), end);
  return taken;
}

void Log::RaiseLogStart(Offset start, absl::AnyInvocable<void(absl::Status) &&> done) {
  CHECK_LE(start, end_) << name_;
  if (!status_.ok()) {
    if (done) std::move(done)(status_);
    return;
  }
  // Even without effect it goes through the FIFO: an earlier one may not be durable yet.
  if (start > log_start_) log_start_ = start;
  LogOp op = MakeOp();
  op.kind = LogOp::Kind::kLogStart;
  op.to = log_start_;
  op.segments = TakeSegmentsBelow(log_start_);
  op.delete_delay_ms = config_.file_delete_delay_ms;
  op.done = [handle = handle_, start = log_start_, generation = generation_,
             done = std::move(done)](absl::Status status) mutable {
    if (status.ok() && handle->log != nullptr) handle->log->OnLogStartDurable(start, generation);
    if (done) std::move(done)(std::move(status));
  };
  port_->Push(std::move(op));
  epochs_.TruncateFromStart(log_start_);
}

void Log::OnLogStartDurable(Offset start, uint64_t generation) {
  if (generation < restarted_ || start <= durable_log_start_) return;
  durable_log_start_ = start;
  if (listener_ != nullptr) listener_->OnAdvanced(written_, durable_);
}

bool Log::IsOld(const Segment& segment, WallTime now) const {
  int64_t age_ms_max = config_.segment_ms;
  const int64_t jitter_ms = std::min(config_.segment_jitter_ms, config_.segment_ms);
  if (jitter_ms > 0) {
    // Drawn from its name: the same at every look, and after a start.
    age_ms_max -= Crc32c(absl::StrCat(name_, "/", segment.base_offset.value())) % jitter_ms;
  }
  return now.ms - segment.created.ms > age_ms_max;
}

bool Log::Expired(const Segment& segment, WallTime now) const {
  if (config_.retention_ms < 0) return false;
  // Records without timestamps are as old as their segment.
  const int64_t newest =
      segment.max_timestamp_ms >= 0 ? segment.max_timestamp_ms : segment.created.ms;
  return now.ms - newest > config_.retention_ms;
}

bool Log::IsActiveDue(WallTime now) const {
  if (segments_.empty()) return false;
  const Segment& active = *segments_.back();
  if (active.end_offset == active.base_offset) return false;
  if (active.created.ms >= 0 && IsOld(active, now)) return true;
  return segments_.size() == 1 && active.end_offset <= high_watermark_ && Expired(active, now);
}

int Log::DeleteClosed(WallTime now) {
  int64_t bytes = size_bytes();
  Offset start = log_start_;
  int count = 0;
  for (size_t i = 0; i + 1 < segments_.size(); ++i) {
    const Segment& segment = *segments_[i];
    if (segment.end_offset > high_watermark_) break;
    const bool too_much =
        config_.retention_bytes >= 0 && bytes - segment.size_bytes >= config_.retention_bytes;
    if (!too_much && !Expired(segment, now)) break;
    bytes -= segment.size_bytes;
    start = segment.end_offset;
    ++count;
  }
  // One that was active when all of it was deleted may have been closed since.
  const bool left_over = segments_.size() > 1 && segments_[1]->base_offset <= log_start_;
  if (count > 0 || left_over) RaiseLogStart(start, nullptr);
  return count;
}

int Log::Housekeep(WallTime now) {
  if (!status_.ok()) return 0;
  for (const auto& segment : segments_) {
    // Recovered, with records that tell no time: it counts from now on, not from 1970.
    if (segment->created.ms < 0 && segment->max_timestamp_ms < 0) segment->created = now;
  }
  // Before the active one is closed: a roll needs room, and where the disk is full this makes some.
  int count = DeleteClosed(now);
  if (IsActiveDue(now)) {
    Roll(now);
    count += DeleteClosed(now);
  }
  producers_.Expire(now, config_.producer_id_expiration_ms);
  // An idle log keeps nothing in memory that the disk has.
  if (!appended_since_housekeeping_ && written_ == end_) ReleaseCache();
  appended_since_housekeeping_ = false;
  return count;
}

}  // namespace millrace::storage
