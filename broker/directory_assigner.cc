#include "broker/directory_assigner.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::broker {

namespace wire = millrace::internal::v1;

DirectoryAssigner::DirectoryAssigner(const Deps& deps)
    : deps_(deps),
      timer_(deps.home, [this] { SendNext(); }),
      alive_(std::make_shared<DirectoryAssigner*>(this)) {}

DirectoryAssigner::~DirectoryAssigner() { *alive_ = nullptr; }

void DirectoryAssigner::OnRegistered(BrokerEpoch epoch) {
  epoch_ = epoch;
  if (!pending_.empty()) timer_.Set(deps_.clock->Now());
}

void DirectoryAssigner::Assign(const TopicPartition& partition, DirectoryId directory) {
  if (deps_.channel == nullptr) return;
  const auto [at, is_new] = pending_.try_emplace(partition, directory);
  if (!is_new && std::exchange(at->second, directory) == directory) return;
  retry_ = kRetryMin;
  // Not at once, so that what follows from the same image goes together.
  if (asked_.empty()) timer_.Set(deps_.clock->Now());
}

void DirectoryAssigner::OnMetadata(const metadata::Image& image) {
  std::erase_if(pending_, [&](const auto& entry) {
    const metadata::PartitionImage* const partition = image.FindPartition(entry.first);
    return partition == nullptr || !partition->IsReplica(deps_.self) ||
           partition->DirectoryOf(deps_.self) == entry.second;
  });
}

void DirectoryAssigner::SendNext() {
  if (!asked_.empty() || pending_.empty() || epoch_ == kNoBrokerEpoch) return;
  wire::AssignReplicasToDirsRequest request;
  request.set_broker_id(deps_.self.value());
  request.set_broker_epoch(epoch_.value());
  auto at = pending_.lower_bound(next_);
  for (; at != pending_.end() && asked_.size() < kReplicasMax; ++at) {
    const auto& [partition, directory] = *at;
    asked_.push_back(partition);
    wire::ReplicaDirectory* const replica = request.add_replicas();
    replica->set_topic_id(partition.topic_id.ToBytes());
    replica->set_partition(partition.partition.value());
    replica->set_directory_id(directory.ToBytes());
  }
  next_ = at == pending_.end() ? TopicPartition() : at->first;
  if (asked_.empty()) {
    // Those that were left have been shown meanwhile.
    return timer_.Set(deps_.clock->Now() + retry_);
  }
  deps_.channel->AssignReplicasToDirs(
      std::move(request),
      [alive = alive_](const absl::StatusOr<wire::AssignReplicasToDirsResponse>& response) {
        if (*alive != nullptr) (*alive)->OnResponse(response);
      });
}

void DirectoryAssigner::OnResponse(
    const absl::StatusOr<wire::AssignReplicasToDirsResponse>& response) {
  const std::vector<TopicPartition> asked = std::exchange(asked_, {});
  size_t refused = 0;
  std::string why;
  if (response.ok()) {
    for (const wire::ReplicaDirectoryResult& result : response->replicas()) {
      if (result.code() == 0) continue;
      ++refused;
      why = result.message();
    }
  }
  if (refused > 0) {
    LOG_WARN("broker", "replicas lie elsewhere than the metadata says, and the controller refuses",
             {{"replicas", static_cast<int64_t>(refused)}, {"reason", why}});
  }
  // The rest of the round at once, if the controller is there; then all that is not shown yet.
  const bool more = response.ok() && next_ != TopicPartition();
  if (!more) next_ = TopicPartition();
  timer_.Set(deps_.clock->Now() + (more ? absl::ZeroDuration() : retry_));
  if (!more) retry_ = std::min(2 * retry_, kRetryMax);
}

}  // namespace millrace::broker
