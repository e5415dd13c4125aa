#include "broker/reconciler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "broker/gather.h"
#include "broker/storage_replica_log.h"
#include "broker/topic_settings.h"
#include "metadata/topic_config.h"

namespace millrace::broker {

Reconciler::Reconciler(Deps deps)
    : deps_(std::move(deps)),
      counts_(deps_.log_dirs->slots().size(), 0),
      self_(std::make_shared<Reconciler*>(this)) {}

Reconciler::~Reconciler() { *self_ = nullptr; }

void Reconciler::OnLogDirsOpen() {
  log_dirs_open_ = true;
  const std::vector<LogDirSlot>& slots = deps_.log_dirs->slots();
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].dir == nullptr) continue;
    for (const storage::ReplicaReport& replica : slots[i].dir->opened().replicas) {
      if (!replica.stray) on_disk_.emplace(replica.topic_partition, static_cast<int>(i));
    }
  }
  if (image_ == nullptr) return;
  SetAsideUnknown();
  Apply(metadata::DeltaBetween(metadata::Image(), *image_));
}

void Reconciler::OnRegistered(BrokerEpoch epoch) {
  epoch_ = epoch;
  if (image_ == nullptr) return;
  // Nothing changed but what this broker may do.
  OnMetadata({image_, std::make_shared<const metadata::Delta>()});
}

void Reconciler::OnMetadata(const metadata::Update& update) {
  if (stopped_) return;
  if (image_ != nullptr && update.image->index() < image_->index()) return;
  const bool first = image_ == nullptr;
  image_ = update.image;
  const metadata::BrokerImage* broker = image_->FindBroker(deps_.self);
  const bool leaderships_count =
      epoch_ != kNoBrokerEpoch && broker != nullptr && broker->epoch == epoch_;
  for (const std::shared_ptr<Shard>& shard : deps_.shards) {
    shard->executor()->Post([shard, update, leaderships_count] {
      shard->OnImage(update.image, update.delta, leaderships_count);
    });
  }
  if (!log_dirs_open_) return;
  // First, so that a new topic of the same name waits until they have left its place.
  if (first) SetAsideUnknown();
  Apply(*update.delta);
  ReleaseWaiters();
}

bool Reconciler::InForce(LogIndex index) const {
  return log_dirs_open_ && image_ != nullptr && image_->index() >= index &&
         wanted_.load(std::memory_order_relaxed) == open_.load(std::memory_order_relaxed);
}

void Reconciler::Await(LogIndex index, Task done) {
  waiters_.emplace_back(index, std::move(done));
  ReleaseWaiters();
}

void Reconciler::ReleaseWaiters() {
  std::vector<Task> ready;
  for (auto& [index, done] : waiters_) {
    if (InForce(index)) ready.push_back(std::move(done));
  }
  std::erase_if(waiters_, [this](const auto& waiter) { return InForce(waiter.first); });
  if (ready.empty()) return;
  // What was posted to the shards before this, images among it, has run when this has.
  struct Barrier {
    size_t left;
    std::vector<Task> ready;
  };
  auto barrier = std::make_shared<Barrier>(Barrier{deps_.shards.size(), std::move(ready)});
  for (const std::shared_ptr<Shard>& shard : deps_.shards) {
    shard->executor()->Post([barrier, home = deps_.home] {
      home->Post([barrier] {
        if (--barrier->left > 0) return;
        for (Task& done : barrier->ready) std::move(done)();
      });
    });
  }
}

void Reconciler::Apply(const metadata::Delta& delta) {
  for (const metadata::RemovedTopic& topic : delta.topics_removed) {
    std::vector<TopicPartition> gone;
    for (auto at = hosted_.lower_bound({topic.id, PartitionIndex(0)});
         at != hosted_.end() && at->first.topic_id == topic.id; ++at) {
      gone.push_back(at->first);
    }
    for (const TopicPartition& partition : gone) Remove(partition, Removal::kDelete);
  }
  for (const metadata::RemovedTopic& topic : delta.topics_absent) {
    std::vector<TopicPartition> absent;
    for (auto at = hosted_.lower_bound({topic.id, PartitionIndex(0)});
         at != hosted_.end() && at->first.topic_id == topic.id; ++at) {
      absent.push_back(at->first);
    }
    for (const TopicPartition& partition : absent) Remove(partition, Removal::kStray);
  }
  for (const TopicPartition& partition : delta.partitions_changed) {
    const metadata::PartitionImage* found = image_->FindPartition(partition);
    if (found != nullptr && found->IsReplica(deps_.self)) {
      Want(partition);
    } else if (hosted_.contains(partition)) {
      // Unassigned, by a record that names it.
      Remove(partition, Removal::kDelete);
    }
  }
  UpdateConfigs(delta.configs_changed);
  Recount();
}

