#include "broker/testing/model_controller.h"

#include <algorithm>

#include "base/status.h"

namespace millrace::broker {
namespace {

void Erase(metadata::BrokerList* list, NodeId broker) {
  list->erase(std::remove(list->begin(), list->end(), broker), list->end());
}

}  // namespace

ModelController::ModelController(int brokers, int min_insync_replicas, Random* random)
    : min_(std::min(min_insync_replicas, brokers)), random_(random) {
  for (int i = 1; i <= brokers; ++i) {
    brokers_[NodeId(i)].epoch = BrokerEpoch(next_epoch_++);
    partition_.replicas.push_back({NodeId(i), {}});
    partition_.isr.push_back(NodeId(i));
  }
  partition_.leader = NodeId(1);
  partition_.leader_epoch = LeaderEpoch(1);
  partition_.partition_epoch = PartitionEpoch(1);
  Publish();
}

void ModelController::Publish() {
  Snapshot& snapshot = history_.emplace_back();
  snapshot.partition = partition_;
  snapshot.min_insync_replicas = min_;
  for (const auto& [id, broker] : brokers_) {
    snapshot.standings.push_back({id, broker.epoch, broker.active && !broker.shutting_down});
  }
}

bool ModelController::HasSeat(NodeId broker) const {
  return partition_.InIsr(broker) || partition_.InElr(broker);
}

// KIP-966: who leaves while too few remain stays eligible, since no high watermark passes it.
void ModelController::SetIsr(const metadata::BrokerList& isr) {
  if (static_cast<int>(isr.size()) >= min_) {
    partition_.elr.clear();
  } else {
    for (const NodeId before : partition_.isr) {
      const bool stays = std::find(isr.begin(), isr.end(), before) != isr.end();
      if (!stays && !partition_.InElr(before)) partition_.elr.push_back(before);
    }
    for (const NodeId member : isr) Erase(&partition_.elr, member);
  }
  partition_.isr = isr;
}

void ModelController::RemoveFromIsr(NodeId broker) {
  if (!partition_.InIsr(broker)) return;
  metadata::BrokerList isr = partition_.isr;
  Erase(&isr, broker);
  SetIsr(isr);
  ++partition_.partition_epoch;
}

BrokerEpoch ModelController::Register(NodeId broker, bool suspect) {
  Broker& registered = brokers_[broker];
  registered = {BrokerEpoch(next_epoch_++), false, false};
  RemoveFromIsr(broker);
  if (suspect && partition_.InElr(broker)) {
    Erase(&partition_.elr, broker);
    ++partition_.partition_epoch;
  }
  ElectIfNone(broker);
  Publish();
  return registered.epoch;
}

void ModelController::Fence(NodeId broker) {
  brokers_[broker].active = false;
  RemoveFromIsr(broker);
  ElectIfNone(broker);
  Publish();
}

void ModelController::Unfence(NodeId broker) {
  brokers_[broker].active = true;
  if (partition_.leader == kNoNode) ElectIfNone(kNoNode);
  Publish();
}

void ModelController::SetShuttingDown(NodeId broker, bool shutting_down) {
  brokers_[broker].shutting_down = shutting_down;
  if (shutting_down && partition_.isr.size() > 1) {
    RemoveFromIsr(broker);
    ElectIfNone(broker);
  }
  Publish();
}

void ModelController::SetMinInsyncReplicas(int min) {
  min_ = min;
  if (static_cast<int>(partition_.isr.size()) >= min && !partition_.elr.empty()) {
    partition_.elr.clear();
    ++partition_.partition_epoch;
  }
  Publish();
}

// Elects if the leader is `not_this`, or there is none.
void ModelController::ElectIfNone(NodeId not_this) {
  if (partition_.leader != kNoNode && partition_.leader != not_this) return;
  metadata::BrokerList able;
  for (const NodeId broker : partition_.isr) {
    if (brokers_[broker].active) able.push_back(broker);
  }
  const bool from_isr = !able.empty();
  for (const NodeId broker : partition_.elr) {
    if (!from_isr && brokers_[broker].active) able.push_back(broker);
  }
  const NodeId before = partition_.leader;
  partition_.leader = able.empty() ? kNoNode : able[random_->Below(able.size())];
  if (partition_.leader == kNoNode && before == kNoNode) return;
  if (!from_isr && partition_.leader != kNoNode) {
    metadata::BrokerList isr = partition_.isr;
    isr.push_back(partition_.leader);
    SetIsr(isr);
  }
  ++partition_.leader_epoch;
  ++partition_.partition_epoch;
}

void ModelController::Elect() {
  ElectIfNone(partition_.leader);
  Publish();
}

IsrAnswer ModelController::Decide(NodeId from, const IsrProposal& proposal) {
  IsrAnswer answer;
  answer.topic_partition = proposal.topic_partition;
  answer.leader_epoch = proposal.leader_epoch;
  answer.partition_epoch = proposal.partition_epoch;
  const auto refuse = [&](const char* why) {
    answer.status = MakeError(ErrorCode::kInvalidRequest, why);
  };
  if (partition_.leader != from || proposal.leader_epoch != partition_.leader_epoch) {
    refuse("another leader epoch");
  } else if (proposal.partition_epoch != partition_.partition_epoch) {
    refuse("another partition epoch");
  } else {
    metadata::BrokerList isr;
    for (const IsrMember& member : proposal.new_isr) {
      const Broker& broker = brokers_[member.broker];
      if (broker.epoch != member.epoch || !broker.active || broker.shutting_down) {
        refuse("a broker that may not join");
      }
      isr.push_back(member.broker);
    }
    if (answer.status.ok()) {
      SetIsr(isr);
      ++partition_.partition_epoch;
      Publish();
    }
  }
  answer.state = IsrAnswer::State{.leader = partition_.leader,
                                  .leader_epoch = partition_.leader_epoch,
                                  .isr = partition_.isr,
                                  .partition_epoch = partition_.partition_epoch,
                                  .min_isr = min_};
  return answer;
}

}  // namespace millrace::broker
