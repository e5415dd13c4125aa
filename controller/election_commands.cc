#include "controller/election_commands.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "controller/entry.h"
#include "controller/leader_election.h"
#include "controller/limits.h"
#include "controller/request_bounds.h"
#include "controller/results.h"
#include "controller/topic_rules.h"

namespace millrace::controller {

using metadata::PartitionImage;
using metadata::TopicImage;

namespace {

absl::Status ElectPreferred(const Electorate& electorate, PartitionImage* partition) {
  const metadata::ReplicaImage& first = partition->replicas.front();
  if (partition->leader == first.broker) return absl::OkStatus();
  if (partition->leader == kNoNode || !partition->InIsr(first.broker) ||
      !electorate.MayLead(first)) {
    return MakeError(ErrorCode::kIneligibleReplica,
                     absl::StrCat("broker ", first.broker.value(),
                                  ", which has the first replica, is not in sync or not active"),
                     {.name = "broker_id", .value = absl::StrCat(first.broker.value())});
  }
  partition->leader = first.broker;
  ++partition->leader_epoch;
  return absl::OkStatus();
}

absl::Status ElectAnyhow(const Electorate& electorate, ElectionRules rules,
                         PartitionImage* partition) {
  if (partition->leader != kNoNode) return absl::OkStatus();
  rules.unclean = rules.impaired = true;
  if (Elect(electorate, rules, partition) != ElectionResult::kNone) return absl::OkStatus();
  return MakeError(ErrorCode::kBrokerNotAvailable,
                   "no broker with a replica is active: start one of them");
}

// The elections of one request.
class Elections {
 public:
  Elections(const State& state, v1::ElectionType type)
      : state_(state), electorate_(state.image), type_(type) {}

  // Of a partition that was named: it has a result whatever that is.
  void Elect(const std::string& topic_name, int index) {
    v1::ElectLeaderResult* result = response_.add_results();
    result->set_topic(topic_name);
    result->set_partition(index);
    const TopicImage* topic = state_.image.FindTopic(topic_name);
    const PartitionImage* partition =
        topic == nullptr ? nullptr : topic->FindPartition(PartitionIndex(index));
    if (partition == nullptr) {
      // Broker 0 is a broker.
      result->set_leader_id(kNoNode.value());
      const std::string what =
          topic == nullptr ? absl::StrCat("topic '", topic_name, "'")
                           : absl::StrCat("partition ", index, " of topic '", topic_name, "'");
      return SetError(
          MakeError(ErrorCode::kUnknownTopicOrPartition, absl::StrCat("there is no ", what)),
          result);
    }
    Elect(*topic, PartitionIndex(index), *partition, result);
  }
  // Of all partitions of a topic: results only of those that were changed or could not be.
  void ElectAll(const TopicImage& topic) {
    // Named twice in one request: nothing is left to tell, and to look once more is not free.
    if (!done_whole_.insert(topic.id).second) return;
    topic.ForEachPartition([&](PartitionIndex index, const PartitionImage& partition) {
      v1::ElectLeaderResult result;
      result.set_topic(topic.name);
      result.set_partition(index.value());
      Elect(topic, index, partition, &result);
      if (result.changed() || result.code() != 0) *response_.add_results() = std::move(result);
    });
  }

  rsm::Decision<v1::ElectLeadersResponse> Take(bool validate_only) && {
    if (validate_only) return {std::move(response_), {}};
    return {std::move(response_), std::move(entry_).Take()};
  }

 private:
  void Elect(const TopicImage& topic, PartitionIndex index, const PartitionImage& before,
             v1::ElectLeaderResult* result) {
    PartitionImage after = before;
    const TopicPartition id{topic.id, index};
    // Named twice in one request.
    const absl::Status elected = done_.insert(id).second ? Decide(topic, &after) : absl::OkStatus();
    Entry::Part part;
    if (elected.ok()) AddPartitionChange(id, before, after, &part);
    const absl::Status added = part.empty() ? elected : entry_.Add(part, "electing leaders");
    const bool changed = added.ok() && !part.empty();
    const PartitionImage& now = changed ? after : before;
    result->set_leader_id(now.leader.value());
    result->set_leader_epoch(now.leader_epoch.value());
    result->set_changed(changed);
    result->set_unclean(WasElectedWithoutProof(before, now));
    if (!added.ok()) SetError(added, result);
  }
  absl::Status Decide(const TopicImage& topic, PartitionImage* partition) {
    if (type_ == v1::ELECTION_TYPE_PREFERRED) return ElectPreferred(electorate_, partition);
    return ElectAnyhow(electorate_, TopicRulesOf(state_, topic.id).ForPartition(*partition),
                       partition);
  }

  const State& state_;
  const Electorate electorate_;
  const v1::ElectionType type_;
  std::set<TopicPartition> done_;
  std::set<TopicId> done_whole_;
  Entry entry_;
  v1::ElectLeadersResponse response_;
};

absl::Status CheckRequest(const v1::ElectLeadersRequest& request) {
  if (request.type() != v1::ELECTION_TYPE_PREFERRED &&
      request.type() != v1::ELECTION_TYPE_UNCLEAN) {
    return MakeError(ErrorCode::kInvalidRequest, "say which election: preferred or unclean",
                     {.name = "type", .value = absl::StrCat(request.type())});
  }
  RETURN_IF_ERROR(CheckNamed("topics", request.topics_size(), kTopicsPerRequestMax));
  int partitions = 0;
  for (const v1::ElectLeadersTopic& topic : request.topics()) partitions += topic.partitions_size();
  return CheckNamed("partitions", partitions, kPartitionsPerRequestMax);
}

}  // namespace

rsm::Decision<v1::ElectLeadersResponse> ElectLeaders(const State& state,
                                                     const v1::ElectLeadersRequest& request) {
  if (const absl::Status status = CheckRequest(request); !status.ok()) return {status, {}};
  Elections elections(state, request.type());
  if (request.topics().empty()) {
    state.image.ForEachTopic([&](const TopicImage& topic) { elections.ElectAll(topic); });
  }
  for (const v1::ElectLeadersTopic& named : request.topics()) {
    const TopicImage* topic = state.image.FindTopic(named.name());
    if (topic != nullptr && named.partitions().empty()) {
      elections.ElectAll(*topic);
    } else if (named.partitions().empty()) {
      elections.Elect(named.name(), 0);
    }
    for (const int32_t index : named.partitions()) elections.Elect(named.name(), index);
  }
  return std::move(elections).Take(request.validate_only());
}

void ElectWhereConfigsAllow(const State& state, Entry* entry) {
  if (state.partitions.without_leader == 0) return;
  const State after = ApplyToState(state, state.image.index() + 1, entry->records());
  const Electorate electorate(after.image);
  absl::Status room;
  after.image.ForEachTopic([&](const TopicImage& topic) {
    const TopicRules rules = TopicRulesOf(after, topic.id);
    if (!rules.unclean_election) return;
    topic.ForEachPartition([&](PartitionIndex index, const PartitionImage& before) {
      if (!room.ok() || before.leader != kNoNode) return;
      PartitionImage led = before;
      Elect(electorate, rules.ForPartition(before), &led);
      Entry::Part part;
      AddPartitionChange({topic.id, index}, before, std::move(led), &part);
      room = entry->Add(part, "electing leaders");
    });
  });
}

}  // namespace millrace::controller
