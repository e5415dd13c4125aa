#include "broker/waiters.h"

#include <algorithm>

namespace millrace::broker {

void ProduceWaiters::Add(const ProduceWaiter& waiter) {
  deadline_bound_ = waiters_.empty() ? waiter.deadline : std::min(deadline_bound_, waiter.deadline);
  if (waiters_.empty() || waiters_.back().end_offset <= waiter.end_offset) {
    waiters_.push_back(waiter);
    return;
  }
  const auto place = std::upper_bound(
      waiters_.begin(), waiters_.end(), waiter.end_offset,
      [](Offset end, const ProduceWaiter& other) { return end < other.end_offset; });
  // Before those that are synced it was itself, at a time that nobody noted.
  if (place < waiters_.begin() + static_cast<ptrdiff_t>(synced_)) ++synced_;
  waiters_.insert(place, waiter);
}

void ProduceWaiters::TakeSatisfied(Offset position, std::vector<ProduceWaiter>* out) {
  while (!waiters_.empty() && waiters_.front().end_offset <= position) {
    out->push_back(waiters_.front());
    waiters_.pop_front();
    if (synced_ > 0) --synced_;
  }
}

void ProduceWaiters::NoteSynced(Offset own_position, MonotonicTime now) {
  while (synced_ < waiters_.size() && waiters_[synced_].end_offset <= own_position) {
    waiters_[synced_].synced = now;
    ++synced_;
  }
}

void ProduceWaiters::TakeExpired(MonotonicTime now, std::vector<ProduceWaiter>* out) {
  if (next_deadline() > now) return;
  deadline_bound_ = MonotonicTime::Never();
  std::deque<ProduceWaiter> kept;
  size_t synced = 0;
  for (size_t i = 0; i < waiters_.size(); ++i) {
    const ProduceWaiter& waiter = waiters_[i];
    if (waiter.deadline <= now) {
      out->push_back(waiter);
    } else {
      synced += i < synced_ ? 1 : 0;
      kept.push_back(waiter);
      deadline_bound_ = std::min(deadline_bound_, waiter.deadline);
    }
  }
  waiters_ = std::move(kept);
  synced_ = synced;
}

void ProduceWaiters::TakeAll(std::vector<ProduceWaiter>* out) {
  out->insert(out->end(), waiters_.begin(), waiters_.end());
  waiters_.clear();
  synced_ = 0;
}

void FetchWaiters::Park(ParkId id, Offset offset, int64_t bytes_min) {
  waiters_[id] = {offset, committed_bytes_ + std::max<int64_t>(bytes_min, 1)};
}

void FetchWaiters::Advanced(Offset high_watermark, int64_t bytes, std::vector<ParkId>* woken) {
  committed_bytes_ += bytes;
  for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
    if (waiter->second.offset < high_watermark && waiter->second.wake_at <= committed_bytes_) {
      woken->push_back(waiter->first);
      waiter = waiters_.erase(waiter);
    } else {
      ++waiter;
    }
  }
}

int64_t UncommittedBytes::TakeUpTo(Offset high_watermark) {
  int64_t bytes = 0;
  while (!ranges_.empty() && ranges_.front().end_offset <= high_watermark) {
    bytes += ranges_.front().bytes;
    ranges_.pop_front();
  }
  return bytes;
}

void FetchWaiters::TakeAll(std::vector<ParkId>* woken) {
  for (const auto& [id, waiter] : waiters_) woken->push_back(id);
  waiters_.clear();
}

}  // namespace millrace::broker
