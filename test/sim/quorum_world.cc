#include "test/sim/quorum_world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/commands.h"
#include "raft/quorum.h"

namespace millrace::sim {
namespace {

raft::VoterId IdOf(int node, uint64_t directory) {
  return raft::VoterId{NodeId(node), DirectoryId(Uuid(static_cast<uint64_t>(node), directory))};
}

raft::VoterSet FoundersOf(int voters) {
  raft::VoterSet set;
  for (int node = 1; node <= voters; ++node) {
    set.voters.push_back(raft::Voter{IdOf(node, 1), QuorumWorld::AddressOf(node)});
  }
  return set;
}

// Small enough that segments, snapshots and windows turn over in a short run.
raft::QuorumLog::Options LogOptions(SimRandom& random, const raft::VoterSet& founders) {
  raft::QuorumLog::Options options;
  options.raft.append_bytes_max = 800 + random.Below(4000);
  options.raft.window_bytes_max = 4000 + random.Below(20000);
  options.raft.window_messages_max = 2 + random.Below(20);
  options.raft.snapshot_chunk_bytes = 150 + random.Below(2000);
  options.raft.promote_lag_max = 20;
  options.raft.commit_notice_delay = absl::Milliseconds(20 * random.Below(2));
  options.wal.segment_bytes = 96 << 10;
  options.wal.entry_bytes_max = 16 << 10;
  options.wal.fill_step_bytes = 16 << 10;
  options.wal.group_bytes_max = 4 << 10;
  options.snapshot_after_bytes = 1500 + random.Below(12000);
  for (const raft::Voter& voter : founders.voters) {
    options.known_peers.push_back(raft::Peer{voter.id.node, voter.address});
  }
  return options;
}

}  // namespace

std::string QuorumWorld::AddressOf(int node) { return absl::StrCat("controller", node, ":9093"); }

QuorumWorld::QuorumWorld(uint64_t seed, int voters, absl::Duration replace_after)
    : loop_(seed),
      random_(SimRandom(seed).Fork("world")),
      replace_after_(replace_after),
      founders_(FoundersOf(voters)),
      checks_(SimRandom(seed).Fork("checks"), founders_,
              [this](const raft::VoterId& id) { return DiskOf(id); }),
      net_(loop_.MakeExecutor("net")) {
  loop_.SetAfterEvent([this] { AfterEvent(); });
  for (int node = 1; node <= voters; ++node) AddServer(node, 1);
  for (int node = 1; node <= voters; ++node) Start(node);
}

QuorumWorld::~QuorumWorld() {
  loop_.SetAfterEvent(nullptr);
  for (auto& [node, server] : servers_) server->Kill();
  net_->Shutdown();
}

void QuorumWorld::RunFor(absl::Duration duration) {
  const MonotonicTime end = loop_.now() + duration;
  // A run that is lost already need not go on.
  static_cast<void>(loop_.RunUntil([this] { return !ok(); }, duration));
  if (ok()) loop_.RunUntil(end);
}

// ---- Servers ----

void QuorumWorld::AddServer(int node, uint64_t directory) {
  SimRandom random = random_.Fork("options");
  QuorumObserver* const observer = this;
  servers_[node] =
      std::make_unique<QuorumServer>(&loop_, observer,
                                     QuorumServer::Options{.id = IdOf(node, directory),
                                                           .log = LogOptions(random, founders_),
                                                           .founders = founders_,
                                                           .seed = random_.Next(),
                                                           .replace_after = replace_after_});
}

void QuorumWorld::AddEmpty(int node) {
  AddServer(node, 1);
  Start(node);
}

std::vector<int> QuorumWorld::nodes() const {
  std::vector<int> nodes;
  for (const auto& [node, server] : servers_) nodes.push_back(node);
  return nodes;
}

int QuorumWorld::leader() const {
  int best = 0;
  for (const auto& [node, server] : servers_) {
    if (!server->running() || !server->host().leading()) continue;
    if (best == 0 || server->host().term() > servers_.at(best)->host().term()) best = node;
  }
  return best;
}

void QuorumWorld::Start(int node) {
  if (running(node)) return;
  const absl::Status status = TryStart(node);
  if (status.ok()) return;
  checks_.Report(absl::StrCat("node ", node, " cannot start: ", status.ToString()));
}

absl::Status QuorumWorld::TryStart(int node) {
  QuorumServer& server = *servers_.at(node);
  const absl::Status status = server.Start();
  if (!server.power_lost()) return status;
  LosePower(node, CrashMode::kLoseAll);
  return absl::OkStatus();
}

void QuorumWorld::Kill(int node) {
  QuorumServer& server = *servers_.at(node);
  if (!server.running()) return;
  server.Kill();
  TellOfBreak(node);
}

void QuorumWorld::LosePower(int node, CrashMode mode) {
  servers_.at(node)->LosePower(mode);
  TellOfBreak(node);
}

void QuorumWorld::Wipe(int node) {
  const raft::VoterId old = servers_.at(node)->id();
  lost_disks_[old] = servers_.at(node)->Wipe();
  lost_at_[old] = loop_.now();
  TellOfBreak(node);
  Start(node);
}

void QuorumWorld::Pause(int node, absl::Duration duration) {
  QuorumServer& server = *servers_.at(node);
  server.Pause();
  net_->PostAt(loop_.now() + duration, [&server, stop = server.stops()] {
    if (server.stops() == stop) server.Resume();
  });
}

void QuorumWorld::HangDisk(int node, absl::Duration duration) {
  QuorumServer& server = *servers_.at(node);
  server.HangDisk();
  net_->PostAt(loop_.now() + duration, [&server, stop = server.stops()] {
    if (server.stops() == stop) server.Resume();
  });
}

bool QuorumWorld::IsGhost(const raft::VoterId& id) const {
  return std::none_of(servers_.begin(), servers_.end(),
                      [&](const auto& server) { return server.second->id() == id; });
}

bool QuorumWorld::HasGhost(const raft::VoterSet& set) const {
  return std::any_of(set.voters.begin(), set.voters.end(),
                     [&](const raft::Voter& voter) { return !voter.learner && IsGhost(voter.id); });
}

const SimFileSystem* QuorumWorld::DiskOf(const raft::VoterId& id) const {
  const auto lost = lost_disks_.find(id);
  if (lost != lost_disks_.end()) return lost->second.get();
  const auto server = servers_.find(id.node.value());
  if (server == servers_.end() || server->second->id() != id) return nullptr;
  return &server->second->files();
}

// ---- The network ----

void QuorumWorld::Isolate(int node) {
  for (const auto& [other, server] : servers_) {
    if (other == node) continue;
    Cut(node, other);
    Cut(other, node);
  }
}

void QuorumWorld::Unreachable(int node, int peer) {
  servers_.at(node)->PeerUnreachable(NodeId(peer));
}

// Those who had connections to a process that is gone may see them reset.
void QuorumWorld::TellOfBreak(int node) {
  if (OneIn(random_, 2)) return;
  for (const auto& [other, server] : servers_) {
    if (other == node || cut_.contains({node, other})) continue;
    net_->PostAt(loop_.now() + Between(random_, network_.delay_min, network_.delay_max),
                 [this, other = other, node] { Unreachable(other, node); });
  }
}

void QuorumWorld::OnSend(int node, const raft::Message& message) {
  checks_.OnSend(message);
  const int to = message.to.node.value();
  trace_ = MixBits(trace_ ^ (message.body.index() * 10000 + node * 100 + to)) +
           static_cast<uint64_t>(message.term.value());
  if (random_.Below(1000) < network_.lost) return;
  const int copies = random_.Below(1000) < network_.duplicated ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    absl::Duration delay = Between(random_, network_.delay_min, network_.delay_max);
    if (random_.Below(1000) < network_.late) delay *= 100;
    MonotonicTime when = loop_.now() + delay;
    if (network_.ordered) {
      MonotonicTime& last = last_arrival_[{node, to}];
      when = last = std::max(last, when);
    }
    Deliver(i == 0 && random_.Below(1000) < network_.damaged ? Damaged(message) : message, when);
  }
}

