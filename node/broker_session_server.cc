#include "node/broker_session_server.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/host_port.h"
#include "base/log.h"
#include "base/status.h"
#include "controller/current_broker.h"
#include "metadata/image_records.h"
#include "metadata/image_snapshot.h"
#include "metadata/record_types.h"

namespace millrace::node {

using controller::BrokerHeartbeatReport;
using controller::SessionDecision;
using internal::v1::BrokerSessionRequest;
using internal::v1::BrokerSessionResponse;

namespace {

// The ids that are none are left out: what no directory has cannot be looked up.
std::set<DirectoryId> DirectoriesOf(const BrokerSessionRequest& request) {
  std::set<DirectoryId> directories;
  for (const std::string& bytes : request.failed_directories()) {
    const absl::StatusOr<DirectoryId> id = DirectoryId::FromBytes(bytes);
    if (id.ok()) directories.insert(*id);
  }
  return directories;
}

controller::DiskSpeeds::Syncs SyncsOf(const BrokerSessionRequest& request) {
  controller::DiskSpeeds::Syncs syncs;
  for (const internal::v1::LogDirSpeed& speed : request.log_dir_speeds()) {
    const absl::StatusOr<DirectoryId> id = DirectoryId::FromBytes(speed.directory_id());
    if (id.ok() && speed.sync_us() >= 0) syncs[*id] = absl::Microseconds(speed.sync_us());
  }
  return syncs;
}

BrokerEpoch EpochOf(const BrokerSessionRequest& request) {
  return request.broker_epoch() > 0 ? BrokerEpoch(request.broker_epoch()) : kNoBrokerEpoch;
}

}  // namespace

BrokerSessionServer::BrokerSessionServer(const Options& options, Deps deps)
    : well_max_(options.well_max),
      deps_(std::move(deps)),
      sessions_(options.sessions, options.own_run),
      entries_(options.entry_bytes_max),
      streams_gauge_(deps_.metrics->AddGauge("millrace_controller_broker_streams",
                                             "Streams of brokers and observers that this "
                                             "controller serves; 0 unless it leads.")),
      fenced_(deps_.metrics->AddCounter("millrace_controller_broker_sessions_ended_total",
                                        "Brokers that this controller fenced because nothing was "
                                        "heard of them.")),
      image_(std::make_shared<const metadata::Image>()),
      timer_(deps_.executor, [this] {
        // Behind all input that is queued already: it may be what is waited for.
        deps_.executor->Post([this, alive = std::weak_ptr<const bool>(alive_)] {
          if (alive.expired()) return;
          sessions_.OnTime(deps_.clock->Now());
          Work();
        });
      }) {}

BrokerSessionServer::~BrokerSessionServer() = default;

// ---- Streams ----

BrokerSessionServer::StreamId BrokerSessionServer::Open(
    std::unique_ptr<BrokerSessionStream> stream) {
  const StreamId id(++last_stream_);
  if (!leading_) {
    stream->End(NotController());
    return id;
  }
  Stream& opened = streams_[id];
  opened.stream = std::move(stream);
  opened.heard = deps_.clock->Now();
  streams_gauge_.Set(static_cast<int64_t>(streams_.size()));
  return id;
}

void BrokerSessionServer::OnRequest(StreamId id, const BrokerSessionRequest& request) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = found->second;
  if (stream.refused) return;
  if (stream.metadata == nullptr) {
    if (absl::Status status = CheckFirst(request); !status.ok()) {
      return Refuse(id, &stream, std::move(status));
    }
    Begin(id, request, &stream);
  } else if (NodeId(request.broker_id()) != stream.broker || EpochOf(request) != stream.epoch) {
    return End(
        id,
        MakeError(ErrorCode::kInvalidRequest,
                  absl::StrCat("the stream is that of broker ", stream.broker.value(), " at epoch ",
                               stream.epoch.value(), ": open another one for another"),
                  {.name = "broker_epoch", .value = absl::StrCat(request.broker_epoch())}));
  }
  stream.applied = LogIndex(request.applied_index());
  stream.heard = deps_.clock->Now();
  stream.heartbeat = request.heartbeat();
  stream.state_due = true;
  if (stream.has_session()) {
    sessions_.OnHeartbeat({.broker = stream.broker,
                           .epoch = stream.epoch,
                           .applied = stream.applied,
                           .want_active = request.want_active(),
                           .want_shutdown = request.want_shutdown(),
                           .failed_directories = DirectoriesOf(request),
                           .syncs = SyncsOf(request)},
                          stream.heard);
  }
  Wake();
}

