#include "broker/last_copy_reporter.h"

#include <algorithm>
#include <utility>

#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::broker {

namespace wire = millrace::internal::v1;

LastCopyReporter::LastCopyReporter(Deps deps)
    : deps_(std::move(deps)),
      timer_(deps_.home, [this] { Send(); }),
      alive_(std::make_shared<LastCopyReporter*>(this)) {}

LastCopyReporter::~LastCopyReporter() { *alive_ = nullptr; }

void LastCopyReporter::OnRegistered(BrokerEpoch epoch) {
  epoch_ = epoch;
  if (!lost_.empty()) timer_.Set(deps_.clock->Now());
}

void LastCopyReporter::OnMetadata(const metadata::Update& update) {
  if (deps_.channel == nullptr) return;
  const metadata::Image& image = *update.image;
  std::erase_if(lost_, [&](const auto& entry) {
    const metadata::PartitionImage* const partition = image.FindPartition(entry.first);
    return partition == nullptr || !partition->NeedsEnds() || !partition->IsReplica(deps_.self);
  });
  for (const TopicPartition& id : update.delta->partitions_changed) {
    const metadata::PartitionImage* const partition = image.FindPartition(id);
    if (partition == nullptr || !partition->NeedsEnds() || !partition->IsReplica(deps_.self)) {
      continue;
    }
    const auto [at, is_new] = lost_.insert_or_assign(id, partition->leader_epoch);
    if (!is_new) continue;
    retry_ = kRetryMin;
    if (!busy_ && epoch_ != kNoBrokerEpoch) timer_.Set(deps_.clock->Now());
  }
}

void LastCopyReporter::Send() {
  if (busy_ || lost_.empty() || epoch_ == kNoBrokerEpoch) return;
  busy_ = true;
  deps_.gather([alive = alive_, asked = lost_](const Ends& ends) {
    if (*alive != nullptr) (*alive)->OnGathered(asked, ends);
  });
}

void LastCopyReporter::OnGathered(const Lost& asked, const Ends& ends) {
  wire::ReportLastCopiesRequest request;
  request.set_broker_id(deps_.self.value());
  request.set_broker_epoch(epoch_.value());
  auto at = lost_.lower_bound(next_);
  for (; at != lost_.end() && request.copies_size() < static_cast<int>(kReplicasMax); ++at) {
    const auto& [id, leader_epoch] = *at;
    // It may have been led, and cut, since.
    const auto then = asked.find(id);
    if (then == asked.end() || then->second != leader_epoch) continue;
    // Not open yet, or offline.
    const auto end = ends.find(id);
    if (end == ends.end()) continue;
    wire::LastCopy* const copy = request.add_copies();
    copy->set_topic_id(id.topic_id.ToBytes());
    copy->set_partition(id.partition.value());
    copy->set_leader_epoch(leader_epoch.value());
    copy->set_last_epoch(end->second.last_epoch.value());
    copy->set_end_offset(end->second.end_offset.value());
  }
  next_ = at == lost_.end() ? TopicPartition() : at->first;
  if (request.copies().empty()) return OnAnswered();
  deps_.channel->ReportLastCopies(
      std::move(request), [alive = alive_](const absl::StatusOr<wire::ReportLastCopiesResponse>&) {
        // Whatever it says: the metadata shows what came of it.
        if (*alive != nullptr) (*alive)->OnAnswered();
      });
}

void LastCopyReporter::OnAnswered() {
  busy_ = false;
  const bool more = next_ != TopicPartition();
  timer_.Set(deps_.clock->Now() + (more ? absl::ZeroDuration() : retry_));
  if (!more) retry_ = std::min(2 * retry_, kRetryMax);
}

}  // namespace millrace::broker
