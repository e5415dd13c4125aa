#include "record/partition_checksum.h"

#include <string>

#include "base/crc32c.h"
#include "gmock/gmock.h"

namespace millrace::record {
namespace {

const TopicPartition kPartition = {TopicId(Uuid(0x0102030405060708, 0x090A0B0C0D0E0F10)),
                                   PartitionIndex(7)};

TEST(PartitionChecksumTest, IsTheCrcOfTwentyFourBigEndianBytes) {
  const std::string bytes(
      "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F\x10"
      "\x00\x00\x00\x07"
      "\xDE\xAD\xBE\xEF",
      24);
  EXPECT_EQ(PartitionChecksum(kPartition, 0xDEADBEEF), Crc32c(bytes));
  // Of the wire format: other clients compute the same.
  EXPECT_EQ(PartitionChecksum(kPartition, 0xDEADBEEF), 0xCCF20CB3u);
}

TEST(PartitionChecksumTest, ChangesWithTopicPartitionAndBatch) {
  const uint32_t sum = PartitionChecksum(kPartition, 1);
  EXPECT_NE(PartitionChecksum(kPartition, 2), sum);
  EXPECT_NE(PartitionChecksum({kPartition.topic_id, PartitionIndex(8)}, 1), sum);
  EXPECT_NE(PartitionChecksum({TopicId(Uuid(1, 2)), kPartition.partition}, 1), sum);
}

}  // namespace
}  // namespace millrace::record
