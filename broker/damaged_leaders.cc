#include "broker/damaged_leaders.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace millrace::broker {

DamagedLeaders::DamagedLeaders(Deps deps)
    : deps_(std::move(deps)), timer_(deps_.home, [this] { Propose(); }) {}

void DamagedLeaders::OnOpened(const TopicPartition& partition, bool damaged) {
  if (!damaged) {
    damaged_.erase(partition);
    return;
  }
  if (damaged_.insert(partition).second) ProposeSoon();
}

void DamagedLeaders::OnMetadata(std::shared_ptr<const metadata::Image> image) {
  image_ = std::move(image);
  std::erase_if(damaged_, [this](const TopicPartition& id) {
    const metadata::PartitionImage* const partition = image_->FindPartition(id);
    return partition == nullptr || !partition->IsReplica(deps_.self);
  });
  // What is under way goes on at its own pace.
  if (!damaged_.empty() && timer_.deadline() == MonotonicTime::Never()) ProposeSoon();
}

std::vector<IsrProposal> DamagedLeaders::Due() const {
  std::vector<IsrProposal> due;
  if (image_ == nullptr) return due;
  for (const TopicPartition& id : damaged_) {
    const metadata::PartitionImage* const partition = image_->FindPartition(id);
    if (partition == nullptr || partition->leader != deps_.self) continue;
    // Who recovers has nobody beside it.
    if (partition->recovery_state != metadata::RecoveryState::kRecovered) continue;
    IsrProposal proposal;
    proposal.topic_partition = id;
    proposal.leader_epoch = partition->leader_epoch;
    proposal.partition_epoch = partition->partition_epoch;
    for (const NodeId member : partition->isr) {
      const metadata::BrokerImage* const broker = image_->FindBroker(member);
      if (member != deps_.self && broker != nullptr) {
        proposal.new_isr.push_back({member, broker->epoch});
      }
    }
    if (!proposal.new_isr.empty() || !partition->elr.empty()) due.push_back(std::move(proposal));
  }
  return due;
}

void DamagedLeaders::ProposeSoon() {
  retry_ = kRetryMin;
  timer_.Set(deps_.clock->Now());
}

void DamagedLeaders::Propose() {
  const std::vector<IsrProposal> due = Due();
  if (due.empty()) return;
  LOG_WARN("broker", "gives up leading what is damaged here",
           {{"partitions", static_cast<int64_t>(due.size())}});
  deps_.propose(due);
  timer_.Set(deps_.clock->Now() + retry_);
  retry_ = std::min(2 * retry_, kRetryMax);
}

}  // namespace millrace::broker
