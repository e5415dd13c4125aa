#include "test/sim/quorum_server.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "metadata/image_snapshot.h"

namespace millrace::sim {

// All that ends with a process.
class QuorumServer::Process final : public raft::Transport,
                                    public raft::SnapshotMachine,
                                    public rsm::HostListener<controller::State> {
 public:
  explicit Process(QuorumServer* server)
      : server_(*server),
        observer_(server->observer_),
        node_(server->node()),
        clock_(server->loop_.time(), MonotonicTime::FromNanos(static_cast<int64_t>(
                                         server->random_.Below(1'000'000'000'000)))),
        replacement_(server->options_.replace_after) {
    clock_.SetDrift(static_cast<double>(server->random_.Below(400)) - 200);
    for (auto [executor, name] :
         {std::pair(&owner_, "owner"), std::pair(&disk_, "disk"), std::pair(&store_, "store")}) {
      *executor = server->loop_.MakeExecutor(absl::StrCat(name, node_), &clock_);
    }
  }

  ~Process() override {
    log_.reset();
    host_.reset();
    for (SimExecutor* executor : {owner_.get(), disk_.get(), store_.get()}) executor->Shutdown();
  }

  absl::Status Open() {
    ASSIGN_OR_RETURN(auto opened,
                     raft::SnapshotStore::Open(server_.files_.get(), kQuorumSnapshots));
    std::shared_ptr<raft::SnapshotStore> snapshots = std::move(opened);
    auto settings = std::make_shared<controller::Settings>();
    settings->node_id = NodeId(node_);
    settings_ = std::move(settings);
    metadata::Image image;
    LogIndex applied;
    if (snapshots->newest().has_value()) {
      const raft::SnapshotId id = snapshots->newest()->id;
      ASSIGN_OR_RETURN(const std::string body, snapshots->ReadBody(id));
      ASSIGN_OR_RETURN(image, metadata::DecodeImageSnapshot(body));
      applied = id.last.index;
    }
    auto state = std::make_shared<const controller::State>(
        controller::MakeState(std::move(image), settings_));
    if (applied > LogIndex()) observer_.OnLoaded(node_, applied, *state);
    ASSIGN_OR_RETURN(log_, raft::QuorumLog::Open(LogOptions(), LogDependencies(snapshots)));
    const auto& newest = snapshots->newest();
    observer_.OnOpened(node_, log_->recovery(), newest.has_value() ? &*newest : nullptr);
    host_ = std::make_unique<ControllerHost>(rsm::HostOptions{}, &tap_, this, std::move(state),
                                             applied);
    tap_.Start(host_.get());
    return absl::OkStatus();
  }

  // ---- Transport ----
  void SetReceiver(raft::TransportReceiver* receiver) override { receiver_ = receiver; }
  void SetPeers(std::vector<raft::Peer> peers) override {
    peers_.clear();
    for (const raft::Peer& peer : peers) peers_.insert(peer.node);
  }
  void Send(std::vector<raft::Message> messages) override {
    for (const raft::Message& message : messages) {
      // Who has spoken to this process can be answered: the hello names its address.
      if (!peers_.contains(message.to.node) && !met_.contains(message.to.node)) continue;
      observer_.OnSend(node_, message);
    }
  }
  void Receive(const raft::Message& message) {
    met_.insert(message.from.node);
    if (receiver_ != nullptr) receiver_->OnMessage(message);
  }
  void Unreachable(NodeId peer) {
    if (receiver_ != nullptr) receiver_->OnUnreachable(peer);
  }

  // ---- SnapshotMachine ----
  Encode Capture() override {
    return [state = host_->committed_state()]() -> absl::StatusOr<std::string> {
      return metadata::EncodeImageSnapshot(state->image);
    };
  }
  absl::StatusOr<Install> Decode(LogIndex index, std::string body) override {
    server_.installed_ = index;
    ASSIGN_OR_RETURN(metadata::Image image, metadata::DecodeImageSnapshot(body));
    return Install([this, index, image = std::move(image)]() mutable {
      auto state = std::make_shared<const controller::State>(
          controller::MakeState(std::move(image), settings_));
      host_->InstallSnapshot(index, state);
      observer_.OnLoaded(node_, index, *state);
    });
  }

  // ---- HostListener ----
  void OnCommitted(LogIndex index, const std::shared_ptr<const controller::State>& state,
                   absl::Span<const rsm::Record> records) override {
    observer_.OnApplied(node_, index, *state, records);
  }
  void OnBecameLeader(Term) override {
    observer_.OnBecameLeader(node_);
    if (server_.options_.replace_after == absl::InfiniteDuration()) return;
    replacement_.OnLed();
    LookForReplacement(++led_);
  }
  void OnLostLeadership() override { ++led_; }
  void OnFailed(const absl::Status& status) override { observer_.OnFailed(node_, status); }

  raft::QuorumLog& log() { return *log_; }
  ControllerHost& host() { return *host_; }
  SimClock& clock() { return clock_; }
  SimExecutor& owner() { return *owner_; }
  SimExecutor& disk() { return *disk_; }
  SimExecutor& store() { return *store_; }

 private:
  // As node::DirectoryReplacer.
  void LookForReplacement(int led) {
    owner_->PostAt(clock_.Now() + absl::Milliseconds(100), [this, led] {
      if (led != led_ || log_->node().leadership() == nullptr) return;
      LookForReplacement(led);
      const std::optional<raft::VoterChange> change = replacement_.Next(
          raft::ViewOf(log_->node(), observer_.Heard(node_), clock_.Now()), clock_.Now());
      if (!change.has_value()) return;
      observer_.OnReplacing(node_, *change);
      log_->ChangeMembership(*change, [](const absl::Status&) {});
    });
  }

  // Between log and host: shows what passes.
  class Tap final : public rsm::CommitLog, public rsm::CommitLog::Listener {
   public:
    explicit Tap(Process* process) : process_(*process) {}
    void Start(rsm::CommitLog::Listener* listener) override {
      listener_ = listener;
      process_.log_->Start(this);
    }
    absl::StatusOr<EntryId> Append(Bytes payload) override {
      return process_.log_->Append(std::move(payload));
    }
    void ConfirmLeadership(ConfirmCallback done) override {
      process_.log_->ConfirmLeadership(std::move(done));
    }
    void Stop(const absl::Status& why) override { process_.log_->Stop(why); }
    void OnCommitted(absl::Span<const rsm::CommittedEntry> entries) override {
      process_.observer_.OnDelivered(process_.node_, entries);
      listener_->OnCommitted(entries);
    }
    void OnBecameLeader(Term term) override { listener_->OnBecameLeader(term); }
    void OnLostLeadership() override { listener_->OnLostLeadership(); }
    void OnFailed(const absl::Status& status) override { listener_->OnFailed(status); }

   private:
    Process& process_;
    rsm::CommitLog::Listener* listener_ = nullptr;
  };

  raft::QuorumLog::Options LogOptions() const {
    raft::QuorumLog::Options options = server_.options_.log;
    options.self = server_.options_.id;
    options.wal.directory = kQuorumWal;
    if (server_.options_.founders.Find(options.self) != nullptr) {
      options.founders = server_.options_.founders;
    }
    return options;
  }
  raft::QuorumLog::Dependencies LogDependencies(
      const std::shared_ptr<raft::SnapshotStore>& snapshots) {
    return {.wal = {.files = server_.files_.get(),
                    .clock = &clock_,
                    .random = &server_.random_,
                    .owner = owner_.get(),
                    .disk = disk_.get()},
            .random = std::make_unique<SimRandom>(server_.random_.Next()),
            .transport = this,
            .snapshots = snapshots,
            .snapshot_disk = store_.get(),
            .machine = this,
            .on_ready = [this](const raft::Node& core, const raft::Ready& ready) {
              server_.core_ = &core;
              observer_.OnReady(node_, core, ready);
            }};
  }

  QuorumServer& server_;
  QuorumObserver& observer_;
  const int node_;
  SimClock clock_;
  std::unique_ptr<SimExecutor> owner_;
  std::unique_ptr<SimExecutor> disk_;
  std::unique_ptr<SimExecutor> store_;
  std::shared_ptr<const controller::Settings> settings_;
  raft::TransportReceiver* receiver_ = nullptr;
  std::set<NodeId> peers_;
  std::set<NodeId> met_;
  raft::VoterReplacement replacement_;
  // Counts the beginnings and ends of its leaderships.
  int led_ = 0;
  Tap tap_{this};
  std::unique_ptr<ControllerHost> host_;
  std::unique_ptr<raft::QuorumLog> log_;
};

QuorumServer::QuorumServer(SimLoop* loop, QuorumObserver* observer, Options options)
    : loop_(*loop), observer_(*observer), options_(std::move(options)), random_(options_.seed) {
  files_ = std::make_unique<SimFileSystem>(random_.Next());
  PrepareFiles();
}

QuorumServer::~QuorumServer() { EndProcess(); }

// A new file system has no hooks.
void QuorumServer::PrepareFiles() {
  files_->SetLatency([this](const SimCall& call) {
    const bool syncs =
        call.kind == SimCall::Kind::kSync || call.kind == SimCall::Kind::kSyncDirectory;
    if (syncs) loop_.Delay(Between(random_, absl::Microseconds(50), sync_max_));
  });
  files_->SetOnCall([this](const SimCall&) {
    if (calls_to_crash_ == 0 || --calls_to_crash_ > 0) return;
    crash_image_ = files_->CrashImage(crash_mode_, random_);
  });
}

absl::Status QuorumServer::Start() {
  CHECK(process_ == nullptr);
  ++life_;
  ++stops_;
  auto process = std::make_unique<Process>(this);
  const absl::Status status = process->Open();
  if (status.ok()) process_ = std::move(process);
  return status;
}

void QuorumServer::EndProcess() {
  syncs_fail_ = false;
  files_->FailSyncs(false);
  files_->SetFaults(nullptr);
  core_ = nullptr;
  process_ = nullptr;
}

void QuorumServer::Kill() {
  EndProcess();
  calls_to_crash_ = 0;
}

void QuorumServer::LosePower(CrashMode mode) {
  EndProcess();
  if (crash_image_ == nullptr) crash_image_ = files_->CrashImage(mode, random_);
  files_ = std::move(crash_image_);
  calls_to_crash_ = 0;
  PrepareFiles();
}

std::unique_ptr<SimFileSystem> QuorumServer::Wipe() {
  LosePower(CrashMode::kLoseAll);
  std::unique_ptr<SimFileSystem> lost = std::move(files_);
  lost->SetLatency(nullptr);
  lost->SetOnCall(nullptr);
  const Uuid old = options_.id.directory.uuid();
  options_.id.directory = DirectoryId(Uuid(old.high(), old.low() + 1));
  installed_ = LogIndex();
  files_ = std::make_unique<SimFileSystem>(random_.Next());
  PrepareFiles();
  return lost;
}

void QuorumServer::FailSyncs(bool all) {
  syncs_fail_ = true;
  if (all) return files_->FailSyncs(true);
  files_->SetFaults([failed = false](const SimCall& call) mutable -> std::optional<SimFault> {
    if (call.kind != SimCall::Kind::kSync || std::exchange(failed, true)) return std::nullopt;
    return SimFault::kIoError;
  });
}

void QuorumServer::ArmPowerLoss(uint64_t n, CrashMode mode) {
  calls_to_crash_ = n;
  crash_mode_ = mode;
}

bool QuorumServer::failed() const { return process_ != nullptr && process_->log().failed(); }
raft::QuorumLog& QuorumServer::log() { return process_->log(); }
ControllerHost& QuorumServer::host() { return process_->host(); }
SimExecutor& QuorumServer::owner() { return process_->owner(); }

void QuorumServer::Pause() {
  if (process_ == nullptr) return;
  process_->owner().Pause();
  HangDisk();
}

void QuorumServer::HangDisk() {
  ++stops_;
  if (process_ == nullptr) return;
  process_->disk().Pause();
  process_->store().Pause();
}

void QuorumServer::JumpWall(absl::Duration by) {
  if (process_ != nullptr) process_->clock().JumpWall(by);
}

void QuorumServer::Resume() {
  if (process_ == nullptr) return;
  for (SimExecutor* executor : {&process_->owner(), &process_->disk(), &process_->store()}) {
    executor->Resume();
  }
}

void QuorumServer::Receive(const raft::Message& message) {
  if (process_ == nullptr) return;
  process_->owner().Post([process = process_.get(), message] { process->Receive(message); });
}

void QuorumServer::PeerUnreachable(NodeId peer) {
  if (process_ == nullptr) return;
  process_->owner().Post([process = process_.get(), peer] { process->Unreachable(peer); });
}

}  // namespace millrace::sim
