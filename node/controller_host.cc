#include "node/controller_host.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "metadata/apply.h"
#include "metadata/delta.h"
#include "metadata/image_snapshot.h"
#include "metadata/record_types.h"
#include "rsm/entry_codec.h"

namespace millrace::node {
namespace {

// Whether the log has, at the position's index, the entry that the position says. A log in which an
// index and its term agree agrees in all before it (Raft's log matching), and the hash names the
// log.
bool IsOnHistory(const metadata::LogPosition& position, uint64_t log_hash, const EntryId& snapshot,
                 const std::vector<raft::Entry>& entries) {
  if (position.hash != log_hash) return false;
  if (EntryId{position.term, position.index} == snapshot) return true;
  if (entries.empty()) return false;
  const int64_t at = position.index - entries.front().index;
  return at >= 0 && at < static_cast<int64_t>(entries.size()) &&
         entries[static_cast<size_t>(at)].term == position.term;
}

// Refuses a log that says that the cluster is at a level which this program does not know, before
// it takes any part. An entry of it that is not committed was proposed when all programs knew it.
absl::Status CheckLevels(const std::vector<raft::Entry>& entries) {
  for (const raft::Entry& entry : entries) {
    if (entry.type != raft::EntryType::kPayload) continue;
    absl::StatusOr<std::vector<rsm::Record>> records = rsm::DecodeEntry(entry.payload);
    if (!records.ok()) continue;  // Whoever applies it says what is wrong.
    for (const rsm::Record& record : *records) {
      if (record.type != metadata::kFeatureLevel && record.type != metadata::kClusterFounded) {
        continue;
      }
      RETURN_IF_ERROR(metadata::CheckKnown({&record, 1}));
    }
  }
  return absl::OkStatus();
}

// Snapshots of earlier versions may hold more than the entry that they are named after.
LogIndex IndexOf(LogIndex named, const metadata::Image& image) {
  return std::max(named, image.index());
}

std::string Text(const metadata::BrokerList& brokers) {
  return absl::StrJoin(
      brokers, ",", [](std::string* out, NodeId broker) { absl::StrAppend(out, broker.value()); });
}

// Every controller says it, leading or not: whoever looks for lost records later finds here where
// they were lost, whichever command or failure it was, and whichever controller is left.
void WarnOfUncleanElections(const controller::State& state) {
  for (const controller::UncleanElection& election : state.unclean_elections) {
    const metadata::TopicImage* const topic = state.image.FindTopic(election.partition.topic_id);
    LOG_WARN("node", "a leader was elected that may lack acknowledged records (S-32)",
             {{"topic", topic->name},
              {"partition", election.partition.partition},
              {"leader", election.leader},
              {"leader_epoch", election.leader_epoch},
              {"isr_before", Text(election.isr)},
              {"elr_before", Text(election.elr)}});
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControllerHost>> ControllerHost::Open(
    const MetadataDir& dir, NodeId node_id, std::shared_ptr<const controller::Settings> settings,
    QuorumPlace place, Dependencies dependencies) {
  std::unique_ptr<Random> election_random = std::move(dependencies.election_random);
  auto host = std::unique_ptr<ControllerHost>(new ControllerHost(std::move(dependencies)));
  const Dependencies& deps = host->dependencies_;
  host->settings_ = std::move(settings);
  host->log_hash_ = dir.directory_id().uuid().low();
  host->wal_metrics_ = std::make_unique<raft::WalMetrics>(*deps.metrics);
  host->quorum_metrics_ = std::make_unique<raft::QuorumMetrics>(*deps.metrics);
  host->metrics_ = std::make_unique<ControllerMetrics>(deps.metrics);
  ASSIGN_OR_RETURN(host->snapshots_, raft::SnapshotStore::Open(deps.files, dir.snapshot_path()));
  ASSIGN_OR_RETURN(metadata::StoredImage start, host->LoadSnapshot());
  const EntryId snapshot{start.position.term, start.position.index};

  raft::QuorumLog::Options options;
  options.raft = place.options;
  options.wal.directory = dir.wal_path();
  options.wal.segment_bytes = place.wal_segment_bytes;
  options.self = {.node = node_id, .directory = dir.directory_id()};
  options.founders = std::move(place.founders);
  options.known_peers = std::move(place.known_peers);
  rsm::HostOptions host_options;
  host_options.others_may_lead = [host = host.get()] { return host->OthersMayLead(); };
  options.snapshot_after_bytes = place.snapshot_after_bytes;
  options.snapshot_interval = place.snapshot_interval;
  raft::QuorumLog::Dependencies log_dependencies{.wal = {.files = deps.files,
                                                         .clock = deps.clock,
                                                         .random = deps.random,
                                                         .owner = deps.owner,
                                                         .disk = deps.disk,
                                                         .metrics = host->wal_metrics_.get()},
                                                 .random = std::move(election_random),
                                                 .transport = place.transport,
                                                 .snapshots = host->snapshots_,
                                                 .snapshot_disk = deps.image_disk,
                                                 .machine = host.get(),
                                                 .metrics = host->quorum_metrics_.get()};
  ASSIGN_OR_RETURN(host->log_,
                   raft::QuorumLog::Open(std::move(options), std::move(log_dependencies)));
  const std::vector<raft::Entry>& recovered = host->log_->recovery().entries;
  RETURN_IF_ERROR(CheckLevels(recovered));
  host->opened_at_ = recovered.empty() ? start.position.index : recovered.back().index;
  if (deps.images != nullptr) {
    host->store_ = std::make_shared<metadata::ImageStore>(deps.images);
    ASSIGN_OR_RETURN(metadata::StoredImage stored, host->LoadImage(snapshot));
    host->stored_ = stored.image;
    if (stored.position.index > start.position.index) start = std::move(stored);
    host->saver_ =
        std::make_unique<ImageSaver>(host->store_, deps.clock, deps.owner, deps.image_disk);
  }
  const LogIndex at = IndexOf(start.position.index, start.image);
  host->log_->SetMachineAt(at);
  auto state = std::make_shared<const controller::State>(
      controller::MakeState(std::move(start.image), host->settings_));
  host->metrics_->OnState(*state);
  rsm::HostListener<controller::State>* const listener = host.get();
  host->host_ = std::make_unique<Host>(std::move(host_options), host->log_.get(), listener,
                                       std::move(state), at);
  return host;
}

ControllerHost::~ControllerHost() = default;

absl::StatusOr<metadata::StoredImage> ControllerHost::LoadSnapshot() {
  metadata::StoredImage start;
  if (!snapshots_->newest().has_value()) return start;
  const raft::SnapshotId id = snapshots_->newest()->id;
  ASSIGN_OR_RETURN(const std::string body, snapshots_->ReadBody(id));
  ASSIGN_OR_RETURN(start.image, metadata::DecodeImageSnapshot(body));
  start.position.index = id.last.index;
  start.position.term = id.last.term;
  return start;
}

absl::StatusOr<metadata::StoredImage> ControllerHost::LoadImage(const EntryId& snapshot) {
  const std::vector<raft::Entry>& entries = log_->recovery().entries;
  ASSIGN_OR_RETURN(std::optional<metadata::StoredImage> stored,
                   store_->Load([&](const metadata::LogPosition& position) {
                     return IsOnHistory(position, log_hash_, snapshot, entries);
                   }));
  return stored.has_value() ? *std::move(stored) : metadata::StoredImage();
}

void ControllerHost::Start(std::function<void()> led,
                           absl::AnyInvocable<void(const absl::Status&) &&> failed) {
  led_ = std::move(led);
  failed_ = std::move(failed);
  if (dependencies_.sessions != nullptr) {
    dependencies_.sessions->StartAt(host_->committed_index(), CommittedImage());
  }
  log_->SetOnLeaderChanged([this](const raft::RoleState&) { UpdateLeader(); });
  log_->Start(host_.get());
}

void ControllerHost::Submit(internal::v1::ReportLastCopiesRequest request,
                            Host::Callback<internal::v1::ReportLastCopiesRequest> done) {
  last_copies_.Complete(committed_image(), dependencies_.clock->Now(), &request);
  Submit<internal::v1::ReportLastCopiesRequest>(
      request,
      [done = std::move(done)](absl::StatusOr<internal::v1::ReportLastCopiesResponse> response,
                               LogIndex index) mutable {
        if (response.ok() && response->elected() > 0) {
          LOG_WARN("node",
                   "no replica that was in sync is known to be whole: the greatest copies lead; "
                   "what was acknowledged last may be lost",
                   {{"partitions", response->elected()}});
        }
        std::move(done)(std::move(response), index);
      });
}

// Of this node's own leadership it is told only when that has begun for the machine too.
void ControllerHost::UpdateLeader() {
  LeaderHint hint = log_->leader_hint();
  if (log_->role().role == raft::Role::kLeader && !host_->leading()) hint = LeaderHint();
  if (hint.leader != kNoNode)
    hint.leader_epoch = LeaderEpoch(static_cast<int32_t>(log_->role().term.value()));
  dependencies_.leaders->Set(hint);
}

bool ControllerHost::OthersMayLead() const {
  // One that was found since then, or a set of voters in which there can be one.
  return dependencies_.leaders->leader().leader != kNoNode || log_->others_may_lead();
}

absl::Status ControllerHost::WithLeader(const absl::Status& status) const {
  if (CodeOf(status) != ErrorCode::kNotController) return status;
  ErrorDetail detail = DetailOf(status);
  detail.leader = dependencies_.leaders->leader();
  return MakeError(ErrorCode::kNotController, std::string(status.message()), std::move(detail));
}

void ControllerHost::Save(std::shared_ptr<const metadata::Image> image,
                          std::shared_ptr<const metadata::Delta> delta) {
  const LogIndex index = host_->committed_index();
  const std::optional<Term> term = log_->TermAt(index);
  CHECK(term.has_value()) << "what was just committed is in memory";
  const metadata::LogPosition position{.index = index, .term = *term, .hash = log_hash_};
  saver_->Save(std::move(image), *delta, position);
}

std::shared_ptr<const metadata::Image> ControllerHost::CommittedImage() const {
  const std::shared_ptr<const controller::State>& state = host_->committed_state();
  return {state, &state->image};
}

void ControllerHost::OnCommitted(LogIndex index,
                                 const std::shared_ptr<const controller::State>& state,
                                 absl::Span<const rsm::Record> records) {
  metrics_->OnState(*state);
  // An entry without records leaves the state, and what it tells, as it was.
  if (index > opened_at_ && !records.empty()) WarnOfUncleanElections(*state);
  if (dependencies_.sessions != nullptr) {
    dependencies_.sessions->OnCommitted(
        index, std::shared_ptr<const metadata::Image>(state, &state->image), records);
  }
  // Until this node leads, nobody follows; an entry without records changes no image.
  if (feed_ == nullptr || records.empty()) return;
  feed_->Publish(std::shared_ptr<const metadata::Image>(state, &state->image), records);
}

void ControllerHost::OnBecameLeader(Term term) {
  LOG_INFO("node", "leading the metadata quorum",
           {{"term", term.value()}, {"index", host_->committed_index().value()}});
  if (feed_ == nullptr) BeginFeed();
  metrics_->SetActive(true);
  UpdateLeader();
  if (dependencies_.sessions != nullptr) dependencies_.sessions->OnLed(term);
  if (led_ != nullptr) led_();
}

// From here on what is committed is followed, and stored.
void ControllerHost::BeginFeed() {
  std::shared_ptr<const metadata::Image> image = CommittedImage();
  feed_ = std::make_unique<metadata::Feed>(image);
  if (store_ == nullptr) return;
  Save(image, std::make_shared<const metadata::Delta>(metadata::DeltaBetween(stored_, *image)));
  stored_ = metadata::Image();
  bool first = true;
  feed_->Subscribe(nullptr, [this, first](const metadata::Update& update) mutable {
    // The first update is the image that was saved just now.
    if (!std::exchange(first, false)) Save(update.image, update.delta);
  });
}

void ControllerHost::OnLostLeadership() {
  LOG_WARN("node", "no longer leading the metadata quorum", {});
  metrics_->SetActive(false);
  UpdateLeader();
  if (dependencies_.sessions != nullptr) dependencies_.sessions->OnLostLeadership();
}

void ControllerHost::OnFailed(const absl::Status& status) {
  LOG_ERROR("node", "the metadata log has stopped", {{"error", status.ToString()}});
  metrics_->SetActive(false);
  dependencies_.leaders->Set(LeaderHint());
  if (dependencies_.sessions != nullptr) dependencies_.sessions->OnLostLeadership();
  if (failed_) std::exchange(failed_, nullptr)(status);
}

// ---- Snapshots ----

raft::SnapshotMachine::Encode ControllerHost::Capture() {
  return [state = host_->committed_state()]() -> absl::StatusOr<std::string> {
    return metadata::EncodeImageSnapshot(state->image);
  };
}

absl::StatusOr<raft::SnapshotMachine::Install> ControllerHost::Decode(LogIndex index,
                                                                      std::string body) {
  ASSIGN_OR_RETURN(metadata::Image image, metadata::DecodeImageSnapshot(body));
  auto state =
      std::make_shared<const controller::State>(controller::MakeState(std::move(image), settings_));
  return Install([this, index, state = std::move(state)] { InstallState(index, state); });
}

void ControllerHost::InstallState(LogIndex index, std::shared_ptr<const controller::State> state) {
  index = IndexOf(index, state->image);
  // What was committed meanwhile goes further.
  if (index <= host_->committed_index()) return;
  host_->InstallSnapshot(index, state);
  metrics_->OnState(*state);
  if (dependencies_.sessions != nullptr) dependencies_.sessions->StartAt(index, CommittedImage());
  if (feed_ == nullptr || state->image.index() <= feed_->current()->index()) return;
  feed_->PublishWhole(std::shared_ptr<const metadata::Image>(state, &state->image));
}

}  // namespace millrace::node
