// ProduceWaiters and FetchWaiters: requests parked as data until a position moves. And
// UncommittedBytes, by which the latter learn how much a move has brought.
//
// Produce waiters are keyed (leader epoch, offset) (S-11): all of a queue belong to one epoch, and
// whoever changes the epoch fails them. Fetch waiters wait for the high watermark to pass their
// offset with enough bytes. Neither holds a callback: they name requests by id, and who parked a
// request knows what to do.
//
// Thread: their Replica's.
#ifndef BROKER_WAITERS_H_
#define BROKER_WAITERS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "base/ids.h"
#include "base/monotonic_time.h"
#include "base/strong_id.h"

namespace millrace::broker {

// One partition of one request to produce or to delete, within its shard.
using ProduceId = StrongId<struct ProduceIdTag, uint64_t>;
// One parked fetch (over any number of partitions), within the broker.
using ParkId = StrongId<struct ParkIdTag, uint64_t>;

struct ProduceWaiter {
  ProduceId id;
  // Satisfied when the position is at or beyond this.
  Offset end_offset;
  Offset base_offset;
  int64_t log_append_time_ms = -1;
  MonotonicTime deadline;
  // When the leader's own position satisfied it; zero: not known.
  MonotonicTime synced = {};
};

// Waiters on one position, in order of offset.
class ProduceWaiters {
 public:
  // Cheap at the back, where new batches go; anywhere else for a retry of an older batch.
  void Add(const ProduceWaiter& waiter);
  // Moves those that `position` satisfies to `out`.
  void TakeSatisfied(Offset position, std::vector<ProduceWaiter>* out);
  // Notes `now` as `synced` for those that the leader's own position satisfies and has not before:
  // each is looked at once, however long it waits.
  void NoteSynced(Offset own_position, MonotonicTime now);
  // Moves those whose deadline is at or before `now` to `out`.
  void TakeExpired(MonotonicTime now, std::vector<ProduceWaiter>* out);
  void TakeAll(std::vector<ProduceWaiter>* out);

  // Not later than the earliest deadline, perhaps earlier: a scan then finds nothing and learns
  // better. Deadlines are not kept sorted, since almost no waiter ever reaches its own.
  MonotonicTime next_deadline() const {
    return waiters_.empty() ? MonotonicTime::Never() : deadline_bound_;
  }
  bool empty() const { return waiters_.empty(); }
  size_t size() const { return waiters_.size(); }

 private:
  std::deque<ProduceWaiter> waiters_;
  // So many at the front have `synced`, if they ever will.
  size_t synced_ = 0;
  MonotonicTime deadline_bound_ = MonotonicTime::Never();
};

// Fetches parked at the end of one partition.
class FetchWaiters {
 public:
  // Wakes `id` once the high watermark is beyond `offset` and at least `bytes_min` have been
  // committed from now on. An id parks once per partition.
  void Park(ParkId id, Offset offset, int64_t bytes_min);
  void Unpark(ParkId id) { waiters_.erase(id); }

  // The high watermark rose to `high_watermark`, by `bytes`; the woken are unparked.
  void Advanced(Offset high_watermark, int64_t bytes, std::vector<ParkId>* woken);
  // For a change of role or epoch, after which waiting makes no sense.
  void TakeAll(std::vector<ParkId>* woken);

  size_t size() const { return waiters_.size(); }

 private:
  struct Waiter {
    Offset offset;
    // Of committed_bytes_.
    int64_t wake_at;
  };
  // Ordered, so that waking is the same in every run.
  std::map<ParkId, Waiter> waiters_;
  int64_t committed_bytes_ = 0;
};

// The sizes of what was appended and is not committed yet, in order of offset.
class UncommittedBytes {
 public:
  void Add(Offset end_offset, int64_t bytes) { ranges_.push_back({end_offset, bytes}); }
  // What follows is appended elsewhere in the log, or has another fate.
  void Clear() { ranges_.clear(); }
  // The bytes of what a rise of the high watermark commits, as far as it was added.
  int64_t TakeUpTo(Offset high_watermark);

 private:
  struct Range {
    Offset end_offset;
    int64_t bytes;
  };
  std::deque<Range> ranges_;
};

}  // namespace millrace::broker

#endif  // BROKER_WAITERS_H_
