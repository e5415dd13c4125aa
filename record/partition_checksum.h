// PartitionChecksum: ties a batch to the partition it was made for (S-24).
//
// A batch's CRC does not cover its topic, so that a buffer used again while in flight can put
// records on the wrong topic unnoticed (KAFKA-19012). The producer therefore sends this sum beside
// each batch, and the leader checks it before it appends: WRONG_TOPIC_CHECKSUM.
//
// The sum is the CRC-32C of 24 bytes, big-endian: topic id (16), partition (4), the batch's CRC
// (4).
//
// Thread: any (a pure function).
#ifndef RECORD_PARTITION_CHECKSUM_H_
#define RECORD_PARTITION_CHECKSUM_H_

#include <cstdint>

#include "base/ids.h"

namespace millrace::record {

// `batch_crc` is BatchView::crc() of the batch that is sent with it.
uint32_t PartitionChecksum(const TopicPartition& partition, uint32_t batch_crc);

}  // namespace millrace::record

#endif  // RECORD_PARTITION_CHECKSUM_H_
