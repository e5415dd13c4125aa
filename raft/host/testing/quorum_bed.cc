#include "raft/host/testing/quorum_bed.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::raft::testing {
namespace {

constexpr char kSnapshots[] = "/snapshots";

VoterId IdOf(int node, uint64_t directory) {
  return VoterId{NodeId(node), DirectoryId(Uuid(static_cast<uint64_t>(node), directory))};
}

std::string AddressOf(int node) { return absl::StrCat("node", node, ":9093"); }

}  // namespace

// ---- BedMachine ----

void BedMachine::OnCommitted(absl::Span<const rsm::CommittedEntry> entries) {
  for (const rsm::CommittedEntry& entry : entries) {
    // As rsm::Host: what a snapshot holds already is passed over.
    if (entry.id.index <= applied) continue;
    CHECK_EQ(entry.id.index, applied + 1);
    applied = entry.id.index;
    const std::string line =
        absl::StrCat(entry.id.term.value(), ":", entry.id.index.value(), "=",
                     entry.internal ? std::string("(internal)") : entry.payload.ToString(), "\n");
    state += line;
    bed_->NoteApplied(node_, applied, line);
  }
}

SnapshotMachine::Encode BedMachine::Capture() {
  return [state = state]() -> absl::StatusOr<std::string> { return state; };
}

absl::StatusOr<SnapshotMachine::Install> BedMachine::Decode(LogIndex index, std::string body) {
  return Install([this, index, body = std::move(body)] { Load(index, body); });
}

void BedMachine::Load(LogIndex index, const std::string& body) {
  applied = index;
  state = body;
  for (absl::string_view line : absl::StrSplit(body, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> id = absl::StrSplit(line.substr(0, line.find('=')), ':');
    bed_->NoteApplied(node_, LogIndex(std::stoll(id[1])), absl::StrCat(line, "\n"));
  }
}

// ---- The network ----

class QuorumBed::BedTransport final : public Transport {
 public:
  BedTransport(QuorumBed* bed, int node) : bed_(bed), node_(node) {}

  void SetReceiver(TransportReceiver* receiver) override { receiver_ = receiver; }
  void SetPeers(std::vector<Peer> peers) override { peers_ = std::move(peers); }
  void Send(std::vector<Message> messages) override {
    for (const Message& message : messages) {
      CHECK_EQ(message.from.node.value(), node_);
      if (const auto* chunk = std::get_if<SnapshotChunk>(&message.body)) {
        CHECK_EQ(chunk->data.size(), chunk->size);
      }
      if (bed_->on_send_ != nullptr) bed_->on_send_(message);
      bed_->Deliver(message);
    }
  }
  TransportReceiver* receiver() const { return receiver_; }
  const std::vector<Peer>& peers() const { return peers_; }

 private:
  QuorumBed* const bed_;
  const int node_;
  TransportReceiver* receiver_ = nullptr;
  std::vector<Peer> peers_;
};

const std::vector<Peer>& QuorumBed::peers(int node) const {
  return voters_.at(node).transport->peers();
}

// Messages between two voters may overtake each other here; gRPC's would not.
void QuorumBed::Deliver(const Message& message) {
  const int from = message.from.node.value();
  const int to = message.to.node.value();
  if (random_.Below(1000) < network_.lost) return;
  const int copies = random_.Below(1000) < network_.duplicated ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const int64_t range = absl::ToInt64Nanoseconds(network_.delay_max - network_.delay_min);
    const absl::Duration delay =
        network_.delay_min + absl::Nanoseconds(random_.Below(static_cast<uint64_t>(range)));
    net_->PostAt(net_clock_.Now() + delay, [this, from, to, message] {
      const auto receiver = voters_.find(to);
      if (receiver == voters_.end() || receiver->second.log == nullptr) return;
      if (cut_.contains({from, to})) return;
      receiver->second.owner->Post([transport = receiver->second.transport.get(), message] {
        if (transport->receiver() != nullptr) transport->receiver()->OnMessage(message);
      });
    });
  }
}

void QuorumBed::Isolate(int node) {
  for (const auto& [other, server] : voters_) {
    Cut(node, other);
    Cut(other, node);
  }
}

// ---- Voters ----

QuorumBed::QuorumBed(uint64_t seed, int voters)
    : loop_(seed), random_(seed), net_(loop_.MakeExecutor("net")), net_clock_(loop_.time()) {
  options_.wal.directory = "/wal";
  options_.wal.segment_bytes = 128 << 10;
  options_.wal.entry_bytes_max = 32 << 10;
  options_.wal.fill_step_bytes = 16 << 10;
  for (int node = 1; node <= voters; ++node) {
    founders_.voters.push_back(Voter{IdOf(node, 1), AddressOf(node)});
  }
  for (int node = 1; node <= voters; ++node) Start(node);
}

