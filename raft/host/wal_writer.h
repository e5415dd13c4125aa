// WalWriter: the disk's side of the WAL: makes groups of what is staged, writes and syncs them one
// after the other, rolls to new segments, seals, and gets space ready ahead of need.
//
// Thread: the disk executor (Open: where blocking is allowed). It outlives its Wal while tasks run.
// Source: S-09.
#ifndef RAFT_HOST_WAL_WRITER_H_
#define RAFT_HOST_WAL_WRITER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/executor.h"
#include "raft/host/wal.h"
#include "raft/host/wal_files.h"
#include "raft/host/wal_format.h"
#include "raft/host/wal_recovery.h"

namespace millrace::raft {

class WalWriter : public std::enable_shared_from_this<WalWriter> {
 public:
  // Both run on the disk executor.
  struct Events {
    // The `batches` oldest that are not reported yet are durable.
    std::function<void(size_t batches)> persisted;
    // Called once; nothing is written after it.
    std::function<void(const absl::Status&)> failed;
  };

  WalWriter(const WalOptions& options, const Wal::Dependencies& dependencies, uint64_t salt_seed)
      : options_(options),
        dependencies_(dependencies),
        files_(options, dependencies.files),
        salt_seed_(salt_seed) {}

  // Creates the directory if missing; call it before recovery reads.
  absl::Status PrepareDirectory() { return files_.Open(); }
  // Goes on where recovery ended: in the last segment if nothing was written behind it, else in a
  // new one of a higher generation. When this returns, all that recovery read is durable.
  absl::Status Open(const WalRecovered& recovered);
  void SetEvents(Events events) { events_ = std::move(events); }

  void Stage(WalBatch batch);
  void ReleaseBefore(LogIndex index);
  // Seals the last group after the idle time, if it is not sealed and none follows.
  void ArmSeal();
  // Nothing is written from now on, save by a task that runs already. Thread: any.
  void Close() { closed_.store(true, std::memory_order_relaxed); }

 private:
  // One record of a staged batch. Owns its payload.
  struct Staged {
    WalRecord record;
    Bytes payload;
    bool ends_batch = false;
  };

  absl::Status ContinueLast(const WalPosition& position);
  absl::Status OpenSegment(uint64_t generation, const std::optional<EntryId>& restart_after);
  absl::Status Roll();
  absl::Status WriteGroup(uint16_t flags);
  size_t FillGroup();
  absl::Status Release(LogIndex index);
  absl::Status PrepareStep();
  bool NeedsPreparation() const;
  void Push(WalRecordType type, Term term, LogIndex index, Bytes payload, uint8_t entry_type = 0);
  void Track(const WalRecord& record);

  void PostFlush();
  void Flush();
  void SealIfIdle();
  void PostPreparation();
  void Fail(const absl::Status& status);
  uint64_t NextSalt();
  bool stopped() const { return !failed_.ok() || closed_.load(std::memory_order_relaxed); }

  const WalOptions options_;
  const Wal::Dependencies dependencies_;
  Events events_;
  WalFiles files_;
  // Secret, so that no payload can hold a header that verifies.
  const uint64_t salt_seed_;
  absl::Status failed_;
  std::atomic<bool> closed_{false};

  // The segment being appended to, and where.
  WalSegmentFile current_;
  uint64_t salt_ = 0;
  uint64_t offset_ = 0;
  uint64_t number_ = 0;  // Of the last group; all up to it are durable between groups.
  uint32_t chain_ = 0;
  // All segments of the log, the current one last.
  std::deque<WalSegmentInfo> segments_;
  WalGroupBuilder builder_;

  // What the next segment will begin with. Follows the records as they go into groups.
  HardState hard_state_;
  VoterSet voters_;
  EntryId last_entry_;

  std::deque<Staged> staged_;
  bool flush_posted_ = false;
  bool preparation_posted_ = false;
  bool seal_armed_ = false;
  // The last group has records and no group follows it yet; when it became durable.
  bool unsealed_ = false;
  MonotonicTime last_group_at_;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_WAL_WRITER_H_
