#include "broker/fetch_call.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::broker {
namespace {

// Where memory is short, one that would not wait for records waits a little for that: its client
// would only ask again at once.
constexpr absl::Duration kMemoryWaitMin = absl::Milliseconds(500);

}  // namespace

FetchCall::FetchCall(Gather* gather, api::FetchRequest request, const Caller& caller,
                     uint64_t rotation, Done done)
    : gather_(gather),
      request_(std::move(request)),
      caller_(caller),
      rotation_(rotation),
      done_(std::move(done)) {
  const absl::Duration wait =
      std::clamp(request_.max_wait, absl::ZeroDuration(), gather_->options().fetch_wait_max);
  deadline_ = gather_->now() + wait;
  const int64_t asked_max =
      request_.bytes_max > 0 ? request_.bytes_max : api::kDefaultFetchBytesMax;
  bytes_max_ = static_cast<size_t>(std::min(asked_max, gather_->options().fetch_bytes_max));
  bytes_min_ = request_.bytes_min > 0 ? request_.bytes_min : api::kDefaultFetchBytesMin;
}

void FetchCall::Start() {
  asked_.resize(request_.partitions.size());
  for (size_t i = 0; i < asked_.size(); ++i) {
    const api::FetchPartition& partition = request_.partitions[i];
    asked_[i].resolved = gather_->Resolve(partition.name, caller_, metadata::Operation::kRead);
    asked_[i].bytes_max = static_cast<size_t>(
        partition.bytes_max > 0 ? partition.bytes_max : api::kDefaultPartitionBytesMax);
  }
  ReadAll();
}

// --- One pass ---

void FetchCall::ReadAll() {
  response_.partitions.assign(asked_.size(), {});
  groups_.clear();
  next_group_ = 0;
  const MonotonicTime waits_until = std::max(deadline_, gather_->now() + kMemoryWaitMin);
  budget_ = {bytes_max_, true, reader_, waits_until};
  bytes_read_ = 0;
  any_failed_ = false;
  limits_reached_ = false;
  const bool nearby = gather_->IsNearby(request_.rack);
  for (size_t n = 0; n < asked_.size(); ++n) {
    const size_t i = (n + rotation_) % asked_.size();
    const api::FetchPartition& partition = request_.partitions[i];
    response_.partitions[i].name = partition.name;
    response_.partitions[i].fetch_offset = partition.offset;
    if (!asked_[i].resolved.ok()) {
      response_.partitions[i].outcome = api::PartitionOutcome::Of(asked_[i].resolved.status());
      any_failed_ = true;
      continue;
    }
    const TopicPartition& resolved = *asked_[i].resolved;
    response_.partitions[i].name.topic_id = resolved.topic_id;
    const std::shared_ptr<Shard>& shard = gather_->ShardOf(resolved);
    // Groups need not be consecutive for a shard: a shard is visited once, at its first partition.
    auto group = std::find_if(groups_.begin(), groups_.end(),
                              [&](const Group& g) { return g.shard == shard; });
    if (group == groups_.end()) group = groups_.insert(groups_.end(), Group{shard, {}});
    group->items.push_back({.slot = i,
                            .topic_partition = resolved,
                            .offset = partition.offset,
                            .leader_epoch = partition.leader_epoch,
                            .bytes_max = asked_[i].bytes_max,
                            .nearby = nearby});
  }
  ReadGroup();
}

void FetchCall::ReadGroup() {
  if (next_group_ == groups_.size()) return AfterPass();
  Group& group = groups_[next_group_++];
  gather_->Read(
      group.shard, std::move(group.items), budget_,
      [self = shared_from_this()](std::vector<ShardFetchResult> results, FetchBudget left) mutable {
        self->OnGroup(std::move(results), left);
      });
}