raft::Message QuorumWorld::Damaged(raft::Message message) {
  auto* const chunk = std::get_if<raft::SnapshotChunk>(&message.body);
  if (chunk == nullptr || chunk->data.empty()) return message;
  std::string data = chunk->data.ToString();
  data[random_.Below(data.size())] ^= static_cast<char>(1 << random_.Below(7));
  chunk->data = Bytes::FromString(std::move(data));
  checks_.Reach("snapshot damaged on its way");
  return message;
}

void QuorumWorld::Deliver(const raft::Message& message, MonotonicTime when) {
  net_->PostAt(when, [this, message] {
    const int to = message.to.node.value();
    const auto server = servers_.find(to);
    if (server == servers_.end() || cut_.contains({message.from.node.value(), to})) return;
    server->second->Receive(message);
  });
}

// ---- What the servers tell ----

void QuorumWorld::AfterEvent() {
  for (auto& [node, server] : servers_) {
    if (server->power_lost()) {
      checks_.Reach("power lost in a call");
      LosePower(node, CrashMode::kLoseAll);
    }
  }
  if (failed_.empty()) return;
  for (const int node : std::exchange(failed_, {})) Kill(node);
}

void QuorumWorld::OnOpened(int node, const raft::WalRecovery& found,
                           const raft::SnapshotOffer* snapshot) {
  checks_.OnOpened(servers_.at(node)->id(), found, snapshot);
}

