#include "raft/service/grpc_transport.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "millrace/internal/v1/raft_service.pb.h"
#include "raft/codec/founding_codec.h"
#include "raft/service/fresh_channel.h"
#include "rpc/client_call.h"

namespace millrace::raft {
namespace {

namespace wire = millrace::internal::v1;

constexpr char kExchangeFounding[] = "/millrace.internal.v1.RaftService/ExchangeFounding";

// Whether a link need not begin anew when its peer is to be found at these addresses: the likeliest
// one is no other than it was, or is where the link leads.
bool IsStillRight(const OutboundLink& link, const std::vector<std::string>& addresses) {
  return link.lasting() &&
         (link.addresses().front() == addresses.front() || link.address() == addresses.front());
}

}  // namespace

std::shared_ptr<GrpcTransport> GrpcTransport::Create(const TransportOptions& options,
                                                     const TransportDeps& deps) {
  // The constructor is private: nothing works without the shared_ptr.
  return std::shared_ptr<GrpcTransport>(new GrpcTransport(options, deps));
}

GrpcTransport::GrpcTransport(const TransportOptions& options, const TransportDeps& deps)
    : options_(options),
      deps_(deps),
      guard_(options.self, options.process),
      metrics_(deps.metrics) {}

GrpcTransport::~GrpcTransport() {
  for (const auto& [stream, hello] : inbound_) {
    stream->Finish(MakeError(ErrorCode::kShuttingDown, "this node's quorum has shut down"));
  }
}

void GrpcTransport::SetClusterId(const ClusterId& cluster_id, int64_t generation) {
  CHECK(deps_.owner->IsCurrent());
  CHECK(!cluster_id.is_zero());
  CHECK(guard_.cluster_id().is_zero() || guard_.cluster_id() == cluster_id)
      << "this node belongs to " << guard_.cluster_id();
  guard_.SetClusterId(cluster_id, generation);
  for (const auto& [node, link] : links_) link->Open();
}

void GrpcTransport::SetPeers(std::vector<Peer> peers) {
  CHECK(deps_.owner->IsCurrent());
  std::map<NodeId, std::vector<std::string>> addresses;
  for (Peer& peer : peers) {
    if (peer.node != options_.self.node) addresses[peer.node].push_back(std::move(peer.address));
  }
  std::map<NodeId, std::shared_ptr<OutboundLink>> former = std::exchange(links_, {});
  for (auto& [node, of_node] : addresses) {
    std::shared_ptr<OutboundLink>& link = links_[node];
    auto known = former.find(node);
    if (known != former.end() && IsStillRight(*known->second, of_node)) {
      link = known->second;
      link->SetAddresses(std::move(of_node));
      continue;
    }
    link = MakeLink(node, std::move(of_node), /*lasting=*/true);
    if (!guard_.cluster_id().is_zero()) link->Open();
  }
  // Strangers stay strangers.
  std::erase_if(former, [](const auto& item) { return item.second->lasting(); });
  links_.merge(former);
}

std::shared_ptr<OutboundLink> GrpcTransport::MakeLink(NodeId peer,
                                                      std::vector<std::string> addresses,
                                                      bool lasting) {
  return std::make_shared<OutboundLink>(peer, std::move(addresses), lasting, options_, deps_,
                                        &metrics_.Of(peer), this);
}

OutboundLink* GrpcTransport::LinkTo(NodeId peer) {
  if (guard_.cluster_id().is_zero()) return nullptr;
  auto link = links_.find(peer);
  const bool named = link != links_.end() && link->second->lasting();
  if (named) return link->second.get();
  auto heard = heard_.find(peer);
  if (heard == heard_.end()) return nullptr;
  if (link == links_.end() || link->second->address() != heard->second.address) {
    link = links_.insert_or_assign(peer, MakeLink(peer, {heard->second.address}, false)).first;
  }
  return link->second.get();
}

// Only of a directory that is spoken to: a stray process with a peer's node id leads nobody away.
void GrpcTransport::FollowHello(const VoterId& to, OutboundLink* link) {
  if (!link->lasting() || link->IsConnectedTo(to)) return;
  const std::optional<HeardPeer> heard = guard_.HeardOf(to);
  if (heard.has_value()) link->Follow(heard->address, heard->hellos);
}

void GrpcTransport::Send(std::vector<Message> messages) {
  CHECK(deps_.owner->IsCurrent());
  std::map<NodeId, std::vector<const Message*>> by_peer;
  for (const Message& message : messages) by_peer[message.to.node].push_back(&message);
  for (const auto& [peer, of_peer] : by_peer) {
    if (OutboundLink* const link = LinkTo(peer)) {
      for (const Message* message : of_peer) FollowHello(message->to, link);
      link->Send(of_peer);
    } else {
      metrics_.Of(peer).messages_dropped.Add(static_cast<int64_t>(of_peer.size()));
    }
  }
}

bool GrpcTransport::IsConnected(NodeId peer) const {
  auto link = links_.find(peer);
  return link != links_.end() && link->second->established();
}

int64_t GrpcTransport::QueuedBytes(NodeId peer) const {
  auto link = links_.find(peer);
  return link == links_.end() ? 0 : link->second->queued_bytes();
}

std::vector<HeardPeer> GrpcTransport::HeardPeers() const {
  std::vector<HeardPeer> all = guard_.Heard();
  for (HeardPeer& peer : all) {
    peer.connected = std::any_of(inbound_.begin(), inbound_.end(),
                                 [&](const auto& stream) { return stream.second.from == peer.id; });
  }
  return all;
}

// ---- What comes in ----

InboundPort GrpcTransport::port() {
  return InboundPort{deps_.owner, weak_from_this(), options_.inbound_bytes_max};
}

void GrpcTransport::OnOpened(const std::shared_ptr<InboundStream>& stream, const Hello& hello) {
  // First: of a process that is not that node nothing is believed.
  if (!stream->claim().ok()) {
    stream->Finish(stream->claim());
    return LogRefusal(hello, stream->claim());
  }
  if (const absl::Status status = guard_.Accept(hello); !status.ok()) {
    stream->Finish(status);
    LogRefusal(hello, status);
    if (guard_.IsSupersededBy(hello)) TellSuperseded(status);
    return;
  }
  stream->Answer(HelloTo(hello.from.node));
  Admit(stream, hello);
  RememberAddress(hello);
  if (auto known = links_.find(hello.from.node); known != links_.end()) {
    // What the receiver does about a break may take the link out of the map.
    const std::shared_ptr<OutboundLink> link = known->second;
    link->PeerIsHere(hello.process);
  }
  if (on_hello_ != nullptr) on_hello_();
}

// What came by the former stream, and waits, could overtake what comes by this one.
void GrpcTransport::Admit(const std::shared_ptr<InboundStream>& stream, const Hello& hello) {
  for (auto it = inbound_.begin(); it != inbound_.end();) {
    if (it->second.from != hello.from) {
      ++it;
      continue;
    }
    it->first->Finish(MakeError(ErrorCode::kCancelled,
                                absl::StrCat("a newer stream of node ", hello.from.node.value(),
                                             " has taken the place of this one")));
    it = inbound_.erase(it);
  }
  inbound_.emplace(stream, hello);
}

void GrpcTransport::RememberAddress(const Hello& hello) {
  if (heard_.size() >= kStrangersMax && heard_.find(hello.from.node) == heard_.end()) {
    auto earlier = [](const auto& a, const auto& b) { return a.second.when < b.second.when; };
    auto oldest = std::min_element(heard_.begin(), heard_.end(), earlier);
    auto link = links_.find(oldest->first);
    if (link != links_.end() && !link->second->lasting()) links_.erase(link);
    heard_.erase(oldest);
  }
  heard_[hello.from.node] = Heard{hello.address, ++hellos_};
}

void GrpcTransport::OnMessages(const std::shared_ptr<InboundStream>& stream,
                               const std::vector<Message>& messages, int64_t bytes) {
  auto accepted = inbound_.find(stream);
  // Refused, or replaced by a newer one.
  if (accepted == inbound_.end()) return;
  const Hello hello = accepted->second;
  PeerCounters& counters = metrics_.Of(hello.from.node);
  counters.bytes_received.Add(bytes);
  for (const Message& message : messages) {
    // Asked for each, since what the receiver does in between may change the answer.
    if (receiver_ == nullptr || !guard_.IsCurrent(hello) || !guard_.Fits(hello, message)) {
      counters.messages_dropped.Add();
      continue;
    }
    counters.messages_received.Add();
    receiver_->OnMessage(message);
  }
}

void GrpcTransport::OnMalformed(const std::shared_ptr<InboundStream>& stream,
                                const absl::Status& why) {
  auto accepted = inbound_.find(stream);
  if (accepted == inbound_.end()) return;
  metrics_.Of(accepted->second.from.node).messages_dropped.Add();
  LogRefusal(accepted->second, why);
}

void GrpcTransport::OnEnded(const std::shared_ptr<InboundStream>& stream) {
  inbound_.erase(stream);
}

void GrpcTransport::LogRefusal(const Hello& hello, const absl::Status& why) {
  // A peer that was founded a moment earlier is no fault.
  if (CodeOf(why) == ErrorCode::kNotController) return;
  if (!guard_.IsNews(hello.from, CodeOf(why))) return;
  LOG_ERROR("raft", "refused a peer's stream",
            {{"peer", hello.from.node}, {"address", hello.address}, {"reason", why.message()}});
}

// ---- What the links say ----

Hello GrpcTransport::HelloTo(NodeId peer) {
  Hello hello;
  hello.version = kMessageVersionMax;
  hello.cluster_id = guard_.cluster_id();
  hello.from = options_.self;
  hello.address = options_.address;
  hello.process = options_.process;
  hello.to = peer;
  hello.features = options_.features;
  hello.generation = guard_.generation();
  hello.asks_to_join = options_.asks_to_join;
  return hello;
}

absl::Status GrpcTransport::OnAnswer(NodeId peer, const Hello& hello) {
  if (hello.from.node != peer) {
    return MakeError(ErrorCode::kInconsistentNodeId,
                     absl::StrCat("node ", hello.from.node.value(), " answers at ", hello.address,
                                  " where node ", peer.value(),
                                  " was expected; correct controller.quorum.voters"),
                     {.name = "node.id", .value = absl::StrCat(hello.from.node.value())});
  }
  RETURN_IF_ERROR(guard_.Accept(hello));
  // It is found where the link leads, whatever it says of its address.
  if (auto link = links_.find(peer); link != links_.end()) {
    link->second->NoteHello(guard_.HeardOf(hello.from)->hellos);
  }
  return absl::OkStatus();
}

void GrpcTransport::OnRefused(NodeId, const absl::Status& why) {
  const ErrorDetail detail = DetailOf(why);
  int64_t theirs = 0;
  const bool superseded = CodeOf(why) == ErrorCode::kInconsistentClusterId &&
                          detail.name == kGenerationName &&
                          absl::SimpleAtoi(detail.value, &theirs) && theirs > guard_.generation();
  if (superseded) TellSuperseded(why);
}

void GrpcTransport::TellSuperseded(const absl::Status& why) {
  if (receiver_ != nullptr) receiver_->OnSuperseded(why);
}

void GrpcTransport::OnLinkBroken(NodeId peer) {
  if (receiver_ != nullptr) receiver_->OnUnreachable(peer);
}

// ---- Founding ----

absl::StatusOr<FoundingState> GrpcTransport::AnswerFounding(const FoundingState& caller) const {
  if (founding_answer_ == nullptr) {
    return MakeError(ErrorCode::kBrokerNotAvailable, "this node is starting; try again");
  }
  return founding_answer_(caller);
}

void GrpcTransport::Exchange(std::string address, FoundingState mine, Callback callback) {
  CHECK(deps_.owner->IsCurrent());
  wire::ExchangeFoundingRequest request;
  *request.mutable_state() = EncodeFoundingState(mine);
  rpc::ClientCallOptions options;
  options.timeout = options_.founding_timeout;
  rpc::StartUnaryTyped<wire::ExchangeFoundingResponse>(
      deps_.queue, FreshChannel(kNoNode, address, options_), kExchangeFounding, request, options,
      [owner = deps_.owner, weak = weak_from_this(), callback = std::move(callback)](
          absl::StatusOr<wire::ExchangeFoundingResponse> response) mutable {
        absl::StatusOr<FoundingState> theirs =
            response.ok() ? DecodeFoundingState(response->state()) : response.status();
        owner->Post([weak, callback = std::move(callback), theirs = std::move(theirs)]() mutable {
          if (weak.lock() != nullptr) std::move(callback)(std::move(theirs));
        });
      });
}

}  // namespace millrace::raft
