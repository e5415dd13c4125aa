// ColdReads: the reads of fetches of one shard that are under way on disks, by the cold-read pool
// that carries them out, which is that of one log directory. So a disk that hangs keeps a bounded
// number of them, and holds up no read of another (S-37).
//
// A read that takes longer than kPatience is late: whoever waits for it is told, and goes on
// without it. What it brings after all is kept for a while, for who asks for it again: so readers
// of a disk that is merely slow get on. There is one late read of a partition at most, and none
// begins at a pool that hangs: where reads are under way, and none has come back for kPatience.
//
// Not here: the reads of followers that catch up (replication/leader_streams.h), of the scrub and
// of repairs, which make one at a time.
//
// Thread: its shard's executor. What waits here is held by it, until Close.
#ifndef BROKER_COLD_READS_H_
#define BROKER_COLD_READS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/fetch_memory.h"
#include "broker/replica_log.h"
#include "broker/waiters.h"

namespace millrace::broker {

class ColdReads : public std::enable_shared_from_this<ColdReads> {
 public:
  // From the wish to the answer. More than a disk that works needs, with all that the others ask.
  static constexpr absl::Duration kPatience = absl::Milliseconds(500);
  // Of one pool: as many are under way, and as many that came late are kept.
  static constexpr int kUnderWayMax = 4;
  static constexpr int kKeptMax = 4;
  static constexpr absl::Duration kKeptFor = absl::Seconds(5);

  using Share = std::unique_ptr<FetchMemory::Share>;
  // What is read, and under which leadership: a log is cut only between two.
  struct Key {
    TopicPartition partition;
    Offset from;
    LeaderEpoch epoch;

    friend bool operator==(const Key&, const Key&) = default;
  };
  struct Answer {
    absl::StatusOr<storage::ReadResult> read;
    Share share;
  };
  // Nullopt: it is late.
  using Done = absl::AnyInvocable<void(std::optional<Answer>) &&>;
  enum class Room {
    kNow,
    kBusy,   // Others are before it: AwaitRoom.
    kHangs,  // No answer is to be expected soon: AwaitAnswer.
  };

  struct Metrics {
    // How long reads take; may be null.
    Histogram* seconds = nullptr;
    // How many late ones are under way, by pool.
    std::map<const Executor*, Gauge*> late;
  };
  // None in null. `pools`: by log directory.
  static Metrics MetricsIn(MetricRegistry* metrics, const std::map<std::string, Executor*>& pools);

  // `on_failure`: of a late read that failed.
  ColdReads(
      Executor* executor, const Clock* clock, Metrics metrics,
      std::function<void(const TopicPartition&, Offset from, const absl::Status&)> on_failure);

  Room RoomFor(Executor* pool, const TopicPartition& partition) const;
  // Carries out `read`, which may bring `bytes_max` bytes, or a batch that is larger. `share` is
  // held meanwhile, and may be null. `done` is called once, never from inside, unless all of this
  // goes before. REQUIRES: RoomFor says kNow.
  void Begin(const Key& key, LogRead read, size_t bytes_max, Share share, Done done);
  // What a late read of this has brought, if it fits: then it is the asker's.
  std::optional<Answer> TakeKept(Executor* pool, const Key& key, size_t bytes_max,
                                 bool at_least_one);

  // Calls `again` once, when there may be room, or the pool hangs: in the order of the calls.
  void AwaitRoom(Executor* pool, Task again);
  // Calls `again` once, when the pool hangs no more and no late read of the partition is under way;
  // at once if that is so. Forgotten by Forget.
  void AwaitAnswer(Executor* pool, const TopicPartition& partition, ParkId id, Task again);
  void Forget(ParkId id);

  // All are late, nobody waits any more, and what comes is dropped.
  void Close();
  // The same, but nobody is told: for a shard that is abandoned. Not on its executor any more.
  void Abandon();

 private:
  struct Read {
    uint64_t number = 0;
    Key key;
    size_t bytes_max = 0;
    Share share;
    MonotonicTime began;
    // Null: it is late.
    Done done;
  };
  struct Kept {
    Key key;
    MonotonicTime since;
    storage::ReadResult read;
    // More than was asked for: one batch.
    bool is_oversized = false;
    Share share;
  };
  struct Parked {
    TopicPartition partition;
    ParkId id{0};
    Task again;
  };
  struct Pool {
    // In the order in which they began.
    std::list<Read> under_way;
    // When one came back, or the first began: from then on it is silent.
    MonotonicTime silent_since;
    std::deque<Task> waiting;
    // The first that waited is asked whether it wants the place.
    bool offering = false;
    std::vector<Parked> parked;
    // The oldest first.
    std::deque<Kept> kept;
  };

  bool Hangs(const Pool& pool) const;
  static bool HasLate(const Pool& pool, const TopicPartition& partition);
  // Tells how many are late. After each change.
  void CountLate(const Executor* executor, const Pool& pool) const;
  std::shared_ptr<Pool> PoolOf(Executor* executor);
  const Pool* FindPool(const Executor* executor) const;
  void OnRead(Executor* executor, uint64_t number, absl::StatusOr<storage::ReadResult> result);
  void Keep(Pool* pool, Read read, storage::ReadResult result);
  void Offer(Pool* pool);
  void WakeParked(Pool* pool);
  void OnTimer();
  void ArmTimer();

  Executor* const executor_;
  const Clock& clock_;
  const Metrics metrics_;
  const std::function<void(const TopicPartition&, Offset, const absl::Status&)> on_failure_;
  // In the order of their first reads; as many as there are log directories.
  std::vector<std::pair<Executor*, std::shared_ptr<Pool>>> pools_;
  uint64_t next_number_ = 1;
  bool closed_ = false;
  const std::shared_ptr<FetchReader> nobody_ = std::make_shared<FetchReader>();
  DeadlineTimer timer_;
};

}  // namespace millrace::broker

#endif  // BROKER_COLD_READS_H_
