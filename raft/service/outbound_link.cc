#include "raft/service/outbound_link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "raft/codec/hello_codec.h"
#include "raft/service/fresh_channel.h"
#include "rpc/status_mapping.h"

namespace millrace::raft {
namespace {

constexpr char kMethod[] = "/millrace.internal.v1.RaftService/Replicate";

// A peer that has not answered for so long may be one that was there before.
constexpr absl::Duration kAnswerUsuallyWithin = absl::Milliseconds(100);

// More than a peer has addresses and ways to refuse.
constexpr size_t kRefusalsLoggedMax = 64;

absl::Status Replaced() {
  return MakeError(ErrorCode::kBrokerNotAvailable, "another process has taken its place");
}

// The peer's process lives and will not listen: said by itself, or found by us. Everything else
// means that it cannot be reached.
bool IsRefusal(ErrorCode code) {
  switch (code) {
    case ErrorCode::kAuthorizationFailed:
    case ErrorCode::kNotController:
    case ErrorCode::kInconsistentClusterId:
    case ErrorCode::kInconsistentNodeId:
    case ErrorCode::kUnsupportedVersion:
    case ErrorCode::kCorruptMessage:
    case ErrorCode::kMessageTooLarge:
      return true;
    default:
      return false;
  }
}

// The first piece of a request, which counts among the unsent bytes until gRPC lets it go.
class Counted {
 public:
  Counted(Bytes piece, int64_t bytes, std::shared_ptr<std::atomic<int64_t>> queued)
      : piece_(std::move(piece)), bytes_(bytes), queued_(std::move(queued)) {
    queued_->fetch_add(bytes_, std::memory_order_relaxed);
  }
  ~Counted() { queued_->fetch_sub(bytes_, std::memory_order_relaxed); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  Slice piece() const { return piece_; }

 private:
  const Bytes piece_;
  const int64_t bytes_;
  const std::shared_ptr<std::atomic<int64_t>> queued_;
};

}  // namespace

// Carries what happens to a stream from its queue to the owner.
class OutboundLink::Handler final : public rpc::ClientStreamHandler {
 public:
  Handler(Executor* owner, std::weak_ptr<OutboundLink> link, uint64_t number)
      : owner_(owner), link_(std::move(link)), number_(number) {}

  void OnMessage(Bytes message) override {
    owner_->Post([link = link_, number = number_, hello = DecodeHelloResponse(message)] {
      if (const auto self = link.lock()) self->OnAnswer(number, hello);
    });
  }
  void OnDone(absl::Status status) override {
    owner_->Post([link = link_, number = number_, status = std::move(status)] {
      if (const auto self = link.lock()) self->OnDone(number, status);
    });
  }

