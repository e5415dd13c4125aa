#include "controller/partition_commands.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutant.h"
#include "base/status.h"
#include "controller/current_broker.h"
#include "controller/entry.h"
#include "controller/leader_election.h"
#include "controller/reassignment.h"
#include "controller/results.h"
#include "controller/topic_rules.h"

namespace millrace::controller {

using internal::v1::PartitionProposal;
using internal::v1::PartitionProposalResult;
using metadata::BrokerImage;
using metadata::BrokerList;
using metadata::BrokerState;
using metadata::PartitionImage;
using metadata::RecoveryState;

namespace {

absl::Status Refused(ErrorCode code, const std::string& why, const std::string& name,
                     int64_t value) {
  return MakeError(code, why, {.name = name, .value = absl::StrCat(value)});
}

// Whether the proposer speaks for the partition as it is: it leads, in this leader epoch, and knows
// of all that was committed since.
absl::Status CheckPosition(const PartitionImage& partition, NodeId proposer,
                           const PartitionProposal& proposal) {
  const int32_t epoch = partition.leader_epoch.value();
  if (proposal.leader_epoch() < epoch) {
    return Refused(ErrorCode::kFencedLeaderEpoch,
                   absl::StrCat("leader epoch ", proposal.leader_epoch(), " is over, it is ", epoch,
                                " now: wait for the metadata"),
                   "leader_epoch", proposal.leader_epoch());
  }
  if (proposal.leader_epoch() > epoch) {
    return Refused(ErrorCode::kUnknownLeaderEpoch,
                   absl::StrCat("the controller never gave out leader epoch ",
                                proposal.leader_epoch(), ", it is at ", epoch),
                   "leader_epoch", proposal.leader_epoch());
  }
  if (partition.leader != proposer) {
    return Refused(ErrorCode::kNotLeaderOrFollower,
                   absl::StrCat("the leader in epoch ", epoch, " is ", partition.leader.value(),
                                ", not ", proposer.value()),
                   "broker_id", proposer.value());
  }
  if (proposal.partition_epoch() != partition.partition_epoch.value() &&
      !MUTANT("controller.partition-epoch-not-compared")) {
    return Refused(
        ErrorCode::kInvalidUpdateVersion,
        absl::StrCat("the proposal starts from partition epoch ", proposal.partition_epoch(),
                     ", it is ", partition.partition_epoch.value(), " now: adopt that first"),
        "partition_epoch", proposal.partition_epoch());
  }
  return absl::OkStatus();
}

// Whether the member may be in the ISR as the cluster is now.
absl::Status CheckMember(const State& state, const PartitionImage& partition,
                         const internal::v1::IsrMember& member) {
  const NodeId id(member.broker_id());
  if (!partition.IsReplica(id)) {
    return Refused(ErrorCode::kInvalidRequest,
                   absl::StrCat("broker ", id.value(), " has no replica of the partition"),
                   "new_isr", id.value());
  }
  const absl::StatusOr<const BrokerImage*> found =
      CurrentBroker(state.image, id, BrokerEpoch(member.broker_epoch()));
  // The position that the leader knows is that of a process that is gone: what its successor has
  // may be less (KIP-903).
  if (MUTANT("controller.joins-as-an-earlier-run") && !found.ok()) return absl::OkStatus();
  if (!found.ok()) {
    return Refused(ErrorCode::kIneligibleReplica, std::string(found.status().message()), "new_isr",
                   id.value());
  }
  const BrokerImage& broker = **found;
  if (!broker.HasWorkingLogDir(partition.DirectoryOf(id))) {
    return Refused(
        ErrorCode::kIneligibleReplica,
        absl::StrCat("log directory ", partition.DirectoryOf(id).ToString(), " of broker ",
                     id.value(), ", where its replica lies, failed or was not registered"),
        "new_isr", id.value());
  }
  // A broker that is leaving may keep what only it can lead, so that others can catch up there.
  if (!partition.InIsr(id) && broker.state != BrokerState::kActive &&
      !MUTANT("controller.fenced-broker-joins")) {
    return Refused(ErrorCode::kIneligibleReplica,
                   absl::StrCat("broker ", id.value(), " is ",
                                broker.state == BrokerState::kFenced ? "fenced" : "shutting down",
                                ": it joins no in-sync set"),
                   "new_isr", id.value());
  }
  return absl::OkStatus();
}

// The recovery state that the partition would have.
absl::StatusOr<RecoveryState> RecoveryAfter(const PartitionImage& partition,
                                            const PartitionProposal& proposal) {
  switch (proposal.recovery_state()) {
    case internal::v1::LEADER_RECOVERY_STATE_RECOVERED:
      return RecoveryState::kRecovered;
    case internal::v1::LEADER_RECOVERY_STATE_RECOVERING:
      if (partition.recovery_state == RecoveryState::kRecovered) {
        return Refused(ErrorCode::kInvalidRequest,
                       "a recovery begins with an election, not with a proposal", "recovery_state",
                       proposal.recovery_state());
      }
      [[fallthrough]];
    default:
      return partition.recovery_state;
  }
}

// The partition as proposed.
absl::StatusOr<PartitionImage> Propose(const State& state, const PartitionImage& before,
                                       NodeId proposer, const TopicRules& rules,
                                       const PartitionProposal& proposal) {
  RETURN_IF_ERROR(CheckPosition(before, proposer, proposal));
  BrokerList isr;
  std::set<NodeId> members;
  for (const internal::v1::IsrMember& member : proposal.new_isr()) {
    RETURN_IF_ERROR(CheckMember(state, before, member));
    if (!members.insert(NodeId(member.broker_id())).second) {
      return Refused(ErrorCode::kInvalidRequest,
                     absl::StrCat("broker ", member.broker_id(), " is named twice"), "new_isr",
                     member.broker_id());
    }
    isr.push_back(NodeId(member.broker_id()));
  }
  // A leader alone whose log is damaged may name nobody: those that are eligible have all there is.
  if (isr.empty() && before.elr.empty()) {
    return Refused(ErrorCode::kInvalidRequest, "somebody is always in sync", "new_isr",
                   proposer.value());
  }
  PartitionImage after = before;
  ASSIGN_OR_RETURN(after.recovery_state, RecoveryAfter(before, proposal));
  if (after.recovery_state == RecoveryState::kRecovering && isr.size() > 1) {
    return Refused(ErrorCode::kInvalidRequest,
                   "until a leader has recovered, nobody can be in sync with it", "recovery_state",
                   proposal.recovery_state());
  }
  ReplaceIsr(isr, rules.ForPartition(before).min_isr, &after);
  // S-35: whoever can lead is one who can serve all of it. Somebody is left: those in sync.
  if (!MUTANT("controller.damaged-stays-eligible")) {
    if (!members.contains(proposer)) LoseEligibility(proposer, &after);
    for (const int32_t damaged : proposal.damaged()) LoseEligibility(NodeId(damaged), &after);
  }
  if (!members.contains(proposer)) {
    // What it has is damaged. One of those that it leaves in sync leads from now on, or else one
    // that is eligible.
    Elect(Electorate(state.image), rules.ForPartition(before), &after);
    const bool was_eligible =
        isr.empty() && std::count(before.elr.begin(), before.elr.end(), after.leader) > 0;
    if (!members.contains(after.leader) && !was_eligible) {
      return Refused(ErrorCode::kIneligibleReplica,
                     "none of those whom the leader would leave in sync may lead", "new_isr",
                     proposer.value());
    }
  }
  CompleteReassignment(Electorate(state.image), rules, &after);
  // S-07: an eligible leader out of the in-sync set may have on its disk less than it acknowledged.
  const bool raised = after.elr.empty() || MUTANT("controller.raised-beside-eligible");
  if (proposal.raised() && raised) after.raising = false;
  return after;
}

void SetState(const PartitionImage& partition, const TopicRules& rules,
              internal::v1::PartitionState* out) {
  out->set_leader(partition.leader.value());
  out->set_leader_epoch(partition.leader_epoch.value());
  for (const NodeId broker : partition.isr) out->add_isr(broker.value());
  out->set_partition_epoch(partition.partition_epoch.value());
  out->set_recovery_state(partition.recovery_state == RecoveryState::kRecovering
                              ? internal::v1::LEADER_RECOVERY_STATE_RECOVERING
                              : internal::v1::LEADER_RECOVERY_STATE_RECOVERED);
  out->set_min_isr(rules.ForPartition(partition).min_isr);
}

// The decision while it is made.
class Proposals {
 public:
  Proposals(const State& state, NodeId proposer) : state_(state), proposer_(proposer) {}

