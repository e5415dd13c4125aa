// LogWriter: group commit over all logs of one directory.
//
// Owner shards stage operations through a StagingPort. The writer takes all that has arrived and
// carries it out in order: appends are gathered into a round, one WriteAndSync over all its files
// with the journals' frames among them; anything else (seal, truncation, deletion) is done between
// rounds. While one round syncs, the next gathers in the executor's queue. Results go back to each
// owner in one task.
//
// Logs of `replicated` topics are written before the round's syncs, so that they do not wait for
// others' disks. A failed write or sync fails the writer for good, and with it the directory. What
// finds no room on the disk stays and is tried again until there is some (log_writer_room.cc).
//
// Owned by LogDir. Thread: the disk executor, which an owner may have borrowed
// (log_writer_quick.cc).
#ifndef STORAGE_LOG_WRITER_H_
#define STORAGE_LOG_WRITER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/executor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "storage/disk_log.h"
#include "storage/log_op.h"
#include "storage/partitions_journal.h"
#include "storage/recovery_points.h"
#include "storage/staging_port.h"
#include "storage/sync_journal.h"

namespace millrace::storage {

class LogWriter : public std::enable_shared_from_this<LogWriter> {
 public:
  struct Options {
    std::string directory;
    uint64_t reserve_bytes = 0;
    absl::Duration seal_delay = absl::Milliseconds(20);
    absl::Duration idle_close_delay = absl::Seconds(30);
    absl::Duration checkpoint_interval = absl::Seconds(60);
    uint64_t checkpoint_bytes_min = 16 << 20;
  };
  // Cells of the disk strand; each may be null.
  struct Metrics {
    Histogram* round_seconds = nullptr;
    Histogram* round_bytes = nullptr;
    Histogram* round_logs = nullptr;
    Counter* written_bytes = nullptr;
    Gauge* free_bytes = nullptr;
    Gauge* total_bytes = nullptr;
    Gauge* full = nullptr;
    Gauge* offline = nullptr;
  };
  // None in null.
  static Metrics MetricsIn(MetricRegistry* metrics, const std::string& directory);
  using DoneOnDisk = absl::AnyInvocable<void(const absl::Status&) &&>;

  // The journals are rewritten (opened for appending) before. `on_failure` is called once, here.
  LogWriter(const Options& options, FileSystem* files, Executor* disk, Clock* clock,
            PartitionsJournal* partitions, SyncJournal* syncs, RecoveryPoints* points,
            std::shared_ptr<LogDirFlags> flags, const Metrics& metrics, DoneOnDisk on_failure);

  // Operations of one port, in order. They are carried out by a task posted now, so that what
  // arrives until it runs goes together.
  void Accept(const std::shared_ptr<StagingPort>& port, std::vector<LogOp> ops);
  // The same, carried out before it returns, if that is about as quick as to hand them over: few
  // bytes for files that are open, nothing that has to be synced, and nothing else that waits.
  // False: nothing has happened. For a borrowed strand (Executor::TryRun): the owner's thread
  // writes to the page cache.
  bool AcceptIfQuick(const std::shared_ptr<StagingPort>& port, std::vector<LogOp>* ops);
  // `done` runs on the disk strand when the journals' entries made so far are durable.
  void AfterRound(DoneOnDisk done);

  // Logs that reports of failure go to, and whose idle files are closed.
  void AddLog(std::shared_ptr<DiskLog> log);
  void RemoveLog(const DiskLog& log);
  // Lets the next frame of the sync journal vouch for what is durable of the log.
  void Vouch(DiskLog& log);

  // Carries out all that has arrived, as far as there is room, and flushes the journals. Blocks.
  absl::Status Drain();
  // Something that arrived waits for room on the disk.
  bool waits_for_room() const { return waits_for_room_; }
  // The directory is lost for this process: tells everybody.
  void Fail(const absl::Status& status);
  const absl::Status& status() const { return status_; }
  // Looks at the free space now, and from the first call on every second. REQUIRES: it is held by
  // a shared_ptr.
  absl::Status CheckSpace();

 private:
  using Segments = std::vector<std::shared_ptr<const Segment>>;

  // What a round does to one log.
  struct Append {
    DiskLog* log = nullptr;
    bool sync = false;
    uint64_t position = 0;
    uint64_t bytes = 0;
    Offset end;
    bool written = false;
    // Its place in the writes of the round, which its pieces have gone to.
    size_t writes_begin = 0;
    size_t writes_end = 0;
    std::vector<Slice> pieces;
    std::string offset_entries;
    std::string time_entries;
    int64_t preallocate_bytes_min = 0;
    int64_t preallocate_bytes_max = 0;
  };
  struct Queued {
    std::shared_ptr<StagingPort> port;
    LogOp op;
  };
  // What goes back to one owner.
  struct Report {
    Executor* owner = nullptr;
    std::vector<LogProgress> progress;
    std::vector<std::pair<std::shared_ptr<StagingPort>, int64_t>> released;
    std::vector<std::pair<absl::AnyInvocable<void(absl::Status) &&>, absl::Status>> done;
  };
  // Of segments of one log.
  struct Deletion {
    Segments segments;
    int64_t delay_ms = 0;
    // Of the log when they left it.
    uint64_t restarts = 0;
  };
  struct Waiting {
    Executor* owner = nullptr;
    absl::AnyInvocable<void(absl::Status) &&> done;
  };

