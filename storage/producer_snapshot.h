// The producer snapshot: a partition's ProducerState in a file `<offset>.snapshot`, holding what
// the batches below `offset` say. Written when a segment is sealed and at a clean stop; recovery
// starts from the newest valid one and applies the batches after it. Damaged or missing ones cost
// time only. (Kafka's file of this name remembers one batch per producer; this one five, so the
// format is our own.)
//
// Format, little-endian: docs/formats/producer_snapshot.md.
//
// Thread: any (pure functions).
#ifndef STORAGE_PRODUCER_SNAPSHOT_H_
#define STORAGE_PRODUCER_SNAPSHOT_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "storage/producer_state.h"

namespace millrace::storage {

inline constexpr uint32_t kProducerSnapshotMagic = 0x5053524d;  // "MRSP"
inline constexpr uint16_t kProducerSnapshotVersion = 1;

std::string EncodeProducerSnapshot(const ProducerState& state, Offset offset);
// Errors: CORRUPT_LOG if damaged or not of `offset`; UNSUPPORTED_FORMAT_VERSION if newer.
absl::StatusOr<ProducerState> DecodeProducerSnapshot(Slice contents, Offset offset);

}  // namespace millrace::storage

#endif  // STORAGE_PRODUCER_SNAPSHOT_H_
