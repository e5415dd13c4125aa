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
    if (reading_ == nullptr) timer_.Clear();
    return;
  }
  if (!left_.empty() || reading_ != nullptr) return;
  timer_.Set(any_pass_ ? pass_began_ + pace_.interval
                       : started_ + std::min(pace_.interval, kFirstPassAfter));
}

void Scrubber::OnTimer() {
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (shard == nullptr) return;
  if (reading_ != nullptr) return OnHang();
  if (pace_.interval <= absl::ZeroDuration()) return;
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
  for (const auto& [number, late] : late_) {
    if (late.cold_reads != log.cold_reads()) continue;
    return MakeError(ErrorCode::kRequestTimedOut, "its disk does not answer");
  }
  return log.Read(*next_, limits);
}

void Scrubber::ReadNext() {
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (shard == nullptr) return;
  absl::StatusOr<LogRead> read = absl::UnknownError("");
  while (!left_.empty() && !read.ok()) {
    read = BeginRead(*shard);
    if (!read.ok()) NextLog();
  }
  if (left_.empty()) return EndPass();
  reading_ = read->cold_reads;
  read_began_ = clock_.Now();
  timer_.Set(read_began_ + kPatience);
  reading_->Post([weak = weak_from_this(), executor = executor_, number = ++read_number_,
                  read = *std::move(read)]() mutable {
    absl::StatusOr<storage::ReadResult> result =
        read.result ? *std::move(read.result) : std::move(read.cold)();
    // Nobody needs the bytes.
    if (result.ok()) result->pieces.clear();
    executor->Post([weak, number, result = std::move(result)] {
      if (const std::shared_ptr<Scrubber> self = weak.lock()) self->OnRead(number, result);
    });
  });
}

void Scrubber::OnHang() {
  Executor* const hangs = std::exchange(reading_, nullptr);
  if (left_.empty()) {
    // Turned off meanwhile; and on again, perhaps.
    late_[read_number_] = {.cold_reads = hangs};
  } else {
    late_[read_number_] = {.cold_reads = hangs, .partition = left_.back(), .from = *next_};
    NextLog();
    if (left_.empty()) return EndPass();
  }
  if (pace_.interval > absl::ZeroDuration()) timer_.Set(clock_.Now() + absl::Milliseconds(1));
}

void Scrubber::OnLate(uint64_t number, const absl::StatusOr<storage::ReadResult>& read) {
  const auto late = late_.extract(number);
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (late.empty() || shard == nullptr) return;
  const Late& was = late.mapped();
  if (was.partition == TopicPartition()) return;
  shard->NoteReadFailure(was.partition, was.from, read.status());
}

void Scrubber::OnRead(uint64_t number, const absl::StatusOr<storage::ReadResult>& read) {
  if (reading_ == nullptr || number != read_number_) return OnLate(number, read);
  reading_ = nullptr;
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (shard == nullptr) return;
  if (left_.empty()) {
    // Turned off meanwhile; and on again, perhaps.
    timer_.Clear();
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
    NextLog();
  }
  if (left_.empty()) return EndPass();
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
  NextLog();
}

void Scrubber::EndPass() {
  if (metrics_.passes != nullptr) metrics_.passes->Add();
  timer_.Set(std::max(pass_began_ + pace_.interval, clock_.Now() + absl::Milliseconds(1)));
}

}  // namespace millrace::broker
