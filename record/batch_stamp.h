// What is written into a batch that is built: its place in the log, by the broker that accepts it,
// and before that its place in its producer's order.
//
// Base offset and leader epoch lie outside the checksum, so that stamping them costs nothing and
// the producer's CRC stays the proof of the records. LogAppendTime lies inside: the only case in
// which a broker computes a checksum anew, as a producer does for its id. All write into memory
// that the caller owns and has not shared.
//
// Thread: any (pure functions on the caller's memory).
#ifndef RECORD_BATCH_STAMP_H_
#define RECORD_BATCH_STAMP_H_

#include <cstddef>
#include <cstdint>

#include "base/ids.h"
#include "record/format.h"

namespace millrace::record {

// REQUIRES: `batch` points to a whole validated batch; base_offset >= 0.
void StampBaseOffset(char* batch, Offset base_offset);

// REQUIRES: as above; leader_epoch >= kNoLeaderEpoch.
void StampLeaderEpoch(char* batch, LeaderEpoch leader_epoch);

// Makes `timestamp_ms` the time of every record: sets the timestamp type and max_timestamp, and
// computes the CRC anew (one pass over the bytes). REQUIRES: as above, of `size` bytes.
void StampLogAppendTime(char* batch, size_t size, int64_t timestamp_ms);

// Makes it the batch of `id` and `epoch` whose first record has `base_sequence` (KIP-98), and
// computes the CRC anew. REQUIRES: as above, of `size` bytes; none of the three is negative.
void StampProducer(char* batch, size_t size, ProducerId id, ProducerEpoch epoch,
                   int32_t base_sequence);

}  // namespace millrace::record

#endif  // RECORD_BATCH_STAMP_H_
