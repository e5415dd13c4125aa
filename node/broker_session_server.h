// BrokerSessionServer: the controller's end of all BrokerSession streams: hands the metadata down
// them and what brokers say of themselves to controller::BrokerSessions, and asks the controller
// for the changes that follow.
//
// It serves while this node leads. When it does not, or no longer, streams end with NOT_CONTROLLER
// and what is known of the leader, at once: whoever was here looks for the next one. A refusal is
// final for a broker, so it leaves only when a round of the quorum has shown that this node leads
// still. Each stream has one message under way at most, so that nothing is queued for a reader that
// does not read.
//
// Not here: gRPC (node/service/broker_session_stream.h), and what follows from silence
// (controller/broker_sessions.h).
//
// Thread: the controller executor.
// Source: S-12, S-31; KIP-631. The metadata down the stream: KIP-595's observers, pushed.
#ifndef NODE_BROKER_SESSION_SERVER_H_
#define NODE_BROKER_SESSION_SERVER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "controller/broker_sessions.h"
#include "controller/leader_watch.h"
#include "controller/quorum_control.h"
#include "metadata/image.h"
#include "metadata/recent_entries.h"
#include "millrace/internal/v1/controller_service.pb.h"
#include "node/metadata_sender.h"
#include "rsm/record.h"

namespace millrace::node {

// One stream, as the controller sees it.
class BrokerSessionStream {
 public:
  virtual ~BrokerSessionStream() = default;

  // Sends; BrokerSessionServer::OnSendable follows, never from inside, when the next one may be.
  virtual void Send(internal::v1::BrokerSessionResponse response) = 0;
  // Ends it. Nothing is called on it, and nothing need be told of it, from here on.
  virtual void End(const absl::Status& status) = 0;
};

// Carries a decision out: it is a command to the controller. The outcome comes when all that was
// committed before it has been told to the server; may_stop is that of a kShutDown.
using SessionDecided = absl::AnyInvocable<void(const absl::Status& outcome, bool may_stop) &&>;
using CarryOutSessionDecision =
    std::function<void(const controller::SessionDecision&, SessionDecided)>;

// Asks whether this node leads: OK if it did still after it was asked, and all that had been
// committed by then has been told to the server.
using LeadershipConfirmed = absl::AnyInvocable<void(const absl::Status& leads) &&>;
using ConfirmLeadership = std::function<void(LeadershipConfirmed)>;

class BrokerSessionServer {
 public:
  struct Options {
    controller::BrokerSessionOptions sessions;
    // Of committed entries that are kept for observers.
    size_t entry_bytes_max = size_t{4} << 20;
    // The run of the broker of this process; zero if it has none.
    IncarnationId own_run;
    // A process that was heard no longer ago is well: two heartbeats.
    absl::Duration well_max = absl::Seconds(1);
  };
  // All of it outlives this, and `executor`'s tasks.
  struct Deps {
    const Clock* clock = nullptr;
    Executor* executor = nullptr;
    const controller::LeaderWatch* leaders = nullptr;
    MetricRegistry* metrics = nullptr;
    CarryOutSessionDecision carry_out;
    ConfirmLeadership confirm_leadership;
  };
  using StreamId = controller::SessionStreamId;
  using ImagePointer = std::shared_ptr<const metadata::Image>;

  BrokerSessionServer(const Options& options, Deps deps);
  ~BrokerSessionServer();

  // A stream was opened: its first request says whose it is. It may be ended from inside.
  StreamId Open(std::unique_ptr<BrokerSessionStream> stream);
  // These are ignored for a stream that has ended.
  void OnRequest(StreamId id, const internal::v1::BrokerSessionRequest& request);
  void OnSendable(StreamId id);
  // The other end has gone.
  void OnClosed(StreamId id);

  // Whether a process may register: it must not take the id of another one that is well, as one
  // with a wrong node.id would, by which it would end that. A process on a log directory that the
  // one before had open follows it, since that has let go of the directory. Errors:
  // RESOURCE_EXHAUSTED, until the other has gone.
  absl::Status CheckNewcomer(const internal::v1::RegisterBrokerRequest& request) const;

  // A broker was heard of without a stream.
  void OnContact(NodeId broker, BrokerEpoch epoch);

  // What the host of the metadata log tells, leading or not. StartAt: before all else, and whenever
  // a snapshot was installed. `image`: as it is then.
  void StartAt(LogIndex index, ImagePointer image);
  void OnCommitted(LogIndex index, ImagePointer image, absl::Span<const rsm::Record> records);
  void OnLed(Term term);
  void OnLostLeadership();

  // Who follows the metadata by a stream, for the description of the quorum.
  std::vector<controller::QuorumMember> Observers() const;

 private:
  struct Stream {
    std::unique_ptr<BrokerSessionStream> stream;
    // kNoNode until the first request.
    NodeId broker = kNoNode;
    // kNoBrokerEpoch: an observer.
    BrokerEpoch epoch = kNoBrokerEpoch;
    std::unique_ptr<MetadataSender> metadata;
    // As its last heartbeat said, when that came, and its number.
    LogIndex applied;
    MonotonicTime heard;
    int64_t heartbeat = 0;
    bool sendable = true;
    // Its first request cannot be served: it ends once it is known that this node leads.
    bool refused = false;
    // A heartbeat, or a change, is to be answered.
    bool state_due = false;
    bool told_may_stop = false;

    bool has_session() const { return epoch != kNoBrokerEpoch; }
  };

  absl::Status CheckFirst(const internal::v1::BrokerSessionRequest& request) const;
  // Ends the stream with `why`, or with NOT_CONTROLLER if this node leads no more.
  void Refuse(StreamId id, Stream* stream, absl::Status why);
  void Begin(StreamId id, const internal::v1::BrokerSessionRequest& request, Stream* stream);
  absl::Status NotController() const;
  // Ends and forgets the stream.
  void End(StreamId id, const absl::Status& status);
  // Of a committed entry, whose image is here.
  void OnBrokerRecord(const rsm::Record& record);
  void OnBrokerChanged(const metadata::BrokerImage& broker);
  void OnBrokerRemoved(NodeId broker);
  // Has Work run, after all that is queued already.
  void Wake();
  // Carries out what is due, sends what there is to send, sets the timer.
  void Work();
  void SendTo(Stream* stream);
  internal::v1::BrokerSessionResponse StateFor(const Stream& stream) const;
  std::shared_ptr<const MetadataSender::EncodedImage> EncodeImage();

  const absl::Duration well_max_;
  const Deps deps_;
  controller::BrokerSessions sessions_;
  metadata::RecentEntries entries_;
  Gauge& streams_gauge_;
  Counter& fenced_;
  ImagePointer image_;
  // The newest image as bytes, while somebody is being sent it.
  std::weak_ptr<const MetadataSender::EncodedImage> encoded_;
  bool leading_ = false;
  Term term_;
  LogIndex committed_index_;
  uint64_t last_stream_ = 0;
  std::map<StreamId, Stream> streams_;
  bool work_posted_ = false;
  DeadlineTimer timer_;
  // Held weakly by what is posted and asked for.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace millrace::node

#endif  // NODE_BROKER_SESSION_SERVER_H_
