#include "broker/time_lookup.h"

#include <memory>
#include <utility>

#include "base/status.h"

namespace millrace::broker {
namespace {

// Kept alive by whoever will call it: those who wait for a place, or the read that it has become.
class TimeLookupRun : public std::enable_shared_from_this<TimeLookupRun> {
 public:
  TimeLookupRun(ColdReads* reads, Executor* pool, const ColdReads::Key& key, TimeLookup lookup,
                TimeLookupDone done)
      : reads_(*reads),
        pool_(pool),
        key_(key),
        lookup_(std::move(lookup)),
        done_(std::move(done)) {}

  void Continue() {
    switch (reads_.RoomFor(pool_, key_.partition)) {
      case ColdReads::Room::kNow:
        return Begin();
      case ColdReads::Room::kBusy:
        // Told too if the disk turns out to hang.
        return reads_.AwaitRoom(pool_, [self = shared_from_this()] { self->Continue(); });
      case ColdReads::Room::kHangs:
        return Late();
    }
  }

 private:
  using Found = absl::StatusOr<std::optional<storage::TimestampAndOffset>>;

  void Begin() {
    // Written on the pool: nobody looks before that, and nobody at all if it is late.
    auto found = std::make_shared<Found>(absl::UnknownError(""));
    LogRead read;
    read.cold_reads = pool_;
    read.cold = [found, lookup = std::move(lookup_)]() mutable {
      *found = std::move(lookup)();
      // There is nothing to keep, and an error is told by what was found.
      return absl::StatusOr<storage::ReadResult>(storage::ReadResult());
    };
    reads_.Begin(key_, std::move(read), 0, nullptr,
                 [self = shared_from_this(), found](std::optional<ColdReads::Answer> answer) {
                   if (!answer.has_value()) return self->Late();
                   std::move(self->done_)(*std::move(found));
                 });
  }

  void Late() {
    std::move(done_)(MakeError(ErrorCode::kRequestTimedOut,
                               "the disk of this partition has not answered in time; try again"));
  }

  ColdReads& reads_;
  Executor* const pool_;
  const ColdReads::Key key_;
  TimeLookup lookup_;
  TimeLookupDone done_;
};

}  // namespace

void LookUpTime(ColdReads* reads, Executor* pool, const TopicPartition& partition,
                LeaderEpoch epoch, TimeLookup lookup, TimeLookupDone done) {
  const ColdReads::Key key{.partition = partition, .from = kNoOffset, .epoch = epoch};
  std::make_shared<TimeLookupRun>(reads, pool, key, std::move(lookup), std::move(done))->Continue();
}

}  // namespace millrace::broker
