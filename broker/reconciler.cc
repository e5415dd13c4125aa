#include "broker/reconciler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "base/status.h"
#include "broker/gather.h"
#include "broker/storage_replica_log.h"
#include "broker/topic_settings.h"
#include "metadata/topic_config.h"

namespace millrace::broker {
namespace {

// Each finds damage further down, if any: so that one that finds the same again and again ends.
constexpr int kRestartsMax = 5;

}  // namespace

Reconciler::Reconciler(Deps deps)
    : deps_(std::move(deps)),
      counts_(deps_.log_dirs->slots().size(), 0),
      self_(std::make_shared<Reconciler*>(this)) {
  for (const std::shared_ptr<Shard>& shard : deps_.shards) {
    shard->executor()->Post([shard, self = self_, home = deps_.home] {
      shard->SetOnLogFailure(
          [self, home](const TopicPartition& partition, const absl::Status& status) {
            home->Post([self, partition, status] {
              if (*self != nullptr) (*self)->OnLogFailure(partition, status);
            });
          });
    });
  }
}

Reconciler::~Reconciler() { *self_ = nullptr; }

void Reconciler::OnLogDirsOpen() {
  log_dirs_open_ = true;
  const std::vector<LogDirSlot>& slots = deps_.log_dirs->slots();
  for (size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].dir == nullptr) continue;
    for (const storage::ReplicaReport& replica : slots[i].dir->opened().replicas) {
      (replica.stray ? strays_ : on_disk_)[replica.topic_partition].insert(static_cast<int>(i));
    }
  }
  if (image_ == nullptr) return;
  SetAsideUnknown();
  Apply(nullptr, metadata::DeltaBetween(metadata::Image(), *image_));
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
  const std::shared_ptr<const metadata::Image> before = std::exchange(image_, update.image);
  if (before == nullptr || metadata::MayChangeBrokerConfig(*update.delta, deps_.self)) {
    broker_config_ = metadata::BrokerConfigOf(*image_, deps_.self, *deps_.static_config);
  }
  const metadata::BrokerImage* broker = image_->FindBroker(deps_.self);
  const bool leaderships_count =
      (epoch_ != kNoBrokerEpoch && broker != nullptr && broker->epoch == epoch_) ||
      MUTANT("broker.leads-as-an-earlier-run");
  for (const std::shared_ptr<Shard>& shard : deps_.shards) {
    shard->executor()->Post([shard, update, leaderships_count] {
      shard->OnImage(update.image, update.delta, leaderships_count);
    });
  }
  if (!log_dirs_open_) return;
  // First, so that a new topic of the same name waits until they have left its place.
  if (before == nullptr) SetAsideUnknown();
  Apply(before.get(), *update.delta);
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

void Reconciler::Apply(const metadata::Image* before, const metadata::Delta& delta) {
  for (const metadata::RemovedTopic& topic : delta.topics_removed) {
    std::vector<TopicPartition> gone;
    for (auto at = hosted_.lower_bound({topic.id, PartitionIndex(0)});
         at != hosted_.end() && at->first.topic_id == topic.id; ++at) {
      gone.push_back(at->first);
    }
    for (const TopicPartition& partition : gone) Remove(partition, Removal::kDelete);
    DeleteStrays(topic.id);
  }
  for (const metadata::RemovedTopic& topic : delta.topics_absent) {
    std::vector<TopicPartition> absent;
    for (auto at = hosted_.lower_bound({topic.id, PartitionIndex(0)});
         at != hosted_.end() && at->first.topic_id == topic.id; ++at) {
      absent.push_back(at->first);
    }
    const Removal how = MUTANT("broker.absent-is-deleted") ? Removal::kDelete : Removal::kStray;
    for (const TopicPartition& partition : absent) Remove(partition, how);
  }
  for (const TopicPartition& partition : delta.partitions_changed) {
    const metadata::PartitionImage* found = image_->FindPartition(partition);
    if (found != nullptr && found->IsReplica(deps_.self)) {
      Want(partition);
      const auto hosted = hosted_.find(partition);
      if (hosted != hosted_.end()) TellDirectory(partition, hosted->second);
      RestartDamaged(partition);
    } else if (hosted_.contains(partition)) {
      Remove(partition, HowToRemove(partition, before, delta));
    }
  }
  UpdateConfigs(delta.configs_changed);
  Recount();
}

