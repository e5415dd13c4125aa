#include "node/raft_quorum_control.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "raft/node.h"
#include "raft/quorum.h"

namespace millrace::node {
namespace {

using controller::QuorumDescription;
using controller::QuorumMember;

// How long a learner may take to catch up, and how often it is looked at.
constexpr absl::Duration kCatchUpBound = absl::Seconds(60);
constexpr absl::Duration kCatchUpInterval = absl::Milliseconds(100);
constexpr absl::Duration kTransferBound = absl::Seconds(5);

std::string StateName(const raft::Progress& progress) {
  if (progress.lost_log()) return "lost-log";
  switch (progress.state()) {
    case raft::Progress::State::kProbe:
      return "probe";
    case raft::Progress::State::kReplicate:
      return "replicate";
    case raft::Progress::State::kSnapshot:
      return "snapshot";
  }
  return "unknown";
}

QuorumMember DescribeMember(const raft::Node& node, const raft::Voter& voter, MonotonicTime now) {
  QuorumMember member{
      .node = voter.id.node,
      .directory = voter.id.directory,
      .address = voter.address,
      .role = voter.learner ? QuorumMember::Role::kLearner : QuorumMember::Role::kVoter};
  const LogIndex last = node.log().last().index;
  if (voter.id == node.self()) {
    member.state = "leader";
    member.log_end = last;
    member.last_contact_ms = 0;
    return member;
  }
  const auto& peers = node.leadership()->peers();
  const auto peer = peers.find(voter.id);
  if (peer == peers.end()) return member;
  const raft::Progress& progress = peer->second;
  member.state = StateName(progress);
  member.log_end = progress.match();
  member.lag = last - progress.match();
  // Before its first answer the time is that of the leader's election.
  if (progress.acked_round() != raft::Round()) {
    member.last_contact_ms = absl::ToInt64Milliseconds(now - progress.last_contact());
  }
  return member;
}

}  // namespace

RaftQuorumControl::RaftQuorumControl(Executor* executor, const Clock* clock,
                                     controller::LeaderWatch* leaders)
    : executor_(executor), clock_(clock), leaders_(leaders) {
  std::weak_ptr<const bool> alive = alive_;
  leaders_->Subscribe([this, alive](const LeaderHint& leader) {
    if (!alive.expired()) OnLeader(leader.leader);
  });
}

absl::Status RaftQuorumControl::NotLeader() const {
  return MakeError(ErrorCode::kNotController,
                   "this node does not lead the quorum; nothing was changed; ask the leader",
                   {.leader = leaders_->leader()});
}

// A broker in the process of a voter follows what that has: it is the voter that counts.
void RaftQuorumControl::AddObservers(std::vector<QuorumMember> observers,
                                     QuorumDescription* description) {
  for (QuorumMember& observer : observers) {
    const bool is_voter =
        std::any_of(description->members.begin(), description->members.end(),
                    [&](const QuorumMember& member) { return member.node == observer.node; });
    if (!is_voter) description->members.push_back(std::move(observer));
  }
}

void RaftQuorumControl::Describe(Described done) {
  if (!leading()) return std::move(done)(NotLeader());
  const raft::Node& node = host_->log().node();
  QuorumDescription description;
  description.leader = node.self().node;
  description.term = node.term();
  description.commit = node.commit();
  description.log_start = node.log().start().index;
  description.log_end = node.log().last().index;
  const auto& snapshot = node.state().snapshots.newest();
  if (snapshot.has_value()) description.snapshot = snapshot->id.last.index;
  for (const raft::Voter& voter : node.voters().voters) {
    description.members.push_back(DescribeMember(node, voter, clock_->Now()));
  }
  std::stable_sort(description.members.begin(), description.members.end(),
                   [](const QuorumMember& a, const QuorumMember& b) { return a.role < b.role; });
  if (observers_ != nullptr) AddObservers(observers_(), &description);
  std::move(done)(std::move(description));
}

void RaftQuorumControl::AddVoter(NodeId node, DirectoryId directory, std::string address,
                                 Done done) {
  if (!leading()) return std::move(done)(NotLeader());
  const raft::VoterId id{node, directory};
  // One that was not heard yet may say it as a learner.
  const absl::Status may_vote = CheckMayVote(id);
  if (CodeOf(may_vote) == ErrorCode::kUnsupportedVersion) return std::move(done)(may_vote);
  const MonotonicTime deadline = clock_->Now() + kCatchUpBound;
  const raft::Voter* const member = host_->log().node().voters().Find(id);
  const bool is_learner = member != nullptr && member->learner;
  if (is_learner && member->address == address) return Promote(id, deadline, std::move(done));
  // The address that it was added with may have been wrong: then it has never heard of its place,
  // and cannot correct it as those do that moved (voter_addresses.h).
  const auto kind =
      is_learner ? raft::VoterChange::Kind::kSetAddress : raft::VoterChange::Kind::kAddLearner;
  ChangeAndPromote({kind, id, std::move(address)}, deadline, std::move(done));
}

void RaftQuorumControl::ChangeAndPromote(raft::VoterChange first, MonotonicTime deadline,
                                         Done done) {
  std::weak_ptr<const bool> alive = alive_;
  host_->log().ChangeMembership(first, [this, alive, id = first.id, deadline,
                                        done = std::move(done)](absl::Status status) mutable {
    if (alive.expired()) return;
    if (!status.ok()) return std::move(done)(status);
    Promote(id, deadline, std::move(done));
  });
}

void RaftQuorumControl::Promote(const raft::VoterId& id, MonotonicTime deadline, Done done) {
  // A directory that asked for its place by itself may have got it meanwhile.
  const bool votes = leading() && raft::IsCountedVoter(host_->log().node().voters(), id);
  if (votes) return std::move(done)(absl::OkStatus());
  if (const absl::Status may_vote = CheckMayVote(id); leading() && !may_vote.ok()) {
    return OnPromoted(id, deadline, may_vote, std::move(done));
  }
  std::weak_ptr<const bool> alive = alive_;
  host_->log().ChangeMembership(
      {raft::VoterChange::Kind::kPromote, id},
      [this, alive, id, deadline, done = std::move(done)](absl::Status status) mutable {
        if (!alive.expired()) OnPromoted(id, deadline, std::move(status), std::move(done));
      });
}

void RaftQuorumControl::OnPromoted(const raft::VoterId& id, MonotonicTime deadline,
                                   absl::Status status, Done done) {
  if (CodeOf(status) != ErrorCode::kResourceExhausted) return std::move(done)(status);
  if (clock_->Now() >= deadline) return std::move(done)(NotCaughtUp(id));
  std::weak_ptr<const bool> alive = alive_;
  executor_->PostAt(clock_->Now() + kCatchUpInterval,
                    [this, alive, id, deadline, done = std::move(done)]() mutable {
                      if (!alive.expired()) Promote(id, deadline, std::move(done));
                    });
}

absl::Status RaftQuorumControl::CheckMayVote(const raft::VoterId& id) const {
  return may_vote_ == nullptr ? absl::OkStatus() : may_vote_(id);
}

absl::Status RaftQuorumControl::NotCaughtUp(const raft::VoterId& id) const {
  const raft::Voter* const member = leading() ? host_->log().node().voters().Find(id) : nullptr;
  return MakeError(
      ErrorCode::kRequestTimedOut,
      absl::StrCat("node ", id.node.value(), " did not catch up within ",
                   absl::FormatDuration(kCatchUpBound), " and stays a learner",
                   member == nullptr ? "" : absl::StrCat(" at ", member->address),
                   "; see that it runs, with this directory and at this address, and add it again"),
      {.name = "node", .value = absl::StrCat(id.node.value())});
}

void RaftQuorumControl::RemoveVoter(NodeId node, DirectoryId directory, Done done) {
  if (!leading()) return std::move(done)(NotLeader());
  host_->log().ChangeMembership({raft::VoterChange::Kind::kRemove, {node, directory}},
                                std::move(done));
}

void RaftQuorumControl::TransferLeadership(NodeId node, Done done) {
  if (!leading()) return std::move(done)(NotLeader());
  if (host_->log().node().self().node == node) return std::move(done)(absl::OkStatus());
  const std::vector<raft::Voter>& voters = host_->log().node().voters().voters;
  const auto target = std::find_if(voters.begin(), voters.end(), [&](const raft::Voter& voter) {
    return voter.id.node == node && !voter.learner;
  });
  if (target == voters.end()) {
    return std::move(done)(MakeError(
        ErrorCode::kInvalidRequest,
        absl::StrCat("node ", node.value(), " is not a voter of the quorum; describe it first"),
        {.name = "node", .value = absl::StrCat(node.value())}));
  }
  if (transfer_.has_value()) {
    return std::move(done)(MakeError(ErrorCode::kResourceExhausted,
                                     "another transfer of leadership is under way; retry"));
  }
  const absl::Status begun = host_->log().TransferLeadership(target->id);
  if (!begun.ok()) return std::move(done)(begun);
  transfer_ = Transfer{node, std::move(done)};
  std::weak_ptr<const bool> alive = alive_;
  executor_->PostAt(clock_->Now() + kTransferBound, [this, alive, number = ++transfers_] {
    if (alive.expired() || number != transfers_ || !transfer_.has_value()) return;
    Transfer given_up = *std::exchange(transfer_, std::nullopt);
    std::move(given_up.done)(
        MakeError(ErrorCode::kRequestTimedOut,
                  absl::StrCat("node ", given_up.target.value(), " did not take over within ",
                               absl::FormatDuration(kTransferBound), "; describe the quorum"),
                  {.name = "node", .value = absl::StrCat(given_up.target.value())}));
  });
}

void RaftQuorumControl::HandOver(Done done) {
  if (!leading()) return std::move(done)(absl::OkStatus());
  const std::optional<raft::VoterId> successor = host_->log().node().leadership()->BestSuccessor();
  if (!successor.has_value()) return std::move(done)(absl::OkStatus());
  TransferLeadership(successor->node, std::move(done));
}

void RaftQuorumControl::OnLeader(NodeId leader) {
  // Nobody, for a moment; or still this node.
  const bool open =
      transfer_.has_value() && leader != kNoNode && leader != host_->log().node().self().node;
  if (!open) return;
  Transfer transfer = *std::exchange(transfer_, std::nullopt);
  if (leader == transfer.target) return std::move(transfer.done)(absl::OkStatus());
  std::move(transfer.done)(MakeError(
      ErrorCode::kInvalidRequest,
      absl::StrCat("node ", leader.value(), " took over instead of node ", transfer.target.value()),
      {.name = "node", .value = absl::StrCat(transfer.target.value())}));
}

}  // namespace millrace::node
