#include "broker/sync_meter.h"

#include <algorithm>

namespace millrace::broker {
namespace {

constexpr absl::Duration kWindow = absl::Seconds(3);

}  // namespace

std::optional<absl::Duration> SyncMeter::Sample(const storage::SyncTimes& times,
                                                MonotonicTime now) {
  // What was before the first look is not of these seconds.
  if (points_.empty()) points_.push_back({now, times.measured, times.total});
  while (points_.size() > 1 && points_[1].at + kWindow <= now) points_.pop_front();
  const Point& since = points_.front();
  int64_t count = times.measured - since.measured;
  absl::Duration total = times.total - since.total;
  points_.push_back({now, times.measured, times.total});
  if (times.began < now) {
    const absl::Duration under_way = now - times.began;
    if (count == 0 || under_way > total / count) {
      total += under_way;
      ++count;
    }
  }
  if (count <= 0) return std::nullopt;
  return total / count;
}

}  // namespace millrace::broker