void Reconciler::SetAsideUnknown() {
  // No record was seen that deletes them: they were deleted while this broker was away, or the
  // metadata has been restored from before they were made.
  std::vector<std::pair<TopicPartition, int>> unknown(on_disk_.begin(), on_disk_.end());
  for (const auto& [partition, log_dir] : unknown) {
    const metadata::PartitionImage* const found = image_->FindPartition(partition);
    if (found != nullptr && found->IsReplica(deps_.self)) continue;
    std::string topic;
    for (const storage::ReplicaReport& report :
         deps_.log_dirs->slots()[log_dir].dir->opened().replicas) {
      if (report.topic_partition == partition) topic = report.topic_name;
    }
    Host(partition, topic, log_dir)->phase = Phase::kRemoving;
    RemoveFromDisk(partition, Removal::kStray);
  }
}

// --- Opening ---

void Reconciler::Want(const TopicPartition& partition) {
  if (hosted_.contains(partition)) return;
  const std::string topic = image_->FindTopic(partition.topic_id)->name;
  // Of a topic of the same name, deleted and not gone yet: its directory has this one's name.
  if (names_.contains({topic, partition.partition})) {
    waiting_.insert(partition);
    return;
  }
  absl::Status why;
  const int log_dir = ChooseLogDir(partition, &why);
  Hosted& hosted = *Host(partition, topic, log_dir);
  if (hosted.log_dir >= 0) return Open(partition, &hosted);
  hosted.phase = Phase::kOffline;
  const std::shared_ptr<Shard>& shard = ShardOf(partition);
  shard->executor()->Post(
      [shard, partition, topic = hosted.topic, why] { shard->AddOffline(partition, topic, why); });
}

Reconciler::Hosted* Reconciler::Host(const TopicPartition& partition, const std::string& topic,
                                     int log_dir) {
  Hosted& hosted = hosted_[partition];
  hosted.topic = topic;
  hosted.log_dir = log_dir;
  names_.emplace(topic, partition.partition);
  if (log_dir >= 0) ++counts_[log_dir];
  return &hosted;
}

void Reconciler::Open(const TopicPartition& partition, Hosted* hosted) {
  const metadata::TopicConfig config = ConfigOf(partition.topic_id);
  const LogDirSlot& slot = deps_.log_dirs->slots()[hosted->log_dir];
  const std::shared_ptr<Shard>& shard = ShardOf(partition);
  const DirectoryId directory = slot.id();
  const metadata::PartitionImage* known = image_->FindPartition(partition);
  const bool tell = known != nullptr && known->DirectoryOf(deps_.self) != directory;
  slot.dir->OpenLog(
      partition, hosted->topic, LogConfigOf(config, deps_.tail_cache_bytes_max), shard->executor(),
      [self = self_, home = deps_.home, shard, partition, topic = hosted->topic, directory,
       settings = SettingsOf(config)](absl::StatusOr<std::unique_ptr<storage::Log>> log) {
        const absl::Status status = log.status();
        if (log.ok()) {
          shard->AddReplica(partition, topic, directory,
                            std::make_unique<StorageReplicaLog>(*std::move(log)), settings);
        } else {
          shard->AddOffline(partition, topic, status);
        }
        home->Post([self, partition, status] {
          if (*self != nullptr) (*self)->OnOpened(partition, status);
        });
      });
  if (tell && on_assigned_) on_assigned_(partition, directory);
}

void Reconciler::OnOpened(const TopicPartition& partition, const absl::Status& status) {
  const auto found = hosted_.find(partition);
  if (found == hosted_.end()) return;
  Hosted& hosted = found->second;
  hosted.phase = status.ok() ? Phase::kOpen : Phase::kOffline;
  Recount();
  if (hosted.configs_changed) SendConfigs(partition);
  if (hosted.then_remove) Remove(partition, *std::exchange(hosted.then_remove, std::nullopt));
}

int Reconciler::ChooseLogDir(const TopicPartition& partition, absl::Status* why) const {
  const std::vector<LogDirSlot>& slots = deps_.log_dirs->slots();
  const auto here = on_disk_.find(partition);
  int chosen = here == on_disk_.end() ? -1 : here->second;
  const metadata::PartitionImage* known = image_->FindPartition(partition);
  if (chosen < 0 && known != nullptr && !known->DirectoryOf(deps_.self).is_zero()) {
    chosen = deps_.log_dirs->IndexOf(known->DirectoryOf(deps_.self));
    // Its records are there. An empty log elsewhere would stand in their place for ever (S-05).
    if (chosen < 0) {
      *why = MakeError(ErrorCode::kStorageError,
                       absl::StrCat("the partition is in log directory ",
                                    known->DirectoryOf(deps_.self).ToString(),
                                    ", which is not open here; mount or repair it and restart"));
      return -1;
    }
  }
  if (chosen >= 0) {
    *why = slots[chosen].status;
    return slots[chosen].usable() ? chosen : -1;
  }
  for (size_t i = 0; i < slots.size(); ++i) {
    if (!slots[i].usable()) continue;
    if (chosen < 0 || counts_[i] < counts_[chosen]) chosen = static_cast<int>(i);
  }
  if (chosen < 0) *why = MakeError(ErrorCode::kStorageError, "no log directory is usable");
  return chosen;
}

