// PeerMetrics: what is counted of the messages to and from each peer.
//
// Thread: owner's; the registry's scrape may read meanwhile.
#ifndef RAFT_SERVICE_PEER_METRICS_H_
#define RAFT_SERVICE_PEER_METRICS_H_

#include <map>

#include "base/counters.h"
#include "base/ids.h"

namespace millrace::raft {

struct PeerCounters {
  Counter& messages_sent;
  Counter& bytes_sent;
  Counter& messages_received;
  Counter& bytes_received;
  // Either way: no connection, too far behind, too large, or not what its stream may carry.
  Counter& messages_dropped;
  Counter& connection_breaks;
};

class PeerMetrics {
 public:
  // Peers told apart; all further ones share the label "other", since anyone may claim a node id.
  static constexpr size_t kPeersMax = 64;

  // `registry` outlives this.
  explicit PeerMetrics(MetricRegistry* registry) : registry_(registry) {}

  // Valid as long as the registry.
  PeerCounters& Of(NodeId peer);

 private:
  PeerCounters Make(const std::string& peer);

  MetricRegistry* const registry_;
  // kNoNode: the others.
  std::map<NodeId, PeerCounters> peers_;
};

}  // namespace millrace::raft

#endif  // RAFT_SERVICE_PEER_METRICS_H_