absl::Status BrokerSessionServer::CheckFirst(const BrokerSessionRequest& request) const {
  const ClusterId cluster = image_->cluster_id();
  if (!request.cluster_id().empty() && request.cluster_id() != cluster.ToBytes()) {
    const absl::StatusOr<ClusterId> asked = ClusterId::FromBytes(request.cluster_id());
    return MakeError(ErrorCode::kInconsistentClusterId,
                     absl::StrCat("node ", request.broker_id(), " belongs to cluster ",
                                  asked.ok() ? asked->ToString() : "(not an id)",
                                  ", this is cluster ", cluster.ToString()),
                     {.name = "cluster_id", .value = asked.ok() ? asked->ToString() : ""});
  }
  if (request.broker_id() < 0) {
    return MakeError(ErrorCode::kInvalidRequest, "a stream needs the id of its node",
                     {.name = "broker_id", .value = absl::StrCat(request.broker_id())});
  }
  // Not more than is committed can have been applied: the quorum was recovered from an older state.
  if (request.applied_index() < 0 || LogIndex(request.applied_index()) > committed_index_) {
    return MakeError(
        ErrorCode::kInvalidRequest,
        absl::StrCat("node ", request.broker_id(), " has applied the metadata up to ",
                     request.applied_index(), ", but this quorum's log ends at ",
                     committed_index_.value(), ": it has lost what was committed (S-20)"),
        {.name = "applied_index", .value = absl::StrCat(request.applied_index())});
  }
  if (EpochOf(request) == kNoBrokerEpoch) return absl::OkStatus();
  return controller::CurrentBroker(*image_, NodeId(request.broker_id()), EpochOf(request)).status();
}

// Another may lead by now, and have committed what this node does not know: the registration of
// this broker, or all that it says it has applied.
void BrokerSessionServer::Refuse(StreamId id, Stream* stream, absl::Status why) {
  stream->refused = true;
  deps_.confirm_leadership([this, id, why = std::move(why),
                            alive = std::weak_ptr<const bool>(alive_)](const absl::Status& leads) {
    if (alive.expired() || !streams_.contains(id)) return;
    End(id, leads.ok() ? why : NotController());
  });
}

void BrokerSessionServer::Begin(StreamId id, const BrokerSessionRequest& request, Stream* stream) {
  stream->broker = NodeId(request.broker_id());
  stream->epoch = EpochOf(request);
  stream->metadata = std::make_unique<MetadataSender>(LogIndex(request.applied_index()));
  if (!stream->has_session()) return;
  sessions_.OnStreamOpened(stream->broker, stream->epoch, id, deps_.clock->Now());
  for (const auto& [other_id, other] : streams_) {
    if (other_id == id || other.broker != stream->broker || !other.has_session()) continue;
    // Its reader has given it up, or it would not have opened another.
    End(other_id, MakeError(ErrorCode::kCancelled, "the broker opened another stream"));
    break;
  }
}

void BrokerSessionServer::OnSendable(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  found->second.sendable = true;
  SendTo(&found->second);
}

void BrokerSessionServer::OnClosed(StreamId id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  const Stream& stream = found->second;
  if (stream.has_session()) {
    sessions_.OnStreamBroken(stream.broker, id, deps_.clock->Now());
    LOG_INFO("node", "the stream of a broker has broken", {{"broker", stream.broker.value()}});
  }
  streams_.erase(found);
  streams_gauge_.Set(static_cast<int64_t>(streams_.size()));
  Wake();
}

void BrokerSessionServer::End(StreamId id, const absl::Status& status) {
  const auto found = streams_.find(id);
  const Stream ended = std::move(found->second);
  streams_.erase(found);
  streams_gauge_.Set(static_cast<int64_t>(streams_.size()));
  if (ended.has_session()) sessions_.OnStreamClosed(ended.broker, id, deps_.clock->Now());
  ended.stream->End(status);
}

