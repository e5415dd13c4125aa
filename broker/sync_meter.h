// SyncMeter: how long a sync of one log directory takes, over the last seconds: the mean of those
// that ended, and of the one under way where that makes it worse. Pure.
//
// It says nothing of a directory in which nothing was synced: an idle disk is neither slow nor
// well.
//
// Thread: its owner's.
#ifndef BROKER_SYNC_METER_H_
#define BROKER_SYNC_METER_H_

#include <deque>
#include <optional>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "storage/log_dir.h"

namespace millrace::broker {

class SyncMeter {
 public:
  // What the directory says at `now`. Nullopt: no sync within the last seconds.
  std::optional<absl::Duration> Sample(const storage::SyncTimes& times, MonotonicTime now);

 private:
  struct Point {
    MonotonicTime at;
    int64_t measured = 0;
    absl::Duration total;
  };
  // The first is the newest that is a window old, or the oldest there is.
  std::deque<Point> points_;
};

}  // namespace millrace::broker

#endif  // BROKER_SYNC_METER_H_
