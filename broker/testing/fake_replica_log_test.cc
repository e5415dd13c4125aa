#include "broker/testing/fake_replica_log.h"

#include <cstring>

#include "base/status_matchers.h"

namespace millrace::broker {
namespace {

Buffer CopyOf(const Bytes& bytes) {
  Buffer buffer(bytes.size());
  std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return buffer;
}

TEST(FakeReplicaLogTest, PositionsMoveOnlyWhenTheTestSaysSo) {
  FakeReplicaLog log;
  ASSERT_OK(log.StageAsLeader(CopyOf(MakeBatch(3)), LeaderEpoch(1), {}));
  EXPECT_EQ(log.end_offset(), Offset(3));
  EXPECT_EQ(log.written_offset(), Offset(0));
  log.Write();
  EXPECT_EQ(log.written_offset(), Offset(3));
  EXPECT_EQ(log.durable_offset(), Offset(0));
  log.Sync();
  EXPECT_EQ(log.durable_offset(), Offset(3));
}

TEST(FakeReplicaLogTest, ReadsWholeBatchesWithinTheLimits) {
  FakeReplicaLog log;
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(log.StageAsLeader(CopyOf(MakeBatch(2)), LeaderEpoch(1), {}));
  }
  storage::ReadLimits limits;
  limits.up_to = Offset(4);
  ASSERT_OK_AND_ASSIGN(LogRead read, log.Read(Offset(1), limits));
  EXPECT_EQ(read.result->pieces.size(), 2u);
  EXPECT_EQ(read.result->next_offset, Offset(4));
}

}  // namespace
}  // namespace millrace::broker