absl::Status BrokerSessionServer::CheckNewcomer(
    const internal::v1::RegisterBrokerRequest& request) const {
  const metadata::BrokerImage* const before = image_->FindBroker(NodeId(request.broker_id()));
  if (before == nullptr || before->incarnation.ToBytes() == request.incarnation_id()) {
    return absl::OkStatus();
  }
  for (const internal::v1::BrokerLogDir& dir : request.log_dirs()) {
    const absl::StatusOr<DirectoryId> id = DirectoryId::FromBytes(dir.directory_id());
    const metadata::LogDirImage* const had = id.ok() ? before->FindLogDir(*id) : nullptr;
    if (had != nullptr && !had->absent()) return absl::OkStatus();
  }
  const MonotonicTime now = deps_.clock->Now();
  for (const auto& [id, stream] : streams_) {
    if (stream.broker != before->id || stream.epoch != before->epoch) continue;
    if (now - stream.heard > well_max_) continue;
    return MakeError(
        ErrorCode::kResourceExhausted,
        absl::StrCat("broker ", before->id.value(), " runs as another process, with other log ",
                     "directories",
                     before->listeners.empty()
                         ? ""
                         : absl::StrCat(", at ", HostPort(before->listeners.front().host,
                                                          before->listeners.front().port)),
                     ", and was heard ", absl::ToInt64Milliseconds(now - stream.heard),
                     " ms ago: give this process a node.id of its own, or stop that one"),
        {.name = "node.id", .value = absl::StrCat(before->id.value())});
  }
  return absl::OkStatus();
}

void BrokerSessionServer::OnContact(NodeId broker, BrokerEpoch epoch) {
  sessions_.OnContact(broker, epoch, deps_.clock->Now());
  Wake();
}

absl::Status BrokerSessionServer::NotController() const {
  return MakeError(ErrorCode::kNotController,
                   "this node does not lead the quorum of controllers; ask the one that does",
                   {.leader = deps_.leaders->leader()});
}

// ---- The metadata log ----

void BrokerSessionServer::StartAt(LogIndex index, ImagePointer image) {
  committed_index_ = index;
  image_ = std::move(image);
  entries_.StartAfter(image_->index());
}

void BrokerSessionServer::OnCommitted(LogIndex index, ImagePointer image,
                                      absl::Span<const rsm::Record> records) {
  committed_index_ = index;
  if (records.empty()) return;
  image_ = std::move(image);
  entries_.Append(index, records);
  if (!leading_) return;
  for (const rsm::Record& record : records) OnBrokerRecord(record);
  Wake();
}

void BrokerSessionServer::OnBrokerRecord(const rsm::Record& record) {
  if (record.type != metadata::kBrokerRegistration && record.type != metadata::kBrokerChange &&
      record.type != metadata::kBrokerRemoved) {
    return;
  }
  const absl::StatusOr<metadata::AnyRecord> decoded = metadata::Decode(record);
  CHECK(decoded.ok()) << "an applied record can be read";
  namespace records = metadata::records;
  NodeId id = kNoNode;
  if (const auto* registered = std::get_if<records::BrokerRegistrationRecord>(&*decoded)) {
    id = NodeId(registered->broker_id());
  } else if (const auto* changed = std::get_if<records::BrokerChangeRecord>(&*decoded)) {
    id = NodeId(changed->broker_id());
  } else {
    id = NodeId(std::get<records::BrokerRemovedRecord>(*decoded).broker_id());
  }
  const metadata::BrokerImage* const broker = image_->FindBroker(id);
  if (broker != nullptr) return OnBrokerChanged(*broker);
  if (record.type == metadata::kBrokerRemoved) OnBrokerRemoved(id);
}

void BrokerSessionServer::OnBrokerChanged(const metadata::BrokerImage& broker) {
  sessions_.OnBroker(broker, deps_.clock->Now());
  for (auto& [id, stream] : streams_) {
    if (stream.broker != broker.id || !stream.has_session()) continue;
    if (stream.epoch == broker.epoch) {
      stream.state_due = true;
      continue;
    }
    End(id, MakeError(ErrorCode::kStaleBrokerEpoch,
                      absl::StrCat("broker ", broker.id.value(), " was registered anew, at epoch ",
                                   broker.epoch.value()),
                      {.name = "broker_epoch", .value = absl::StrCat(stream.epoch.value())}));
    return;
  }
}

// Somebody took it out of the cluster while its process ran, fenced. It would ask to be activated
// for ever.
void BrokerSessionServer::OnBrokerRemoved(NodeId broker) {
  sessions_.OnBrokerRemoved(broker);
  for (const auto& [id, stream] : streams_) {
    if (stream.broker != broker || !stream.has_session()) continue;
    return End(id, controller::CurrentBroker(*image_, broker, stream.epoch).status());
  }
}

void BrokerSessionServer::OnLed(Term term) {
  leading_ = true;
  term_ = term;
  sessions_.Begin(*image_, deps_.clock->Now());
  Wake();
}

