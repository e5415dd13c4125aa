// LogDir: one log directory: its identity, its files beside the partitions', and its partitions.
//
// It proves on opening that the directory is ours (lock, meta.properties), says what registration
// must carry about it (S-03, S-05, S-08: identity, last broker epoch, suspicion, cuts), recovers
// every replica named in the `partitions` journal, and then hands out Logs. A failed write or sync
// fails the whole directory, for good: all its partitions go offline, nothing is retried.
//
// Not here: which partitions this broker should have (the reconciler's), and the writing itself
// (log_writer.h).
//
// Thread: Open blocks: call it on the disk executor. Everything else: any thread, by posting to the
// disk executor; results come back on the executor named in the call.
#ifndef STORAGE_LOG_DIR_H_
#define STORAGE_LOG_DIR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/executor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "storage/log.h"
#include "storage/log_config.h"

namespace millrace::storage {

struct LogDirOptions {
  std::string path;
  ClusterId cluster_id;
  NodeId node_id;
  // Free space below which Stage is refused with STORAGE_FULL.
  uint64_t reserve_bytes = uint64_t{256} << 20;
  // Bytes that all shards together may have staged but unwritten here.
  int64_t staged_bytes_max = int64_t{64} << 20;
  // A journal larger than this is rewritten with what still counts.
  uint64_t journal_bytes_max = uint64_t{1} << 20;
  // After this much idleness the durable ends of the last round are sealed alone (S-08).
  absl::Duration seal_delay = absl::Milliseconds(20);
  // log.flush.offset.checkpoint.interval.ms: how often recovery points are written.
  absl::Duration checkpoint_interval = absl::Seconds(60);
  // A log gets a new recovery point when so much of it would be read at a start.
  uint64_t checkpoint_bytes_min = uint64_t{16} << 20;
  // An active segment's files are closed when nothing was appended for this long.
  absl::Duration idle_close_delay = absl::Seconds(30);
  // New replicas' index intervals and the like, until OpenLog says better.
  int64_t index_interval_bytes = 4096;
};

struct LogDirDeps {
  FileSystem* files = nullptr;
  Executor* disk = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  MetricRegistry* metrics = nullptr;  // May be null.
};

// What recovery found and did with one replica.
struct ReplicaReport {
  TopicPartition topic_partition;
  std::string topic_name;
  // Renamed aside because no metadata names it (S-20).
  bool stray = false;
  bool has_data = false;
  Offset log_start_offset;
  Offset end_offset;
  LeaderEpoch last_epoch = kNoLeaderEpoch;
  // Bytes of a torn tail that were cut.
  uint64_t cut_bytes = 0;
  // Something was cut, now or before, that no registration has told: it may have been acknowledged,
  // so that the next one must (S-08). Sticky until RegistrationCommitted.
  bool cut = false;
  // CORRUPT_LOG: acknowledged data is damaged; the replica stays offline.
  absl::Status status;
};

// What registration says about the directory.
struct LogDirState {
  DirectoryId directory_id;
  // Made by this Open.
  bool is_new = false;
  // The broker epoch it was last open under; kNoBrokerEpoch if never.
  BrokerEpoch last_broker_epoch = kNoBrokerEpoch;
  // The last process stopped by Close (S-21), under last_broker_epoch.
  bool clean = false;
  // Replicas of `replicated` topics may have lost what they acknowledged (S-03). Sticky until
  // RegistrationCommitted.
  bool suspect = false;
  // By topic id and partition.
  std::vector<ReplicaReport> replicas;
};

// How fast the disk syncs. Of all syncs a few each second are measured.
struct SyncTimes {
  int64_t measured = 0;
  absl::Duration total;
  // The one under way; Never(): there is none.
  MonotonicTime began = MonotonicTime::Never();
};

class LogDir {
 public:
  using Done = absl::AnyInvocable<void(absl::Status) &&>;
  using LogDone = absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<Log>>) &&>;

  // Opens or creates the directory and recovers all replicas in it. Blocks.
  // Errors: DIRECTORY_LOCKED (another process has it); INCONSISTENT_CLUSTER_ID,
  // INCONSISTENT_NODE_ID (it belongs to somebody else); UNSUPPORTED_FORMAT_VERSION;
  // INVALID_DIRECTORY (not ours, or its files contradict each other); CORRUPT_LOG (a journal is
  // damaged in the middle); DIRECTORY_UNAVAILABLE; STORAGE_ERROR; STORAGE_FULL.
  static absl::StatusOr<std::unique_ptr<LogDir>> Open(const LogDirOptions& options,
                                                      const LogDirDeps& deps);
  // REQUIRES: all its Logs are gone. Releases the lock; without Close before, the next Open finds
  // an unclean stop.
  ~LogDir();
  LogDir(const LogDir&) = delete;
  LogDir& operator=(const LogDir&) = delete;

  // As found by Open. Immutable afterwards.
  const LogDirState& opened() const;
  const DirectoryId& directory_id() const { return opened().directory_id; }
  const std::string& path() const;

  // Called once on `executor` when the directory fails.
  void OnFailure(Executor* executor, absl::AnyInvocable<void(absl::Status)> callback);

  // The broker registered as `epoch`: writes the open record {epoch, suspect} and removes the
  // clean-shutdown file, durably. REQUIRED before the first append under this epoch. `done` runs
  // on `executor`.
  void BeginEpoch(BrokerEpoch epoch, Executor* executor, Done done);
  // The registration that carried opened().suspect, and which replicas were cut, is committed: both
  // are over.
  void RegistrationCommitted(BrokerEpoch epoch, Executor* executor, Done done);

  // The log of a replica, made if new: creation is journalled and group-committed, files appear at
  // the first append. One that was set aside is taken back as it was left (S-20): its last segment
  // is read first, while the directory does nothing else. The Log belongs to `owner`, where `done`
  // runs. Errors: those in its report (CORRUPT_LOG, ...); INVALID_DIRECTORY if the replica is open
  // already, or another one has its name; STORAGE_ERROR.
  void OpenLog(const TopicPartition& topic_partition, const std::string& topic_name,
               const LogConfig& config, Executor* owner, LogDone done);
  // Deletes a replica and its data: journalled durably first, then renamed aside and removed.
  // REQUIRES: its Log, if it was opened, is destroyed. OK if there is no such replica.
  void DeleteReplica(const TopicPartition& topic_partition, Executor* executor, Done done);
  // Sets a replica aside as `-stray` (S-20), until OpenLog or DeleteReplica. Unless it is `vouched`
  // for, nobody counts on what it has: OpenLog then, if it comes before the next start, cuts it
  // where damage begins. REQUIRES: as above.
  void MarkStray(const TopicPartition& topic_partition, Executor* executor, Done done,
                 bool vouched = true);

  // After every Log's Close is done: recovery points and the clean-shutdown file (S-21).
  void Close(Executor* executor, Done done);

  // Sizes for describe: thread any, approximate.
  uint64_t free_bytes() const;
  uint64_t total_bytes() const;
  bool failed() const;
  // Since it was opened. Thread: any.
  SyncTimes sync_times() const;

 private:
  class Impl;
  explicit LogDir(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace millrace::storage

#endif  // STORAGE_LOG_DIR_H_