QuorumBed::~QuorumBed() {
  for (auto& [node, server] : voters_) Stop(&server);
  net_->Shutdown();
}

void QuorumBed::Stop(Server* server) {
  server->log.reset();
  for (sim::SimExecutor* executor :
       {server->owner.get(), server->disk.get(), server->snapshot_disk.get()}) {
    if (executor != nullptr) executor->Shutdown();
  }
}

void QuorumBed::Start(int node) {
  Server& server = voters_[node];
  if (server.log != nullptr) return;
  if (server.files == nullptr) {
    if (server.id.node == kNoNode) server.id = IdOf(node, 1);
    server.files = std::make_unique<sim::SimFileSystem>(random_.Next());
  }
  server.clock = std::make_unique<sim::SimClock>(loop_.time());
  server.owner = loop_.MakeExecutor(absl::StrCat("owner", node), server.clock.get());
  server.disk = loop_.MakeExecutor(absl::StrCat("disk", node), server.clock.get());
  server.snapshot_disk = loop_.MakeExecutor(absl::StrCat("snapshots", node), server.clock.get());
  server.transport = std::make_unique<BedTransport>(this, node);
  server.machine = std::make_unique<BedMachine>(this, node);
  auto store = SnapshotStore::Open(server.files.get(), kSnapshots);
  CHECK_OK(store.status());
  std::shared_ptr<SnapshotStore> snapshots = *std::move(store);
  if (snapshots->newest().has_value()) {
    const SnapshotId id = snapshots->newest()->id;
    auto body = snapshots->ReadBody(id);
    CHECK_OK(body.status());
    server.machine->Load(id.last.index, *body);
  }
  QuorumLog::Options options = options_;
  options.self = server.id;
  if (founders_.Find(server.id) != nullptr) options.founders = founders_;
  for (const Voter& voter : founders_.voters) {
    options.known_peers.push_back(Peer{voter.id.node, voter.address});
  }
  auto log = QuorumLog::Open(std::move(options),
                             {.wal = {.files = server.files.get(),
                                      .clock = server.clock.get(),
                                      .random = &random_,
                                      .owner = server.owner.get(),
                                      .disk = server.disk.get()},
                              .random = std::make_unique<sim::SimRandom>(random_.Next()),
                              .transport = server.transport.get(),
                              .snapshots = std::move(snapshots),
                              .snapshot_disk = server.snapshot_disk.get(),
                              .machine = server.machine.get()});
  CHECK_OK(log.status());
  server.log = *std::move(log);
  server.log->Start(server.machine.get());
}

void QuorumBed::Crash(int node, sim::CrashMode mode) {
  Server& server = voters_.at(node);
  if (server.log == nullptr) return;
  std::unique_ptr<sim::SimFileSystem> image = server.files->CrashImage(mode, random_);
  Stop(&server);
  server.machine->led = Term();
  server.files = std::move(image);
}

void QuorumBed::Wipe(int node) {
  Crash(node);
  Server& server = voters_.at(node);
  server.id = IdOf(node, server.id.directory.uuid().low() + 1);
  server.files = nullptr;
}

std::vector<int> QuorumBed::nodes() const {
  std::vector<int> nodes;
  for (const auto& [node, server] : voters_) nodes.push_back(node);
  return nodes;
}

int QuorumBed::leader() const {
  int best = 0;
  for (const auto& [node, server] : voters_) {
    if (server.log == nullptr || server.machine->led == Term()) continue;
    if (best == 0 || server.machine->led > voters_.at(best).machine->led) best = node;
  }
  return best;
}

bool QuorumBed::Settle(absl::Duration bound) {
  return RunUntil(
      [this] {
        if (leader() == 0) return false;
        const BedMachine& leading = machine(leader());
        if (leading.applied != log(leader()).node().log().last().index) return false;
        return std::all_of(voters_.begin(), voters_.end(), [&](const auto& voter) {
          return voter.second.log == nullptr || voter.second.machine->state == leading.state;
        });
      },
      bound);
}

absl::StatusOr<EntryId> QuorumBed::Append(const std::string& payload) {
  if (leader() == 0) return MakeError(ErrorCode::kNotController, "nobody leads");
  return log(leader()).Append(Bytes::Copy(payload));
}

void QuorumBed::NoteApplied(int node, LogIndex index, const std::string& line) {
  const auto [known, first] = history_.emplace(index, line);
  if (first || known->second == line || !violation_.empty()) return;
  violation_ = absl::StrCat("state machine safety: node ", node, " applies '", line, "' where '",
                            known->second, "' was applied");
}

}  // namespace millrace::raft::testing
