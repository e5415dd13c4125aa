// FetchMemory: the shares of the memory budget that the answers of fetches take, from when they are
// read until the network has sent them.
//
// Where there is no room, a read waits and is woken when some comes back; so readers that do not
// take what they asked for hold a bounded amount, however many they are.
//
// Nor do they hold up those that take theirs: a quarter of the budget is for readers of which
// nothing is on its way, a batch at a time. A slow one has its first batch from there and the rest
// from what all share, and waits for that alone. When even the quarter is used up, one batch at a
// time may exceed the budget, so that there is somebody who goes on.
//
// Not here: what comes in (rpc/read_gate.h), which has a budget of its own in the server, so that
// readers cannot keep producers out.
//
// Thread: strands are added before any is used; a Strand's functions: its executor; all else: any.
#ifndef BROKER_FETCH_MEMORY_H_
#define BROKER_FETCH_MEMORY_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/executor.h"
#include "base/memory_budget.h"

namespace millrace::broker {

// Who is answered: one stream, or one call. Counts what of its answers is on its way. Thread: any.
class FetchReader {
 public:
  bool is_owed_nothing() const { return shares_.load(std::memory_order_relaxed) == 0; }

 private:
  friend class FetchMemory;
  std::atomic<int> shares_{0};
};

class FetchMemory : public std::enable_shared_from_this<FetchMemory> {
 public:
  // Gives its bytes back when it goes.
  class Share {
   public:
    Share(Reservation reservation, std::shared_ptr<FetchReader> reader,
          std::shared_ptr<FetchMemory> beyond);
    ~Share();
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // Gives back what is more than `bytes`.
    void ShrinkTo(int64_t bytes);
    // From now on it is somebody else's; and if it may exceed the budget, another one may, too.
    void GiveTo(std::shared_ptr<FetchReader> reader);

   private:
    Reservation reservation_;
    std::shared_ptr<FetchReader> reader_;
    // Not null: this is the one that may exceed the budget.
    std::shared_ptr<FetchMemory> beyond_;
  };

  // Where reads wait: one per shard.
  class Strand {
   public:
    Strand(Executor* executor, std::function<void()> wake)
        : executor_(executor), wake_(std::move(wake)) {}
    // From now on the next bytes that come back call `wake`, once, on the executor. Ask again
    // whether there is room after this: some may have come back before.
    void Want();
    // The owner goes: no more calls.
    void Forget() { wanted_.store(false, std::memory_order_relaxed); }

   private:
    friend class FetchMemory;
    std::atomic<bool> wanted_{false};
    Executor* const executor_;
    const std::function<void()> wake_;
  };

  // Takes the budget's on_release, which keeps this as long as the budget lives. REQUIRES: nothing
  // is reserved yet; `budget` outlives every call.
  static std::shared_ptr<FetchMemory> Create(MemoryBudget* budget);

  // `wake` must be harmless when its owner has gone.
  std::shared_ptr<Strand> AddStrand(Executor* executor, std::function<void()> wake);

  // A read from a disk may take no more than this, of which `reads` are under way or kept for each
  // directory on every strand: so a disk that hangs keeps at most a quarter of the budget (S-37),
  // if batches are not larger.
  int64_t DiskReadBytesMax(int reads) const;

  // Null if there is no room now in what all readers share.
  std::unique_ptr<Share> TryTake(int64_t bytes, std::shared_ptr<FetchReader> reader);
  // For an answer of one batch; null if something is on its way to `reader`, or there is no room in
  // the quarter either while another batch is beyond the budget.
  std::unique_ptr<Share> TryTakeFirst(int64_t bytes, std::shared_ptr<FetchReader> reader);

 private:
  explicit FetchMemory(MemoryBudget* budget) : budget_(budget) {}
  void OnRelease();

  MemoryBudget* const budget_;
  std::atomic<bool> beyond_out_{false};
  std::vector<std::shared_ptr<Strand>> strands_;
};

// `bytes`, which keep `share` as long as anybody holds them.
Bytes WithShare(Bytes bytes, std::unique_ptr<FetchMemory::Share> share);

}  // namespace millrace::broker

#endif  // BROKER_FETCH_MEMORY_H_
