// FollowerLag: by how many records the followers of what a shard leads are behind, as metrics: for
// each follower the sum over those partitions. Looked up once a second: an append does no work
// for it.
//
// Not here: how far one replica is behind (isr.h), and who is out of sync because of it.
//
// Thread: its shard's executor.
#ifndef BROKER_FOLLOWER_LAG_H_
#define BROKER_FOLLOWER_LAG_H_

#include <map>
#include <memory>

#include "absl/time/time.h"
#include "base/counters.h"
#include "base/deadline_timer.h"
#include "base/ids.h"
#include "broker/shard.h"

namespace millrace::broker {

class FollowerLag {
 public:
  static constexpr absl::Duration kInterval = absl::Seconds(1);

  // `metrics` outlives this.
  FollowerLag(const std::shared_ptr<Shard>& shard, MetricRegistry* metrics);

  // Now, and from now on every kInterval.
  void Update();

 private:
  const std::weak_ptr<Shard> shard_;
  MetricRegistry& metrics_;
  // Of brokers that hold a partition which is led here.
  std::map<NodeId, std::shared_ptr<Gauge>> gauges_;
  DeadlineTimer timer_;
};

}  // namespace millrace::broker

#endif  // BROKER_FOLLOWER_LAG_H_
