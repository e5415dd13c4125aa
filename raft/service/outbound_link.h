// OutboundLink: the way of this voter's messages to one peer: a stream on a connection of its own,
// opened again whenever it breaks.
//
// The stream begins with our hello; messages follow without waiting for the answer. What cannot be
// sent at once is dropped, never kept for the next stream, and so is what would make the unsent
// bytes exceed their bound. A break is told once; the next is told only after the peer has answered
// again. Not here: which peers there are, and who may speak (GrpcTransport, PeerGuard).
//
// Thread: owner's executor. Held by shared_ptr; what comes from the queue holds it weakly.
#ifndef RAFT_SERVICE_OUTBOUND_LINK_H_
#define RAFT_SERVICE_OUTBOUND_LINK_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
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
  // `lasting`: opened again by itself; otherwise only when there is something to send.
  OutboundLink(NodeId peer, std::string address, bool lasting, const TransportOptions& options,
               const TransportDeps& deps, PeerCounters* counters, LinkEvents* events);
  ~OutboundLink();

  const std::string& address() const { return address_; }
  bool lasting() const { return lasting_; }
  // The peer has answered our hello on the present stream.
  bool established() const { return established_; }

  // Connects now, whatever the back-off says, unless a stream is there.
  void Open();

  // This process of the peer has opened a stream to us: no reason to wait, nor to hold on to a
  // connection that leads to a former one, or nowhere.
  void PeerIsHere(const ProcessId& process);

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
  void LogOnce(const absl::Status& refusal);

  const NodeId peer_;
  const std::string address_;
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
  // The present break was told.
  bool break_told_ = false;
  // The last refusal that was logged; kNone after an answer.
  ErrorCode refusal_logged_ = ErrorCode::kNone;
  LogThrottle unsendable_{absl::Seconds(10)};
  // Shared with the requests under way, each of which subtracts itself when it has gone out.
  std::shared_ptr<std::atomic<int64_t>> queued_ = std::make_shared<std::atomic<int64_t>>(0);
};

}  // namespace millrace::raft

#endif  // RAFT_SERVICE_OUTBOUND_LINK_H_
