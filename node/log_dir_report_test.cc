#include "node/log_dir_report.h"

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::node {
namespace {

TEST(LogDirReport, DescribesEachDirectoryWithItsPartitions) {
  broker::LogDirDescription good;
  good.path = "a";
  good.directory_id = DirectoryId(Uuid(2, 1));
  good.total_bytes = 10;
  good.free_bytes = 4;
  broker::ReplicaState& replica = good.replicas.emplace_back();
  replica.topic = "t";
  replica.topic_partition = {TopicId(Uuid(1, 1)), PartitionIndex(3)};
  replica.end_offset = Offset(7);
  EXPECT_TRUE(good.replicas[0].status.ok());
  broker::ReplicaState& damaged = good.replicas.emplace_back();
  damaged.topic = "u";
  damaged.status = MakeError(ErrorCode::kCorruptLog, "bits rot");
  broker::LogDirDescription bad;
  bad.path = "b";
  bad.status = MakeError(ErrorCode::kStorageError, "it burns");

  const v1::DescribeLogDirsResponse response = DescriptionOf(NodeId(5), {good, bad});
  EXPECT_EQ(response.broker_id(), 5);
  ASSERT_EQ(response.log_dirs_size(), 2);
  EXPECT_EQ(response.log_dirs(0).path(), "a");
  EXPECT_EQ(response.log_dirs(0).free_bytes(), 4);
  ASSERT_EQ(response.log_dirs(0).partitions_size(), 2);
  EXPECT_EQ(response.log_dirs(0).partitions(0).topic(), "t");
  EXPECT_EQ(response.log_dirs(0).partitions(0).partition(), 3);
  EXPECT_EQ(response.log_dirs(0).partitions(0).end_offset(), 7);
  EXPECT_EQ(response.log_dirs(0).partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED);
  EXPECT_EQ(response.log_dirs(0).partitions(1).code(), v1::ERROR_CODE_CORRUPT_LOG);
  EXPECT_EQ(response.log_dirs(0).partitions(1).message(), "bits rot");
  EXPECT_EQ(static_cast<int>(response.log_dirs(1).code()),
            static_cast<int>(ErrorCode::kStorageError));
  EXPECT_EQ(response.log_dirs(1).message(), "it burns");
  const v1::DescribeLogDirsResponse of_one = DescriptionOf(NodeId(5), {good, bad}, {"u"});
  EXPECT_EQ(of_one.log_dirs_size(), 2);
  ASSERT_EQ(of_one.log_dirs(0).partitions_size(), 1);
  EXPECT_EQ(of_one.log_dirs(0).partitions(0).topic(), "u");
}

}  // namespace
}  // namespace millrace::node
