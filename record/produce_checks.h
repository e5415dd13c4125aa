// What a broker demands of a batch before it appends it, beyond that it is one.
//
// The cheap checks look at the header only. The deep ones decompress and walk every record, as
// Kafka's brokers do (LogValidator): they cost as much as consuming the batch, so that the topic's
// config decides. Not here: sequences and epochs of producers (storage), the leader epoch and the
// partition checksum of the request (partition_checksum.h).
//
// Thread: any (pure functions).
#ifndef RECORD_PRODUCE_CHECKS_H_
#define RECORD_PRODUCE_CHECKS_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "record/batch_view.h"
#include "record/compression.h"

namespace millrace::record {

struct ProduceChecks {
  // The topic's max.message.bytes: of the whole batch, as it arrives.
  size_t batch_bytes_max = std::numeric_limits<int32_t>::max();
  // Decompress and walk the records: structure, offset deltas 0 to n-1, max_timestamp.
  bool deep = false;
  // The topic is compacted: every record needs a key. Implies the deep checks.
  bool keys_required = false;
  // For the deep checks.
  DecompressionLimits limits = {};
};

// The one batch that `bytes` is, parsed and checked. Errors: those of BatchView::Parse and
// CheckProducedBatch; INVALID_RECORD if something follows the batch.
absl::StatusOr<BatchView> ParseProducedBatch(Slice bytes, const ProduceChecks& checks);

// Errors: MESSAGE_TOO_LARGE; INVALID_RECORD if it holds no records, its offsets have holes, it is a
// control batch or has a delete horizon, or its producer fields contradict each other;
// INVALID_TIMESTAMP if the client claims LogAppendTime or a max_timestamp that no record has; with
// deep checks CORRUPT_MESSAGE for malformed records.
absl::Status CheckProducedBatch(const BatchView& batch, const ProduceChecks& checks);

}  // namespace millrace::record

#endif  // RECORD_PRODUCE_CHECKS_H_
