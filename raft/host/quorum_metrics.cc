#include "raft/host/quorum_metrics.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace millrace::raft {

QuorumMetrics::QuorumMetrics(MetricRegistry& registry)
    : registry_(registry),
      term_(registry.AddGauge("millrace_quorum_term", "Raft term, as this controller knows it.")),
      role_(registry.AddGauge("millrace_quorum_role",
                              "Part of this controller in the quorum: 0 follower, 1 asking for "
                              "votes, 2 leader.")),
      leader_(registry.AddGauge("millrace_quorum_leader_id",
                                "Node that leads the quorum, as known here; -1 if none.")),
      commit_index_(registry.AddGauge("millrace_quorum_commit_index",
                                      "Last entry of the metadata log known to be committed.")),
      log_end_index_(
          registry.AddGauge("millrace_quorum_log_end_index", "Last entry of the metadata log.")),
      log_bytes_(registry.AddGauge("millrace_quorum_log_memory_bytes",
                                   "Entries of the metadata log that are kept in memory.")),
      elections_(registry.AddCounter("millrace_quorum_elections_won_total",
                                     "How often this controller was elected leader.")),
      commit_seconds_(registry.AddHistogram(
          "millrace_quorum_commit_seconds",
          "From appending a change at the leader to its commit by the quorum.", 0.00001)),
      snapshot_index_(registry.AddGauge("millrace_quorum_snapshot_index",
                                        "Last entry that the newest snapshot holds.")),
      snapshot_bytes_(
          registry.AddGauge("millrace_quorum_snapshot_bytes", "Size of the newest snapshot.")),
      snapshot_time_(registry.AddGauge("millrace_quorum_snapshot_timestamp_seconds",
                                       "When the newest snapshot was taken or received.")) {
  leader_.Set(-1);
}

void QuorumMetrics::Update(const Node& node) {
  term_.Set(node.term().value());
  role_.Set(node.role() == Role::kLeader ? 2 : node.role() == Role::kFollower ? 0 : 1);
  leader_.Set(node.leader().has_value() ? node.leader()->node.value() : -1);
  commit_index_.Set(node.commit().value());
  log_end_index_.Set(node.log().last().index.value());
  log_bytes_.Set(static_cast<int64_t>(node.log().bytes()));
  UpdateLag(node);
}

void QuorumMetrics::UpdateLag(const Node& node) {
  if (node.leadership() == nullptr) return lag_.clear();
  const auto& peers = node.leadership()->peers();
  if (lag_.size() > peers.size()) lag_.clear();
  for (const auto& [voter, progress] : peers) {
    std::shared_ptr<Gauge>& gauge = lag_[voter.node];
    if (gauge == nullptr) {
      gauge = registry_.MakeGauge("millrace_quorum_follower_lag_entries",
                                  "Entries that a follower has not acknowledged, at the leader.",
                                  {{"node", absl::StrCat(voter.node.value())}});
    }
    gauge->Set(node.log().last().index - progress.match());
  }
}

void QuorumMetrics::OnSnapshot(const SnapshotId& id, int64_t wall_ms) {
  snapshot_index_.Set(id.last.index.value());
  snapshot_bytes_.Set(static_cast<int64_t>(id.bytes));
  snapshot_time_.Set(wall_ms / 1000);
}

void QuorumMetrics::OnCommitted(LogIndex through, MonotonicTime now) {
  for (; !waiting_.empty() && waiting_.front().first <= through; waiting_.pop_front()) {
    commit_seconds_.Record(absl::ToDoubleSeconds(now - waiting_.front().second));
  }
}

}  // namespace millrace::raft
