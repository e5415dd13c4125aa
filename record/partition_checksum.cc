#include "record/partition_checksum.h"

#include "base/coding.h"
#include "base/crc32c.h"

namespace millrace::record {

uint32_t PartitionChecksum(const TopicPartition& partition, uint32_t batch_crc) {
  char bytes[24];
  StoreBig<uint64_t>(bytes, partition.topic_id.uuid().high());
  StoreBig<uint64_t>(bytes + 8, partition.topic_id.uuid().low());
  StoreBig<int32_t>(bytes + 16, partition.partition.value());
  StoreBig<uint32_t>(bytes + 20, batch_crc);
  return Crc32c(Slice(bytes, sizeof(bytes)));
}

}  // namespace millrace::record
