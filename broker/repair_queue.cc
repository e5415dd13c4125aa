#include "broker/repair_queue.h"

#include <algorithm>

#include "base/log.h"
#include "base/mutant.h"
#include "base/status.h"

namespace millrace::broker {

RepairQueue::RepairQueue(const std::shared_ptr<Shard>& shard, MetricRegistry* metrics, Mend mend)
    : shard_(shard),
      clock_(shard->clock()),
      mend_(std::move(mend)),
      metrics_(MakeMetrics(metrics)),
      timer_(shard->executor(), [this] { TryNext(); }) {}

RepairQueue::Metrics RepairQueue::MakeMetrics(MetricRegistry* registry) {
  Metrics metrics;
  if (registry == nullptr) return metrics;
  metrics.damaged = &registry->AddGauge(
      "millrace_log_damaged_segments",
      "Segments of logs here that are known to be damaged and not repaired yet.");
  metrics.found =
      &registry->AddCounter("millrace_log_damage_found_total",
                            "Damaged segments that were found, by readers and by the scrub.");
  metrics.ranges = &registry->AddCounter("millrace_log_repaired_ranges_total",
                                         "Damaged ranges that were had from other replicas.");
  metrics.bytes = &registry->AddCounter("millrace_log_repaired_bytes_total", "Their bytes.");
  return metrics;
}

void RepairQueue::Add(const TopicPartition& topic_partition, Offset at, const absl::Status& why) {
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (shard == nullptr) return;
  const absl::StatusOr<Replica*> replica = shard->Find(topic_partition);
  if (!replica.ok() || !(*replica)->status().ok()) return;
  const Key key{topic_partition, (*replica)->log().SegmentOf(at).base};
  const auto [damage, is_new] = damaged_.try_emplace(key);
  if (!is_new) return;
  damage->second.at = at;
  damage->second.next_attempt = clock_.Now();
  if (metrics_.found != nullptr) {
    metrics_.found->Add();
    metrics_.damaged->Set(static_cast<double>(damaged_.size()));
  }
  LOG_ERROR("scrub", "a log is damaged",
            {{"topic_id", topic_partition.topic_id},
             {"partition", topic_partition.partition},
             {"offset", at},
             {"error", why.message()}});
  Tell(topic_partition);
  // Not from inside of what found it.
  timer_.Set(std::min(timer_.deadline(), clock_.Now()));
}

void RepairQueue::Tell(const TopicPartition& topic_partition) {
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (shard == nullptr) return;
  const bool damaged = std::any_of(damaged_.begin(), damaged_.end(), [&](const auto& entry) {
    return entry.first.first == topic_partition && !entry.second.hopeless;
  });
  if (MUTANT("broker.damaged-is-relied-on")) return;
  shard->SetDamaged(topic_partition, damaged);
}

void RepairQueue::TryNext() {
  if (busy_) return;
  const MonotonicTime now = clock_.Now();
  const auto next = std::min_element(
      damaged_.begin(), damaged_.end(),
      [](const auto& a, const auto& b) { return a.second.next_attempt < b.second.next_attempt; });
  if (next == damaged_.end()) return;
  if (next->second.next_attempt > now) return timer_.Set(next->second.next_attempt);
  busy_ = true;
  const auto& [key, damage] = *next;
  mend_(key.first, damage.at, [weak = weak_from_this(), key = key](const MendOutcome& outcome) {
    if (const std::shared_ptr<RepairQueue> self = weak.lock()) self->OnMended(key, outcome);
  });
}

void RepairQueue::OnMended(const Key& key, const MendOutcome& outcome) {
  busy_ = false;
  Tally(outcome);
  const auto log = [&](LogLevel level, const char* what) {
    MILLRACE_LOG_(level, "scrub", what,
                  {{"topic_id", key.first.topic_id},
                   {"partition", key.first.partition},
                   {"segment", key.second},
                   {"ranges", outcome.ranges},
                   {"bytes", outcome.bytes},
                   {"from", outcome.source},
                   {"reason", outcome.why.message()}});
  };
  Damage& damage = damaged_.at(key);
  switch (outcome.kind) {
    case MendOutcome::Kind::kWhole:
      damaged_.erase(key);
      log(LogLevel::kInfo,
          outcome.ranges > 0 ? "a damaged log was repaired" : "a log that seemed damaged is whole");
      break;
    case MendOutcome::Kind::kVoid:
      damaged_.erase(key);
      log(LogLevel::kInfo, "what was damaged is no longer part of the log");
      break;
    case MendOutcome::Kind::kNobodyHasIt:
      if (!damage.hopeless) log(LogLevel::kError, "no other replica has what is damaged");
      damage.hopeless = true;
      damage.next_attempt = clock_.Now() + kHopelessRetry;
      break;
    case MendOutcome::Kind::kLater:
      log(LogLevel::kWarn, "a damaged log cannot be repaired yet");
      damage.next_attempt = clock_.Now() + damage.pause;
      damage.pause = std::min(2 * damage.pause, kRetryMax);
      break;
  }
  if (metrics_.damaged != nullptr) metrics_.damaged->Set(static_cast<double>(damaged_.size()));
  Tell(key.first);
  TryNext();
}

void RepairQueue::Tally(const MendOutcome& outcome) {
  if (metrics_.ranges == nullptr || outcome.kind != MendOutcome::Kind::kWhole) return;
  metrics_.ranges->Add(outcome.ranges);
  metrics_.bytes->Add(outcome.bytes);
}

}  // namespace millrace::broker