void QuorumWorld::OnReady(int, const raft::Node& core, const raft::Ready& ready) {
  checks_.OnReady(core, ready);
}

void QuorumWorld::OnDelivered(int node, absl::Span<const rsm::CommittedEntry> entries) {
  checks_.OnDelivered(servers_.at(node)->id(), entries);
}

void QuorumWorld::OnApplied(int node, LogIndex index, const controller::State& state,
                            absl::Span<const rsm::Record> records) {
  checks_.OnApplied(servers_.at(node)->id(), index, state, records);
}

void QuorumWorld::OnLoaded(int node, LogIndex index, const controller::State& state) {
  checks_.OnLoaded(servers_.at(node)->id(), index, state);
}

// All of them ask for a place.
std::vector<raft::HeardPeer> QuorumWorld::Heard(int node) {
  std::vector<raft::HeardPeer> heard;
  for (const auto& [other, server] : servers_) {
    if (other == node) continue;
    heard.push_back({.id = server->id(),
                     .address = AddressOf(other),
                     .asks_to_join = true,
                     .connected = server->running() && !cut_.contains({other, node}),
                     .hellos = static_cast<uint64_t>(server->life())});
  }
  return heard;
}

// S-17: only what is gone for good makes room, and not at once.
void QuorumWorld::OnReplacing(int node, const raft::VoterChange& change) {
  constexpr const char* kSteps[] = {"learner", "promotion", "removal", "address"};
  const auto kind = static_cast<size_t>(change.kind);
  checks_.Reach(absl::StrCat("replacement: ", kSteps[kind]));
  if (change.kind != raft::VoterChange::Kind::kRemove) return;
  const auto lost = lost_at_.find(change.id);
  const bool gone = lost != lost_at_.end() && IsGhost(change.id);
  // Clocks drift a little.
  if (gone && loop_.now() - lost->second >= replace_after_ * 0.99) return;
  checks_.Report(absl::StrCat("S-17: node ", node, " gives up node ", change.id.node.value(),
                              gone ? " at once" : ", whose directory is there"));
}

// The first leader founds the cluster (S-18).
void QuorumWorld::OnBecameLeader(int node) {
  QuorumServer& server = *servers_.at(node);
  server.owner().Post([&server, life = server.life()] {
    if (!server.running() || server.life() != life || !server.host().leading()) return;
    if (!server.host().newest_state()->image.cluster_id().is_zero()) return;
    server.host().Submit(controller::FoundClusterCommand{ClusterId(Uuid(5, 5))}, rsm::Now{},
                         [](absl::StatusOr<controller::FoundClusterReply>, LogIndex) {});
  });
}

void QuorumWorld::OnFailed(int node, const absl::Status& status) {
  checks_.OnFailed(servers_.at(node)->id(), status, servers_.at(node)->syncs_fail());
  failed_.insert(node);
}

}  // namespace millrace::sim