  void Enqueue(const std::shared_ptr<StagingPort>& port, std::vector<LogOp>* ops);
  void PostRound();
  void RunRound();
  absl::Status RunQueue();
  // Where there is no room, once more when files were closed for it.
  absl::Status CarryOut(Queued& queued);
  absl::Status TryToCarryOut(Queued& queued);
  absl::Status Gather(const LogOp& op);
  absl::Status Commit();
  absl::Status WriteAppends(bool sync);
  // The synced ones, and now and then how long that takes.
  absl::Status WriteAndMeasure();
  absl::Status MakeReady(const Append& append);
  // What `append` writes, behind those that are there.
  void AddWrites(Append& append, std::vector<FileWrite>* writes);
  absl::Status AddJournals(std::vector<FileWrite>* writes, bool* partitions, bool* syncs);
  void Advance(Append& append);
  // The journals' entries made so far are durable: tells those who wait for that.
  void FinishWaiting();

  // --- log_writer_quick.cc ---
  bool IsQuick(const std::vector<LogOp>& ops) const;

  // --- log_writer_files.cc ---
  // The files of all logs whose first append is in the queue.
  absl::Status CreateFiles(const std::vector<Queued>& queue);
  // As DiskLog's. Where there is no room, others' files are closed for it.
  absl::Status OpenActive(DiskLog& log, Offset base);
  // Closes the files of all logs that have nothing to be written or synced; where there are none,
  // of some that have to be synced. False: there are none either.
  absl::StatusOr<bool> CloseOthers();
  // Syncs what is unsynced before, and reports it.
  absl::Status CloseFiles(DiskLog& log);
  void ScheduleIdleClose();
  absl::Status CloseIdle();

  // --- log_writer_room.cc ---
  // Waits for room if that is all that is wrong; else fails.
  void OnError(const absl::Status& status);
  absl::Status WaitForRoom();
  absl::Status TryAgain();
  // Does ahead of what waits what frees room, or needs nothing but the journal.
  absl::Status GoAhead();
  bool MayGoAhead(size_t position) const;
  // Of a deletion what needs no roll; the rest stays in `op`, and has nobody to tell.
  static LogOp TakeSealed(LogOp& op);
  // Forgets the appends that are written, and those of logs that are gone.
  void DropAppends();
  absl::Status Perform(LogOp& op);
  absl::Status PerformRoll(LogOp& op);
  absl::Status PerformTruncate(LogOp& op);
  absl::Status PerformRestart(LogOp& op);
  absl::Status PerformCheckpoint(LogOp& op);
  absl::Status PerformClose(LogOp& op);
  // Writes the snapshot, epochs and recovery point of a log as they are now.
  absl::Status WriteHints(DiskLog& log, const LogOp& op);
  void DeleteWhenFree(Deletion deletion);
  absl::Status DeleteNow(const Deletion& deletion);
  absl::Status RemoveDeleted(const Segments& segments);
  Report& ReportTo(Executor* owner);
  void ReportProgress(const DiskLog& log, std::optional<LogProgress::Truncated> truncated,
                      const absl::Status& failure);
  void SendReports();
  void DropQueue();
  // Tells the log when the reserve is reached, and when it is no longer.
  void NoteReserve(const SpaceInfo& space);
  void ScheduleSeal();
  void ScheduleFlush(const std::shared_ptr<DiskLog>& log, int64_t flush_ms);
  void ScheduleCheckpoint();
  void RequestCheckpoints();
  // Runs `what` here after `delay`, unless the writer is gone or failed; its error is a failure.
  void After(absl::Duration delay, absl::AnyInvocable<absl::Status(LogWriter&) &&> what);

  const Options options_;
  FileSystem* const files_;
  Executor* const disk_;
  Clock* const clock_;
  PartitionsJournal* const partitions_;
  SyncJournal* const syncs_;
  RecoveryPoints* const points_;
  const std::shared_ptr<LogDirFlags> flags_;
  const Metrics metrics_;
  DoneOnDisk on_failure_;
  absl::Status status_;

  std::vector<Queued> queue_;
  // The operations of the round under way: they own the memory that appends_ refers to.
  std::vector<LogOp> held_;
  // In order of first append; and where a log's is, by number.
  std::vector<Append> appends_;
  std::map<uint32_t, size_t> append_of_;
  // What waits for the journals' frames of this round.
  std::vector<Deletion> deletions_;
  std::vector<DoneOnDisk> after_round_;
  std::vector<Waiting> waiting_;
  // In order of first report.
  std::vector<Report> reports_;
  // By number.
  std::map<uint32_t, std::shared_ptr<DiskLog>> logs_;
  bool round_posted_ = false;
  bool seal_posted_ = false;
  bool idle_close_posted_ = false;
  // Some log's files may be open.
  bool files_open_ = false;
  bool checkpoint_posted_ = false;
  bool space_check_posted_ = false;
  // The free space was below the reserve when it was looked at last.
  bool reserve_reached_ = false;
  bool waits_for_room_ = false;
  bool try_again_posted_ = false;
  uint64_t bytes_since_space_check_ = 0;
  MonotonicTime last_measured_;
  // A quick write was slow: until then all are handed over.
  MonotonicTime no_quick_until_;
};

}  // namespace millrace::storage

#endif  // STORAGE_LOG_WRITER_H_
