#include "broker/scrubber.h"

#include <algorithm>
#include <utility>

#include "base/status.h"

namespace millrace::broker {
namespace {

constexpr size_t kReadBytes = 1 << 20;

}  // namespace

Scrubber::Scrubber(const std::shared_ptr<Shard>& shard, MetricRegistry* metrics)
    : shard_(shard),
      clock_(shard->clock()),
      executor_(shard->executor()),
      metrics_(MakeMetrics(metrics)),
      started_(clock_.Now()),
      timer_(shard->executor(), [this] { OnTimer(); }) {}

Scrubber::Metrics Scrubber::MakeMetrics(MetricRegistry* registry) {
  Metrics metrics;
  if (registry == nullptr) return metrics;
  metrics.bytes = &registry->AddCounter("millrace_log_scrub_bytes_total",
                                        "Bytes of logs that the scrub has read.");
  metrics.passes = &registry->AddCounter("millrace_log_scrub_passes_total",
                                         "Passes of the scrub over all logs of a shard.");
  return metrics;
}

void Scrubber::SetPace(const ScrubPace& pace) {
  if (pace == pace_) return;
  pace_ = pace;
  // A pass that is under way goes on by the new one; without one, it ends.
  if (pace_.interval <= absl::ZeroDuration()) {
    left_.clear();
    return timer_.Clear();
  }
  if (!left_.empty()) return;
  timer_.Set(any_pass_ ? pass_began_ + pace_.interval
                       : started_ + std::min(pace_.interval, kFirstPassAfter));
}

void Scrubber::OnTimer() {
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (shard == nullptr || reading_ || pace_.interval <= absl::ZeroDuration()) return;
  if (left_.empty()) BeginPass(*shard);
  ReadNext();
}

void Scrubber::BeginPass(Shard& shard) {
  pass_began_ = clock_.Now();
  any_pass_ = true;
  next_.reset();
  for (const ReplicaState& replica : shard.Describe()) left_.push_back(replica.topic_partition);
  std::reverse(left_.begin(), left_.end());
}

absl::StatusOr<LogRead> Scrubber::BeginRead(Shard& shard) {
  ASSIGN_OR_RETURN(Replica* const replica, shard.Find(left_.back()));
  RETURN_IF_ERROR(replica->status());
  ReplicaLog& log = replica->log();
  // What goes with its segment needs no reading.
  const Offset first = log.SegmentOf(log.log_start_offset()).base;
  next_ = std::max(next_.value_or(first), first);
  storage::ReadLimits limits;
  limits.up_to = std::min(replica->high_watermark(), log.written_offset());
  limits.bytes_max = kReadBytes;
  limits.from_files = true;
  limits.deleted_too = true;
  if (*next_ >= limits.up_to) return MakeError(ErrorCode::kOffsetOutOfRange, "all of it is read");
  return log.Read(*next_, limits);
}

void Scrubber::ReadNext() {
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (shard == nullptr) return;
  absl::StatusOr<LogRead> read = absl::UnknownError("");
  while (!left_.empty() && !read.ok()) {
    read = BeginRead(*shard);
    if (read.ok()) break;
    left_.pop_back();
    next_.reset();
  }
  if (left_.empty()) return EndPass();
  reading_ = true;
  read_began_ = clock_.Now();
  Executor* const cold_reads = read->cold_reads;
  cold_reads->Post(
      [weak = weak_from_this(), executor = executor_, read = *std::move(read)]() mutable {
        absl::StatusOr<storage::ReadResult> result =
            read.result ? *std::move(read.result) : std::move(read.cold)();
        // Nobody needs the bytes.
        if (result.ok()) result->pieces.clear();
        executor->Post([weak, result = std::move(result)] {
          if (const std::shared_ptr<Scrubber> self = weak.lock()) self->OnRead(result);
        });
      });
}

void Scrubber::OnRead(const absl::StatusOr<storage::ReadResult>& read) {
  reading_ = false;
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (shard == nullptr) return;
  if (left_.empty()) {
    // Turned off meanwhile; and on again, perhaps.
    if (pace_.interval > absl::ZeroDuration()) timer_.Set(clock_.Now() + absl::Milliseconds(1));
    return;
  }
  size_t bytes = 0;
  if (read.ok() && read->next_offset > *next_) {
    bytes = read->bytes;
    next_ = read->next_offset;
    if (metrics_.bytes != nullptr) metrics_.bytes->Add(static_cast<int64_t>(bytes));
  } else if (CodeOf(read.status()) == ErrorCode::kCorruptLog) {
    // The rest of the segment is read by its repair.
    const TopicPartition damaged = left_.back();
    const Offset at = *next_;
    SkipSegment(*shard);
    shard->NoteReadFailure(damaged, at, read.status());
  } else if (CodeOf(read.status()) != ErrorCode::kOffsetNotAvailable) {
    left_.pop_back();
    next_.reset();
  }
  const int64_t rate = std::max<int64_t>(pace_.bytes_per_second, 1);
  // A short rest after each read, whatever the rate: cut logs are asked again.
  const absl::Duration rest = std::max(
      absl::Seconds(static_cast<double>(bytes) / static_cast<double>(rate)), absl::Milliseconds(1));
  timer_.Set(read_began_ + rest);
}

void Scrubber::SkipSegment(Shard& shard) {
  const absl::StatusOr<Replica*> replica = shard.Find(left_.back());
  const Offset end = replica.ok() ? (*replica)->log().SegmentOf(*next_).end : *next_;
  if (end > *next_) {
    next_ = end;
    return;
  }
  left_.pop_back();
  next_.reset();
}

void Scrubber::EndPass() {
  if (metrics_.passes != nullptr) metrics_.passes->Add();
  timer_.Set(std::max(pass_began_ + pace_.interval, clock_.Now() + absl::Milliseconds(1)));
}

}  // namespace millrace::broker
