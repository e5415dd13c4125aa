#include "controller/leader_balance.h"

#include <utility>

#include "controller/entry.h"
#include "controller/leader_election.h"

namespace millrace::controller {

using metadata::PartitionImage;
using metadata::TopicImage;

namespace {

// Whether the first replica may take over from whoever leads.
bool MayGoBack(const Electorate& electorate, const PartitionImage& partition) {
  const metadata::ReplicaImage& first = partition.replicas.front();
  return partition.leader != kNoNode && partition.leader != first.broker &&
         partition.InIsr(first.broker) && electorate.MayLead(first) && electorate.IsWell(first);
}

}  // namespace

rsm::Decision<BalanceLeadersReply> BalanceLeaders(const State& state,
                                                  const BalanceLeadersCommand& command) {
  const Electorate electorate(state.image);
  BalanceLeadersReply reply;
  Entry::Part part;
  state.image.ForEachTopic([&](const TopicImage& topic) {
    topic.ForEachPartition([&](PartitionIndex index, const PartitionImage& before) {
      if (reply.elections == command.elections_max || !MayGoBack(electorate, before)) return;
      PartitionImage after = before;
      after.leader = before.replicas.front().broker;
      ++after.leader_epoch;
      AddPartitionChange({topic.id, index}, before, std::move(after), &part);
      ++reply.elections;
    });
  });
  if (part.empty()) return {reply, {}};
  Entry entry;
  const absl::Status added = entry.Add(part, "balancing leaders");
  if (!added.ok()) return {added, {}};
  return {reply, std::move(entry).Take()};
}

}  // namespace millrace::controller
