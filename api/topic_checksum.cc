#include "api/topic_checksum.h"

#include <limits>

#include "base/status.h"
#include "record/batch_view.h"
#include "record/format.h"
#include "record/partition_checksum.h"

namespace millrace::api {
namespace {

// The CRC field, big-endian, of a batch that is at least a header long.
uint32_t CrcField(Slice batch) {
  uint32_t crc = 0;
  for (size_t i = 0; i < sizeof(crc); ++i) {
    crc = crc << 8 | static_cast<unsigned char>(batch[record::kCrcAt + i]);
  }
  return crc;
}

}  // namespace

absl::StatusOr<uint32_t> TopicChecksum(const TopicPartition& partition, Slice batches) {
  uint32_t sum = 0;
  do {
    ASSIGN_OR_RETURN(const size_t size,
                     record::PeekBatchSize(batches, std::numeric_limits<int32_t>::max()));
    // The framing promises no more than a length; a batch without its header has no CRC.
    if (size < record::kBatchHeaderSize || size > batches.size()) {
      return MakeError(ErrorCode::kCorruptMessage,
                       "a batch is cut off: its length field says more than there is; send whole "
                       "batches",
                       {.name = "batches", .value = std::to_string(size)});
    }
    sum = record::PartitionChecksum(partition, CrcField(batches) ^ sum);
    batches.remove_prefix(size);
  } while (!batches.empty());
  return sum;
}

}  // namespace millrace::api
