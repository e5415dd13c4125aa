#include "storage/producer_state.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::storage {
namespace {

absl::Status SequenceError(ErrorCode code, const record::BatchView& batch, absl::string_view what) {
  return MakeError(code,
                   absl::StrCat("producer ", batch.producer_id().value(), " epoch ",
                                batch.producer_epoch().value(), " sent sequence ",
                                batch.base_sequence(), ": ", what),
                   {.name = "base_sequence", .value = absl::StrCat(batch.base_sequence())});
}

}  // namespace

absl::StatusOr<std::optional<ProducerBatch>> ProducerState::Check(
    const record::BatchView& batch) const {
  if (!batch.has_producer_id() || batch.is_control()) return std::nullopt;
  const auto found = producers_.find(batch.producer_id());
  // A producer that nothing is known of may begin anywhere: its history may have expired.
  if (found == producers_.end()) return std::nullopt;
  const ProducerEntry& entry = found->second;
  if (batch.producer_epoch() < entry.epoch) {
    return MakeError(
        ErrorCode::kInvalidProducerEpoch,
        absl::StrCat("producer ", batch.producer_id().value(), " sent epoch ",
                     batch.producer_epoch().value(), ", but epoch ", entry.epoch.value(),
                     " has fenced it"),
        {.name = "producer_epoch", .value = absl::StrCat(batch.producer_epoch().value())});
  }
  if (batch.producer_epoch() > entry.epoch) {
    if (batch.base_sequence() == 0) return std::nullopt;
    return SequenceError(ErrorCode::kOutOfOrderSequenceNumber, batch,
                         "a new epoch begins with sequence 0");
  }
  if (entry.batches.empty()) return std::nullopt;
  for (const ProducerBatch& known : entry.batches) {
    if (known.first_sequence == batch.base_sequence() &&
        known.last_sequence == batch.last_sequence()) {
      return known;
    }
  }
  const int32_t expected = record::SequenceAfter(entry.batches.back().last_sequence, 1);
  if (batch.base_sequence() == expected) return std::nullopt;
  // Sequences wrap: what is less than half the circle behind is old, the rest is a gap.
  const uint32_t behind =
      (static_cast<uint32_t>(expected) - static_cast<uint32_t>(batch.base_sequence())) &
      0x7fffffffu;
  if (behind < 0x40000000u) {
    return SequenceError(ErrorCode::kDuplicateSequenceNumber, batch,
                         absl::StrCat("already appended; sequence ", expected, " is next"));
  }
  return SequenceError(ErrorCode::kOutOfOrderSequenceNumber, batch,
                       absl::StrCat("sequence ", expected, " is next"));
}

void ProducerState::Apply(const record::BatchView& batch, WallTime now) {
  if (!batch.has_producer_id()) return;
  ProducerEntry& entry = producers_[batch.producer_id()];
  if (batch.producer_epoch() != entry.epoch) {
    entry.epoch = batch.producer_epoch();
    entry.batches.clear();
  }
  entry.last_append = std::max(entry.last_append, now);
  if (batch.is_control() || batch.base_sequence() == record::kNoSequence) return;
  entry.batches.push_back({batch.base_sequence(), batch.last_sequence(), batch.base_offset(),
                           batch.last_offset(), batch.max_timestamp_ms()});
  Trim(&entry);
}

void ProducerState::Trim(ProducerEntry* entry) const {
  // The five that follow the oldest must be committed before it may go.
  while (entry->batches.size() > kBatchesRemembered &&
         entry->batches[kBatchesRemembered].last_offset < committed_) {
    entry->batches.pop_front();
  }
}

bool ProducerState::TruncateFromEnd(Offset end) {
  bool lost = false;
  for (auto it = producers_.begin(); it != producers_.end();) {
    std::deque<ProducerBatch>& batches = it->second.batches;
    const size_t before = batches.size();
    while (!batches.empty() && batches.back().last_offset >= end) batches.pop_back();
    if (batches.size() < before && batches.size() < kBatchesRemembered) lost = true;
    it = batches.empty() && before > 0 ? producers_.erase(it) : std::next(it);
  }
  return lost;
}

void ProducerState::MergeOlder(const ProducerState& older) {
  for (const auto& [id, theirs] : older.producers_) {
    const auto [it, added] = producers_.try_emplace(id, theirs);
    ProducerEntry& ours = it->second;
    if (added || ours.epoch != theirs.epoch) continue;
    std::deque<ProducerBatch> merged;
    for (const ProducerBatch& batch : theirs.batches) {
      if (ours.batches.empty() || batch.last_offset < ours.batches.front().base_offset) {
        merged.push_back(batch);
      }
    }
    merged.insert(merged.end(), ours.batches.begin(), ours.batches.end());
    ours.batches = std::move(merged);
    Trim(&ours);
  }
}

size_t ProducerState::Expire(WallTime now, int64_t expiration_ms) {
  return std::erase_if(producers_, [&](const auto& producer) {
    return now.ms - producer.second.last_append.ms > expiration_ms;
  });
}

}  // namespace millrace::storage