// --- Removing ---

void Reconciler::Remove(const TopicPartition& partition, Removal removal) {
  Hosted& hosted = hosted_.at(partition);
  waiting_.erase(partition);
  if (hosted.phase == Phase::kRemoving) return;
  if (hosted.phase == Phase::kOpening) {
    hosted.then_remove = removal;
    return;
  }
  hosted.phase = Phase::kRemoving;
  const std::shared_ptr<Shard>& shard = ShardOf(partition);
  shard->executor()->Post([self = self_, home = deps_.home, shard, partition, removal] {
    shard->RemoveReplica(partition,
                         MakeError(ErrorCode::kUnknownTopicOrPartition,
                                   "the partition was deleted, or moved to other brokers"));
    home->Post([self, partition, removal] {
      if (*self != nullptr) (*self)->RemoveFromDisk(partition, removal);
    });
  });
}

void Reconciler::RemoveFromDisk(const TopicPartition& partition, Removal removal) {
  const Hosted& hosted = hosted_.at(partition);
  if (hosted.log_dir < 0 || !deps_.log_dirs->slots()[hosted.log_dir].usable()) {
    return OnRemoved(partition);
  }
  storage::LogDir* const dir = deps_.log_dirs->slots()[hosted.log_dir].dir.get();
  // A failure to remove is the directory's failure, and reported as such.
  auto done = [self = self_, partition](const absl::Status&) {
    if (*self != nullptr) (*self)->OnRemoved(partition);
  };
  if (removal == Removal::kDelete) {
    dir->DeleteReplica(partition, deps_.home, std::move(done));
  } else {
    dir->MarkStray(partition, deps_.home, std::move(done));
  }
}

void Reconciler::OnRemoved(const TopicPartition& partition) {
  const auto removed = hosted_.find(partition);
  names_.erase({removed->second.topic, partition.partition});
  if (removed->second.log_dir >= 0) --counts_[removed->second.log_dir];
  hosted_.erase(removed);
  on_disk_.erase(partition);
  if (!stopped_) {
    std::set<TopicPartition> again = std::exchange(waiting_, {});
    // It may have been assigned here again meanwhile.
    again.insert(partition);
    for (const TopicPartition& wanted : again) {
      const metadata::PartitionImage* found = image_->FindPartition(wanted);
      if (found != nullptr && found->IsReplica(deps_.self)) Want(wanted);
    }
  }
  Recount();
}

// --- Configs ---

void Reconciler::UpdateConfigs(const std::set<metadata::ConfigOwner>& changed) {
  bool all = false;
  std::set<std::string> topics;
  for (const metadata::ConfigOwner& owner : changed) {
    if (owner.scope == metadata::ConfigScope::kTopic) {
      topics.insert(owner.name);
    } else if (owner == metadata::ConfigOwner::AllBrokers() ||
               owner == metadata::ConfigOwner::Broker(deps_.self)) {
      all = true;
    }
  }
  if (!all && topics.empty()) return;
  for (auto& [partition, hosted] : hosted_) {
    if (!all && !topics.contains(partition.topic_id.ToString())) continue;
    // The shard has it only once it is open.
    if (hosted.phase == Phase::kOpening) {
      hosted.configs_changed = true;
    } else {
      SendConfigs(partition);
    }
  }
}

void Reconciler::SendConfigs(const TopicPartition& partition) {
  if (image_->FindTopic(partition.topic_id) == nullptr) return;
  const metadata::TopicConfig config = ConfigOf(partition.topic_id);
  const std::shared_ptr<Shard>& shard = ShardOf(partition);
  shard->executor()->Post([shard, partition, settings = SettingsOf(config),
                           log = LogConfigOf(config, deps_.tail_cache_bytes_max)] {
    shard->SetSettings(partition, settings, log);
  });
}

metadata::TopicConfig Reconciler::ConfigOf(TopicId topic) const {
  return metadata::TopicConfigOf(*image_, topic, deps_.self, *deps_.static_config);
}

const std::shared_ptr<Shard>& Reconciler::ShardOf(const TopicPartition& partition) const {
  return deps_.shards[ShardIndexOf(partition, static_cast<int>(deps_.shards.size()))];
}

std::map<TopicPartition, int> Reconciler::Placement() const {
  std::map<TopicPartition, int> placement;
  for (const auto& [partition, hosted] : hosted_) placement[partition] = hosted.log_dir;
  return placement;
}

void Reconciler::Recount() {
  int64_t wanted = static_cast<int64_t>(waiting_.size());
  int64_t open = 0;
  for (const auto& [partition, hosted] : hosted_) {
    if (hosted.phase == Phase::kRemoving) continue;
    ++wanted;
    if (hosted.phase != Phase::kOpening) ++open;
  }
  wanted_.store(wanted, std::memory_order_relaxed);
  open_.store(open, std::memory_order_relaxed);
  ReleaseWaiters();
}

}  // namespace millrace::broker
