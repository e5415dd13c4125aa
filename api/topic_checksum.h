// TopicChecksum: the sum that ties the batches of one produce request to their partition (S-24).
//
// One batch: record::PartitionChecksum of its CRC. Several: chained, each batch's CRC xored with
// the sum so far, so that the order counts too. Both sides compute it with this function.
//
// Thread: any (a pure function).
#ifndef API_TOPIC_CHECKSUM_H_
#define API_TOPIC_CHECKSUM_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/ids.h"

namespace millrace::api {

// `batches` is one or more whole batches, framed by their length fields; their CRCs are taken as
// they stand. Errors: CORRUPT_MESSAGE if they cannot be framed.
absl::StatusOr<uint32_t> TopicChecksum(const TopicPartition& partition, Slice batches);

}  // namespace millrace::api

#endif  // API_TOPIC_CHECKSUM_H_
