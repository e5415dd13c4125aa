#include "raft/testing/sim_cluster.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "raft/quorum.h"
#include "raft/testing/test_node.h"

namespace millrace::raft::testing {

SimCluster::SimCluster(uint64_t seed, const Options& options, int voters)
    : options_(options), random_(seed) {
  VoterSet founders;
  for (int node = 1; node <= voters; ++node) founders.voters.push_back(Voter{V(node)});
  for (int node = 1; node <= voters; ++node) {
    servers_[node].id = V(node);
    servers_[node].disk.founders = founders;
    Restart(node);
  }
}

// ---- The world goes on ----

void SimCluster::At(MonotonicTime when, std::function<void()> what) {
  events_heap_.push_back(Event{std::max(when, now_), next_tie_++, std::move(what)});
  std::push_heap(events_heap_.begin(), events_heap_.end());
}

void SimCluster::RunFor(absl::Duration duration) {
  const MonotonicTime end = now_ + duration;
  while (!events_heap_.empty() && events_heap_.front().when <= end &&
         invariants_.violation().empty()) {
    std::pop_heap(events_heap_.begin(), events_heap_.end());
    Event event = std::move(events_heap_.back());
    events_heap_.pop_back();
    at_one_time_ = event.when == now_ ? at_one_time_ + 1 : 0;
    if (at_one_time_ > 100'000) invariants_.Report("liveness: time does not go on");
    now_ = event.when;
    ++events_;
    event.what();
  }
  now_ = end;
}

void SimCluster::OnServer(int node, uint64_t life, MonotonicTime when,
                          std::function<void(Server&)> what) {
  At(when, [this, node, life, what = std::move(what)]() mutable {
    Server& server = servers_.at(node);
    if (server.life != life || server.node == nullptr) return;
    if (now_ < server.paused_until) {
      return OnServer(node, life, server.paused_until, std::move(what));
    }
    what(server);
    Pump(node);
  });
}

// ---- What may happen to servers ----

void SimCluster::Crash(int node) {
  Server& server = servers_.at(node);
  if (server.node == nullptr) return;
  Trace(1, absl::StrCat("crash ", node));
  // Some of the groups under way reached the disk; no message was sent for them.
  size_t durable = random_.Below(server.writing.size() + 1);
  for (; durable > 0; --durable) {
    server.disk.Apply(server.writing.front());
    server.writing.pop_front();
  }
  // A group may end within a Ready: its hard state is there, and the first of its entries.
  if (!server.writing.empty() && sim::OneIn(random_, 2)) {
    Ready torn = server.writing.front();
    torn.entries.resize(random_.Below(torn.entries.size() + 1));
    server.disk.Apply(torn);
  }
  server.writing.clear();
  server.reads.clear();
  server.node.reset();
  ++server.life;
}

void SimCluster::Restart(int node) {
  Server& server = servers_.at(node);
  if (server.node != nullptr) return;
  Trace(2, absl::StrCat("restart ", node));
  server.random = std::make_unique<sim::SimRandom>(random_.Next());
  server.machine = server.disk.LoadMachine();
  server.timer = MonotonicTime::Never();
  server.paused_until = MonotonicTime();
  server.disk_free = now_;
  auto created = Node::Create(options_, server.id, server.disk.Load(), server.random.get(), now_);
  if (!created.ok()) {
    return invariants_.Report(
        absl::StrCat("node ", node, " cannot start: ", std::string(created.status().message())));
  }
  server.node = *std::move(created);
  invariants_.OnStart(*server.node);
  Pump(node);
}

void SimCluster::Pause(int node, absl::Duration duration) {
  Trace(3, absl::StrCat("pause ", node));
  servers_.at(node).paused_until = now_ + duration;
}

void SimCluster::Wipe(int node) {
  Crash(node);
  Server& server = servers_.at(node);
  Trace(4, absl::StrCat("wipe ", node));
  lost_disks_[server.id] = std::move(server.disk);
  server.disk = SimDisk();
  server.id = V(node, static_cast<int>(server.id.directory.uuid().low()) + 1);
  Restart(node);
}

void SimCluster::AddEmpty(int node) {
  servers_[node].id = V(node);
  Restart(node);
}

void SimCluster::SlowDisk(int node, absl::Duration latency_max) {
  servers_.at(node).disk_latency_max = latency_max;
}

void SimCluster::Unreachable(int node, int peer) {
  OnServer(node, servers_.at(node).life, now_, [this, peer](Server& server) {
    Trace(5, absl::StrCat(server.id.node.value(), " finds ", peer, " unreachable"));
    server.node->PeerUnreachable(NodeId(peer), now_);
  });
}

void SimCluster::Isolate(int node) {
  for (const auto& [other, server] : servers_) {
    CutLink(node, other);
    CutLink(other, node);
  }
}

void SimCluster::TakeSnapshot(int node) {
  Server& server = servers_.at(node);
  if (server.node == nullptr || now_ < server.paused_until) return;
  const LogIndex applied = server.machine.applied;
  // Of entries that the log no longer has there is a newer snapshot already.
  const auto& newest = server.node->state().snapshots.newest();
  if (applied == LogIndex() || (newest.has_value() && newest->id.last.index >= applied)) return;
  // While one is being installed the disk still has the old log.
  if (!server.writing.empty()) return;
  const std::string file = server.machine.Save();
  const SnapshotId id{EntryId{*server.node->log().TermAt(applied), applied}, file.size(),
                      ChecksumOf(file)};
  server.node->SnapshotTaken(id, now_);
  server.disk.AddSnapshot(*server.node->state().snapshots.newest(), file);
  Trace(6, absl::StrCat("snapshot ", node, " at ", applied.value()));
  Pump(node);
}

// ---- What users ask of a server ----

absl::StatusOr<EntryId> SimCluster::Propose(int node) {
  Server& server = servers_.at(node);
  if (server.node == nullptr || now_ < server.paused_until) return absl::UnavailableError("down");
  auto id = server.node->Propose(Bytes::FromString(absl::StrCat("p", ++proposals_)), now_);
  Pump(node);
  return id;
}

absl::StatusOr<EntryId> SimCluster::Change(int node, const VoterChange& change) {
  Server& server = servers_.at(node);
  if (server.node == nullptr || now_ < server.paused_until) return absl::UnavailableError("down");
  auto id = server.node->ChangeMembership(change, now_);
  if (id.ok()) Reach(absl::StrCat("membership change ", static_cast<int>(change.kind)));
  Pump(node);
  return id;
}

bool SimCluster::Read(int node) {
  Server& server = servers_.at(node);
  if (server.node == nullptr || now_ < server.paused_until) return false;
  auto id = server.node->Read(now_);
  if (!id.ok()) return false;
  // Linearizable: it sees all that anybody may have acknowledged before now.
  server.reads[*id] = invariants_.committed();
  Pump(node);
  return true;
}

absl::Status SimCluster::Transfer(int node, const VoterId& target) {
  Server& server = servers_.at(node);
  if (server.node == nullptr || now_ < server.paused_until) return absl::UnavailableError("down");
  absl::Status status = server.node->TransferLeadership(target, now_);
  Pump(node);
  return status;
}

// ---- The host of one node ----

void SimCluster::Pump(int node) {
  Server& server = servers_.at(node);
  if (server.node == nullptr) return;
  const auto check = [&] {
    const LogIndex before = std::min(invariants_.committed(), server.node->commit());
    invariants_.OnEvent(*server.node);
    if (server.node->role() == Role::kLeader) CheckCommit(server, before);
  };
  check();
  for (Ready ready = server.node->TakeReady(); !ready.empty() && invariants_.violation().empty();
       ready = server.node->TakeReady()) {
    check();
    Take(node, ready);
    server.writing.push_back(std::move(ready));
    if (server.writing.size() == 1) StartWrite(node);
    if (server.node == nullptr) return;
  }
  if (server.node->leadership() != nullptr && server.node->leadership()->Removed()) {
    invariants_.Report("thesis 4.2.2: a leader goes on after its removal was committed");
  }
  const MonotonicTime deadline = server.node->next_deadline();
  if (deadline >= server.timer) return;
  server.timer = deadline;
  OnServer(node, server.life, deadline, [this](Server& s) {
    s.timer = MonotonicTime::Never();
    s.node->Tick(now_);
  });
}

void SimCluster::Take(int node, const Ready& ready) {
  Server& server = servers_.at(node);
  NoteReady(server, ready);
  invariants_.OnReady(*server.node, ready);
  const Leader* leadership = server.node->leadership();
  for (const Entry& entry : ready.entries) {
    if (leadership == nullptr || entry.type != EntryType::kVoters) continue;
    if (entry.term == server.node->term() && server.node->commit() < leadership->own_term_begin()) {
      invariants_.Report("thesis 4.1, corrected: voters changed before an entry of the own term");
    }
  }
  for (const Entry& entry : ready.committed) {
    if (!invariants_.violation().empty()) return;
    // S-10: the state machine never runs ahead of its own disk.
    if (!server.disk.Holds(entry.id())) {
      invariants_.Report(absl::StrCat("S-10: node ", node, " applies ", entry.index.value(),
                                      ", which is not durable there"));
      return;
    }
    server.machine.Apply(entry);
    invariants_.OnApplied(server.machine.applied, server.machine.hash);
  }
  for (const ReadResult& read : ready.reads) {
    auto expected = server.reads.find(read.id);
    CHECK(expected != server.reads.end());
    if (read.confirmed && read.index < expected->second) {
      invariants_.Report(absl::StrCat("S-12: node ", node, " reads at ", read.index.value(),
                                      " after ", expected->second.value(), " was committed"));
    }
    if (read.confirmed) ++reads_confirmed_;
    server.reads.erase(expected);
  }
  for (const Message& message : ready.send_now) {
    if (server.disk.hard_state.term < message.term) {
      invariants_.Report(absl::StrCat("S-10: node ", node, " says at once, in a term that is not ",
                                      "durable: ", Describe(message)));
    }
  }
  for (const VoterId& voter : ready.lost_log) {
    invariants_.Report(absl::StrCat("S-19: node ", voter.node.value(), " forgot nothing, and is ",
                                    "accused by ", node));
  }
  Send(node, ready.send_now);
}

void SimCluster::StartWrite(int node) {
  Server& server = servers_.at(node);
  const bool at_once = !server.writing.front().NeedsPersist();
  const absl::Duration latency = at_once ? absl::ZeroDuration()
                                         : absl::Nanoseconds(random_.Below(static_cast<uint64_t>(
                                               absl::ToInt64Nanoseconds(server.disk_latency_max))));
  OnServer(node, server.life, now_ + latency, [this, node](Server&) { FinishWrite(node); });
}

void SimCluster::FinishWrite(int node) {
  Server& server = servers_.at(node);
  const Ready ready = std::move(server.writing.front());
  server.writing.pop_front();
  server.disk.Apply(ready);
  if (ready.install.has_value()) {
    // The state machine's own file was replaced; nothing was applied meanwhile.
    server.machine = server.disk.LoadMachine();
    invariants_.OnApplied(server.machine.applied, server.machine.hash);
  }
  server.node->Persisted(ready.seq, now_);
  if (!server.writing.empty()) StartWrite(node);
  CheckWrite(server, ready);
  Send(node, ready.send_after_persist);
  if (!ready.chunks.empty()) VerifySnapshot(node);
}

// What leaves now must be true of the disk.
void SimCluster::CheckWrite(const Server& server, const Ready& ready) {
  for (const Message& message : ready.send_after_persist) {
    if (server.disk.hard_state.term < message.term) {
      invariants_.Report(absl::StrCat("not durable: the term of ", Describe(message)));
    }
  }
}

// A leader commits what a majority of its voters has on the disk. Looked at on the disks.
void SimCluster::CheckCommit(const Server& server, LogIndex before) {
  const Node& node = *server.node;
  if (node.commit() <= before) return;
  const auto term = node.log().TermAt(node.commit());
  if (!term.has_value()) return;
  const EntryId id{*term, node.commit()};
  if (id.term != node.term()) {
    invariants_.Report(absl::StrCat("paper 5.4.2: node ", server.id.node.value(), " of term ",
                                    node.term().value(), " commits an entry of term ",
                                    id.term.value(), " by counting"));
  }
  size_t holders = 0;
  const std::vector<VoterId> voters = CountedVoters(node.voters());
  for (const VoterId& voter : voters) {
    const auto lost = lost_disks_.find(voter);
    const SimDisk* disk = lost != lost_disks_.end() ? &lost->second : nullptr;
    auto other = servers_.find(voter.node.value());
    if (other != servers_.end() && other->second.id == voter) disk = &other->second.disk;
    if (disk != nullptr && disk->Holds(id)) ++holders;
  }
  if (holders < voters.size() / 2 + 1) {
    invariants_.Report(absl::StrCat("commitment: node ", server.id.node.value(), " commits ",
                                    id.term.value(), ":", id.index.value(), ", which ", holders,
                                    " of ", voters.size(), " voters have on their disks"));
  }
}

void SimCluster::VerifySnapshot(int node) {
  Server& server = servers_.at(node);
  const auto& receiving = server.disk.receiving;
  if (!receiving.has_value() || server.disk.received.size() < receiving->bytes) return;
  // Now and then the file was damaged on its way.
  const bool valid =
      ChecksumOf(server.disk.received) == receiving->checksum && random_.Below(10) != 0;
  Reach(valid ? "snapshot verified" : "snapshot damaged");
  // To read it again takes its time; another leader may be faster with the entries.
  const absl::Duration time = absl::Milliseconds(random_.Below(5) == 0 ? random_.Below(3000) : 1);
  OnServer(node, server.life, now_ + time, [this, id = *receiving, valid](Server& s) {
    s.node->SnapshotReceived(id, valid, now_);
  });
}

// ---- The network ----

void SimCluster::Send(int node, std::vector<Message> messages) {
  const Server& server = servers_.at(node);
  for (Message& message : messages) {
    invariants_.OnSend(message);
    if (const auto* ack = std::get_if<AppendResponse>(&message.body)) {
      if (ack->accepted && server.disk.last().index < ack->match) {
        invariants_.Report(absl::StrCat("S-10: acknowledged and not durable: ", Describe(message)));
      }
    }
    if (auto* chunk = std::get_if<SnapshotChunk>(&message.body)) {
      const std::string* file = server.disk.FindSnapshot(chunk->id);
      if (file == nullptr) continue;
      chunk->data = Bytes::Copy(Slice(*file).substr(chunk->offset, chunk->size));
    }
    if (random_.Below(1000) < network_.lost) continue;
    const auto draw = [this] {
      const int64_t range = absl::ToInt64Nanoseconds(network_.delay_max - network_.delay_min);
      const absl::Duration delay =
          network_.delay_min + absl::Nanoseconds(random_.Below(static_cast<uint64_t>(range)));
      return random_.Below(1000) < network_.late ? delay * 200 : delay;
    };
    if (random_.Below(1000) < network_.duplicated) Deliver(message, draw());
    Deliver(message, draw());
  }
}

void SimCluster::Deliver(const Message& message, absl::Duration delay) {
  const int from = message.from.node.value();
  const int to = message.to.node.value();
  At(now_ + delay, [this, from, to, message] {
    auto receiver = servers_.find(to);
    if (receiver == servers_.end() || cut_.contains({from, to})) return;
    OnServer(to, receiver->second.life, now_, [this, message](Server& server) {
      Trace(static_cast<uint64_t>(message.body.index()) * 1000 +
                static_cast<uint64_t>(message.from.node.value() * 10 + message.to.node.value()),
            print_ ? Describe(message) : std::string());
      const Term term = server.node->term();
      const EntryId last = server.node->log().last();
      server.node->Step(message, now_);
      const bool same = server.node->term() == term && server.node->log().last() == last;
      if (message.to != server.id && !same) {
        invariants_.Report("S-17: a message for a lost directory has an effect on the new one");
      }
    });
  });
}

// ---- What is to be seen ----

std::vector<int> SimCluster::nodes() const {
  std::vector<int> nodes;
  for (const auto& [node, server] : servers_) nodes.push_back(node);
  return nodes;
}

int SimCluster::leader() const {
  int best = 0;
  for (const auto& [node, server] : servers_) {
    if (server.node == nullptr || server.node->role() != Role::kLeader) continue;
    if (best == 0 || server.node->term() > servers_.at(best).node->term()) best = node;
  }
  return best;
}

// The states that a run is expected to reach sooner or later.
void SimCluster::NoteReady(const Server& server, const Ready& ready) {
  if (!ready.entries.empty() && server.writing.empty() &&
      ready.entries.front().index <= server.disk.last().index) {
    Reach("truncation of a durable tail");
  }
  if (ready.entries.size() > 1 && !server.writing.empty()) Reach("overlapping writes");
  if (ready.install.has_value()) {
    Reach("snapshot installed");
    if (!server.disk.entries.empty()) Reach("snapshot installed over a log");
  }
  if (ready.role.has_value()) {
    if (ready.role->role == Role::kLeader) Reach("elected");
    if (ready.role->role == Role::kCandidate) Reach("candidate");
  }
  for (const SnapshotChunk& chunk : ready.chunks) {
    if (chunk.offset > 0) Reach("snapshot in pieces");
  }
  for (const Message& message : ready.send_now) {
    if (std::holds_alternative<TimeoutNow>(message.body)) Reach("leadership transferred");
  }
}

void SimCluster::Trace(uint64_t what, const std::string& text) {
  trace_hash_ = sim::MixBits(trace_hash_ ^ what) + static_cast<uint64_t>(now_.nanos());
  if (print_) std::printf("%10.3f ms  %s\n", static_cast<double>(now_.nanos()) / 1e6, text.c_str());
}

}  // namespace millrace::raft::testing
