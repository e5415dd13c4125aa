// RemoteSession: the session of a broker with the active controller of a quorum of other processes:
// runs BrokerSession over a ControllerLink, makes images of what comes (metadata/follower.h), and
// passes on the broker's questions to whoever the session is with.
//
// It decides nothing: BrokerSession says what to do. A stream that brings what contradicts the
// metadata here is given up, as if it had broken (S-20).
//
// Thread: the controller executor.
#ifndef NODE_REMOTE_SESSION_H_
#define NODE_REMOTE_SESSION_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "base/clock.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "base/random.h"
#include "base/status.h"
#include "metadata/feed.h"
#include "metadata/follower.h"
#include "node/broker_session.h"
#include "node/controller_link.h"
#include "node/controller_session.h"

namespace millrace::node {

struct RemoteSessionOptions {
  NodeId self = kNoNode;
  // Of the log directories; zero: they belong to none yet.
  ClusterId cluster_id;
  BrokerSessionOptions session;
  // Of a question to the controller.
  absl::Duration call_timeout = absl::Seconds(5);
  // What is waited for is logged first after the one, then every so often.
  absl::Duration first_report_after = absl::Seconds(1);
  absl::Duration report_interval = absl::Seconds(5);
};

class RemoteSession final : public ControllerSession, private broker::ControllerChannel {
 public:
  template <class T>
  using Done = ControllerSession::Done<T>;

  // All outlive this.
  struct Deps {
    Clock* clock = nullptr;
    Random* random = nullptr;
    Executor* executor = nullptr;
    ControllerLink* link = nullptr;
  };

  RemoteSession(RemoteSessionOptions options, const Deps& deps);
  ~RemoteSession() override;

  // Begins to look for the active controller. `on_leader` is told who leads, as far as the session
  // knows, at each change; may be null.
  void Start(std::function<void(const LeaderHint&)> on_leader);
  // As told last.
  const LeaderHint& leader() const { return told_leader_; }
  // Somebody else knows who leads.
  void OnLeader(const LeaderHint& leader);

  // ControllerSession.
  void SetOnEnded(std::function<void(const absl::Status&)> on_ended) override;
  void AwaitCluster(absl::AnyInvocable<void(ClusterId) &&> known) override;
  void Register(internal::v1::RegisterBrokerRequest request, Done<BrokerEpoch> done) override;
  void Activate(absl::AnyInvocable<void(absl::Status) &&> done) override;
  void ReportFailedDirectory(DirectoryId directory) override;
  void SetDiskSpeeds(DiskSpeeds speeds) override { disk_speeds_ = std::move(speeds); }
  void SetOnContact(std::function<void(MonotonicTime)> on_contact) override {
    on_contact_ = std::move(on_contact);
  }
  void Leave(absl::Duration max, Task done) override;
  metadata::Feed& feed() override { return feed_; }
  broker::ControllerChannel& channel() override { return *this; }
  std::string Progress() const override;

 private:
  // broker::ControllerChannel.
  void AlterPartition(internal::v1::AlterPartitionRequest request,
                      Done<internal::v1::AlterPartitionResponse> done) override;
  void ReportLastCopies(internal::v1::ReportLastCopiesRequest request,
                        Done<internal::v1::ReportLastCopiesResponse> done) override;
  void AssignReplicasToDirs(internal::v1::AssignReplicasToDirsRequest request,
                            Done<internal::v1::AssignReplicasToDirsResponse> done) override;
  void AllocateProducerIds(internal::v1::AllocateProducerIdsRequest request,
                           Done<internal::v1::AllocateProducerIdsResponse> done) override;

  // The image's; before the first one that of the log directories, if they have any.
  ClusterId cluster() const;
  // Does what the core wants, until it wants nothing, and tells what has changed.
  void Drain();
  void Open(const BrokerSessionReady::Open& open);
  void AskRegistration(const BrokerSessionReady::Register& attempt);
  internal::v1::BrokerSessionRequest Heartbeat() const;
  void OnReceived(uint64_t stream, absl::StatusOr<internal::v1::BrokerSessionResponse> response);
  absl::Status Apply(const internal::v1::BrokerSessionResponse& response);
  // By the other side, the network, or because of what it brought.
  void EndStream(const absl::Status& why);
  void TellChanges();
  void Report();
  // Asks the controller of the session, and sees to it that `done` is called: when the session
  // moves on, its answer is not waited for.
  template <class Request, class Response>
  void Ask(void (ControllerLink::*call)(const std::string&, const Request&, absl::Duration,
                                        ControllerLink::Done<Response>),
           const Request& request, Done<Response> done);
  void GiveUpCalls();

  const RemoteSessionOptions options_;
  const Deps deps_;
  BrokerSession core_;
  metadata::Feed feed_;
  metadata::Follower follower_;
  DeadlineTimer timer_;
  DeadlineTimer report_timer_;
  DeadlineTimer leave_timer_;
  std::unique_ptr<ControllerLink::Stream> stream_;
  internal::v1::RegisterBrokerRequest registration_;
  std::set<DirectoryId> failed_directories_;
  // Null before the broker gives it.
  DiskSpeeds disk_speeds_;
  // Questions under way; each fails with the status it is given.
  std::map<uint64_t, absl::AnyInvocable<void(const absl::Status&) &&>> calls_;
  uint64_t next_call_ = 0;

  std::function<void(const absl::Status&)> on_ended_;
  std::function<void(const LeaderHint&)> on_leader_;
  std::function<void(MonotonicTime)> on_contact_;
  absl::AnyInvocable<void(ClusterId) &&> cluster_known_;
  Done<BrokerEpoch> registered_;
  absl::AnyInvocable<void(absl::Status) &&> activated_;
  Task left_;
  // As told last.
  LeaderHint told_leader_;
  MonotonicTime told_contact_;
  BrokerSession::State told_state_ = BrokerSession::State::kFinding;
  // What is on its way elsewhere asks whether this object still lives.
  const std::shared_ptr<RemoteSession*> self_ = std::make_shared<RemoteSession*>(this);
};

}  // namespace millrace::node

#endif  // NODE_REMOTE_SESSION_H_
