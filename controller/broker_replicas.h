// BrokerReplicas: the replicas of one broker, for decisions about the broker as a whole.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_BROKER_REPLICAS_H_
#define CONTROLLER_BROKER_REPLICAS_H_

#include <optional>

#include "base/ids.h"
#include "controller/state.h"
#include "controller/topic_rules.h"
#include "metadata/image.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"

namespace millrace::controller {

// The record by which the broker, at its present epoch, is `to` from then on.
inline metadata::records::BrokerChangeRecord ChangeOf(const metadata::BrokerImage& broker,
                                                      metadata::BrokerState to) {
  metadata::records::BrokerChangeRecord record;
  record.set_broker_id(broker.id.value());
  record.set_broker_epoch(broker.epoch.value());
  record.set_state(metadata::StateToRecord(to));
  return record;
}

// Calls visit(id, partition, rules of its topic) for every partition with a replica on `broker`.
template <class Visit>
void ForEachReplicaOf(const State& state, NodeId broker, Visit&& visit) {
  state.image.ForEachTopic([&](const metadata::TopicImage& topic) {
    std::optional<TopicRules> rules;
    topic.ForEachPartition([&](PartitionIndex index, const metadata::PartitionImage& partition) {
      if (!partition.IsReplica(broker)) return;
      if (!rules.has_value()) rules = TopicRulesOf(state, topic.id);
      visit(TopicPartition{topic.id, index}, partition, *rules);
    });
  });
}

}  // namespace millrace::controller

#endif  // CONTROLLER_BROKER_REPLICAS_H_
