// Control records: what a control batch says to brokers and clients; never shown to applications.
//
// The key is {int16 version, int16 type}; the value depends on the type. The end of a transaction
// is one control batch with one record per partition, written by its leader for the coordinator
// (KIP-98). Types and layouts are Kafka's; unknown types and newer versions are readable as such.
//
// Thread: any (pure functions).
#ifndef RECORD_CONTROL_RECORD_H_
#define RECORD_CONTROL_RECORD_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "record/record.h"

namespace millrace::record {

// The numbers are the format's. A type that this version does not know is kept as its number.
enum class ControlType : int16_t {
  kAbort = 0,
  kCommit = 1,
  kLeaderChange = 2,
  kSnapshotHeader = 3,
  kSnapshotFooter = 4,
};

// The end of a transaction in one partition.
struct EndTransactionMarker {
  bool committed = false;
  // Of the transaction coordinator that wrote it: fences an older one (KIP-98).
  int32_t coordinator_epoch = 0;
};

// The type of a control batch's record. Errors: CORRUPT_MESSAGE if the key is missing or too short.
absl::StatusOr<ControlType> ControlTypeOf(const RecordView& record);

// Errors: CORRUPT_MESSAGE if the record is no kAbort or kCommit, or too short.
absl::StatusOr<EndTransactionMarker> ParseEndTransactionMarker(const RecordView& record);

// A control batch with one marker, as a partition's leader appends it; base offset and leader epoch
// are to be stamped.
Bytes BuildEndTransactionBatch(const EndTransactionMarker& marker, ProducerId producer_id,
                               ProducerEpoch producer_epoch, int64_t timestamp_ms);

}  // namespace millrace::record

#endif  // RECORD_CONTROL_RECORD_H_
