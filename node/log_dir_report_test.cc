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
  broker::LogDirDescription bad;
  bad.path = "b";
  bad.status = MakeError(ErrorCode::kStorageError, "it burns");

  const v1::DescribeLogDirsResponse response = DescriptionOf(NodeId(5), {good, bad});
  EXPECT_EQ(response.broker_id(), 5);
  ASSERT_EQ(response.log_dirs_size(), 2);
  EXPECT_EQ(response.log_dirs(0).path(), "a");
  EXPECT_EQ(response.log_dirs(0).free_bytes(), 4);
  ASSERT_EQ(response.log_dirs(0).partitions_size(), 1);
  EXPECT_EQ(response.log_dirs(0).partitions(0).topic(), "t");
  EXPECT_EQ(response.log_dirs(0).partitions(0).partition(), 3);
  EXPECT_EQ(response.log_dirs(0).partitions(0).end_offset(), 7);
  EXPECT_EQ(static_cast<int>(response.log_dirs(1).code()),
            static_cast<int>(ErrorCode::kStorageError));
  EXPECT_EQ(response.log_dirs(1).message(), "it burns");
}

}  // namespace
}  // namespace millrace::node
