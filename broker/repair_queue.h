// RepairQueue: the damage that is known in the logs of one shard, until it is repaired. One segment
// at a time; what cannot be had now is asked for again after a pause that grows.
//
// While a replica has damage that another may mend it gives up its seat and its leadership
// (Replica::SetDamaged, S-35). Damage that no other replica can mend keeps nobody out: it is the
// same everywhere, and is asked for again now and then.
//
// Thread: its shard's executor.
#ifndef BROKER_REPAIR_QUEUE_H_
#define BROKER_REPAIR_QUEUE_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/deadline_timer.h"
#include "base/ids.h"
#include "broker/segment_mender.h"
#include "broker/shard.h"

namespace millrace::broker {

class RepairQueue : public std::enable_shared_from_this<RepairQueue> {
 public:
  // As MendSegment.
  using Mend = std::function<void(const TopicPartition&, Offset at,
                                  absl::AnyInvocable<void(const MendOutcome&) &&>)>;
  // Before what could not be had is asked for again: doubled each time.
  static constexpr absl::Duration kRetryMin = absl::Seconds(1);
  static constexpr absl::Duration kRetryMax = absl::Minutes(1);
  // And what nobody has.
  static constexpr absl::Duration kHopelessRetry = absl::Minutes(10);

  // `metrics` may be null.
  RepairQueue(const std::shared_ptr<Shard>& shard, MetricRegistry* metrics, Mend mend);

  // A read at `at` found damage, as `why` says.
  void Add(const TopicPartition& topic_partition, Offset at, const absl::Status& why);

  // Segments that are known to be damaged.
  size_t size() const { return damaged_.size(); }

 private:
  // A segment, by its first offset.
  using Key = std::pair<TopicPartition, Offset>;
  struct Damage {
    Offset at;
    MonotonicTime next_attempt;
    absl::Duration pause = kRetryMin;
    // Nobody else has it.
    bool hopeless = false;
  };
  struct Metrics {
    Gauge* damaged = nullptr;
    Counter* found = nullptr;
    Counter* ranges = nullptr;
    Counter* bytes = nullptr;
  };
  static Metrics MakeMetrics(MetricRegistry* registry);

  void TryNext();
  void OnMended(const Key& key, const MendOutcome& outcome);
  // Tells the replica whether it has damage that others may mend.
  void Tell(const TopicPartition& topic_partition);
  void Tally(const MendOutcome& outcome);

  const std::weak_ptr<Shard> shard_;
  const Clock& clock_;
  const Mend mend_;
  const Metrics metrics_;
  std::map<Key, Damage> damaged_;
  bool busy_ = false;
  DeadlineTimer timer_;
};

}  // namespace millrace::broker

#endif  // BROKER_REPAIR_QUEUE_H_
