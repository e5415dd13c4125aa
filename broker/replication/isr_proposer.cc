#include "broker/replication/isr_proposer.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::broker {
namespace {

namespace wire = millrace::internal::v1;

// Of one request: what is left goes with the next.
constexpr size_t kProposalsMax = 1000;

wire::AlterPartitionRequest RequestOf(NodeId self, BrokerEpoch epoch,
                                      const std::map<TopicPartition, IsrProposal>& proposals) {
  wire::AlterPartitionRequest request;
  request.set_broker_id(self.value());
  request.set_broker_epoch(epoch.value());
  wire::AlterPartitionTopic* topic = nullptr;
  TopicId current;
  for (const auto& [partition, proposal] : proposals) {
    if (topic == nullptr || current != partition.topic_id) {
      current = partition.topic_id;
      topic = request.add_topics();
      topic->set_topic_id(current.ToBytes());
    }
    wire::PartitionProposal& out = *topic->add_partitions();
    out.set_partition(partition.partition.value());
    out.set_leader_epoch(proposal.leader_epoch.value());
    out.set_partition_epoch(proposal.partition_epoch.value());
    for (const IsrMember& member : proposal.new_isr) {
      wire::IsrMember& added = *out.add_new_isr();
      added.set_broker_id(member.broker.value());
      added.set_broker_epoch(member.epoch.value());
    }
    for (const NodeId broker : proposal.damaged) out.add_damaged(broker.value());
    out.set_recovery_state(proposal.recovery_state == metadata::RecoveryState::kRecovering
                               ? wire::LEADER_RECOVERY_STATE_RECOVERING
                               : wire::LEADER_RECOVERY_STATE_RECOVERED);
    out.set_raised(proposal.raised);
  }
  return request;
}

std::optional<IsrAnswer::State> StateOf(const wire::PartitionProposalResult& result) {
  if (!result.has_state()) return std::nullopt;
  const wire::PartitionState& in = result.state();
  IsrAnswer::State state;
  state.leader = NodeId(in.leader());
  state.leader_epoch = LeaderEpoch(in.leader_epoch());
  for (const int32_t member : in.isr()) state.isr.push_back(NodeId(member));
  state.partition_epoch = PartitionEpoch(in.partition_epoch());
  state.recovery_state = in.recovery_state() == wire::LEADER_RECOVERY_STATE_RECOVERING
                             ? metadata::RecoveryState::kRecovering
                             : metadata::RecoveryState::kRecovered;
  state.min_isr = in.min_isr();
  return state;
}

absl::Status StatusOf(const wire::PartitionProposalResult& result) {
  if (result.code() == 0) return absl::OkStatus();
  return MakeError(static_cast<ErrorCode>(result.code()), result.message());
}

}  // namespace

IsrProposer::IsrProposer(NodeId self, Executor* home, ControllerChannel* channel,
                         OnAnswer on_answer)
    : self_(self),
      home_(home),
      channel_(channel),
      on_answer_(std::move(on_answer)),
      alive_(std::make_shared<IsrProposer*>(this)) {}

IsrProposer::~IsrProposer() { *alive_ = nullptr; }

void IsrProposer::OnRegistered(BrokerEpoch epoch) {
  epoch_ = epoch;
  SendNext();
}

void IsrProposer::Propose(const std::vector<IsrProposal>& proposals) {
  for (const IsrProposal& proposal : proposals) waiting_[proposal.topic_partition] = proposal;
  SendNext();
}

void IsrProposer::SendNext() {
  if (!asked_.empty() || waiting_.empty() || epoch_ == kNoBrokerEpoch) return;
  while (!waiting_.empty() && asked_.size() < kProposalsMax) {
    asked_.insert(waiting_.extract(waiting_.begin()));
  }
  auto done = [alive = alive_](const absl::StatusOr<wire::AlterPartitionResponse>& response) {
    if (*alive != nullptr) (*alive)->OnResponse(response);
  };
  if (channel_ == nullptr) {
    return home_->Post(
        [done] { done(MakeError(ErrorCode::kNotController, "this broker knows no controller")); });
  }
  channel_->AlterPartition(RequestOf(self_, epoch_, asked_), std::move(done));
}

void IsrProposer::OnResponse(const absl::StatusOr<wire::AlterPartitionResponse>& response) {
  Proposals asked = std::exchange(asked_, {});
  if (response.ok()) {
    for (const wire::AlterPartitionTopicResult& topic : response->topics()) {
      const absl::StatusOr<TopicId> id = TopicId::FromBytes(topic.topic_id());
      if (!id.ok()) continue;
      for (const wire::PartitionProposalResult& result : topic.partitions()) {
        const auto proposal = asked.extract({*id, PartitionIndex(result.partition())});
        if (proposal.empty()) continue;
        Answer(proposal.mapped(), StatusOf(result), StateOf(result));
      }
    }
  }
  // The rest: the whole request failed, or the controller forgot them.
  const absl::Status status =
      response.ok() ? MakeError(ErrorCode::kUnknownServerError, "the controller gave no answer")
                    : response.status();
  for (const auto& [partition, proposal] : asked) Answer(proposal, status, std::nullopt);
  SendNext();
}

void IsrProposer::Answer(const IsrProposal& proposal, const absl::Status& status,
                         std::optional<IsrAnswer::State> state) {
  IsrAnswer answer;
  answer.topic_partition = proposal.topic_partition;
  answer.leader_epoch = proposal.leader_epoch;
  answer.partition_epoch = proposal.partition_epoch;
  answer.status = status;
  answer.state = std::move(state);
  on_answer_(answer);
}

}  // namespace millrace::broker