Reconciler::Removal Reconciler::HowToRemove(const TopicPartition& partition,
                                            const metadata::Image* before,
                                            const metadata::Delta& delta) const {
  if (MUTANT("broker.absent-is-deleted")) return Removal::kDelete;
  // The controllers may have been recovered from before it came here. Other records that name the
  // partition, of one that is set aside already, do not take it from this broker.
  if (delta.whole || before == nullptr) return Removal::kStray;
  const metadata::PartitionImage* const was = before->FindPartition(partition);
  return was != nullptr && was->IsReplica(deps_.self) ? Removal::kDelete : Removal::kStray;
}

void Reconciler::SetAsideUnknown() {
  // No record was seen that deletes them: they were deleted while this broker was away, or the
  // metadata has been restored from before they were made.
  const std::map<TopicPartition, LogDirs> found_here = on_disk_;
  for (const auto& [partition, log_dirs] : found_here) {
    const metadata::PartitionImage* const found = image_->FindPartition(partition);
    if (found != nullptr && found->IsReplica(deps_.self)) continue;
    const int log_dir = *log_dirs.begin();
    SetOthersAside(partition, log_dir);
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
  if (const auto here = hosted_.find(partition); here != hosted_.end()) {
    // It came back before it could be removed: once it is open it may join others in sync, and what
    // it has then must not go.
    here->second.then_remove.reset();
    // One that had no place may have one now.
    const bool placeless = here->second.phase == Phase::kOffline && here->second.log_dir < 0;
    if (!placeless) return;
    absl::Status why;
    if (ChooseLogDir(partition, &why) < 0) return;
    names_.erase({here->second.topic, partition.partition});
    hosted_.erase(here);
  }
  const std::string topic = image_->FindTopic(partition.topic_id)->name;
  // Of a topic of the same name, deleted and not gone yet: its directory has this one's name.
  if (names_.contains({topic, partition.partition})) {
    waiting_.insert(partition);
    return;
  }
  absl::Status why;
  const int log_dir = ChooseLogDir(partition, &why);
  Hosted& hosted = *Host(partition, topic, log_dir);
  if (hosted.log_dir >= 0) {
    SetOthersAside(partition, log_dir);
    return Open(partition, &hosted);
  }
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
  Executor* const cold_reads = slot.cold_reads;
  slot.dir->OpenLog(
      partition, hosted->topic, LogConfigFor(config), shard->executor(),
      [self = self_, home = deps_.home, shard, partition, topic = hosted->topic, directory,
       cold_reads,
       settings = SettingsOf(config)](absl::StatusOr<std::unique_ptr<storage::Log>> log) {
        const absl::Status status = log.status();
        if (log.ok()) {
          shard->AddReplica(partition, topic, directory,
                            std::make_unique<StorageReplicaLog>(*std::move(log), cold_reads),
                            settings);
        } else {
          shard->AddOffline(partition, topic, status);
        }
        home->Post([self, partition, status] {
          if (*self != nullptr) (*self)->OnOpened(partition, status);
        });
      });
}

void Reconciler::OnOpened(const TopicPartition& partition, const absl::Status& status) {
  const auto found = hosted_.find(partition);
  if (found == hosted_.end()) return;
  Hosted& hosted = found->second;
  hosted.phase = status.ok() ? Phase::kOpen : Phase::kOffline;
  hosted.damaged = CodeOf(status) == ErrorCode::kCorruptLog;
  if (on_opened_) on_opened_(partition, hosted.damaged);
  if (status.ok()) {
    if (const auto stray = strays_.find(partition); stray != strays_.end()) {
      stray->second.erase(hosted.log_dir);
    }
    TellDirectory(partition, hosted);
  }
  Recount();
  if (hosted.configs_changed) SendConfigs(partition);
  if (hosted.then_remove) {
    return Remove(partition, *std::exchange(hosted.then_remove, std::nullopt));
  }
  RestartDamaged(partition);
}

// What came from the shard before: the log that is meant is the one that is open here.
void Reconciler::OnLogFailure(const TopicPartition& partition, const absl::Status& status) {
  const auto found = hosted_.find(partition);
  if (stopped_ || found == hosted_.end() || found->second.phase != Phase::kOpen) return;
  LOG_ERROR("reconciler", "a log that had to be cut is damaged there, and offline",
            {{"topic_id", partition.topic_id},
             {"partition", partition.partition},
             {"error", status.message()}});
  OnOpened(partition, status);
}

// Its seat is taken from it by the leader, whom it does not follow; what it had is in those that
// are in sync. As with a disk that was lost (S-05), and the whole part of it stays.
void Reconciler::RestartDamaged(const TopicPartition& partition) {
  const auto hosted = hosted_.find(partition);
  const metadata::PartitionImage* const known = image_->FindPartition(partition);
  if (hosted == hosted_.end() || known == nullptr || !known->IsReplica(deps_.self)) return;
  if (known->InIsr(deps_.self)) restarts_.erase(partition);
  if (hosted->second.phase != Phase::kOffline || !hosted->second.damaged) return;
  const bool has_seat = known->InIsr(deps_.self) || known->InElr(deps_.self);
  if (has_seat || known->leader == kNoNode || ++restarts_[partition] > kRestartsMax) return;
  LOG_WARN("reconciler", "a damaged replica begins again where its log is whole",
           {{"topic_id", partition.topic_id}, {"partition", partition.partition}});
  Remove(partition, Removal::kDamaged);
}

void Reconciler::TellDirectory(const TopicPartition& partition, const Hosted& hosted) {
  if (hosted.phase != Phase::kOpen || !on_assigned_) return;
  const metadata::PartitionImage* const known = image_->FindPartition(partition);
  const DirectoryId directory = deps_.log_dirs->slots()[hosted.log_dir].id();
  if (known == nullptr || !known->IsReplica(deps_.self)) return;
  if (known->DirectoryOf(deps_.self) != directory) on_assigned_(partition, directory);
}

int Reconciler::FindCopy(const std::map<TopicPartition, LogDirs>& copies,
                         const TopicPartition& partition,
                         const metadata::PartitionImage* known) const {
  const auto found = copies.find(partition);
  if (found == copies.end() || found->second.empty()) return -1;
  if (known != nullptr) {
    const int named = deps_.log_dirs->IndexOf(known->DirectoryOf(deps_.self));
    if (found->second.contains(named)) return named;
  }
  return *found->second.begin();
}

bool Reconciler::IsLost(const metadata::PartitionImage& known) const {
  for (const LogDirSlot& slot : deps_.log_dirs->slots()) {
    // It may be that one, and come back.
    if (slot.dir == nullptr) return false;
  }
  // Its seat is taken from it by the registration without the directory; who has none left must
  // wait for one of the others, or the disk.
  if (MUTANT("broker.nothing-made-anew")) return false;
  if (known.InIsr(deps_.self) || known.InElr(deps_.self)) return false;
  return !known.isr.empty() || !known.elr.empty();
}

int Reconciler::ChooseLogDir(const TopicPartition& partition, absl::Status* why) const {
  const std::vector<LogDirSlot>& slots = deps_.log_dirs->slots();
  const metadata::PartitionImage* const known = image_->FindPartition(partition);
  const DirectoryId named = known == nullptr ? DirectoryId() : known->DirectoryOf(deps_.self);
  // A seat vouches for what is in the directory that the metadata names, and for nothing else: not
  // for what another one has of an earlier time, while that is away.
  const bool has_seat = known != nullptr && (known->InIsr(deps_.self) || known->InElr(deps_.self));
  const bool is_away = !named.is_zero() && deps_.log_dirs->IndexOf(named) < 0;
  int chosen = has_seat && is_away ? -1 : FindCopy(on_disk_, partition, known);
  if (chosen < 0) {
    const int stray = FindCopy(strays_, partition, known);
    if (stray >= 0 && (!has_seat || named.is_zero() || named == slots[stray].id())) chosen = stray;
  }
  if (chosen < 0 && !named.is_zero()) {
    chosen = deps_.log_dirs->IndexOf(named);
    // Its records are there. An empty log elsewhere would stand in their place for ever (S-05).
    if (chosen < 0 && !IsLost(*known)) {
      *why = MakeError(ErrorCode::kStorageError,
                       absl::StrCat("the partition is in log directory ", named.ToString(),
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

void Reconciler::SetOthersAside(const TopicPartition& partition, int chosen) {
  const auto found = on_disk_.find(partition);
  if (found == on_disk_.end()) return;
  for (const int other : std::exchange(found->second, {chosen})) {
    if (other != chosen) SetAside(partition, other);
  }
}

void Reconciler::SetAside(const TopicPartition& partition, int log_dir) {
  const LogDirSlot& slot = deps_.log_dirs->slots()[log_dir];
  if (!slot.usable()) return;
  strays_[partition].insert(log_dir);
  slot.dir->MarkStray(partition, deps_.home, [](const absl::Status&) {});
}

// Their topic is deleted, by a record that names it.
void Reconciler::DeleteStrays(TopicId topic) {
  auto at = strays_.lower_bound({topic, PartitionIndex(0)});
  while (at != strays_.end() && at->first.topic_id == topic) {
    for (const int log_dir : at->second) {
      const LogDirSlot& slot = deps_.log_dirs->slots()[log_dir];
      if (slot.usable()) {
        slot.dir->DeleteReplica(at->first, deps_.home, [](const absl::Status&) {});
      }
    }
    at = strays_.erase(at);
  }
}

void Reconciler::Remove(const TopicPartition& partition, Removal removal) {
  Hosted& hosted = hosted_.at(partition);
  waiting_.erase(partition);
  if (hosted.phase == Phase::kRemoving) {
    // Perhaps it is being set aside.
    if (removal == Removal::kDelete) hosted.then_remove = removal;
    return;
  }
  if (hosted.phase == Phase::kOpening) {
    // What is to be deleted stays that until it is assigned here again.
    if (hosted.then_remove != Removal::kDelete) hosted.then_remove = removal;
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
    return OnRemoved(partition, removal);
  }
  storage::LogDir* const dir = deps_.log_dirs->slots()[hosted.log_dir].dir.get();
  // A failure to remove is the directory's failure, and reported as such.
  auto done = [self = self_, partition, removal](const absl::Status&) {
    if (*self != nullptr) (*self)->OnRemoved(partition, removal);
  };
  if (removal == Removal::kDelete) {
    dir->DeleteReplica(partition, deps_.home, std::move(done));
  } else {
    dir->MarkStray(partition, deps_.home, std::move(done), removal == Removal::kStray);
  }
}

void Reconciler::OnRemoved(const TopicPartition& partition, Removal removal) {
  const auto removed = hosted_.find(partition);
  const bool deletes = std::exchange(removed->second.then_remove, std::nullopt).has_value();
  if (deletes && removal != Removal::kDelete && !stopped_) {
    return RemoveFromDisk(partition, Removal::kDelete);
  }
  names_.erase({removed->second.topic, partition.partition});
  if (removed->second.log_dir >= 0) --counts_[removed->second.log_dir];
  if (removal != Removal::kDelete && removed->second.log_dir >= 0) {
    strays_[partition].insert(removed->second.log_dir);
  }
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
  shard->executor()->Post(
      [shard, partition, settings = SettingsOf(config), log = LogConfigFor(config)] {
        shard->SetSettings(partition, settings, log);
      });
}

metadata::TopicConfig Reconciler::ConfigOf(TopicId topic) const {
  return metadata::TopicConfigOf(*image_, topic, deps_.self, *deps_.static_config);
}

storage::LogConfig Reconciler::LogConfigFor(const metadata::TopicConfig& config) const {
  return LogConfigOf(config, broker_config_, deps_.tail_cache_bytes_max);
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
