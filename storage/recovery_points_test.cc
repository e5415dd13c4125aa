#include "storage/recovery_points.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

RecoveryPoint SomePoint(int64_t offset) {
  RecoveryPoint point;
  point.segment_base = Offset(100);
  point.offset = Offset(offset);
  point.position = 4096;
  point.last_batch = 4000;
  point.offset_index_bytes = 16;
  point.time_index_bytes = 24;
  point.index = {77, kTestTime, Offset(offset - 1), kTestTime - 5};
  point.first_timestamp_ms = kTestTime - 100;
  return point;
}

class RecoveryPointsTest : public testing::Test {
 protected:
  sim::SimFileSystem files_;
  RecoveryPoints points_{&files_, "points"};
  const TopicPartition a_ = LogFixture::Partition(0);
  const TopicPartition b_ = LogFixture::Partition(1);
};

TEST_F(RecoveryPointsTest, WhatIsWrittenIsRead) {
  points_.Set(a_, SomePoint(150));
  points_.Set(b_, SomePoint(160));
  ASSERT_OK(points_.Flush());
  RecoveryPoints again(&files_, "points");
  ASSERT_OK(again.Load());
  ASSERT_NE(again.Find(a_), nullptr);
  EXPECT_EQ(*again.Find(a_), SomePoint(150));
  EXPECT_EQ(*again.Find(b_), SomePoint(160));
}

TEST_F(RecoveryPointsTest, NothingIsWrittenIfNothingChanged) {
  points_.Set(a_, SomePoint(150));
  ASSERT_OK(points_.Flush());
  const uint64_t calls = files_.calls();
  points_.Set(a_, SomePoint(150));
  points_.Remove(b_);
  points_.KeepOnly({a_});
  ASSERT_OK(points_.RemoveNow(b_));
  ASSERT_OK(points_.Flush());
  EXPECT_EQ(files_.calls(), calls);
}

TEST_F(RecoveryPointsTest, WhatIsTakenBackIsDurablyGone) {
  points_.Set(a_, SomePoint(150));
  points_.Set(b_, SomePoint(160));
  ASSERT_OK(points_.Flush());
  ASSERT_OK(points_.RemoveNow(a_));
  sim::SimRandom random(1);
  const auto image = files_.CrashImage(sim::CrashMode::kLoseAll, random);
  RecoveryPoints again(image.get(), "points");
  ASSERT_OK(again.Load());
  EXPECT_EQ(again.Find(a_), nullptr);
  EXPECT_NE(again.Find(b_), nullptr);
}

TEST_F(RecoveryPointsTest, ADamagedFileIsNoHintAndIsMadeGood) {
  points_.Set(a_, SomePoint(150));
  ASSERT_OK(points_.Flush());
  const size_t bits = FileContents(files_, "points").size() * 8;
  for (size_t bit = 0; bit < bits; ++bit) {
    files_.FlipBit("points", bit);
    RecoveryPoints again(&files_, "points");
    ASSERT_OK(again.Load());
    EXPECT_EQ(again.Find(a_), nullptr) << bit;
    files_.FlipBit("points", bit);
  }
  files_.FlipBit("points", 3);
  RecoveryPoints again(&files_, "points");
  ASSERT_OK(again.Load());
  ASSERT_OK(again.Flush());
  EXPECT_EQ(FileContents(files_, "points"), EncodeRecoveryPoints({}));
}

TEST_F(RecoveryPointsTest, WhereThereIsNoRoomForTheNewFileTheOldOneGoes) {
  points_.Set(a_, SomePoint(150));
  points_.Set(b_, SomePoint(160));
  ASSERT_OK(points_.Flush());
  files_.SetCapacity(files_.used_bytes());
  ASSERT_OK(points_.RemoveNow(a_));
  sim::SimRandom random(1);
  const auto image = files_.CrashImage(sim::CrashMode::kLoseAll, random);
  RecoveryPoints again(image.get(), "points");
  ASSERT_OK(again.Load());
  EXPECT_EQ(again.Find(a_), nullptr);
  files_.SetCapacity(1 << 20);
  ASSERT_OK(points_.Flush());
  EXPECT_NE(FileContents(files_, "points"), EncodeRecoveryPoints({}));
}

TEST_F(RecoveryPointsTest, AFailedReadOrWriteIsAnError) {
  points_.Set(a_, SomePoint(150));
  files_.FailSyncs(true);
  EXPECT_THAT(points_.Flush(), HasCode(ErrorCode::kStorageError));
}

}  // namespace
}  // namespace millrace::storage
