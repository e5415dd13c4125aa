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

TEST(FakeReplicaLogTest, APowerLossKeepsWhatIsDurableAndPerhapsMore) {
  FakeReplicaLog log;
  ASSERT_OK(log.StageAsLeader(CopyOf(MakeBatch(2)), LeaderEpoch(1), {}));
  log.Sync();
  ASSERT_OK(log.StageAsLeader(CopyOf(MakeBatch(2)), LeaderEpoch(2), {}));
  ASSERT_OK(log.StageAsLeader(CopyOf(MakeBatch(2)), LeaderEpoch(3), {}));
  log.Write();
  const auto lost = log.CrashImage();
  EXPECT_EQ(lost->end_offset(), Offset(2));
  EXPECT_EQ(lost->latest_epoch(), LeaderEpoch(1));
  EXPECT_EQ(lost->durable_offset(), Offset(2));
  EXPECT_EQ(log.CrashImage(Offset(3))->end_offset(), Offset(4)) << "whole batches";
  EXPECT_EQ(log.CrashImage(log.written_offset())->end_offset(), Offset(6));
}

TEST(FakeReplicaLogTest, ACutTakesPositionsAndEpochsWithIt) {
  FakeReplicaLog log;
  ASSERT_OK(log.StageAsLeader(CopyOf(MakeBatch(2)), LeaderEpoch(1), {}));
  ASSERT_OK(log.StageAsLeader(CopyOf(MakeBatch(2)), LeaderEpoch(2), {}));
  log.Sync();
  EXPECT_EQ(log.EndOfEpoch(LeaderEpoch(1)), (storage::EpochEnd{LeaderEpoch(1), Offset(2)}));
  log.TruncateTo(Offset(2), Offset(1));
  EXPECT_EQ(log.end_offset(), Offset(2));
  EXPECT_EQ(log.durable_offset(), Offset(2));
  EXPECT_EQ(log.latest_epoch(), LeaderEpoch(1));
  log.ResetTo(Offset(50));
  EXPECT_EQ(log.log_start_offset(), Offset(50));
  EXPECT_EQ(log.latest_epoch(), kNoLeaderEpoch);
  EXPECT_EQ(log.StageAsFollower(MakeBatch(1), {}).status().ok(), false) << "it begins at 0";
}

TEST(FakeReplicaLogTest, ALogThatBeginsAnewIsTheOneOfBeforeUntilItIsDurable_S06) {
  FakeReplicaLog log;
  ASSERT_OK(log.StageAsLeader(CopyOf(MakeBatch(2)), LeaderEpoch(1), {}));
  log.Sync();
  log.ResetTo(Offset(50));
  EXPECT_EQ(log.written_offset(), Offset(50));
  EXPECT_EQ(log.durable_offset(), Offset(2));
  EXPECT_EQ(log.durable_log_start(), Offset(0));
  EXPECT_EQ(log.CrashImage()->end_offset(), Offset(2));
  EXPECT_EQ(log.CrashImage()->latest_epoch(), LeaderEpoch(1));
  EXPECT_EQ(log.KilledImage()->log_start_offset(), Offset(50));
  log.ResetTo(Offset(1));
  EXPECT_EQ(log.durable_offset(), Offset(1));
  EXPECT_EQ(log.CrashImage()->end_offset(), Offset(2));
  log.ResetTo(Offset(60));
  log.Sync();
  EXPECT_EQ(log.durable_offset(), Offset(60));
  EXPECT_EQ(log.durable_log_start(), Offset(60));
  EXPECT_EQ(log.CrashImage()->log_start_offset(), Offset(60));
}

}  // namespace
}  // namespace millrace::broker
