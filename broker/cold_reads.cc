#include "broker/cold_reads.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace millrace::broker {

ColdReads::Metrics ColdReads::MetricsIn(MetricRegistry* metrics,
                                        const std::map<std::string, Executor*>& pools) {
  Metrics cells;
  if (metrics == nullptr) return cells;
  // From 10 us, as all latencies.
  cells.seconds = &metrics->AddHistogram("millrace_broker_fetch_cold_read_seconds",
                                         "Time of fetches' reads that needed the disk.", 0.00001);
  for (const auto& [directory, pool] : pools) {
    cells.late[pool] = &metrics->AddGauge(
        "millrace_log_dir_late_reads",
        "Reads that the disk of a log directory has not answered within half a second.",
        {{"directory", directory}});
  }
  return cells;
}

ColdReads::ColdReads(
    Executor* executor, const Clock* clock, Metrics metrics,
    std::function<void(const TopicPartition&, Offset, const absl::Status&)> on_failure)
    : executor_(executor),
      clock_(*clock),
      metrics_(std::move(metrics)),
      on_failure_(std::move(on_failure)),
      timer_(executor, [this] { OnTimer(); }) {}

const ColdReads::Pool* ColdReads::FindPool(const Executor* executor) const {
  for (const auto& [key, pool] : pools_) {
    if (key == executor) return pool.get();
  }
  return nullptr;
}

std::shared_ptr<ColdReads::Pool> ColdReads::PoolOf(Executor* executor) {
  for (const auto& [key, pool] : pools_) {
    if (key == executor) return pool;
  }
  return pools_.emplace_back(executor, std::make_shared<Pool>()).second;
}

bool ColdReads::Hangs(const Pool& pool) const {
  return !pool.under_way.empty() && clock_.Now() - pool.silent_since >= kPatience;
}

bool ColdReads::HasLate(const Pool& pool, const TopicPartition& partition) {
  return std::any_of(pool.under_way.begin(), pool.under_way.end(), [&](const Read& read) {
    return read.done == nullptr && read.key.partition == partition;
  });
}

void ColdReads::CountLate(const Executor* executor, const Pool& pool) const {
  const auto gauge = metrics_.late.find(executor);
  if (gauge == metrics_.late.end()) return;
  gauge->second->Set(
      static_cast<double>(std::count_if(pool.under_way.begin(), pool.under_way.end(),
                                        [](const Read& read) { return read.done == nullptr; })));
}

// --- Reading ---

ColdReads::Room ColdReads::RoomFor(Executor* pool, const TopicPartition& partition) const {
  if (closed_) return Room::kHangs;
  const Pool* const found = FindPool(pool);
  if (found == nullptr) return Room::kNow;
  if (Hangs(*found) || HasLate(*found, partition)) return Room::kHangs;
  if (found->under_way.size() >= kUnderWayMax) return Room::kBusy;
  return found->waiting.empty() || found->offering ? Room::kNow : Room::kBusy;
}

void ColdReads::Begin(const Key& key, LogRead read, size_t bytes_max, Share share, Done done) {
  Executor* const pool_executor = read.cold_reads;
  Pool& pool = *PoolOf(pool_executor);
  CHECK_LT(pool.under_way.size(), static_cast<size_t>(kUnderWayMax));
  const MonotonicTime now = clock_.Now();
  if (pool.under_way.empty()) pool.silent_since = now;
  const uint64_t number = next_number_++;
  pool.under_way.push_back({number, key, bytes_max, std::move(share), now, std::move(done)});
  ArmTimer();
  pool_executor->Post([weak = weak_from_this(), executor = executor_, pool_executor, number,
                       cold = std::move(read.cold)]() mutable {
    absl::StatusOr<storage::ReadResult> result = std::move(cold)();
    executor->Post([weak, pool_executor, number, result = std::move(result)]() mutable {
      const std::shared_ptr<ColdReads> self = weak.lock();
      if (self != nullptr) self->OnRead(pool_executor, number, std::move(result));
    });
  });
}

void ColdReads::OnRead(Executor* executor, uint64_t number,
                       absl::StatusOr<storage::ReadResult> result) {
  if (closed_) return;
  // Held: a callback may end it all.
  const std::shared_ptr<Pool> held = PoolOf(executor);
  Pool& pool = *held;
  const auto found = std::find_if(pool.under_way.begin(), pool.under_way.end(),
                                  [&](const Read& read) { return read.number == number; });
  CHECK(found != pool.under_way.end());
  Read read = std::move(*found);
  pool.under_way.erase(found);
  const MonotonicTime now = clock_.Now();
  pool.silent_since = now;
  CountLate(executor, pool);
  if (metrics_.seconds != nullptr) {
    metrics_.seconds->Record(absl::ToDoubleSeconds(now - read.began));
  }
  if (read.done != nullptr) {
    std::move(read.done)(Answer{std::move(result), std::move(read.share)});
  } else if (result.ok()) {
    Keep(&pool, std::move(read), *std::move(result));
  } else {
    // Whoever asks again finds it out again.
    on_failure_(read.key.partition, read.key.from, result.status());
  }
  Offer(&pool);
  WakeParked(&pool);
  ArmTimer();
}

