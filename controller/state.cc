#include "controller/state.h"

#include <map>
#include <set>
#include <utility>

#include "controller/leader_election.h"
#include "metadata/apply.h"
#include "metadata/delta.h"

namespace millrace::controller {

using metadata::Delta;
using metadata::Image;
using metadata::PartitionImage;
using metadata::TopicImage;

namespace {

// What a change adds to the counts of a state, or takes from them.
struct Counts {
  // How many replicas each broker gains or loses.
  std::map<NodeId, int> replicas;
  PartitionCounts partitions;
};

void Count(const PartitionImage& partition, int weight, Counts* counts) {
  for (const metadata::ReplicaImage& replica : partition.replicas) {
    counts->replicas[replica.broker] += weight;
  }
  if (partition.IsReassigned()) counts->partitions.reassigned += weight;
  if (partition.leader == kNoNode) counts->partitions.without_leader += weight;
}

void Count(const TopicImage& topic, int weight, Counts* counts) {
  topic.ForEachPartition(
      [&](PartitionIndex, const PartitionImage& partition) { Count(partition, weight, counts); });
}

void Count(const metadata::BrokerImage& broker, int weight, BrokerCounts* counts) {
  (broker.state == metadata::BrokerState::kFenced ? counts->fenced : counts->active) += weight;
}

void AddCounts(const Counts& counts, State* state) {
  state->partitions.reassigned += counts.partitions.reassigned;
  state->partitions.without_leader += counts.partitions.without_leader;
  for (const auto& [broker, count] : counts.replicas) {
    if (count == 0) continue;
    const int* before = state->replicas_per_broker.Find(broker);
    state->replicas_per_broker.Set(broker, count + (before == nullptr ? 0 : *before));
  }
}

}  // namespace

State MakeState(Image image, std::shared_ptr<const Settings> settings) {
  State state;
  state.settings = std::move(settings);
  Counts counts;
  image.ForEachTopic([&](const TopicImage& topic) { Count(topic, 1, &counts); });
  AddCounts(counts, &state);
  image.ForEachBroker(
      [&](const metadata::BrokerImage& broker) { Count(broker, 1, &state.brokers); });
  state.image = std::move(image);
  return state;
}

State ApplyToState(const State& state, LogIndex index, absl::Span<const rsm::Record> records) {
  State after = state;
  after.unclean_elections.clear();
  after.image = metadata::Apply(state.image, index, records);
  const Delta delta = metadata::DeltaOf(state.image, after.image, records);
  Counts counts;
  for (const metadata::RemovedTopic& topic : delta.topics_removed) {
    Count(*state.image.FindTopic(topic.id), -1, &counts);
  }
  for (const TopicPartition& id : delta.partitions_changed) {
    const PartitionImage* old = state.image.FindPartition(id);
    const PartitionImage& now = *after.image.FindPartition(id);
    Count(now, 1, &counts);
    if (old == nullptr) continue;
    Count(*old, -1, &counts);
    if (now.leader != kNoNode && now.leader != old->leader) ++after.leader_elections;
    if (!WasElectedWithoutProof(*old, now)) continue;
    ++after.recovering_elections;
    after.unclean_elections.push_back({.partition = id,
                                       .isr = old->isr,
                                       .elr = old->elr,
                                       .leader = now.leader,
                                       .leader_epoch = now.leader_epoch});
  }
  AddCounts(counts, &after);
  for (const std::set<NodeId>* brokers : {&delta.brokers_changed, &delta.brokers_removed}) {
    for (const NodeId id : *brokers) {
      if (const auto* old = state.image.FindBroker(id)) Count(*old, -1, &after.brokers);
      if (const auto* now = after.image.FindBroker(id)) Count(*now, 1, &after.brokers);
    }
  }
  return after;
}

}  // namespace millrace::controller
