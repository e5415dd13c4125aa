#include "raft/node.h"

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

EntryId StartOf(const InitialState& initial) {
  return initial.snapshot.has_value() ? initial.snapshot->id.last : EntryId{};
}

absl::Status Contradiction(const std::string& what) {
  return MakeError(ErrorCode::kCorruptLog,
                   absl::StrCat("the metadata log contradicts itself: ", what,
                                "; this voter must be repaired from the others"));
}

absl::Status CheckInitial(const InitialState& initial) {
  EntryId before = StartOf(initial);
  Membership membership((VoterSet()));
  for (const Entry& entry : initial.entries) {
    if (entry.index != before.index + 1 || entry.term < before.term) {
      return Contradiction(absl::StrCat("entry ", entry.index.value(), " of term ",
                                        entry.term.value(), " follows entry ", before.index.value(),
                                        " of term ", before.term.value()));
    }
    RETURN_IF_ERROR(Annotate(membership.Append(entry), "the metadata log's voters"));
    before = entry.id();
  }
  if (initial.hard_state.term < before.term) {
    return Contradiction(absl::StrCat("term ", initial.hard_state.term.value(),
                                      " is the newest known, and an entry is of term ",
                                      before.term.value()));
  }
  if (initial.receiving.has_value() && initial.received > initial.receiving->bytes) {
    return Contradiction("more of a snapshot was received than it has");
  }
  return absl::OkStatus();
}

template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

}  // namespace

absl::StatusOr<std::unique_ptr<Node>> Node::Create(const Options& options, const VoterId& self,
                                                   InitialState initial, Random* random,
                                                   MonotonicTime now) {
  RETURN_IF_ERROR(options.Validate());
  RETURN_IF_ERROR(CheckInitial(initial));
  const auto resumed = initial.receiving;
  const uint64_t received = initial.received;
  auto node = std::unique_ptr<Node>(new Node(options, self, std::move(initial), random));
  if (resumed.has_value()) node->follower_.ResumeSnapshot(*resumed, received);
  node->state_.now = now;
  node->election_.Start();
  return node;
}

Node::Node(const Options& options, const VoterId& self, InitialState initial, Random* random)
    : state_(options, self, *random, Log(StartOf(initial), initial.entries),
             Membership(initial.snapshot.has_value() ? initial.snapshot->voters
                                                     : std::move(initial.founders)),
             initial.snapshot),
      election_(&state_),
      follower_(&state_) {
  for (const Entry& entry : initial.entries) {
    CHECK(state_.membership.Append(entry).ok()) << "CheckInitial has decoded it";
  }
  const LogIndex start = state_.log.start().index;
  state_.hard = initial.hard_state;
  // A machine that is further than the log has its entries from elsewhere: they come once more.
  state_.applied = std::clamp(initial.applied, start, state_.log.last().index);
  // The commit index on the disk is a hint.
  state_.hard.commit = std::clamp(state_.hard.commit, state_.applied, state_.log.last().index);
  state_.durable = state_.hard;
  state_.damaged_in = initial.damaged_in;
  told_hard_ = state_.hard;
  told_role_ = RoleState{Role::kFollower, state_.term(), std::nullopt};
  told_voters_ = state_.membership.latest().id;
}

// ---- What happens ----

// Figure 2, "Rules for Servers, All Servers", and the check before it that keeps the disturbance of
// a rejoining server away (thesis 4.2.3).
void Node::Step(const Message& message, MonotonicTime now) {
  state_.now = now;
  // Not for this voter: perhaps for one that was here before, on a directory that is gone (S-17).
  const bool for_this = message.to == state_.self ||
                        (MUTANT("raft.directory-ignored") && message.to.node == state_.self.node);
  if (!for_this || message.from == state_.self) return;
  if (const auto* request = std::get_if<VoteRequest>(&message.body)) {
    const bool has_quorum = leader_ != nullptr && leader_->HeardMajority();
    if (election_.HoldsOnToLeader(*request, has_quorum)) {
      // "Does not update its term or grant its vote."
      if (message.term > state_.term()) return;
      const VoteResponse refusal{request->pre_vote, request->campaign_term, false};
      return state_.Promise(message.from, refusal);
    }
  }
  if (message.term > state_.term()) BecomeFollower(message.term);
  if (message.term < state_.term()) return AnswerOldTerm(message);
  Dispatch(message);
}

// The sender learns the newer term from the answer; answers to an old term's questions are void.
void Node::AnswerOldTerm(const Message& message) {
  if (const auto* request = std::get_if<VoteRequest>(&message.body)) {
    const VoteResponse refusal{request->pre_vote, request->campaign_term, false};
    state_.Promise(message.from, refusal);
  } else if (const auto* append = std::get_if<AppendRequest>(&message.body)) {
    AppendResponse refusal{.accepted = false, .refused = append->previous.index};
    state_.Promise(message.from, refusal);
  } else if (std::holds_alternative<SnapshotOffer>(message.body) ||
             std::holds_alternative<SnapshotChunk>(message.body)) {
    state_.Promise(message.from, AppendResponse{.accepted = false});
  }
}