 private:
  Executor* const owner_;
  const std::weak_ptr<OutboundLink> link_;
  const uint64_t number_;
};

OutboundLink::OutboundLink(NodeId peer, std::vector<std::string> addresses, bool lasting,
                           const TransportOptions& options, const TransportDeps& deps,
                           PeerCounters* counters, LinkEvents* events)
    : peer_(peer),
      addresses_(std::move(addresses)),
      address_(addresses_.front()),
      lasting_(lasting),
      options_(options),
      deps_(deps),
      counters_(*counters),
      events_(events),
      backoff_(deps.random),
      retry_(deps.owner, [this] { Open(); }),
      retry_at_(deps.clock->Now()) {}

OutboundLink::~OutboundLink() { Abandon(); }

void OutboundLink::SetAddresses(std::vector<std::string> addresses) {
  CHECK(!addresses.empty());
  addresses_ = std::move(addresses);
}

void OutboundLink::Open() {
  if (stream_ != nullptr) return;
  retry_.Clear();
  established_ = false;
  opened_at_ = deps_.clock->Now();
  const uint64_t number = ++stream_number_;
  rpc::ClientCallOptions call;
  call.timeout = absl::InfiniteDuration();
  call.stream_write_bytes_max = options_.queued_bytes_max;
  stream_ = rpc::StartStream(deps_.queue, FreshChannel(peer_, address_, options_), kMethod, call,
                             [owner = deps_.owner, link = weak_from_this(),
                              number](const std::shared_ptr<rpc::ClientStream>&) {
                               return std::make_unique<Handler>(owner, link, number);
                             });
  stream_->Write({Bytes::FromString(EncodeHelloRequest(events_->HelloTo(peer_)))});
}

void OutboundLink::PeerIsHere(const ProcessId& process) {
  const bool outdated = established_ && process != answered_by_;
  const bool stuck =
      stream_ != nullptr && !established_ && deps_.clock->Now() - opened_at_ > kAnswerUsuallyWithin;
  if (outdated) Break(Replaced(), /*broken=*/true);
  if (stuck) Abandon();
  backoff_.Reset();
  if (lasting_) Open();
}

void OutboundLink::Follow(const std::string& address, uint64_t hello) {
  if (hello <= hello_) return;
  hello_ = hello;
  if (address.empty() || address == address_) return;
  Abandon();
  said_ = address_ = address;
  retry_at_ = deps_.clock->Now();
  if (lasting_) Open();
}

void OutboundLink::Send(const std::vector<const Message*>& messages) {
  if (stream_ == nullptr && !lasting_ && deps_.clock->Now() >= retry_at_) Open();
  const auto count = static_cast<int64_t>(messages.size());
  if (stream_ == nullptr || queued_bytes() >= options_.queued_bytes_max) return Drop(count);
  RequestWriter writer;
  int64_t in_writer = 0;
  for (const Message* message : messages) {
    if (const absl::Status status = writer.Add(*message); !status.ok()) {
      LOG_THROTTLED(unsendable_, deps_.clock->Now(), LOG_ERROR, "raft", "a message cannot be sent",
                    {{"peer", peer_}, {"reason", status.message()}});
      Drop(1);
      continue;
    }
    ++in_writer;
    if (writer.full()) Flush(&writer, std::exchange(in_writer, 0));
  }
  if (!writer.empty()) Flush(&writer, in_writer);
}

void OutboundLink::Flush(RequestWriter* writer, int64_t messages) {
  const auto bytes = static_cast<int64_t>(writer->bytes());
  Pieces pieces = writer->Finish();
  if (queued_bytes() + bytes > options_.queued_bytes_max) return Drop(messages);
  auto counted = std::make_shared<const Counted>(std::move(pieces.front()), bytes, queued_);
  const Slice first = counted->piece();
  pieces.front() = Bytes::Share(first, std::move(counted));
  stream_->Write(std::move(pieces));
  counters_.messages_sent.Add(messages);
  counters_.bytes_sent.Add(bytes);
}

void OutboundLink::OnAnswer(uint64_t stream, const absl::StatusOr<Hello>& hello) {
  if (stream != stream_number_ || stream_ == nullptr) return;
  absl::Status status = hello.ok() ? events_->OnAnswer(peer_, *hello) : hello.status();
  if (!status.ok()) {
    LogOnce(status);
    Abandon();
    TurnToNextAddress();
    return ScheduleRetry();
  }
  established_ = true;
  answered_by_ = hello->process;
  answered_as_ = hello->from;
  break_told_ = false;
  refusals_logged_.clear();
  backoff_.Reset();
  LOG_INFO("raft", "connected to a peer", {{"peer", peer_}, {"address", address_}});
}

void OutboundLink::OnDone(uint64_t stream, const absl::Status& status) {
  if (stream != stream_number_ || stream_ == nullptr) return;
  const bool refused = IsRefusal(CodeOf(status));
  // Somebody is there, but not that peer.
  const bool untrusted = DetailOf(status).name == rpc::kUntrustedName;
  if (refused || untrusted) LogOnce(status);
  if (refused) events_->OnRefused(peer_, status);
  Break(status, established_ || !refused);
}

void OutboundLink::Break(const absl::Status& why, bool broken) {
  const std::string address = address_;
  // One that was there may be there again: a connection can break without its process.
  if (!established_) TurnToNextAddress();
  Abandon();
  ScheduleRetry();
  if (!broken || break_told_) return;
  break_told_ = true;
  counters_.connection_breaks.Add();
  LOG_INFO("raft", "a peer cannot be reached",
           {{"peer", peer_}, {"address", address}, {"reason", why.message()}});
  events_->OnLinkBroken(peer_);
}

void OutboundLink::Abandon() {
  established_ = false;
  if (stream_ == nullptr) return;
  std::exchange(stream_, nullptr)->Cancel();
}

void OutboundLink::ScheduleRetry() {
  retry_at_ = deps_.clock->Now() + backoff_.Next();
  if (lasting_) retry_.Set(retry_at_);
}

// What the peer said itself is the last of them, if it is none of them anyway.
void OutboundLink::TurnToNextAddress() {
  std::vector<std::string> all = addresses_;
  const bool more = !said_.empty() && std::find(all.begin(), all.end(), said_) == all.end();
  if (more) all.push_back(said_);
  const auto present = std::find(all.begin(), all.end(), address_);
  const bool last = present == all.end() || present + 1 == all.end();
  address_ = last ? all.front() : *(present + 1);
}

// A peer that is about to be founded is no fault.
void OutboundLink::LogOnce(const absl::Status& refusal) {
  const ErrorCode code = CodeOf(refusal);
  if (code == ErrorCode::kNotController) return;
  if (refusals_logged_.size() >= kRefusalsLoggedMax) refusals_logged_.clear();
  if (!refusals_logged_.insert({address_, code}).second) return;
  LOG_ERROR("raft", "a peer does not take part in this quorum",
            {{"peer", peer_}, {"address", address_}, {"reason", refusal.message()}});
}

}  // namespace millrace::raft
