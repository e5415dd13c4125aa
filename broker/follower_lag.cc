#include "broker/follower_lag.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"

namespace millrace::broker {

FollowerLag::FollowerLag(const std::shared_ptr<Shard>& shard, MetricRegistry* metrics)
    : shard_(shard), metrics_(*metrics), timer_(shard->executor(), [this] { Update(); }) {}

void FollowerLag::Update() {
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (shard == nullptr) return;
  std::map<NodeId, int64_t> lags;
  shard->ForEachLeader([&](const Replica& replica) {
    replica.isr().ForEachLag([&](NodeId follower, int64_t records) { lags[follower] += records; });
  });
  // Nobody is served who follows here no more.
  std::map<NodeId, std::shared_ptr<Gauge>> gauges;
  for (const auto& [follower, records] : lags) {
    std::shared_ptr<Gauge>& gauge = gauges[follower];
    if (const auto known = gauges_.find(follower); known != gauges_.end()) {
      gauge = known->second;
    } else {
      gauge = metrics_.MakeGauge(
          "millrace_replication_follower_lag_records",
          "Records that a follower lacks of the partitions led here, all of them together.",
          {{"follower", absl::StrCat(follower.value())}});
    }
    gauge->Set(static_cast<double>(records));
  }
  gauges_ = std::move(gauges);
  timer_.Set(shard->clock().Now() + kInterval);
}

}  // namespace millrace::broker
