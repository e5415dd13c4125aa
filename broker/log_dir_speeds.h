// LogDirSpeeds: how long syncs take on the disks of this broker's log directories, for the
// controller to compare with others, and what has come of that: which of them are slow.
//
// It decides nothing (controller/disk_speeds.h); it says so, in the log and by a metric.
//
// Thread: the broker's home.
#ifndef BROKER_LOG_DIR_SPEEDS_H_
#define BROKER_LOG_DIR_SPEEDS_H_

#include <map>
#include <set>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/ids.h"
#include "broker/log_dir_set.h"
#include "broker/sync_meter.h"
#include "metadata/image.h"

namespace millrace::broker {

class LogDirSpeeds {
 public:
  // All outlive this; `metrics` may be null.
  LogDirSpeeds(NodeId self, const LogDirSet* log_dirs, const Clock* clock, MetricRegistry* metrics);

  // Of the directories in which something was synced in the last seconds; to be asked every second
  // or oftener.
  std::map<DirectoryId, absl::Duration> Measure();

  void OnMetadata(const metadata::Image& image);
  bool IsSlow(DirectoryId directory) const { return slow_.contains(directory); }

 private:
  const NodeId self_;
  const LogDirSet* const log_dirs_;
  const Clock* const clock_;
  std::map<DirectoryId, SyncMeter> meters_;
  // By path.
  std::map<std::string, Gauge*> gauges_;
  std::set<DirectoryId> slow_;
};

}  // namespace millrace::broker

#endif  // BROKER_LOG_DIR_SPEEDS_H_