  void Decide(const internal::v1::AlterPartitionTopic& topic,
              internal::v1::AlterPartitionTopicResult* results) {
    results->set_topic_id(topic.topic_id());
    const absl::StatusOr<TopicId> id = TopicId::FromBytes(topic.topic_id());
    std::optional<TopicRules> rules;
    for (const PartitionProposal& proposal : topic.partitions()) {
      PartitionProposalResult* result = results->add_partitions();
      result->set_partition(proposal.partition());
      const TopicPartition partition{id.ok() ? *id : TopicId(),
                                     PartitionIndex(proposal.partition())};
      const PartitionImage* before = state_.image.FindPartition(partition);
      if (before == nullptr) {
        SetError(MakeError(ErrorCode::kUnknownTopicOrPartition,
                           absl::StrCat("there is no partition ", proposal.partition(),
                                        " of topic ", partition.topic_id.ToString())),
                 result);
        continue;
      }
      if (!rules.has_value()) rules = TopicRulesOf(state_, *id);
      DecideOne(partition, *before, *rules, proposal, result);
    }
  }

  std::vector<rsm::Record> TakeRecords() { return std::move(entry_).Take(); }

 private:
  void DecideOne(const TopicPartition& id, const PartitionImage& before, const TopicRules& rules,
                 const PartitionProposal& proposal, PartitionProposalResult* result) {
    SetState(before, rules, result->mutable_state());
    if (changed_.contains(id)) {
      return SetError(MakeError(ErrorCode::kInvalidUpdateVersion,
                                "another proposal of the same request changed the partition"),
                      result);
    }
    const absl::StatusOr<PartitionImage> after =
        Propose(state_, before, proposer_, rules, proposal);
    if (!after.ok()) return SetError(after.status(), result);
    Entry::Part part;
    AddPartitionChange(id, before, *after, &part);
    if (part.empty()) return;
    const absl::Status added = entry_.Add(part, "changing in-sync replicas");
    if (!added.ok()) return SetError(added, result);
    changed_.insert(id);
    result->clear_state();
    SetState(*after, rules, result->mutable_state());
    // As AddPartitionChange raised it.
    result->mutable_state()->set_partition_epoch(before.partition_epoch.value() + 1);
  }

  const State& state_;
  const NodeId proposer_;
  Entry entry_;
  std::set<TopicPartition> changed_;
};

}  // namespace

rsm::Decision<internal::v1::AlterPartitionResponse> AlterPartition(
    const State& state, const internal::v1::AlterPartitionRequest& request) {
  const NodeId proposer(request.broker_id());
  const absl::Status current =
      CurrentBroker(state.image, proposer, BrokerEpoch(request.broker_epoch())).status();
  if (!current.ok()) return {current, {}};
  internal::v1::AlterPartitionResponse response;
  Proposals proposals(state, proposer);
  for (const internal::v1::AlterPartitionTopic& topic : request.topics()) {
    proposals.Decide(topic, response.add_topics());
  }
  return {std::move(response), proposals.TakeRecords()};
}

}  // namespace millrace::controller
