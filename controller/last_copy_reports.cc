#include "controller/last_copy_reports.h"

#include <utility>

#include "absl/status/statusor.h"

namespace millrace::controller {

using internal::v1::LastCopy;
using internal::v1::ReportLastCopiesRequest;

void LastCopyReports::Complete(const metadata::Image& image, MonotonicTime now,
                               ReportLastCopiesRequest* request) {
  request->clear_heard();
  std::erase_if(partitions_, [&](const auto& entry) {
    const metadata::PartitionImage* const partition = image.FindPartition(entry.first);
    return partition == nullptr || !partition->NeedsEnds();
  });
  const NodeId broker(request->broker_id());
  // Of a broker that was registered anew some reports may be those of the process before.
  std::map<std::pair<NodeId, BrokerEpoch>, ReportLastCopiesRequest> heard;
  for (LastCopy& copy : *request->mutable_copies()) {
    copy.clear_waited();
    const absl::StatusOr<TopicId> topic = TopicId::FromBytes(copy.topic_id());
    if (!topic.ok()) continue;
    const TopicPartition id{*topic, PartitionIndex(copy.partition())};
    const metadata::PartitionImage* const partition = image.FindPartition(id);
    if (partition == nullptr || !partition->NeedsEnds() || !partition->IsReplica(broker)) continue;
    // Late: of an earlier loss.
    if (partition->leader_epoch != LeaderEpoch(copy.leader_epoch())) continue;
    const Partition fresh{partition->leader_epoch, partition->IsLost(), now, {}};
    Partition& remembered = partitions_.try_emplace(id, fresh).first->second;
    // It had a leader since, or only those with a seat were waited for: now all are, anew.
    if (remembered.leader_epoch != fresh.leader_epoch || remembered.lost != fresh.lost) {
      remembered = fresh;
    }
    remembered.reports[broker] = {BrokerEpoch(request->broker_epoch()), copy};
    copy.set_waited(now - remembered.since >= wait_);
    for (const auto& [other, report] : remembered.reports) {
      if (other == broker) continue;
      ReportLastCopiesRequest& of_other = heard[{other, report.broker_epoch}];
      of_other.set_broker_id(other.value());
      of_other.set_broker_epoch(report.broker_epoch.value());
      *of_other.add_copies() = report.copy;
    }
  }
  for (auto& [other, said] : heard) *request->add_heard() = std::move(said);
}

}  // namespace millrace::controller
