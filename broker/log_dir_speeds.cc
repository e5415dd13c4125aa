#include "broker/log_dir_speeds.h"

#include <optional>
#include <utility>

#include "base/log.h"

namespace millrace::broker {

LogDirSpeeds::LogDirSpeeds(NodeId self, const LogDirSet* log_dirs, const Clock* clock,
                           MetricRegistry* metrics)
    : self_(self), log_dirs_(log_dirs), clock_(clock) {
  if (metrics == nullptr) return;
  for (const LogDirSlot& slot : log_dirs_->slots()) {
    gauges_[slot.path] = &metrics->AddGauge(
        "millrace_log_dir_slow",
        "1 while the disk of a log directory is much slower than others: what can be led elsewhere "
        "is not led in it.",
        {{"directory", slot.path}});
  }
}

std::map<DirectoryId, absl::Duration> LogDirSpeeds::Measure() {
  std::map<DirectoryId, absl::Duration> syncs;
  const MonotonicTime now = clock_->Now();
  for (const LogDirSlot& slot : log_dirs_->slots()) {
    if (!slot.usable()) continue;
    const std::optional<absl::Duration> sync =
        meters_[slot.id()].Sample(slot.dir->sync_times(), now);
    if (sync.has_value()) syncs[slot.id()] = *sync;
  }
  return syncs;
}

void LogDirSpeeds::OnMetadata(const metadata::Image& image) {
  const metadata::BrokerImage* const self = image.FindBroker(self_);
  for (const LogDirSlot& slot : log_dirs_->slots()) {
    if (slot.dir == nullptr) continue;
    const bool slow = self != nullptr && self->HasSlowLogDir(slot.id());
    if (slow == slow_.contains(slot.id())) continue;
    if (slow) {
      slow_.insert(slot.id());
      LOG_WARN("broker",
               "the disk of a log directory is much slower than others: its leaderships go to "
               "brokers that are better off",
               {{"directory", slot.path}, {"directory_id", slot.id().ToString()}});
    } else {
      slow_.erase(slot.id());
      LOG_INFO("broker", "the disk of a log directory is well again: it may lead as before",
               {{"directory", slot.path}, {"directory_id", slot.id().ToString()}});
    }
    const auto gauge = gauges_.find(slot.path);
    if (gauge != gauges_.end()) gauge->second->Set(slow ? 1 : 0);
  }
}

}  // namespace millrace::broker
