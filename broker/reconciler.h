// Reconciler: makes the replicas on this broker's disks follow the metadata: opens what is assigned
// here, hands on configs, removes what is deleted.
//
// S-20: data is deleted only by a committed deletion or unassignment that names the topic id; what
// is merely absent from an image, or elsewhere in one that came whole, is set aside as `-stray`,
// and taken back if it is assigned here again. S-05: a replica stays in the directory where it is;
// a new one goes where the metadata says, or else where there are fewest. One whose directory is
// lost is made anew, empty, only where others have what was acknowledged.
//
// Thread: `home`. Replicas themselves belong to their shards, and are asked by posting.
#ifndef BROKER_RECONCILER_H_
#define BROKER_RECONCILER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/config.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/log_dir_set.h"
#include "broker/shard.h"
#include "metadata/broker_config.h"
#include "metadata/feed.h"
#include "metadata/image.h"

namespace millrace::broker {

class Reconciler {
 public:
  struct Deps {
    NodeId self = kNoNode;
    Executor* home = nullptr;
    LogDirSet* log_dirs = nullptr;
    std::vector<std::shared_ptr<Shard>> shards;
    // The weakest layer of topic configs; outlives this.
    const ConfigValues* static_config = nullptr;
    int64_t tail_cache_bytes_max = 1 << 20;
  };
  // A replica lies there, and the metadata says something else.
  using OnAssigned = std::function<void(const TopicPartition&, DirectoryId)>;
  // A replica's log is open, or was found damaged, then or later, so that it is offline.
  using OnReplicaOpened = std::function<void(const TopicPartition&, bool damaged)>;

  explicit Reconciler(Deps deps);
  ~Reconciler();

  void SetOnAssigned(OnAssigned on_assigned) { on_assigned_ = std::move(on_assigned); }
  void SetOnOpened(OnReplicaOpened on_opened) { on_opened_ = std::move(on_opened); }

  // The directories are open: replicas may be opened from now on.
  void OnLogDirsOpen();
  // This broker's registration `epoch` is durable in the directories: it may lead, in images that
  // show it (S-01).
  void OnRegistered(BrokerEpoch epoch);
  // The next image; one below the newest seen is refused (S-20).
  void OnMetadata(const metadata::Update& update);
  // Nothing is opened or removed any more.
  void Stop() { stopped_ = true; }
  // Runs `done`, once, when the image of `index` or a later one is in force here: every shard has
  // it, and all replicas assigned here are open or known to be offline.
  void Await(LogIndex index, Task done);

  // Replicas that are assigned here, and those of them that are open or known to be offline.
  // Thread: any.
  int64_t wanted_count() const { return wanted_.load(std::memory_order_relaxed); }
  int64_t open_count() const { return open_.load(std::memory_order_relaxed); }

  // The directory of each replica, by its place in the LogDirSet.
  std::map<TopicPartition, int> Placement() const;

 private:
  enum class Phase { kOpening, kOpen, kOffline, kRemoving };
  // Deleted for good, or set aside.
  // kDamaged: the latter, without its damaged end.
  enum class Removal { kDelete, kStray, kDamaged };
  // Log directories, by their place in the LogDirSet.
  using LogDirs = std::set<int>;
  struct Hosted {
    std::string topic;
    int log_dir = -1;
    Phase phase = Phase::kOpening;
    // To be done when it has opened, or has been set aside.
    std::optional<Removal> then_remove;
    // Its end is damaged, so that it is offline.
    bool damaged = false;
    // Its configs changed while it was opening.
    bool configs_changed = false;
  };

  // `before`: the image that `delta` begins with; may be null for a whole one.
  void Apply(const metadata::Image* before, const metadata::Delta& delta);
  // Why what is here and assigned here no more has to go.
  Removal HowToRemove(const TopicPartition& partition, const metadata::Image* before,
                      const metadata::Delta& delta) const;
  void SetAsideUnknown();
  void Want(const TopicPartition& partition);
  Hosted* Host(const TopicPartition& partition, const std::string& topic, int log_dir);
  void Open(const TopicPartition& partition, Hosted* hosted);
  void OnOpened(const TopicPartition& partition, const absl::Status& status);
  // An open log met damage where it was to be cut, and is offline.
  void OnLogFailure(const TopicPartition& partition, const absl::Status& status);
  // One that is damaged begins again where the damage begins, if nobody counts on it and others
  // have what it had.
  void RestartDamaged(const TopicPartition& partition);
  void Remove(const TopicPartition& partition, Removal removal);
  void RemoveFromDisk(const TopicPartition& partition, Removal removal);
  void OnRemoved(const TopicPartition& partition, Removal removal);
  void DeleteStrays(TopicId topic);
  void SendConfigs(const TopicPartition& partition);
  void UpdateConfigs(const std::set<metadata::ConfigOwner>& changed);
  // Where a replica is or should be; -1: nowhere, `why` says so.
  int ChooseLogDir(const TopicPartition& partition, absl::Status* why) const;
  // Where there is a copy of it, the one that the metadata names if that is one; -1: nowhere.
  int FindCopy(const std::map<TopicPartition, LogDirs>& copies, const TopicPartition& partition,
               const metadata::PartitionImage* known) const;
  // Whether what is in the directory that the metadata names is lost for good, and others have it.
  bool IsLost(const metadata::PartitionImage& known) const;
  // Of several copies only the one in `chosen` counts.
  void SetOthersAside(const TopicPartition& partition, int chosen);
  void SetAside(const TopicPartition& partition, int log_dir);
  // Tells where the replica lies if the metadata says something else.
  void TellDirectory(const TopicPartition& partition, const Hosted& hosted);
  metadata::TopicConfig ConfigOf(TopicId topic) const;
  storage::LogConfig LogConfigFor(const metadata::TopicConfig& config) const;
  const std::shared_ptr<Shard>& ShardOf(const TopicPartition& partition) const;
  void Recount();
  bool InForce(LogIndex index) const;
  void ReleaseWaiters();

  const Deps deps_;
  OnAssigned on_assigned_;
  OnReplicaOpened on_opened_;
  std::shared_ptr<const metadata::Image> image_;
  // This broker's, in `image_`.
  metadata::BrokerConfig broker_config_;
  bool log_dirs_open_ = false;
  BrokerEpoch epoch_ = kNoBrokerEpoch;
  bool stopped_ = false;
  std::map<TopicPartition, Hosted> hosted_;
  // Their directories' names: no two replicas have the same.
  std::set<std::pair<std::string, PartitionIndex>> names_;
  // Replicas per log directory.
  std::vector<int> counts_;
  // Where replicas were found on disk.
  std::map<TopicPartition, LogDirs> on_disk_;
  // Where some lie set aside.
  std::map<TopicPartition, LogDirs> strays_;
  // How often each has begun again since it was in sync.
  std::map<TopicPartition, int> restarts_;
  // Partitions that wait for another of the same name to be removed.
  std::set<TopicPartition> waiting_;
  std::atomic<int64_t> wanted_{0};
  std::atomic<int64_t> open_{0};
  std::vector<std::pair<LogIndex, Task>> waiters_;
  const std::shared_ptr<Reconciler*> self_;
};

}  // namespace millrace::broker

#endif  // BROKER_RECONCILER_H_
