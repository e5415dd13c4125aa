#include "raft/service/peer_metrics.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace millrace::raft {

PeerCounters& PeerMetrics::Of(NodeId peer) {
  auto known = peers_.find(peer);
  if (known != peers_.end()) return known->second;
  if (peers_.size() >= kPeersMax) peer = kNoNode;
  const std::string label = peer == kNoNode ? "other" : absl::StrCat(peer.value());
  if (known = peers_.find(peer); known != peers_.end()) return known->second;
  return peers_.emplace(peer, Make(label)).first->second;
}

PeerCounters PeerMetrics::Make(const std::string& peer) {
  const MetricLabels labels = {{"peer", peer}};
  return PeerCounters{
      registry_->AddCounter("millrace_raft_messages_sent_total",
                            "Raft messages handed to the network.", labels),
      registry_->AddCounter("millrace_raft_bytes_sent_total",
                            "Bytes of Raft messages handed to the network.", labels),
      registry_->AddCounter("millrace_raft_messages_received_total",
                            "Raft messages that came in and were accepted.", labels),
      registry_->AddCounter("millrace_raft_bytes_received_total",
                            "Bytes of Raft messages that came in.", labels),
      registry_->AddCounter("millrace_raft_messages_dropped_total",
                            "Raft messages neither sent nor accepted: no connection, peer too far "
                            "behind, or not allowed on their stream.",
                            labels),
      registry_->AddCounter("millrace_raft_connection_breaks_total",
                            "Connections to the peer that were reset or refused.", labels)};
}

}  // namespace millrace::raft
