// GrpcTransport: raft::Transport over gRPC: one stream to each peer (outbound_link.h), one from
// each (inbound_stream.h, served by RaftService), and the exchange by which a cluster is founded.
//
// Until the cluster id is known only the exchange works, in both directions. Who may speak is
// PeerGuard's decision. Connections are this transport's own: never retried by gRPC, never shared
// with data.
//
// Thread: owner's executor, for everything but Create; the owner hears of everything on it. Held by
// shared_ptr, so that calls under way may outlast it: let it go on the owner's executor, or when
// that has shut down.
// Source: S-17, S-18, S-19; S-31 (reconnects).
#ifndef RAFT_SERVICE_GRPC_TRANSPORT_H_
#define RAFT_SERVICE_GRPC_TRANSPORT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "raft/host/founding_channel.h"
#include "raft/host/founding_state.h"
#include "raft/host/peer_guard.h"
#include "raft/host/transport.h"
#include "raft/service/inbound_stream.h"
#include "raft/service/outbound_link.h"
#include "raft/service/peer_metrics.h"
#include "raft/service/transport_options.h"

namespace millrace::raft {

class GrpcTransport final : public Transport,
                            public FoundingChannel,
                            public InboundSink,
                            public LinkEvents,
                            public std::enable_shared_from_this<GrpcTransport> {
 public:
  // This node's founding state, for a caller who has told his own.
  using FoundingAnswer = std::function<FoundingState(const FoundingState& caller)>;

  // What `deps` points to outlives the transport and the server that its RaftService is of.
  // Thread: any.
  static std::shared_ptr<GrpcTransport> Create(const TransportOptions& options,
                                               const TransportDeps& deps);
  ~GrpcTransport() override;

  // Raft traffic begins, both ways. `generation`: how often the quorum was recovered. REQUIRES: not
  // zero, and not set to another one before.
  void SetClusterId(const ClusterId& cluster_id, int64_t generation = 0);

  // What a voter's newest process said of its program; null if none was heard.
  const ProgramFeatures* FeaturesOf(const VoterId& voter) const { return guard_.FeaturesOf(voter); }

  // The newest accepted process on each directory, by id.
  std::vector<HeardPeer> HeardPeers() const;

  // Called when a peer has opened a stream that was accepted.
  void SetOnHello(std::function<void()> on_hello) { on_hello_ = std::move(on_hello); }

  // Answers peers' questions; until set they get BROKER_NOT_AVAILABLE.
  void SetFoundingAnswer(FoundingAnswer answer) { founding_answer_ = std::move(answer); }

  // FoundingChannel. `callback` is called once, unless the transport goes before. Errors:
  // BROKER_NOT_AVAILABLE and REQUEST_TIMED_OUT if nobody answers there; CORRUPT_MESSAGE,
  // UNSUPPORTED_VERSION.
  void Exchange(std::string address, FoundingState mine, Callback callback) override;

  void SetReceiver(TransportReceiver* receiver) override { receiver_ = receiver; }
  void SetPeers(std::vector<Peer> peers) override;
  void Send(std::vector<Message> messages) override;

  // Whether a peer has answered our hello on the present connection.
  bool IsConnected(NodeId peer) const;
  // Unsent bytes to a peer.
  int64_t QueuedBytes(NodeId peer) const;

  // For RaftService.
  InboundPort port();
  absl::StatusOr<FoundingState> AnswerFounding(const FoundingState& caller) const;

 private:
  // Peers that SetPeers does not name, whose address came by their hello.
  static constexpr size_t kStrangersMax = 64;

  // What a hello said of a peer's address.
  struct Heard {
    std::string address;
    uint64_t when = 0;
  };

  GrpcTransport(const TransportOptions& options, const TransportDeps& deps);

  // InboundSink.
  void OnOpened(const std::shared_ptr<InboundStream>& stream, const Hello& hello) override;
  void OnMessages(const std::shared_ptr<InboundStream>& stream,
                  const std::vector<Message>& messages, int64_t bytes) override;
  void OnMalformed(const std::shared_ptr<InboundStream>& stream, const absl::Status& why) override;
  void OnEnded(const std::shared_ptr<InboundStream>& stream) override;

  // LinkEvents.
  Hello HelloTo(NodeId peer) override;
  absl::Status OnAnswer(NodeId peer, const Hello& hello) override;
  void OnRefused(NodeId peer, const absl::Status& why) override;
  void OnLinkBroken(NodeId peer) override;

  // Makes the stream its voter's only one.
  void Admit(const std::shared_ptr<InboundStream>& stream, const Hello& hello);
  void RememberAddress(const Hello& hello);
  std::shared_ptr<OutboundLink> MakeLink(NodeId peer, std::vector<std::string> addresses,
                                         bool lasting);
  // The way to a peer; null if none is known. Makes one for a peer that only a hello has named.
  OutboundLink* LinkTo(NodeId peer);
  // Leads the link to where `to` said last that it is, if it leads to somebody else or nowhere.
  void FollowHello(const VoterId& to, OutboundLink* link);
  void LogRefusal(const Hello& hello, const absl::Status& why);
  void TellSuperseded(const absl::Status& why);

  const TransportOptions options_;
  const TransportDeps deps_;
  PeerGuard guard_;
  PeerMetrics metrics_;
  TransportReceiver* receiver_ = nullptr;
  FoundingAnswer founding_answer_;
  std::function<void()> on_hello_;

  std::map<NodeId, std::shared_ptr<OutboundLink>> links_;
  // At most kStrangersMax.
  std::map<NodeId, Heard> heard_;
  uint64_t hellos_ = 0;
  // Accepted streams with their hello; of each voter the newest only.
  std::map<std::shared_ptr<InboundStream>, Hello> inbound_;
};

}  // namespace millrace::raft

#endif  // RAFT_SERVICE_GRPC_TRANSPORT_H_
