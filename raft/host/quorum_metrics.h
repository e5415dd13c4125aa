// QuorumMetrics: what a scrape sees of one voter's part in the quorum.
//
// Thread: updated on the owner's executor; scraped anywhere.
#ifndef RAFT_HOST_QUORUM_METRICS_H_
#define RAFT_HOST_QUORUM_METRICS_H_

#include <deque>
#include <map>
#include <memory>
#include <utility>

#include "base/counters.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "raft/node.h"

namespace millrace::raft {

class QuorumMetrics {
 public:
  // `registry` outlives this.
  explicit QuorumMetrics(MetricRegistry& registry);

  // After each step of the node.
  void Update(const Node& node);
  void OnElected() { elections_.Add(1); }
  void OnSnapshot(const SnapshotId& id, int64_t wall_ms);
  // An entry of this leader was appended, was committed; in log order.
  void OnAppended(LogIndex index, MonotonicTime now) { waiting_.emplace_back(index, now); }
  void OnCommitted(LogIndex through, MonotonicTime now);
  // Whatever waits is not this leader's to commit any more.
  void OnLostLeadership() { waiting_.clear(); }

 private:
  void UpdateLag(const Node& node);

  MetricRegistry& registry_;
  Gauge& term_;
  Gauge& role_;
  Gauge& leader_;
  Gauge& commit_index_;
  Gauge& log_end_index_;
  Gauge& log_bytes_;
  Counter& elections_;
  Histogram& commit_seconds_;
  Gauge& snapshot_index_;
  Gauge& snapshot_bytes_;
  Gauge& snapshot_time_;
  // While leading: per peer.
  std::map<NodeId, std::shared_ptr<Gauge>> lag_;
  std::deque<std::pair<LogIndex, MonotonicTime>> waiting_;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_QUORUM_METRICS_H_
