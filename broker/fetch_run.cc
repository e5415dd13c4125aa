#include "broker/fetch_run.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "broker/shard.h"

namespace millrace::broker {
FetchRun::FetchRun(std::shared_ptr<Shard> shard, std::shared_ptr<FetchMemory> memory,
                   std::vector<ShardFetchItem> items, FetchBudget budget, ShardFetchDone done)
    : shard_(shard),
      executor_(shard->executor()),
      memory_(std::move(memory)),
      started_(shard->clock().Now()),
      items_(std::move(items)),
      budget_(std::move(budget)),
      done_(std::move(done)) {
  if (budget_.reader == nullptr) budget_.reader = std::make_shared<FetchReader>();
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
    switch (ReadOne(item, &result)) {
      case Step::kElsewhere:
        return;
      case Step::kNoMemory:
        // With something read the rest is for the next call: it is not waited for.
        if (!budget_.nothing_yet || waits_no_more_) break;
        results_.pop_back();
        return Await(shard.get());
      case Step::kNoRoom:
        if (!waits_no_more_) {
          results_.pop_back();
          return AwaitRoom(shard.get());
        }
        result.late = true;
        break;
      case Step::kDone:
        break;
    }
    shard->metrics().fetch.Answered(result.outcome.code, shard->clock().Now() - started_,
                                    static_cast<int64_t>(result.bytes));
  }
  std::move(done_)(std::move(results_), budget_);
}

void FetchRun::Await(Shard* shard) {
  waiting_ = true;
  shard->AwaitMemory(shared_from_this());
  SetWaitTimer();
}

void FetchRun::AwaitRoom(Shard* shard) {
  waiting_ = true;
  // The latest wait counts: one for memory, or for another disk, may still be called.
  shard->cold_reads().AwaitRoom(awaited_pool_,
                                [self = shared_from_this()] { self->StopWaiting(); });
  SetWaitTimer();
}

void FetchRun::SetWaitTimer() {
  if (budget_.waits_until == MonotonicTime::Never() || std::exchange(timer_set_, true)) return;
  executor_->PostAt(budget_.waits_until, [weak = weak_from_this()] {
    const std::shared_ptr<FetchRun> self = weak.lock();
    if (self == nullptr) return;
    self->waits_no_more_ = true;
    self->StopWaiting();
  });
}

FetchRun::Step FetchRun::ReadOne(const ShardFetchItem& item, ShardFetchResult* result) {
  const std::shared_ptr<Shard> shard = shard_.lock();
  absl::StatusOr<Replica*> replica = shard->Find(item.topic_partition);
  if (!replica.ok()) {
    result->outcome = api::PartitionOutcome::Of(replica.status());
    return Step::kDone;
  }
  FetchQuery query;
  query.offset = item.offset;
  query.leader_epoch = item.leader_epoch;
  query.nearby = item.nearby;
  query.now = shard->clock().Now();
  query.bytes_max = std::min(item.bytes_max, budget_.bytes_left);
  query.at_least_one = budget_.nothing_yet;
  // With nothing read yet, even a budget of nothing yields a batch.
  if (budget_.nothing_yet) query.bytes_max = std::max<size_t>(query.bytes_max, 1);
  return TakeRead(*replica, query, result);
}