void Node::Dispatch(const Message& message) {
  const VoterId& from = message.from;
  std::visit(Overloaded{
                 [&](const VoteRequest& m) { election_.OnVoteRequest(from, m); },
                 [&](const VoteResponse& m) {
                   if (election_.OnVoteResponse(from, m)) BecomeLeader();
                 },
                 [&](const AppendRequest& m) {
                   if (HearLeader(from)) follower_.OnAppend(from, m);
                 },
                 [&](const SnapshotOffer& m) {
                   if (HearLeader(from)) follower_.OnSnapshotOffer(from, m);
                 },
                 [&](const SnapshotChunk& m) {
                   if (HearLeader(from)) follower_.OnSnapshotChunk(from, m);
                 },
                 [&](const TimeoutNow&) {
                   if (HearLeader(from)) election_.OnTimeoutNow();
                 },
                 [&](const AppendResponse& m) {
                   if (leader_ != nullptr) leader_->OnAppendResponse(from, m);
                 },
                 [&](const SnapshotResponse& m) {
                   if (leader_ != nullptr) leader_->OnSnapshotResponse(from, m);
                 },
             },
             message.body);
}

// Paper 5.2: a candidate that hears the leader of its term "recognizes the leader as legitimate and
// returns to follower state".
bool Node::HearLeader(const VoterId& from) {
  if (state_.role == Role::kLeader) return false;
  if (state_.leader.has_value() && *state_.leader != from) return false;
  state_.role = Role::kFollower;
  state_.leader = from;
  election_.OnLeaderHeard();
  return true;
}

void Node::Tick(MonotonicTime now) {
  state_.now = now;
  if (leader_ == nullptr) return election_.Tick();
  // Thesis 6.2: a leader that cannot reach a majority would keep its clients waiting for ever.
  if (leader_->LostMajority()) return BecomeFollower(state_.term());
  // S-36: the followers would commit without this disk for as long as it hangs.
  if (DiskHangs()) leader_->HandOver();
  leader_->Tick();
}

void Node::PeerUnreachable(NodeId peer, MonotonicTime now) {
  state_.now = now;
  if (leader_ != nullptr) return leader_->OnUnreachable(peer);
  if (state_.leader.has_value() && state_.leader->node == peer) election_.OnLeaderUnreachable();
}

void Node::Persisted(ReadySeq seq, MonotonicTime now) {
  state_.now = now;
  while (!on_its_way_.empty() && on_its_way_.front().seq <= seq) {
    state_.durable = on_its_way_.front().hard;
    on_its_way_.pop_front();
  }
  state_.log.Persisted(seq);
  if (leader_ != nullptr) {
    leader_->OnPersisted();
  } else if (election_.OnPersisted()) {
    BecomeLeader();
  }
}

void Node::SnapshotTaken(const SnapshotId& id, MonotonicTime now) {
  state_.now = now;
  CHECK_LE(id.last.index, state_.applied);
  const auto& newest = state_.snapshots.newest();
  // A snapshot from the leader may have overtaken the own one.
  if (newest.has_value() && id.last.index <= newest->id.last.index) return;
  CHECK(state_.log.Has(id.last)) << id;
  state_.snapshots.Put(SnapshotOffer{.id = id, .voters = state_.membership.At(id.last.index)});
  const LogIndex through = state_.snapshots.log_needed_after();
  state_.log.CompactTo(through);
  state_.membership.CompactTo(through);
}

void Node::SnapshotReceived(const SnapshotId& id, bool valid, MonotonicTime now) {
  state_.now = now;
  if (leader_ == nullptr) follower_.OnSnapshotReceived(id, valid);
}

// ---- What is asked ----

absl::Status Node::NotLeader() const {
  LeaderHint hint;
  if (state_.leader.has_value()) {
    hint.leader = state_.leader->node;
    const Voter* voter = voters().Find(*state_.leader);
    if (voter != nullptr) hint.address = voter->address;
  }
  return MakeError(ErrorCode::kNotController,
                   hint.leader == kNoNode
                       ? std::string("no controller leads the quorum, as far as is known; retry")
                       : absl::StrCat("node ", hint.leader.value(), " leads the quorum; ask it"),
                   {.leader = hint});
}

absl::StatusOr<EntryId> Node::Propose(Bytes payload, MonotonicTime now) {
  state_.now = now;
  if (leader_ == nullptr) return NotLeader();
  return leader_->Propose(std::move(payload));
}

absl::StatusOr<EntryId> Node::ChangeMembership(const VoterChange& change, MonotonicTime now) {
  state_.now = now;
  if (leader_ == nullptr) return NotLeader();
  return leader_->ChangeMembership(change);
}

