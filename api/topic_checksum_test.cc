#include "api/topic_checksum.h"

#include <string>

#include "base/status_matchers.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"
#include "record/partition_checksum.h"

namespace millrace::api {
namespace {

const TopicPartition kPartition{TopicId(Uuid(1, 2)), PartitionIndex(3)};

std::string Batch(Slice value) {
  record::BatchBuilder builder({});
  builder.Add(1, absl::nullopt, value);
  return builder.Build().ToString();
}

TEST(TopicChecksum, OfOneBatchIsItsPartitionChecksum) {
  const std::string batch = Batch("a");
  ASSERT_OK_AND_ASSIGN(const record::BatchView view, record::BatchView::Parse(batch));
  EXPECT_EQ(*TopicChecksum(kPartition, batch), record::PartitionChecksum(kPartition, view.crc()));
}

TEST(TopicChecksum, DependsOnPartitionTopicAndOrder_S24) {
  const std::string batches = Batch("a") + Batch("b");
  const uint32_t sum = *TopicChecksum(kPartition, batches);
  EXPECT_NE(sum, *TopicChecksum({kPartition.topic_id, PartitionIndex(4)}, batches));
  EXPECT_NE(sum, *TopicChecksum({TopicId(Uuid(1, 3)), kPartition.partition}, batches));
  EXPECT_NE(sum, *TopicChecksum(kPartition, Batch("b") + Batch("a")));
}

TEST(TopicChecksum, RefusesWhatCannotBeFramed) {
  EXPECT_THAT(TopicChecksum(kPartition, ""), HasCode(ErrorCode::kCorruptMessage));
  const std::string batch = Batch("a");
  EXPECT_THAT(TopicChecksum(kPartition, batch.substr(0, batch.size() - 1)),
              HasCode(ErrorCode::kCorruptMessage));
  EXPECT_THAT(TopicChecksum(kPartition, batch + "junk"), HasCode(ErrorCode::kCorruptMessage));
}

}  // namespace
}  // namespace millrace::api
