// FetchRun: one pass of reading over partitions of one shard, in the order given, within a budget
// of bytes. Reads of the tail are at hand; those that need the disk go to the cold-read pool of
// their log directory, one at a time, and the pass goes on when they return. One that takes too
// long is late (cold_reads.h): the pass goes on without it, so that a disk that hangs holds up no
// reads of others (S-37).
//
// What is read holds a share of the memory budget until it is sent. A pass that finds no room ends
// with what it has, or waits if that is nothing: it never waits while it holds memory.
//
// Made by Shard::Fetch; keeps itself alive until it is done. Thread: its shard's executor.
#ifndef BROKER_FETCH_RUN_H_
#define BROKER_FETCH_RUN_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "api/fetch.h"
#include "api/partition_name.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "broker/cold_reads.h"
#include "broker/fetch_memory.h"
#include "broker/replica.h"

namespace millrace::broker {

class Shard;

struct ShardFetchItem {
  // The caller's: comes back in the result.
  size_t slot = 0;
  TopicPartition topic_partition;
  Offset offset;
  std::optional<LeaderEpoch> leader_epoch;
  size_t bytes_max = 0;
  // As FetchQuery's.
  bool nearby = false;
};

struct ShardFetchResult {
  size_t slot = 0;
  api::PartitionOutcome outcome;
  Offset high_watermark = kNoOffset;
  Offset last_stable_offset = kNoOffset;
  Offset log_start_offset = kNoOffset;
  api::BatchPieces batches;
  size_t bytes = 0;
  // Where the next read continues.
  Offset next_offset = kNoOffset;
  // Not read: the disk has not answered in time. There may be something; the outcome is OK.
  bool late = false;
};

// Over all partitions of a call.
struct FetchBudget {
  size_t bytes_left = 0;
  // Nothing has been read yet: one batch may be larger than any limit.
  bool nothing_yet = true;
  // Who reads; null: somebody who is owed nothing.
  std::shared_ptr<FetchReader> reader = nullptr;
  // How long a pass waits for memory, or for its turn at a disk; then it goes on without.
  MonotonicTime waits_until = MonotonicTime::Never();
};

// The results in the order of the items, and what is left of the budget.
using ShardFetchDone = absl::AnyInvocable<void(std::vector<ShardFetchResult>, FetchBudget) &&>;

class FetchRun : public std::enable_shared_from_this<FetchRun> {
 public:
  // `memory` may be null: answers are not counted.
  FetchRun(std::shared_ptr<Shard> shard, std::shared_ptr<FetchMemory> memory,
           std::vector<ShardFetchItem> items, FetchBudget budget, ShardFetchDone done);

  void Start() { Continue(); }
  // Memory has come back since this was made to wait.
  void Resume() {
    waited_ = true;
    StopWaiting();
  }

 private:
  using SharePtr = std::unique_ptr<FetchMemory::Share>;
  enum class Step {
    kDone,       // The current result is complete.
    kElsewhere,  // The disk is asked; the pass goes on when it has answered.
    kNoMemory,   // Nothing was read.
    kNoRoom,     // Nor here: too many reads of that disk are under way.
  };

  // Reads on until a read needs the disk, or all is done.
  void Continue();
  // Until there is memory, or the time for that is over.
  void Await(Shard* shard);
  // The same, for a place among the reads of the disk that the last step named.
  void AwaitRoom(Shard* shard);
  void SetWaitTimer();
  void StopWaiting() {
    if (std::exchange(waiting_, false)) Continue();
  }
  Step ReadOne(const ShardFetchItem& item, ShardFetchResult* result);
  // The read of one query, and its share if it has any bytes.
  Step TakeRead(Replica* replica, const FetchQuery& query, ShardFetchResult* result);
  // Room for `bytes`, or for one batch; null if there is none. Sets *one_batch.
  SharePtr TakeShare(int64_t bytes, bool* one_batch);
  // What precedes a read of the disk; nullopt: it may begin. kDone: what a late one has brought is
  // taken, or the disk hangs.
  std::optional<Step> BeforeCold(Shard& shard, const ColdReads::Key& key, const LogRead& read,
                                 const FetchQuery& query, ShardFetchResult* result);
  void OnCold(std::optional<ColdReads::Answer> answer);
  // Takes a read into the current result, which holds `share` until its last bytes are let go.
  void Take(storage::ReadResult read, SharePtr share);

  // The shard must live while a read of it is under way, but must not be kept alive by one: it is
  // asked for again when the read returns.
  const std::weak_ptr<Shard> shard_;
  Executor* const executor_;
  const std::shared_ptr<FetchMemory> memory_;
  const MonotonicTime started_;
  std::vector<ShardFetchItem> items_;
  FetchBudget budget_;
  ShardFetchDone done_;
  std::vector<ShardFetchResult> results_;
  // For memory: it has its turn before those that came later.
  bool waited_ = false;
  bool waiting_ = false;
  bool timer_set_ = false;
  bool waits_no_more_ = false;
  // Whose turn is awaited.
  Executor* awaited_pool_ = nullptr;
};

}  // namespace millrace::broker

#endif  // BROKER_FETCH_RUN_H_
