#include "storage/log.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"
#include "record/batch_stamp.h"
#include "record/batch_view.h"
#include "storage/disk_log.h"
#include "storage/epoch_checkpoint.h"
#include "storage/index_file.h"
#include "storage/log_op.h"
#include "storage/log_recovery.h"
#include "storage/producer_snapshot.h"
#include "storage/segment.h"
#include "storage/staging_port.h"

namespace millrace::storage {
namespace {

// Positions in a segment, and offsets relative to its base, are int32 in the indexes.
constexpr int64_t kRelativeMax = std::numeric_limits<int32_t>::max();

absl::Status EpochFell(LeaderEpoch epoch, LeaderEpoch after, ErrorCode code) {
  return MakeError(code,
                   absl::StrCat("a batch of leader epoch ", epoch.value(),
                                " cannot follow one of epoch ", after.value()),
                   {.name = "leader_epoch", .value = absl::StrCat(epoch.value())});
}

}  // namespace

void Deliver(LogProgress& progress) {
  if (progress.handle->log != nullptr) progress.handle->log->OnProgress(progress);
}

Log::Log(RecoveredLog recovered, std::shared_ptr<StagingPort> port, FileSystem* files,
         const LogConfig& config)
    : topic_partition_(recovered.topic_partition),
      name_(std::move(recovered.name)),
      config_(config),
      files_(files),
      disk_(std::move(recovered.disk)),
      identity_(disk_->identity()),
      port_(std::move(port)),
      handle_(disk_->handle),
      log_start_(recovered.log_start),
      durable_log_start_(recovered.log_start),
      durable_(recovered.end),
      written_(recovered.end),
      end_(recovered.end),
      high_watermark_(recovered.log_start),
      epochs_(std::move(recovered.epochs)),
      producers_(std::move(recovered.producers)) {
  for (const RecoveredSegment& found : recovered.segments) {
    auto segment = std::make_shared<Segment>(identity_, found.base_offset);
    segment->end_offset = found.end_offset;
    segment->size_bytes = found.size_bytes;
    segment->max_timestamp_ms = found.max_timestamp_ms;
    segment->created = WallTime{found.first_timestamp_ms};
    segments_.push_back(std::move(segment));
  }
  handle_->log = this;
}

Log::~Log() { handle_->log = nullptr; }

int64_t Log::size_bytes() const {
  int64_t bytes = 0;
  for (const auto& segment : segments_) bytes += segment->size_bytes;
  return bytes;
}

absl::Status Log::Admit(size_t bytes) const {
  RETURN_IF_ERROR(status_);
  if (static_cast<int64_t>(bytes) > kRelativeMax) {
    return MakeError(
        ErrorCode::kMessageTooLarge,
        absl::StrCat(bytes, " bytes at once, and at most ", kRelativeMax, " fit a segment"),
        {.name = "batches", .value = absl::StrCat(bytes)});
  }
  return port_->Admit(bytes);
}

LogOp Log::MakeOp() const {
  LogOp op;
  op.log = disk_;
  op.generation = generation_;
  op.index_interval_bytes = config_.index_interval_bytes;
  return op;
}

absl::StatusOr<StagedRange> Log::StageAsLeader(Buffer batches, LeaderEpoch leader_epoch,
                                               WallTime now) {
  RETURN_IF_ERROR(Admit(batches.size()));
  if (leader_epoch < epochs_.latest()) {
    return EpochFell(leader_epoch, epochs_.latest(), ErrorCode::kFencedLeaderEpoch);
  }
  Offset next = end_;
  for (size_t at = 0; at < batches.size();) {
    char* const data = batches.data() + at;
    ASSIGN_OR_RETURN(const record::BatchView batch,
                     record::BatchView::ParseWithVerifiedCrc(Slice(data, batches.size() - at)));
    record::StampBaseOffset(data, next);
    record::StampLeaderEpoch(data, leader_epoch);
    next = batch.next_offset();
    at += batch.size();
  }
  if (next == end_) {
    return MakeError(ErrorCode::kCorruptMessage, "there is no batch to append");
  }
  if (next - end_ > kRelativeMax) {
    return MakeError(ErrorCode::kMessageTooLarge,
                     absl::StrCat(next - end_, " offsets at once do not fit a segment"));
  }
  Reservation reservation = batches.TakeReservation();
  return Append(std::move(batches).Freeze(), std::move(reservation), next, now);
}

absl::StatusOr<StagedRange> Log::StageAsFollower(Bytes batches, WallTime now) {
  RETURN_IF_ERROR(Admit(batches.size()));
  Offset next = end_;
  LeaderEpoch epoch = epochs_.latest();
  for (Slice rest = batches; !rest.empty();) {
    ASSIGN_OR_RETURN(const record::BatchView batch, record::BatchView::ParseWithVerifiedCrc(rest));
    if (batch.base_offset() != next) {
      return MakeError(ErrorCode::kOffsetOutOfRange,
                       absl::StrCat("a batch begins with offset ", batch.base_offset().value(),
                                    ", but the log of ", name_, " ends at ", next.value()),
                       {.name = "base_offset", .value = absl::StrCat(batch.base_offset().value())});
    }
    if (batch.leader_epoch() < epoch) {
      return EpochFell(batch.leader_epoch(), epoch, ErrorCode::kCorruptLog);
    }
    epoch = batch.leader_epoch();
    next = batch.next_offset();
    rest.remove_prefix(batch.size());
  }
  if (next == end_) {
    return MakeError(ErrorCode::kCorruptMessage, "there is no batch to append");
  }
  if (next - end_ > kRelativeMax) {
    return MakeError(ErrorCode::kMessageTooLarge,
                     absl::StrCat(next - end_, " offsets at once do not fit a segment"));
  }
  return Append(std::move(batches), {}, next, now);
}

void Log::PrepareSegment(Offset base, Offset end, size_t bytes, WallTime now) {
  if (segments_.empty()) {
    segments_.push_back(std::make_shared<Segment>(identity_, base));
  } else if (segments_.back()->end_offset > segments_.back()->base_offset) {
    Segment& active = *segments_.back();
    // Recovered, with records that tell no time.
    if (active.created.ms < 0) active.created = now;
    const int64_t bytes_max = std::min(config_.segment_bytes, kRelativeMax);
    // At most one entry per interval and batch; the time index has the larger entries.
    const int64_t index_bytes =
        static_cast<int64_t>(kTimeIndexEntrySize) *
        (active.size_bytes / std::max<int64_t>(config_.index_interval_bytes, 64) + 2);
    const bool full = active.size_bytes + static_cast<int64_t>(bytes) > bytes_max ||
                      end - active.base_offset > kRelativeMax ||
                      index_bytes > config_.segment_index_bytes;
    if (full || IsOld(active, now)) Roll(now);
  }
  if (segments_.back()->end_offset == segments_.back()->base_offset) {
    segments_.back()->created = now;
  }
}

void Log::Roll(WallTime now) {
  LogOp op = MakeOp();
  op.kind = LogOp::Kind::kRoll;
  op.to = end_;
  op.epochs = EncodeEpochCheckpoint(epochs_, end_);
  op.snapshot = EncodeProducers();
  port_->Push(std::move(op));
  segments_.push_back(std::make_shared<Segment>(identity_, end_));
  segments_.back()->created = now;
}

StagedRange Log::Append(Bytes batches, Reservation reservation, Offset end, WallTime now) {
  const StagedRange range{end_, end, batches.size()};
  PrepareSegment(end_, end, batches.size(), now);
  Segment& segment = *segments_.back();
  int64_t max_timestamp_ms = record::kNoTimestamp;
  for (Slice rest = batches; !rest.empty();) {
    const absl::StatusOr<record::BatchView> batch = record::BatchView::ParseWithVerifiedCrc(rest);
    CHECK_OK(batch.status());
    CHECK_OK(epochs_.Assign(batch->leader_epoch(), batch->base_offset()).status());
    producers_.Apply(*batch, now);
    max_timestamp_ms = std::max(max_timestamp_ms, batch->max_timestamp_ms());
    cache_.push_back({batch->base_offset(), batch->next_offset(),
                      batches.Sub(batches.size() - rest.size(), batch->size())});
    rest.remove_prefix(batch->size());
  }
  cache_bytes_ += static_cast<int64_t>(batches.size());
  segment.end_offset = end_ = end;
  segment.size_bytes += static_cast<int64_t>(batches.size());
  segment.max_timestamp_ms = std::max(segment.max_timestamp_ms, max_timestamp_ms);
  if (!cuts_.empty() && cuts_.back().segment == segments_.back()) {
    cuts_.back().bytes_since += static_cast<int64_t>(batches.size());
    cuts_.back().max_timestamp_since_ms =
        std::max(cuts_.back().max_timestamp_since_ms, max_timestamp_ms);
  }
  appended_since_housekeeping_ = true;
  records_unsynced_ += range.end_offset - range.base_offset;
  LogOp op = MakeOp();
  op.kind = LogOp::Kind::kAppend;
  op.batches = std::move(batches);
  op.reservation = std::move(reservation);
  op.segment_base = segment.base_offset;
  op.end = end;
  op.sync =
      config_.durability == Durability::kDurable || records_unsynced_ >= config_.flush_messages;
  if (op.sync) records_unsynced_ = 0;
  op.flush_ms = config_.flush_ms;
  op.preallocate_bytes_min = config_.preallocate_bytes_min;
  op.preallocate_bytes_max = config_.preallocate_bytes_max;
  port_->Push(std::move(op));
  TrimCache(config_.tail_cache_bytes_max);
  return range;
}

void Log::SetConfig(const LogConfig& config) {
  const bool raised =
      config.durability == Durability::kDurable && config_.durability != Durability::kDurable;
  config_ = config;
  // Not with the next batch: there may be none.
  if (raised && durable_ < end_) PushCheckpoint();
}

void Log::SetHighWatermark(Offset high_watermark) {
  high_watermark_ = high_watermark;
  producers_.Committed(high_watermark);
}

void Log::TruncateTo(Offset to, Offset high_watermark) {
  CHECK_GE(to, high_watermark) << name_ << ": committed batches would be cut";
  Truncate(to);
}

void Log::TruncateBelowHighWatermark(Offset to) {
  high_watermark_ = std::min(high_watermark_, to);
  Truncate(to);
}

void Log::Truncate(Offset to) {
  if (to >= end_) return;
  CHECK_GE(to, log_start_) << name_ << ": deleted batches cannot be cut";
  ++generation_;
  identity_->truncations.fetch_add(1, std::memory_order_acq_rel);
  end_ = to;
  written_ = std::min(written_, to);
  durable_ = std::min(durable_, to);
  DropCacheFrom(to);
  epochs_.TruncateFromEnd(to);
  // What is rebuilt for a cut before this one is dropped: it may know what is cut now.
  rebuild_owed_ |= producers_.TruncateFromEnd(to);
  while (segments_.size() > 1 && segments_.back()->base_offset > to) segments_.pop_back();
  segments_.back()->end_offset = to;
  cuts_.push_back({generation_, to, segments_.back()});
  LogOp op = MakeOp();
  op.kind = LogOp::Kind::kTruncate;
  op.to = to;
  op.segment_base = segments_.back()->base_offset;
  op.epochs = EncodeEpochCheckpoint(epochs_, to);
  op.rebuild_producers = rebuild_owed_;
  port_->Push(std::move(op));
}

void Log::ResetTo(Offset start) {
  if (start <= end_) {
    // One whose records are all deleted still knows the epoch of the last of them.
    if (start == log_start_ && start == end_ && epochs_.entries().empty()) return;
    // A crash within a restart is known by a log that ends below its start. So a log that shall
    // begin at or before its end is emptied first, beyond all offsets; a crash in between leaves a
    // start that tells recovery where the log was to begin.
    RestartAt(Offset(kResetMark.value() + start.value()));
  }
  RestartAt(start);
}

void Log::RestartAt(Offset start) {
  restarted_ = ++generation_;
  identity_->truncations.fetch_add(1, std::memory_order_acq_rel);
  log_start_ = end_ = written_ = high_watermark_ = start;
  // The disk has done nothing yet: what it has comes back if the power goes (S-06, S-13).
  durable_ = std::min(durable_, start);
  durable_log_start_ = std::min(durable_log_start_, start);
  ReleaseCache();
  epochs_.Clear();
  producers_.Clear();
  rebuild_owed_ = false;
  segments_.clear();
  cuts_.push_back({generation_, start, nullptr});
  LogOp op = MakeOp();
  op.kind = LogOp::Kind::kRestart;
  op.to = start;
  op.epochs = EncodeEpochCheckpoint(epochs_, start);
  port_->Push(std::move(op));
}

void Log::Close(absl::AnyInvocable<void(absl::Status) &&> done) {
  LogOp op = MakeOp();
  op.kind = LogOp::Kind::kClose;
  op.to = end_;
  op.epochs = EncodeEpochCheckpoint(epochs_, end_);
  op.snapshot = EncodeProducers();
  op.done = std::move(done);
  port_->Push(std::move(op));
  status_ = MakeError(ErrorCode::kShuttingDown, absl::StrCat("the log of ", name_, " is closed"));
}

std::string Log::EncodeProducers() const {
  return rebuild_owed_ ? std::string() : EncodeProducerSnapshot(producers_, end_);
}

void Log::PushCheckpoint() {
  if (!status_.ok()) return;
  LogOp op = MakeOp();
  op.kind = LogOp::Kind::kCheckpoint;
  op.to = end_;
  op.epochs = EncodeEpochCheckpoint(epochs_, end_);
  op.snapshot = EncodeProducers();
  port_->Push(std::move(op));
}

void Log::DropCacheFrom(Offset end) {
  while (cache_.size() > cache_first_ && cache_.back().base_offset >= end) {
    cache_bytes_ -= static_cast<int64_t>(cache_.back().bytes.size());
    cache_.pop_back();
  }
}

void Log::TrimCache(int64_t bytes_max) {
  while (cache_first_ < cache_.size() && cache_bytes_ > bytes_max &&
         cache_[cache_first_].end_offset <= written_) {
    cache_bytes_ -= static_cast<int64_t>(cache_[cache_first_].bytes.size());
    cache_[cache_first_].bytes = Bytes();
    ++cache_first_;
  }
  // In strides, so that the cost per batch stays constant.
  if (cache_first_ > 16 && cache_first_ * 2 > cache_.size()) {
    cache_.erase(cache_.begin(), cache_.begin() + static_cast<std::ptrdiff_t>(cache_first_));
    cache_first_ = 0;
  }
}

void Log::ReleaseCache() {
  std::vector<CachedBatch>().swap(cache_);
  cache_first_ = 0;
  cache_bytes_ = 0;
}

void Log::OnProgress(LogProgress& progress) {
  if (!progress.failure.ok()) {
    if (status_.ok() || CodeOf(status_) == ErrorCode::kShuttingDown) {
      status_ = progress.failure;
      if (listener_ != nullptr) listener_->OnFailed(status_);
    }
    return;
  }
  if (progress.wants_checkpoint) {
    PushCheckpoint();
    return;
  }
  Offset written = progress.written;
  Offset durable = progress.durable;
  Offset log_start = durable_log_start_;
  for (const Cut& cut : cuts_) {
    if (cut.generation <= progress.generation) {
      // The log begins anew on the disk too.
      if (cut.generation == restarted_) log_start = std::max(log_start, cut.to);
      continue;
    }
    if (MUTANT("storage.stale-report-counts")) continue;
    written = std::min(written, cut.to);
    durable = std::min(durable, cut.to);
  }
  // What this tells is of the log before, or of one that is being emptied.
  if (progress.generation < restarted_) durable = durable_;
  if (progress.truncated.has_value()) OnTruncated(progress);
  std::erase_if(cuts_, [&](const Cut& cut) { return cut.generation <= progress.generation; });
  if (written <= written_ && durable <= durable_ && log_start <= durable_log_start_) return;
  written_ = std::max(written_, written);
  durable_ = std::max(durable_, durable);
  durable_log_start_ = log_start;
  CHECK(durable_ <= written_ && written_ <= end_)
      << name_ << ": " << durable_ << " " << written_ << " " << end_;
  TrimCache(config_.tail_cache_bytes_max);
  if (listener_ != nullptr) listener_->OnAdvanced(written_, durable_);
}

void Log::OnTruncated(LogProgress& progress) {
  for (const Cut& cut : cuts_) {
    if (cut.generation != progress.generation || cut.segment == nullptr) continue;
    cut.segment->size_bytes = progress.truncated->size_bytes + cut.bytes_since;
    cut.segment->max_timestamp_ms =
        std::max(progress.truncated->max_timestamp_ms, cut.max_timestamp_since_ms);
  }
  if (progress.truncated->producers.has_value() && progress.generation == generation_) {
    producers_.MergeOlder(*progress.truncated->producers);
    rebuild_owed_ = false;
  }
}

}  // namespace millrace::storage