void ColdReads::Keep(Pool* pool, Read read, storage::ReadResult result) {
  if (result.bytes == 0) return;
  if (pool->kept.size() >= kKeptMax) pool->kept.pop_front();
  if (read.share != nullptr) read.share->ShrinkTo(static_cast<int64_t>(result.bytes));
  const bool is_oversized = result.bytes > read.bytes_max;
  pool->kept.push_back(
      {read.key, clock_.Now(), std::move(result), is_oversized, std::move(read.share)});
}

std::optional<ColdReads::Answer> ColdReads::TakeKept(Executor* executor, const Key& key,
                                                     size_t bytes_max, bool at_least_one) {
  const auto pool = std::find_if(pools_.begin(), pools_.end(),
                                 [&](const auto& entry) { return entry.first == executor; });
  if (pool == pools_.end()) return std::nullopt;
  std::deque<Kept>& kept = pool->second->kept;
  const auto found = std::find_if(kept.begin(), kept.end(), [&](const Kept& one) {
    return one.key == key && (one.read.bytes <= bytes_max || (one.is_oversized && at_least_one));
  });
  if (found == kept.end()) return std::nullopt;
  Answer answer{std::move(found->read), std::move(found->share)};
  kept.erase(found);
  return answer;
}

// --- Waiting ---

void ColdReads::AwaitRoom(Executor* pool, Task again) {
  PoolOf(pool)->waiting.push_back(std::move(again));
  ArmTimer();
}

void ColdReads::AwaitAnswer(Executor* pool, const TopicPartition& partition, ParkId id,
                            Task again) {
  const std::shared_ptr<Pool> at = PoolOf(pool);
  if (closed_ || !(Hangs(*at) || HasLate(*at, partition))) return std::move(again)();
  at->parked.push_back({partition, id, std::move(again)});
}

void ColdReads::Forget(ParkId id) {
  for (const auto& [executor, pool] : pools_) {
    auto& parked = pool->parked;
    parked.erase(std::remove_if(parked.begin(), parked.end(),
                                [&](const Parked& one) { return one.id == id; }),
                 parked.end());
  }
}

// One that wants no place any more leaves it to the next.
void ColdReads::Offer(Pool* pool) {
  if (std::exchange(pool->offering, true)) return;
  while (!pool->waiting.empty() && pool->under_way.size() < kUnderWayMax) {
    Task again = std::move(pool->waiting.front());
    pool->waiting.pop_front();
    std::move(again)();
  }
  pool->offering = false;
}

void ColdReads::WakeParked(Pool* pool) {
  // Out of the list first: they may park again, or forget each other.
  std::vector<Task> woken;
  for (size_t i = 0; i < pool->parked.size();) {
    if (HasLate(*pool, pool->parked[i].partition)) {
      ++i;
      continue;
    }
    woken.push_back(std::move(pool->parked[i].again));
    pool->parked.erase(pool->parked.begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (Task& again : woken) std::move(again)();
}

// --- Time, end ---

void ColdReads::OnTimer() {
  const MonotonicTime now = clock_.Now();
  std::vector<Task> told;
  for (const auto& [executor, pool] : pools_) {
    for (Read& read : pool->under_way) {
      if (read.done == nullptr || now - read.began < kPatience) continue;
      if (read.share != nullptr) read.share->GiveTo(nobody_);
      told.push_back(
          [done = std::exchange(read.done, nullptr)]() mutable { std::move(done)(std::nullopt); });
    }
    CountLate(executor, *pool);
    if (Hangs(*pool)) {
      for (Task& again : std::exchange(pool->waiting, {})) told.push_back(std::move(again));
    }
    while (!pool->kept.empty() && now - pool->kept.front().since >= kKeptFor) {
      pool->kept.pop_front();
    }
  }
  for (Task& tell : told) std::move(tell)();
  ArmTimer();
}

void ColdReads::ArmTimer() {
  MonotonicTime next = MonotonicTime::Never();
  for (const auto& [executor, pool] : pools_) {
    const auto first = std::find_if(pool->under_way.begin(), pool->under_way.end(),
                                    [](const Read& read) { return read.done != nullptr; });
    if (first != pool->under_way.end()) next = std::min(next, first->began + kPatience);
    if (!pool->waiting.empty() && !pool->under_way.empty()) {
      next = std::min(next, pool->silent_since + kPatience);
    }
    if (!pool->kept.empty()) next = std::min(next, pool->kept.front().since + kKeptFor);
  }
  timer_.Set(next);
}

void ColdReads::Close() {
  closed_ = true;
  timer_.Clear();
  const auto pools = std::exchange(pools_, {});
  for (const auto& [executor, pool] : pools) {
    for (Read& read : pool->under_way) {
      if (read.done != nullptr) std::exchange(read.done, nullptr)(std::nullopt);
    }
    pool->under_way.clear();
    CountLate(executor, *pool);
    for (Task& again : std::exchange(pool->waiting, {})) std::move(again)();
    for (Parked& parked : std::exchange(pool->parked, {})) std::move(parked.again)();
  }
}

void ColdReads::Abandon() {
  closed_ = true;
  // Out of the table first: what goes may look into it.
  const auto pools = std::exchange(pools_, {});
}

}  // namespace millrace::broker
