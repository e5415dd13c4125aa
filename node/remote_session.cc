#include "node/remote_session.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "metadata/image_records.h"

namespace millrace::node {
namespace {

SessionAnswer AnswerOf(const internal::v1::BrokerSessionState& state) {
  SessionAnswer answer;
  answer.may_stop = state.may_stop();
  answer.term = Term(state.controller_term());
  answer.heartbeat = state.heartbeat();
  if (state.state() != internal::v1::BROKER_STATE_UNSPECIFIED) {
    answer.broker = metadata::StateFromRecord(state.state());
  }
  return answer;
}

absl::Status NoController() {
  return MakeError(ErrorCode::kNotController,
                   "no active controller is known at the moment; nothing was changed");
}

}  // namespace

RemoteSession::RemoteSession(RemoteSessionOptions options, const Deps& deps)
    : options_(std::move(options)),
      deps_(deps),
      core_(options_.session, deps.random, deps.clock->Now()),
      feed_(std::make_shared<const metadata::Image>()),
      follower_(&feed_),
      timer_(deps.executor,
             [this] {
               core_.Tick(deps_.clock->Now());
               Drain();
             }),
      report_timer_(deps.executor, [this] { Report(); }),
      leave_timer_(deps.executor, [this] {
        if (left_) std::exchange(left_, nullptr)();
      }) {}

RemoteSession::~RemoteSession() { *self_ = nullptr; }

void RemoteSession::Start(std::function<void(const LeaderHint&)> on_leader) {
  on_leader_ = std::move(on_leader);
  report_timer_.Set(deps_.clock->Now() + options_.first_report_after);
  Drain();
}

void RemoteSession::OnLeader(const LeaderHint& leader) {
  core_.OnLeader(leader, deps_.clock->Now());
  Drain();
}

// ---- What the broker wants ----

void RemoteSession::SetOnEnded(std::function<void(const absl::Status&)> on_ended) {
  on_ended_ = std::move(on_ended);
}

void RemoteSession::AwaitCluster(absl::AnyInvocable<void(ClusterId) &&> known) {
  cluster_known_ = std::move(known);
  Drain();
}

void RemoteSession::Register(internal::v1::RegisterBrokerRequest request, Done<BrokerEpoch> done) {
  registration_ = std::move(request);
  registration_.set_cluster_id(cluster().ToBytes());
  registered_ = std::move(done);
  core_.Register(deps_.clock->Now());
  Drain();
}

void RemoteSession::Activate(absl::AnyInvocable<void(absl::Status) &&> done) {
  activated_ = std::move(done);
  core_.Activate(deps_.clock->Now());
  Drain();
}

void RemoteSession::ReportFailedDirectory(DirectoryId directory) {
  failed_directories_.insert(directory);
  core_.HeartbeatSoon(deps_.clock->Now());
  Drain();
}

void RemoteSession::Leave(absl::Duration max, Task done) {
  left_ = std::move(done);
  leave_timer_.Set(deps_.clock->Now() + max);
  core_.Leave(deps_.clock->Now());
  Drain();
}

std::string RemoteSession::Progress() const { return core_.Progress(); }

// ---- The core's doing ----

void RemoteSession::Drain() {
  while (true) {
    const BrokerSessionReady ready = core_.TakeReady();
    if (ready.empty()) break;
    if (ready.close) {
      stream_ = nullptr;
      GiveUpCalls();
    }
    if (ready.open.has_value()) Open(*ready.open);
    if (ready.heartbeat && stream_ != nullptr) stream_->Send(Heartbeat());
    if (ready.register_broker.has_value()) AskRegistration(*ready.register_broker);
  }
  timer_.Set(core_.next_deadline());
  TellChanges();
}

ClusterId RemoteSession::cluster() const {
  const ClusterId followed = follower_.image().cluster_id();
  return followed.is_zero() ? options_.cluster_id : followed;
}

void RemoteSession::Open(const BrokerSessionReady::Open& open) {
  follower_.BeginStream();
  internal::v1::BrokerSessionRequest first = Heartbeat();
  if (!cluster().is_zero()) first.set_cluster_id(cluster().ToBytes());
  stream_ = deps_.link->OpenSession(open.address, first, open.connect_max,
                                    [self = self_, stream = open.stream](auto response) {
                                      if (*self != nullptr)
                                        (*self)->OnReceived(stream, std::move(response));
                                    });
}

void RemoteSession::AskRegistration(const BrokerSessionReady::Register& attempt) {
  deps_.link->RegisterBroker(
      attempt.address, registration_, options_.call_timeout,
      [self = self_,
       number = attempt.attempt](absl::StatusOr<internal::v1::RegisterBrokerResponse> response) {
        if (*self == nullptr) return;
        RemoteSession& session = **self;
        session.core_.OnRegistered(
            number,
            response.ok() ? absl::StatusOr<BrokerEpoch>(BrokerEpoch(response->broker_epoch()))
                          : absl::StatusOr<BrokerEpoch>(response.status()),
            session.deps_.clock->Now());
        session.Drain();
      });
}

internal::v1::BrokerSessionRequest RemoteSession::Heartbeat() const {
  internal::v1::BrokerSessionRequest request;
  request.set_broker_id(options_.self.value());
  if (core_.epoch() != kNoBrokerEpoch) request.set_broker_epoch(core_.epoch().value());
  request.set_applied_index(follower_.applied().value());
  request.set_heartbeat(core_.heartbeat());
  request.set_want_active(core_.want_active());
  request.set_want_shutdown(core_.want_shutdown());
  for (const DirectoryId& directory : failed_directories_) {
    request.add_failed_directories(directory.ToBytes());
  }
  if (disk_speeds_ == nullptr) return request;
  for (const auto& [directory, sync] : disk_speeds_()) {
    internal::v1::LogDirSpeed* const speed = request.add_log_dir_speeds();
    speed->set_directory_id(directory.ToBytes());
    speed->set_sync_us(absl::ToInt64Microseconds(sync));
  }
  return request;
}

void RemoteSession::OnReceived(uint64_t stream,
                               absl::StatusOr<internal::v1::BrokerSessionResponse> response) {
  const MonotonicTime now = deps_.clock->Now();
  if (stream != core_.stream()) return;
  if (!response.ok()) return EndStream(response.status());
  if (response->has_state()) {
    core_.OnAnswer(stream, AnswerOf(response->state()), now);
    return Drain();
  }
  if (const absl::Status applied = Apply(*response); !applied.ok()) {
    LOG_ERROR("node", "the controller's metadata cannot be followed",
              {{"applied", follower_.applied().value()}, {"error", applied.ToString()}});
    // What sends metadata is a controller: it, and not a stray one, is what cannot be followed.
    core_.OnMetadata(stream, follower_.applied(), now);
    return EndStream(applied);
  }
  core_.OnMetadata(stream, follower_.applied(), now);
  Drain();
}

void RemoteSession::EndStream(const absl::Status& why) {
  stream_ = nullptr;
  GiveUpCalls();
  core_.OnStreamEnded(core_.stream(), why, deps_.clock->Now());
  Drain();
}

absl::Status RemoteSession::Apply(const internal::v1::BrokerSessionResponse& response) {
  if (response.has_image()) {
    const internal::v1::MetadataImageChunk& chunk = response.image();
    return follower_.OnImageChunk(LogIndex(chunk.index()), chunk.data(), chunk.last());
  }
  for (const internal::v1::MetadataEntry& entry : response.entries().entries()) {
    RETURN_IF_ERROR(follower_.OnEntry(LogIndex(entry.index()), Bytes::Copy(entry.payload())));
  }
  return absl::OkStatus();
}

// ---- What has changed ----

void RemoteSession::TellChanges() {
  if (const LeaderHint leader = core_.leader(); leader != told_leader_) {
    told_leader_ = leader;
    if (on_leader_) on_leader_(leader);
  }
  // What was asked goes out first: metadata that came before this contact has been passed on.
  if (const MonotonicTime contact = core_.contact(); contact > told_contact_ && on_contact_) {
    told_contact_ = contact;
    on_contact_(contact);
  }
  const BrokerSession::State state = core_.state();
  if (state != told_state_) {
    LOG_INFO("node", "session with the controllers",
             {{"state", BrokerSessionStateName(state)},
              {"controller", told_leader_.address},
              {"epoch", core_.epoch().value()}});
    told_state_ = state;
  }
  if (!core_.failure().ok()) {
    if (left_) std::exchange(left_, nullptr)();
    if (on_ended_) std::exchange(on_ended_, nullptr)(core_.failure());
    return;
  }
  if (const ClusterId cluster = follower_.image().cluster_id(); !cluster.is_zero()) {
    if (cluster_known_) std::exchange(cluster_known_, nullptr)(cluster);
  }
  // Not before the metadata shows it: what follows the feed from then on must not begin with less.
  const bool registered =
      core_.epoch() != kNoBrokerEpoch && follower_.applied().value() >= core_.epoch().value();
  if (registered && registered_) {
    std::exchange(registered_, nullptr)(core_.epoch());
  }
  if (state == BrokerSession::State::kActive && activated_) {
    std::exchange(activated_, nullptr)(absl::OkStatus());
  }
  if (state == BrokerSession::State::kMayStop && left_) std::exchange(left_, nullptr)();
}

// Says what a start waits for, as long as it does.
void RemoteSession::Report() {
  report_timer_.Set(deps_.clock->Now() + options_.report_interval);
  const std::string progress = core_.Progress();
  if (!progress.empty() && core_.failure().ok()) {
    LOG_WARN("node", "waiting for the controllers", {{"reason", progress}});
  }
}

// ---- The broker's questions ----

template <class Request, class Response>
void RemoteSession::Ask(void (ControllerLink::*call)(const std::string&, const Request&,
                                                     absl::Duration,
                                                     ControllerLink::Done<Response>),
                        const Request& request, Done<Response> done) {
  const std::string address = core_.leader().address;
  if (address.empty()) {
    deps_.executor->Post([self = self_, done = std::move(done)]() mutable {
      if (*self != nullptr) std::move(done)(NoController());
    });
    return;
  }
  const uint64_t number = next_call_++;
  // Whoever comes first answers: the controller, or the end of its session.
  auto answer = std::make_shared<Done<Response>>(std::move(done));
  calls_.emplace(number, [answer](const absl::Status& status) { std::move (*answer)(status); });
  (deps_.link->*call)(address, request, options_.call_timeout,
                      [self = self_, number, answer](absl::StatusOr<Response> response) {
                        if (*self == nullptr || (*self)->calls_.erase(number) == 0) return;
                        std::move (*answer)(std::move(response));
                      });
}

void RemoteSession::GiveUpCalls() {
  if (calls_.empty()) return;
  // Not inside whatever ended the session.
  deps_.executor->Post([self = self_, calls = std::exchange(calls_, {})]() mutable {
    for (auto& [number, fail] : calls) {
      if (*self == nullptr) return;
      std::move(fail)(MakeError(
          ErrorCode::kOutcomeUnknown,
          "the session with the controller broke; the change may or may not take effect"));
    }
  });
}

void RemoteSession::AlterPartition(internal::v1::AlterPartitionRequest request,
                                   Done<internal::v1::AlterPartitionResponse> done) {
  Ask(&ControllerLink::AlterPartition, request, std::move(done));
}

void RemoteSession::ReportLastCopies(internal::v1::ReportLastCopiesRequest request,
                                     Done<internal::v1::ReportLastCopiesResponse> done) {
  Ask(&ControllerLink::ReportLastCopies, request, std::move(done));
}

void RemoteSession::AssignReplicasToDirs(internal::v1::AssignReplicasToDirsRequest request,
                                         Done<internal::v1::AssignReplicasToDirsResponse> done) {
  Ask(&ControllerLink::AssignReplicasToDirs, request, std::move(done));
}

void RemoteSession::AllocateProducerIds(internal::v1::AllocateProducerIdsRequest request,
                                        Done<internal::v1::AllocateProducerIdsResponse> done) {
  Ask(&ControllerLink::AllocateProducerIds, request, std::move(done));
}

}  // namespace millrace::node