void FetchCall::OnGroup(std::vector<ShardFetchResult> results, FetchBudget budget) {
  budget_ = budget;
  for (ShardFetchResult& result : results) {
    api::FetchPartitionResult& out = response_.partitions[result.slot];
    out.outcome = std::move(result.outcome);
    out.high_watermark = result.high_watermark;
    out.last_stable_offset = result.last_stable_offset;
    out.log_start_offset = result.log_start_offset;
    out.batches = std::move(result.batches);
    gather_->FillHint(caller_, &out.outcome);
    if (out.outcome.ok()) {
      out.preferred_read_replica =
          gather_->NearReplica(*asked_[result.slot].resolved, request_.rack);
    }
    any_failed_ |= !out.outcome.ok();
    limits_reached_ |=
        out.outcome.ok() && !result.late && result.next_offset < result.last_stable_offset;
    bytes_read_ += static_cast<int64_t>(result.bytes);
    asked_[result.slot].next_offset = result.next_offset;
    asked_[result.slot].late = result.late;
  }
  ReadGroup();
}

void FetchCall::AfterPass() {
  if (done_ == nullptr) return;  // Cancelled.
  // Where there is more than the limits let through, waiting would bring nothing: whoever is parked
  // at a partition that has something to be read is woken at once, to read the same again.
  if (any_failed_ || limits_reached_ || bytes_read_ >= bytes_min_ || budget_.bytes_left == 0 ||
      asked_.empty() || gather_->now() >= deadline_) {
    return Answer();
  }
  Park();
}

// --- Waiting ---

void FetchCall::Park() {
  park_ = gather_->NewParkId();
  parked_since_ = gather_->now();
  // What was read goes: it is read again, perhaps with more behind it.
  response_.partitions.clear();
  const int64_t share =
      std::max<int64_t>(1, (bytes_min_ - bytes_read_) / static_cast<int64_t>(asked_.size()));
  const bool nearby = gather_->IsNearby(request_.rack);
  std::map<int, std::pair<std::shared_ptr<Shard>, std::vector<ParkItem>>> by_shard;
  for (size_t i = 0; i < asked_.size(); ++i) {
    const TopicPartition& partition = *asked_[i].resolved;
    const std::shared_ptr<Shard>& shard = gather_->ShardOf(partition);
    auto& [owner, items] = by_shard[shard->index()];
    owner = shard;
    items.push_back({.topic_partition = partition,
                     .offset = asked_[i].next_offset,
                     .leader_epoch = request_.partitions[i].leader_epoch,
                     .bytes_min = share,
                     .nearby = nearby,
                     .late = asked_[i].late});
  }
  if (!std::exchange(timer_set_, true)) {
    gather_->edge()->executor()->PostAt(deadline_, [weak = weak_from_this()] {
      const std::shared_ptr<FetchCall> self = weak.lock();
      if (self != nullptr && self->park_ != kNotParked) self->OnWake();
    });
  }
  // A partition may wake it at once; then the others must not be left parked.
  const ParkId park = park_;
  for (auto& [index, parked] : by_shard) {
    if (park_ != park) return;
    const std::shared_ptr<Shard> shard = parked.first;
    parked_at_.push_back(shard);
    gather_->On(shard, [self = shared_from_this(), shard, park,
                        items = std::move(parked.second)]() mutable {
      shard->Park(park, items, [self = std::move(self), shard, park]() mutable {
        Gather* const gather = self->gather_;
        gather->Back(*shard, [self = std::move(self), park] {
          if (self->park_ == park) self->OnWake();
        });
      });
    });
  }
}

void FetchCall::OnWake() {
  gather_->NoteWait(parked_since_);
  LeaveParks();
  ReadAll();
}

void FetchCall::LeaveParks() {
  const ParkId park = std::exchange(park_, kNotParked);
  for (const std::shared_ptr<Shard>& shard : std::exchange(parked_at_, {})) {
    gather_->On(shard, [shard, park] { shard->Unpark(park); });
  }
}

void FetchCall::Cancel() {
  done_ = nullptr;
  LeaveParks();
}

void FetchCall::Answer() {
  // Others had something, or time is over: the rest is to be asked for again.
  for (size_t i = 0; i < asked_.size(); ++i) {
    if (!asked_[i].late) continue;
    response_.partitions[i].outcome = api::PartitionOutcome::Of(
        MakeError(ErrorCode::kRequestTimedOut,
                  "the disk of this partition has not answered in time; try again"));
  }
  std::exchange(done_, nullptr)(std::move(response_));
}

}  // namespace millrace::broker
