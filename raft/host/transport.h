// Transport: how a voter's messages reach its peers: the seam of the Raft host to the network.
//
// Messages to one peer arrive in the order sent, or not at all; nothing is retried, because Raft
// says everything again that matters. Implemented over gRPC by raft/service, and by simulators.
//
// Thread: owner's executor, for both directions.
// Source: Raft paper 5.1 (any RPC may be lost); S-17, S-18, S-19 (who may speak at all).
#ifndef RAFT_HOST_TRANSPORT_H_
#define RAFT_HOST_TRANSPORT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/ids.h"
#include "raft/messages.h"

namespace millrace::raft {

// Where a node's controller listener is.
struct Peer {
  NodeId node = kNoNode;
  std::string address;  // "host:port"

  friend bool operator==(const Peer&, const Peer&) = default;
};

// Who hears what arrives.
class TransportReceiver {
 public:
  virtual ~TransportReceiver() = default;

  // From a process that proved to belong to this cluster, and to be the voter it speaks for.
  virtual void OnMessage(const Message& message) = 0;
  // A connection to the peer was reset or refused: its process is probably gone. Told once per
  // break, not for silence.
  virtual void OnUnreachable(NodeId peer) = 0;
  // The quorum was recovered without this voter, which must stop for good (S-20).
  virtual void OnSuperseded(const absl::Status& why) = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;

  // Begins to deliver; called once. `receiver` outlives the transport, or is taken away with null.
  virtual void SetReceiver(TransportReceiver* receiver) = 0;
  // All that messages may go to, but this node itself. A node that may be found at one of several
  // addresses is there once for each; they are tried in this order. Replaces what was there;
  // connections to peers whose first address stays, or is the one they are connected at, are kept.
  virtual void SetPeers(std::vector<Peer> peers) = 0;
  // Queues the messages, or drops those whose peer is unknown, unreachable or far behind.
  virtual void Send(std::vector<Message> messages) = 0;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_TRANSPORT_H_