FetchRun::Step FetchRun::TakeRead(Replica* replica, const FetchQuery& query,
                                  ShardFetchResult* result) {
  FetchAnswer answer = replica->Fetch(query);
  result->outcome = std::move(answer.outcome);
  result->high_watermark = answer.high_watermark;
  result->last_stable_offset = answer.last_stable_offset;
  result->log_start_offset = answer.log_start_offset;
  if (!result->outcome.ok()) return Step::kDone;
  const bool cold = !answer.read.result.has_value();
  size_t bytes_max = query.bytes_max;
  const std::shared_ptr<Shard> shard = shard_.lock();
  ColdReads::Key key;
  if (cold) {
    if (bytes_max == 0) return Step::kDone;
    key = {replica->topic_partition(), query.offset, replica->leader_epoch()};
    if (const auto step = BeforeCold(*shard, key, answer.read, query, result)) return *step;
    if (memory_ != nullptr) {
      bytes_max = std::min(bytes_max, static_cast<size_t>(memory_->DiskReadBytesMax(
                                          ColdReads::kUnderWayMax + ColdReads::kKeptMax)));
    }
  }
  SharePtr share;
  const size_t bytes = cold ? bytes_max : answer.read.result->bytes;
  if (bytes != 0 && memory_ != nullptr) {
    bool one_batch = false;
    share = TakeShare(static_cast<int64_t>(bytes), &one_batch);
    if (share == nullptr) return Step::kNoMemory;
    if (one_batch) bytes_max = 1;
  }
  if (bytes_max < query.bytes_max) {
    FetchQuery less = query;
    less.bytes_max = bytes_max;
    answer = replica->Fetch(less);
    // Between two calls nothing has changed.
    CHECK(answer.outcome.ok() && answer.read.result.has_value() == !cold);
  }
  if (!cold) {
    Take(*std::move(answer.read.result), std::move(share));
    return Step::kDone;
  }
  shard->cold_reads().Begin(key, std::move(answer.read), bytes_max, std::move(share),
                            [self = shared_from_this()](std::optional<ColdReads::Answer> answer) {
                              self->OnCold(std::move(answer));
                            });
  return Step::kElsewhere;
}

std::optional<FetchRun::Step> FetchRun::BeforeCold(Shard& shard, const ColdReads::Key& key,
                                                   const LogRead& read, const FetchQuery& query,
                                                   ShardFetchResult* result) {
  std::optional<ColdReads::Answer> kept =
      shard.cold_reads().TakeKept(read.cold_reads, key, query.bytes_max, query.at_least_one);
  if (kept.has_value()) {
    if (kept->share != nullptr) kept->share->GiveTo(budget_.reader);
    Take(*std::move(kept->read), std::move(kept->share));
    return Step::kDone;
  }
  switch (shard.cold_reads().RoomFor(read.cold_reads, key.partition)) {
    case ColdReads::Room::kNow:
      return std::nullopt;
    case ColdReads::Room::kBusy:
      awaited_pool_ = read.cold_reads;
      return Step::kNoRoom;
    case ColdReads::Room::kHangs:
      result->late = true;
      return Step::kDone;
  }
  return std::nullopt;
}

FetchRun::SharePtr FetchRun::TakeShare(int64_t bytes, bool* one_batch) {
  const std::shared_ptr<Shard> shard = shard_.lock();
  // Of what all share nobody takes before those that wait for it.
  const bool in_turn = waited_ || !shard->MemoryIsAwaited();
  SharePtr share = in_turn ? memory_->TryTake(bytes, budget_.reader) : nullptr;
  if (share != nullptr || !budget_.nothing_yet) return share;
  // Asked again after the wish is known: bytes may just have come back.
  shard->WantMemory();
  if (in_turn) share = memory_->TryTake(bytes, budget_.reader);
  if (share != nullptr) return share;
  *one_batch = true;
  return memory_->TryTakeFirst(bytes, budget_.reader);
}

void FetchRun::OnCold(std::optional<ColdReads::Answer> answer) {
  const std::shared_ptr<Shard> shard = shard_.lock();
  if (shard == nullptr) return;
  ShardFetchResult& result = results_.back();
  if (!answer.has_value()) {
    result.late = true;
  } else if (answer->read.ok()) {
    Take(*std::move(answer->read), std::move(answer->share));
  } else {
    result.outcome = api::PartitionOutcome::Of(answer->read.status());
    shard->NoteReadFailure(items_[results_.size() - 1].topic_partition, result.next_offset,
                           answer->read.status());
  }
  shard->metrics().fetch.Answered(result.outcome.code, shard->clock().Now() - started_,
                                  static_cast<int64_t>(result.bytes));
  Continue();
}

void FetchRun::Take(storage::ReadResult read, SharePtr share) {
  ShardFetchResult& result = results_.back();
  for (Bytes& piece : read.pieces) result.batches.push_back(std::move(piece));
  if (share != nullptr && !result.batches.empty()) {
    share->ShrinkTo(static_cast<int64_t>(read.bytes));
    // Pieces are sent in order: the last one goes last.
    Bytes& last = result.batches.back();
    last = WithShare(std::move(last), std::move(share));
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