void BrokerSessionServer::OnLostLeadership() {
  leading_ = false;
  sessions_.End();
  timer_.Clear();
  const absl::Status status = NotController();
  while (!streams_.empty()) End(streams_.begin()->first, status);
}

// ---- What follows ----

void BrokerSessionServer::Wake() {
  if (std::exchange(work_posted_, true)) return;
  deps_.executor->Post([this, alive = std::weak_ptr<const bool>(alive_)] {
    if (alive.expired()) return;
    work_posted_ = false;
    Work();
  });
}

void BrokerSessionServer::Work() {
  if (!leading_) return;
  for (const SessionDecision& decision : sessions_.TakeDecisions()) {
    if (decision.kind == SessionDecision::Kind::kFence) {
      fenced_.Add(1);
      LOG_WARN("node", "the session of a broker has ended: it is fenced",
               {{"broker", decision.broker.value()}, {"epoch", decision.epoch.value()}});
    }
    deps_.carry_out(decision, [this, decision, alive = std::weak_ptr<const bool>(alive_)](
                                  const absl::Status& outcome, bool may_stop) {
      if (alive.expired()) return;
      if (!outcome.ok()) {
        LOG_WARN("node", "a change of a broker's state failed; it is tried again",
                 {{"broker", decision.broker.value()}, {"error", outcome.ToString()}});
      }
      sessions_.OnDecided(decision, outcome, may_stop, deps_.clock->Now());
      Wake();
    });
  }
  for (auto& [id, stream] : streams_) SendTo(&stream);
  timer_.Set(sessions_.next_deadline());
}

void BrokerSessionServer::SendTo(Stream* stream) {
  if (!stream->sendable || stream->metadata == nullptr) return;
  if (stream->state_due) {
    stream->sendable = stream->state_due = false;
    return stream->stream->Send(StateFor(*stream));
  }
  if (std::optional<BrokerSessionResponse> next =
          stream->metadata->Next(entries_, [this] { return EncodeImage(); })) {
    stream->sendable = false;
    return stream->stream->Send(*std::move(next));
  }
  // Behind the metadata: one that stops must know before that others lead what it led, so that it
  // tells those who wait for it.
  const bool may_stop = stream->has_session() && sessions_.MayStop(stream->broker);
  if (may_stop == stream->told_may_stop) return;
  stream->told_may_stop = may_stop;
  stream->sendable = false;
  stream->stream->Send(StateFor(*stream));
}

BrokerSessionResponse BrokerSessionServer::StateFor(const Stream& stream) const {
  BrokerSessionResponse response;
  internal::v1::BrokerSessionState* state = response.mutable_state();
  const metadata::BrokerImage* const broker = image_->FindBroker(stream.broker);
  if (stream.has_session() && broker != nullptr) {
    state->set_state(metadata::StateToRecord(broker->state));
  }
  state->set_may_stop(stream.told_may_stop);
  state->set_committed_index(committed_index_.value());
  state->set_controller_term(term_.value());
  state->set_heartbeat(stream.heartbeat);
  return response;
}

std::shared_ptr<const MetadataSender::EncodedImage> BrokerSessionServer::EncodeImage() {
  std::shared_ptr<const MetadataSender::EncodedImage> encoded = encoded_.lock();
  // An older one that is being sent still is as good where the entries after it are at hand.
  if (encoded == nullptr || !entries_.Covers(encoded->index)) {
    encoded = std::make_shared<const MetadataSender::EncodedImage>(MetadataSender::EncodedImage{
        .index = image_->index(), .bytes = metadata::EncodeImageSnapshot(*image_)});
    encoded_ = encoded;
  }
  return encoded;
}

std::vector<controller::QuorumMember> BrokerSessionServer::Observers() const {
  std::vector<controller::QuorumMember> observers;
  const MonotonicTime now = deps_.clock->Now();
  for (const auto& [id, stream] : streams_) {
    if (stream.metadata == nullptr) continue;
    controller::QuorumMember member;
    member.node = stream.broker;
    member.role = controller::QuorumMember::Role::kObserver;
    member.state = "follow";
    member.log_end = stream.applied;
    member.lag = std::max<int64_t>(0, image_->index().value() - stream.applied.value());
    member.last_contact_ms = absl::ToInt64Milliseconds(now - stream.heard);
    observers.push_back(std::move(member));
  }
  std::sort(observers.begin(), observers.end(),
            [](const auto& a, const auto& b) { return a.node < b.node; });
  return observers;
}

}  // namespace millrace::node