absl::StatusOr<ReadId> Node::Read(MonotonicTime now) {
  state_.now = now;
  if (leader_ == nullptr) return NotLeader();
  const ReadId id = last_read_ + 1;
  RETURN_IF_ERROR(leader_->Read(id));
  last_read_ = id;
  return id;
}

absl::Status Node::TransferLeadership(const VoterId& target, MonotonicTime now) {
  state_.now = now;
  if (leader_ == nullptr) return NotLeader();
  return leader_->TransferTo(target);
}

// ---- Roles ----

// Figure 2: "If RPC request or response contains term T > currentTerm: set currentTerm = T, convert
// to follower". Within a term the vote stays given.
void Node::BecomeFollower(Term term) {
  if (term > state_.term()) {
    state_.hard.term = term;
    state_.hard.voted_for.reset();
  }
  if (leader_ != nullptr) {
    leader_->Abdicate();
    leader_.reset();
  }
  state_.role = Role::kFollower;
  state_.leader.reset();
  election_.OnBecameFollower();
}

void Node::BecomeLeader() { leader_ = std::make_unique<Leader>(&state_); }

bool Node::DiskHangs() const {
  for (const OnItsWay& ready : on_its_way_) {
    if (ready.to_disk) return state_.now >= ready.since + state_.options.disk_hang_after;
  }
  return false;
}

MonotonicTime Node::next_deadline() const {
  // A hanging disk is looked at with the heartbeats.
  return leader_ != nullptr ? leader_->next_deadline() : election_.deadline();
}

// ---- What comes out ----

Ready Node::TakeReady() {
  Ready ready;
  if (leader_ != nullptr) leader_->FillMessages();
  if (leader_ != nullptr && leader_->Removed() && !MUTANT("raft.removed-leader-stays")) {
    leader_->SayGoodbye();
    BecomeFollower(state_.term());
  }
  ready.seq = last_seq_ + 1;
  TakeRole(&ready);
  TakeWrites(&ready);
  TakeCommitted(&ready);
  ready.send_now = std::exchange(state_.send_now, {});
  ready.send_after_persist = std::exchange(state_.send_after_persist, {});
  ready.reads = std::exchange(state_.reads, {});
  ready.lost_log = std::exchange(state_.lost_log, {});
  if (ready.empty()) return Ready();
  last_seq_ = ready.seq;
  on_its_way_.push_back(OnItsWay{ready.seq, told_hard_, ready.NeedsPersist(), state_.now});
  return ready;
}

void Node::TakeRole(Ready* ready) {
  const RoleState role{state_.role, state_.term(), state_.leader};
  if (role == told_role_) return;
  told_role_ = role;
  ready->role = role;
}

void Node::TakeWrites(Ready* ready) {
  ready->install = std::exchange(state_.install, std::nullopt);
  ready->chunks = std::exchange(state_.chunks, {});
  if (state_.log.has_unpersisted() || ready->install.has_value()) {
    ready->entries = state_.log.TakeUnpersisted(ready->seq);
  }
  const EntryId voters = state_.membership.latest().id;
  if (voters != told_voters_) ready->voters = state_.membership.latest();
  told_voters_ = voters;
  // The commit index alone is not worth a write: it goes along with the next one.
  HardState hard = state_.hard;
  hard.commit = CommitOnDisk();
  const bool promise = hard.term != told_hard_.term || hard.voted_for != told_hard_.voted_for;
  if (promise || (ready->NeedsPersist() && hard.commit != told_hard_.commit)) {
    ready->hard_state = hard;
    told_hard_ = hard;
    if (MUTANT("raft.vote-not-written")) ready->hard_state->voted_for.reset();
  }
}

// Not beyond what the disk has, in the form that it has now: a crash may leave of a Ready the hard
// state without the entries, and the old entries in their place are not what was committed. What is
// left out here is written with a later Ready; a start without it learns it from the leader.
LogIndex Node::CommitOnDisk() const {
  // A snapshot to be installed is on the disk before anything of its Ready is in the log's files.
  return std::max(std::min(state_.commit(), state_.log.stable()), state_.log.start().index);
}

// Only what is durable here too: a state machine never runs ahead of its own log (S-10).
void Node::TakeCommitted(Ready* ready) {
  LogIndex through = std::min(state_.commit(), state_.log.stable());
  if (MUTANT("raft.apply-not-durable")) through = state_.commit();
  uint64_t bytes = 0;
  while (state_.applied < through && bytes < state_.options.committed_bytes_max) {
    state_.applied = state_.applied + 1;
    const Entry& entry = state_.log.At(state_.applied);
    bytes += Log::CostOf(entry);
    ready->committed.push_back(entry);
  }
}

}  // namespace millrace::raft
