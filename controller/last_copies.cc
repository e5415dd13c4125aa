#include "controller/last_copies.h"

#include <compare>
#include <map>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "controller/current_broker.h"
#include "controller/entry.h"
#include "controller/leader_election.h"
#include "controller/topic_rules.h"

namespace millrace::controller {

using internal::v1::LastCopy;
using internal::v1::ReportLastCopiesRequest;
using metadata::PartitionImage;
using metadata::ReplicaImage;

namespace {

// Where a log ends: the later epoch has what the earlier one committed.
struct LogEnd {
  LeaderEpoch epoch;
  Offset offset;
  friend auto operator<=>(const LogEnd&, const LogEnd&) = default;
};

struct Reports {
  std::map<NodeId, LogEnd> ends;
  bool waited = false;
};
using ReportsByPartition = std::map<TopicPartition, Reports>;

void Take(const State& state, const ReportLastCopiesRequest& request, ReportsByPartition* reports) {
  const NodeId broker(request.broker_id());
  if (!CurrentBroker(state.image, broker, BrokerEpoch(request.broker_epoch())).ok()) return;
  for (const LastCopy& copy : request.copies()) {
    const absl::StatusOr<TopicId> topic = TopicId::FromBytes(copy.topic_id());
    if (!topic.ok()) continue;
    const TopicPartition id{*topic, PartitionIndex(copy.partition())};
    const PartitionImage* const partition = state.image.FindPartition(id);
    if (partition == nullptr || !partition->NeedsEnds()) continue;
    if (partition->leader_epoch != LeaderEpoch(copy.leader_epoch())) continue;
    Reports& of_partition = (*reports)[id];
    of_partition.ends[broker] = {LeaderEpoch(copy.last_epoch()), Offset(copy.end_offset())};
    of_partition.waited |= copy.waited();
  }
}

// Where there are seats, those that have one. Where there are none, all: one that comes with a
// reassignment may have been in sync like the others.
bool IsCandidate(NodeId broker, const PartitionImage& partition) {
  return partition.IsLost() || partition.InIsr(broker) || partition.InElr(broker);
}

// Who is to lead; kNoNode while it is not known.
NodeId GreatestOf(const Reports& reports, const PartitionImage& partition,
                  const Electorate& electorate) {
  NodeId greatest = kNoNode;
  std::optional<LogEnd> end;
  for (const ReplicaImage& replica : partition.replicas) {
    if (!IsCandidate(replica.broker, partition)) continue;
    const auto report = reports.ends.find(replica.broker);
    if (report == reports.ends.end() || !electorate.MayLead(replica)) {
      if (!reports.waited) return kNoNode;
      continue;
    }
    if (end.has_value() && report->second <= *end) continue;
    greatest = replica.broker;
    end = report->second;
  }
  return greatest;
}

}  // namespace

rsm::Decision<internal::v1::ReportLastCopiesResponse> ReportLastCopies(
    const State& state, const ReportLastCopiesRequest& request) {
  const auto reporter =
      CurrentBroker(state.image, NodeId(request.broker_id()), BrokerEpoch(request.broker_epoch()));
  if (!reporter.ok()) return {reporter.status(), {}};
  ReportsByPartition reports;
  Take(state, request, &reports);
  for (const ReportLastCopiesRequest& other : request.heard()) Take(state, other, &reports);

  const Electorate electorate(state.image);
  Entry entry;
  internal::v1::ReportLastCopiesResponse response;
  for (auto& [id, of_partition] : reports) {
    const TopicRules rules = TopicRulesOf(state, id.topic_id);
    const PartitionImage& before = *state.image.FindPartition(id);
    if (before.IsLost() && rules.IsDurable(before) && !rules.unclean_election) {
      if (before.replication_factor() > 1) continue;
      // Who has all of it may be away, its disk with it, for as long as it likes.
      of_partition.waited = false;
    }
    PartitionImage after = before;
    ElectionRules election = rules.ForPartition(before);
    NodeId greatest = GreatestOf(of_partition, before, electorate);
    if (greatest == kNoNode && of_partition.waited && election.unclean) {
      // None of those with a seat has told in time, and the topic does with less.
      after.isr.clear();
      after.elr.clear();
      after.impaired.clear();
      greatest = GreatestOf(of_partition, after, electorate);
    }
    if (greatest == kNoNode) continue;
    if (after.IsLost()) {
      after.last_known_leader = greatest;
      election.unclean = true;
    } else {
      after.isr = {greatest};
      after.elr.clear();
    }
    if (Elect(electorate, election, &after) == ElectionResult::kNone) continue;
    Entry::Part part;
    AddPartitionChange(id, before, std::move(after), &part);
    // What does not fit any more comes with the next report.
    if (!entry.Add(part, "electing among last copies").ok()) break;
    response.set_elected(response.elected() + 1);
  }
  return {std::move(response), std::move(entry).Take()};
}

}  // namespace millrace::controller
