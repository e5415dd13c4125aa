#include "broker/fetch_run.h"

#include <algorithm>
#include <utility>

#include "base/status.h"
#include "broker/shard.h"

namespace millrace::broker {
namespace {

// Bytes that hold a share of the memory budget as long as anybody holds them.
Bytes WithReservation(Bytes bytes, const std::shared_ptr<Reservation>& reservation) {
  struct Held {
    Bytes bytes;
    std::shared_ptr<Reservation> reservation;
  };
  auto held = std::make_shared<const Held>(Held{std::move(bytes), reservation});
  const Slice view = held->bytes;
  return Bytes::Share(view, std::move(held));
}

}  // namespace

FetchRun::FetchRun(std::shared_ptr<Shard> shard, Executor* cold_reads, MemoryBudget* memory,
                   std::vector<ShardFetchItem> items, FetchBudget budget, ShardFetchDone done)
    : shard_(shard),
      executor_(shard->executor()),
      cold_reads_(cold_reads),
      memory_(memory),
      started_(shard->clock().Now()),
      items_(std::move(items)),
      budget_(budget),
      done_(std::move(done)) {
  results_.reserve(items_.size());
}

void FetchRun::Continue() {
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (shard == nullptr) return;
  while (results_.size() < items_.size()) {
    const ShardFetchItem& item = items_[results_.size()];
    ShardFetchResult& result = results_.emplace_back();
    result.slot = item.slot;
    result.next_offset = item.offset;
    if (!ReadOne(item, &result)) return;
    shard->metrics().fetch.Answered(result.outcome.code, shard->clock().Now() - started_,
                                    static_cast<int64_t>(result.bytes));
  }
  std::move(done_)(std::move(results_), budget_);
}

bool FetchRun::ReadOne(const ShardFetchItem& item, ShardFetchResult* result) {
  const std::shared_ptr<Shard> shard = shard_.lock();
  absl::StatusOr<Replica*> replica = shard->Find(item.topic_partition);
  if (!replica.ok()) {
    result->outcome = api::PartitionOutcome::Of(replica.status());
    return true;
  }
  FetchQuery query;
  query.offset = item.offset;
  query.leader_epoch = item.leader_epoch;
  query.bytes_max = std::min(item.bytes_max, budget_.bytes_left);
  query.at_least_one = budget_.nothing_yet;
  // With nothing read yet, even a budget of nothing yields a batch.
  if (budget_.nothing_yet) query.bytes_max = std::max<size_t>(query.bytes_max, 1);
  FetchAnswer answer = (*replica)->Fetch(query);
  result->outcome = std::move(answer.outcome);
  result->high_watermark = answer.high_watermark;
  result->last_stable_offset = answer.last_stable_offset;
  result->log_start_offset = answer.log_start_offset;
  if (!result->outcome.ok()) return true;
  if (answer.read.result) {
    Take(*std::move(answer.read.result), {});
    return true;
  }
  ReadCold(std::move(answer.read), query.bytes_max);
  return false;
}

void FetchRun::ReadCold(LogRead read, size_t bytes_max) {
  Reservation reservation;
  // Over the budget a read still makes progress, since its result is at most one answer's bytes and
  // the callers of answers are bounded; new calls wait at the edge meanwhile.
  if (memory_ != nullptr && !memory_->TryReserve(static_cast<int64_t>(bytes_max), &reservation)) {
    reservation = memory_->ReserveAlways(static_cast<int64_t>(bytes_max));
  }
  cold_reads_->Post([self = shared_from_this(), cold = std::move(read.cold),
                     reservation = std::move(reservation)]() mutable {
    absl::StatusOr<storage::ReadResult> result = std::move(cold)();
    Executor* const executor = self->executor_;
    executor->Post([self = std::move(self), result = std::move(result),
                    reservation = std::move(reservation)]() mutable {
      self->OnCold(std::move(result), std::move(reservation));
    });
  });
}

void FetchRun::OnCold(absl::StatusOr<storage::ReadResult> read, Reservation reservation) {
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (shard == nullptr) return;
  ShardFetchResult& result = results_.back();
  if (read.ok()) {
    Take(*std::move(read), std::move(reservation));
  } else {
    result.outcome = api::PartitionOutcome::Of(read.status());
  }
  shard->metrics().fetch.Answered(result.outcome.code, shard->clock().Now() - started_,
                                  static_cast<int64_t>(result.bytes));
  Continue();
}

void FetchRun::Take(storage::ReadResult read, Reservation reservation) {
  ShardFetchResult& result = results_.back();
  std::shared_ptr<Reservation> shared;
  if (reservation.bytes() != 0) shared = std::make_shared<Reservation>(std::move(reservation));
  for (Bytes& piece : read.pieces) {
    result.batches.push_back(shared == nullptr ? std::move(piece)
                                               : WithReservation(std::move(piece), shared));
  }
  if (const std::shared_ptr<Shard> shard = shard_.lock()) {
    shard->metrics().fetch.Records(read.next_offset - result.next_offset);
  }
  result.bytes = read.bytes;
  result.next_offset = read.next_offset;
  budget_.bytes_left -= std::min(budget_.bytes_left, read.bytes);
  if (read.bytes != 0) budget_.nothing_yet = false;
}

}  // namespace millrace::broker
