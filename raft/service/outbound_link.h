// OutboundLink: the way of this voter's messages to one peer: a stream on a connection of its own,
// opened again whenever it breaks.
//
// The stream begins with our hello; messages follow without waiting for the answer. What cannot be
// sent at once is dropped, never kept for the next stream, and so is what would make the unsent
// bytes exceed their bound. A break is told once; the next is told only after the peer has answered
// again. A peer that may be found at several addresses is looked for at each of them in turn: one
// where it is not found, or where another node answers, gives way to the next. Not here: which
// peers there are, and who may speak (GrpcTransport, PeerGuard).
//
// Thread: owner's executor. Held by shared_ptr; what comes from the queue holds it weakly.
#ifndef RAFT_SERVICE_OUTBOUND_LINK_H_
#define RAFT_SERVICE_OUTBOUND_LINK_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline_timer.h"
#include "base/error_code.h"
#include "base/log.h"
#include "raft/codec/message_encoder.h"
#include "raft/host/hello.h"
#include "raft/messages.h"
#include "raft/service/peer_metrics.h"
#include "raft/service/reconnect_backoff.h"
#include "raft/service/transport_options.h"
#include "rpc/client_call.h"

namespace millrace::raft {

// What a link asks and tells. Outlives the link's last callback.
class LinkEvents {
 public:
  virtual ~LinkEvents() = default;
  // Our own hello for this peer.
  virtual Hello HelloTo(NodeId peer) = 0;
  // The process that was reached says this of itself. An error ends the stream.
  virtual absl::Status OnAnswer(NodeId peer, const Hello& hello) = 0;
  // The process that was reached will not listen, and says why.
  virtual void OnRefused(NodeId peer, const absl::Status& why) = 0;
  // The connection was reset or refused; once per break.
  virtual void OnLinkBroken(NodeId peer) = 0;
};

class OutboundLink : public std::enable_shared_from_this<OutboundLink> {
 public:
  // `addresses`: where the peer may be, likeliest first. `lasting`: opened again by itself;
  // otherwise only when there is something to send. REQUIRES: an address.
  OutboundLink(NodeId peer, std::vector<std::string> addresses, bool lasting,
               const TransportOptions& options, const TransportDeps& deps, PeerCounters* counters,
               LinkEvents* events);
  ~OutboundLink();

  // Where the present stream leads, or else the next one.
  const std::string& address() const { return address_; }
  const std::vector<std::string>& addresses() const { return addresses_; }
  // Replaces them; a stream that is there stays, wherever it leads. REQUIRES: not empty.
  void SetAddresses(std::vector<std::string> addresses);
  bool lasting() const { return lasting_; }
  // The peer has answered our hello on the present stream.
  bool established() const { return established_; }
  bool IsConnectedTo(const VoterId& voter) const { return established_ && answered_as_ == voter; }

  // Connects now, whatever the back-off says, unless a stream is there.
  void Open();

  // This process of the peer has opened a stream to us: no reason to wait, nor to hold on to a
  // connection that leads to a former one, or nowhere.
  void PeerIsHere(const ProcessId& process);

  // The peer has said, in its hello of this number, that it is at `address`: looks for it there
  // first, now. What an earlier hello said, or one that its answers here have overtaken, is no
  // news.
  void Follow(const std::string& address, uint64_t hello);
  void NoteHello(uint64_t hello) { hello_ = hello; }

  // In order, after all that was sent before.
  void Send(const std::vector<const Message*>& messages);

  // Unsent; never much above the bound.
  int64_t queued_bytes() const { return queued_->load(std::memory_order_relaxed); }

 private:
  class Handler;

  // From the handler of the stream with this number, on the owner's executor.
  void OnAnswer(uint64_t stream, const absl::StatusOr<Hello>& hello);
  void OnDone(uint64_t stream, const absl::Status& status);

  // Hands the writer's request to the stream, or drops it.
  void Flush(RequestWriter* writer, int64_t messages);
  void Drop(int64_t messages) { counters_.messages_dropped.Add(messages); }
  // The stream has ended, or leads nowhere: schedules the next, and tells the break once.
  void Break(const absl::Status& why, bool broken);
  // Lets the present stream go; nothing of it is heard any more.
  void Abandon();
  void ScheduleRetry();
  // The peer is not where it was looked for.
  void TurnToNextAddress();
  void LogOnce(const absl::Status& refusal);

  const NodeId peer_;
  std::vector<std::string> addresses_;
  // What the peer said itself; empty if nothing was followed.
  std::string said_;
  // One of these.
  std::string address_;
  const bool lasting_;
  const TransportOptions options_;
  const TransportDeps deps_;
  PeerCounters& counters_;
  LinkEvents* const events_;

  ReconnectBackoff backoff_;
  DeadlineTimer retry_;
  MonotonicTime retry_at_;
  // Null between attempts.
  std::shared_ptr<rpc::ClientStream> stream_;
  // Numbers the streams, so that news of a former one is recognised.
  uint64_t stream_number_ = 0;
  MonotonicTime opened_at_;
  bool established_ = false;
  // Who has answered last.
  ProcessId answered_by_;
  VoterId answered_as_;
  // The newest hello of the peer that led the link where it is, or was heard there.
  uint64_t hello_ = 0;
  // The present break was told.
  bool break_told_ = false;
  // The refusals that were logged since the last answer, with the address that they came from.
  std::set<std::pair<std::string, ErrorCode>> refusals_logged_;
  LogThrottle unsendable_{absl::Seconds(10)};
  // Shared with the requests under way, each of which subtracts itself when it has gone out.
  std::shared_ptr<std::atomic<int64_t>> queued_ = std::make_shared<std::atomic<int64_t>>(0);
};

}  // namespace millrace::raft

#endif  // RAFT_SERVICE_OUTBOUND_LINK_H_
