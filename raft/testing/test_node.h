// TestNode: one raft::Node with a clock and a disk that obey the test.
//
// Each call steps the node and then, unless the test holds the disk, takes all Readys and persists
// them in order, collecting what leaves. Voters are small numbers, on a directory of their own.
//
// Thread: one.
#ifndef RAFT_TESTING_TEST_NODE_H_
#define RAFT_TESTING_TEST_NODE_H_

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/sim/sim_random.h"
#include "raft/node.h"

namespace millrace::raft::testing {

inline VoterId V(int node, int directory = 1) {
  return VoterId{NodeId(node),
                 DirectoryId(Uuid(static_cast<uint64_t>(node), static_cast<uint64_t>(directory)))};
}

inline VoterSet Voters(std::initializer_list<int> voters, std::initializer_list<int> learners = {},
                       EntryId id = {}) {
  VoterSet set{id, {}};
  for (int node : voters) set.voters.push_back(Voter{V(node), "", false});
  for (int node : learners) set.voters.push_back(Voter{V(node), "", true});
  return set;
}

inline EntryId Id(int64_t term, int64_t index) { return EntryId{Term(term), LogIndex(index)}; }

inline Entry E(int64_t term, int64_t index, const std::string& payload = "x") {
  return Entry{Term(term), LogIndex(index), EntryType::kPayload, Bytes::Copy(payload)};
}

inline Entry VotersEntry(int64_t term, int64_t index, const VoterSet& set) {
  return Entry{Term(term), LogIndex(index), EntryType::kVoters,
               Bytes::FromString(*EncodeVoters(set.voters))};
}

// Entries from index 1 with these terms, as in the paper's figures.
inline std::vector<Entry> Terms(std::initializer_list<int> terms) {
  std::vector<Entry> entries;
  for (int term : terms) entries.push_back(E(term, static_cast<int64_t>(entries.size()) + 1));
  return entries;
}

inline InitialState Start(const VoterSet& founders, int64_t term = 0,
                          std::vector<Entry> entries = {}) {
  InitialState initial;
  initial.founders = founders;
  initial.hard_state.term = Term(term);
  initial.entries = std::move(entries);
  return initial;
}

class TestNode {
 public:
  explicit TestNode(int self, InitialState initial, Options options = {}, uint64_t seed = 1)
      : random_(seed) {
    auto node = Node::Create(options, V(self), std::move(initial), &random_, now_);
    CHECK(node.ok()) << node.status().ToString();
    node_ = *std::move(node);
    Run();
  }

  Node* operator->() { return node_.get(); }
  const Node& node() const { return *node_; }
  MonotonicTime now() const { return now_; }

  // While held, Readys are taken but not persisted.
  void HoldDisk() { held_ = true; }
  void ReleaseDisk() {
    held_ = false;
    Run();
  }
  // Persists the oldest Ready that is held.
  void PersistOne() {
    CHECK(!on_disk_queue_.empty());
    Finish(0);
    Run();
  }

  // Everything that left since the last call: of readys not persisted only send_now.
  std::vector<Message> Sent() { return std::exchange(sent_, {}); }
  // Of Sent(), the bodies of one type, to one peer or to any.
  template <class Body>
  std::vector<Body> SentOf(int to = 0) {
    std::vector<Body> out;
    for (const Message& message : Sent()) {
      if (to != 0 && message.to != V(to)) continue;
      if (const Body* body = std::get_if<Body>(&message.body)) out.push_back(*body);
    }
    return out;
  }

  void Receive(int from, int64_t term, decltype(Message::body) body) {
    node_->Step(Message{V(from), node_->self(), Term(term), std::move(body)}, now_);
    Run();
  }
  void Advance(absl::Duration duration) { now_ = now_ + duration; }
  void Tick() {
    node_->Tick(now_);
    Run();
  }
  // To the next deadline, and past it.
  void TickAtDeadline() {
    if (now_ < node_->next_deadline()) now_ = node_->next_deadline();
    Tick();
  }
  void Unreachable(int peer) {
    node_->PeerUnreachable(NodeId(peer), now_);
    Run();
  }
  absl::StatusOr<EntryId> Propose(const std::string& payload) {
    auto id = node_->Propose(Bytes::Copy(payload), now_);
    Run();
    return id;
  }
  absl::StatusOr<EntryId> Change(VoterChange change) {
    auto id = node_->ChangeMembership(change, now_);
    Run();
    return id;
  }
  absl::StatusOr<ReadId> Read() {
    auto id = node_->Read(now_);
    Run();
    return id;
  }

  // Times out and stands; the given peers grant pre-vote and vote.
  void Elect(std::initializer_list<int> by) {
    while (node_->role() == Role::kFollower) TickAtDeadline();
    const Term term = node_->term() + 1;
    for (int peer : by) {
      if (node_->role() == Role::kPreCandidate) {
        Receive(peer, node_->term().value(), VoteResponse{true, term, true});
      }
    }
    CHECK(node_->role() != Role::kPreCandidate);
    for (int peer : by) Receive(peer, term.value(), VoteResponse{false, term, true});
    CHECK(node_->role() == Role::kLeader) << node_->role();
  }
  // A follower acknowledges everything through `match`, in answer to the newest round.
  void Acknowledge(int from, int64_t match, uint64_t round = 0) {
    Receive(from, node_->term().value(),
            AppendResponse{.accepted = true, .match = LogIndex(match), .round = Round(round)});
  }

  std::vector<int64_t> LogTerms() const {
    std::vector<int64_t> terms;
    const Log& log = node_->log();
    for (LogIndex i = log.start().index + 1; i <= log.last().index; ++i) {
      terms.push_back(log.At(i).term.value());
    }
    return terms;
  }

  // What the host was given so far.
  std::vector<Entry> committed;
  std::vector<ReadResult> reads;
  std::vector<VoterId> lost_log;
  HardState disk_hard_state;
  std::vector<Ready> taken;

 private:
  void Run() {
    for (bool more = true; more;) {
      more = false;
      for (Ready ready = node_->TakeReady(); !ready.empty(); ready = node_->TakeReady()) {
        more = true;
        Take(ready);
        on_disk_queue_.push_back(std::move(ready));
      }
      while (!held_ && !on_disk_queue_.empty()) {
        Finish(0);
        more = true;  // What became durable may make new work.
      }
    }
  }
  void Take(const Ready& ready) {
    sent_.insert(sent_.end(), ready.send_now.begin(), ready.send_now.end());
    committed.insert(committed.end(), ready.committed.begin(), ready.committed.end());
    reads.insert(reads.end(), ready.reads.begin(), ready.reads.end());
    lost_log.insert(lost_log.end(), ready.lost_log.begin(), ready.lost_log.end());
    taken.push_back(ready);
  }
  void Finish(size_t position) {
    const Ready ready = on_disk_queue_[position];
    on_disk_queue_.erase(on_disk_queue_.begin() + static_cast<std::ptrdiff_t>(position));
    if (ready.hard_state.has_value()) disk_hard_state = *ready.hard_state;
    sent_.insert(sent_.end(), ready.send_after_persist.begin(), ready.send_after_persist.end());
    node_->Persisted(ready.seq, now_);
  }

  sim::SimRandom random_;
  MonotonicTime now_ = MonotonicTime::FromNanos(1'000'000'000);
  std::unique_ptr<Node> node_;
  bool held_ = false;
  std::vector<Ready> on_disk_queue_;
  std::vector<Message> sent_;
};

}  // namespace millrace::raft::testing

#endif  // RAFT_TESTING_TEST_NODE_H_
