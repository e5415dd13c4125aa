// ProducerState: what a partition remembers of its idempotent producers (KIP-98): per producer id
// the epoch and the last batches, so that a retry is recognised and a gap refused.
//
// The log carries it: it is rebuilt by applying the batches, with snapshot files
// (producer_snapshot.h) to save reading all of them. The last five batches are kept, and beyond
// them those not committed yet: so that truncation of an uncommitted tail leaves exactly what was
// known before it.
//
// Owned by a Log; asked by the replica before it stages. Transactions add to it later.
// Thread: its owner (a value otherwise).
#ifndef STORAGE_PRODUCER_STATE_H_
#define STORAGE_PRODUCER_STATE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "record/batch_view.h"

namespace millrace::storage {

// One batch of a producer that the log holds.
struct ProducerBatch {
  int32_t first_sequence = 0;
  int32_t last_sequence = 0;
  Offset base_offset;
  Offset last_offset;
  int64_t max_timestamp_ms = 0;

  friend bool operator==(const ProducerBatch&, const ProducerBatch&) = default;
};

struct ProducerEntry {
  ProducerEpoch epoch = kNoProducerEpoch;
  // When the last batch was appended, as far as known: for expiry.
  WallTime last_append;
  // Oldest first. Empty if the epoch is known from a control batch only.
  std::deque<ProducerBatch> batches;

  friend bool operator==(const ProducerEntry&, const ProducerEntry&) = default;
};

class ProducerState {
 public:
  // How many batches a client may have in flight, and so how many are remembered.
  static constexpr size_t kBatchesRemembered = 5;

  ProducerState() = default;

  // Whether the leader may append `batch`. Nullopt: append it. A value: it is a retry of this
  // batch, which the log already holds: acknowledge that. Batches without a producer id are always
  // new. Errors: OUT_OF_ORDER_SEQUENCE_NUMBER, DUPLICATE_SEQUENCE_NUMBER (older than what is
  // remembered), INVALID_PRODUCER_EPOCH.
  absl::StatusOr<std::optional<ProducerBatch>> Check(const record::BatchView& batch) const;

  // Notes a batch that is now in the log (base offset stamped). Followers and recovery apply
  // without Check: the leader decided.
  void Apply(const record::BatchView& batch, WallTime now);

  // Batches below `high_watermark` will never be truncated: only the last five are still needed.
  void Committed(Offset high_watermark) { committed_ = high_watermark; }

  // Forgets batches at or after `end`. Returns whether a producer lost all that was remembered of
  // it, so that earlier batches of it may matter again (MergeOlder).
  bool TruncateFromEnd(Offset end);
  // Takes in what `older`, rebuilt from the log, knows and this does not.
  void MergeOlder(const ProducerState& older);

  // Forgets producers idle for longer than `expiration_ms`. Returns how many.
  size_t Expire(WallTime now, int64_t expiration_ms);
  void Clear() { producers_.clear(); }

  // Ordered, so that snapshots are the same everywhere.
  const std::map<ProducerId, ProducerEntry>& producers() const { return producers_; }
  std::map<ProducerId, ProducerEntry>& mutable_producers() { return producers_; }
  bool empty() const { return producers_.empty(); }

  friend bool operator==(const ProducerState& a, const ProducerState& b) {
    return a.producers_ == b.producers_;
  }

 private:
  void Trim(ProducerEntry* entry) const;

  std::map<ProducerId, ProducerEntry> producers_;
  Offset committed_{INT64_MAX};
};

}  // namespace millrace::storage

#endif  // STORAGE_PRODUCER_STATE_H_
