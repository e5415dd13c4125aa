#include "storage/batch_cursor.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

using Step = BatchCursor::Step;

class BatchCursorTest : public testing::Test {
 protected:
  // Three batches of two records, from offset 10 on.
  void SetUp() override {
    for (int i = 0; i < 3; ++i) {
      starts_.push_back(contents_.size());
      contents_ += MakeStampedBatch(Offset(10 + 2 * i), LeaderEpoch(1), "value", 2);
    }
  }
  const File& Write(const std::string& contents) {
    EXPECT_OK(ReplaceFile(files_, "file", contents));
    auto file = files_.Open("file", OpenMode::kRead);
    EXPECT_OK(file);
    file_ = *std::move(file);
    return *file_;
  }
  // Steps until the end or damage; how many batches came.
  int Count(BatchCursor& cursor, Step last) {
    int count = 0;
    while (true) {
      const absl::StatusOr<Step> step = cursor.Next();
      EXPECT_OK(step);
      if (!step.ok() || *step != Step::kBatch) {
        EXPECT_EQ(step.value(), last);
        return count;
      }
      EXPECT_EQ(cursor.position(), starts_[static_cast<size_t>(count)]);
      ++count;
    }
  }

  sim::SimFileSystem files_;
  std::unique_ptr<File> file_;
  std::string contents_;
  std::vector<uint64_t> starts_;
};

TEST_F(BatchCursorTest, GivesEveryBatchOnceWhateverItReadsAhead) {
  const File& file = Write(contents_);
  for (const size_t chunk : {1, 61, 64, 100, 4096}) {
    BatchCursor cursor(file, 0, contents_.size(), Offset(10), chunk);
    EXPECT_EQ(Count(cursor, Step::kEnd), 3);
    EXPECT_EQ(cursor.next_position(), contents_.size());
  }
}

TEST_F(BatchCursorTest, BeginsAtAPositionWithWhateverOffsetIsThere) {
  const File& file = Write(contents_);
  BatchCursor cursor(file, starts_[1], contents_.size(), std::nullopt);
  ASSERT_OK_AND_ASSIGN(const Step step, cursor.Next());
  EXPECT_EQ(step, Step::kBatch);
  EXPECT_EQ(cursor.batch().base_offset(), Offset(12));
  EXPECT_EQ(cursor.next_position(), starts_[2]);
}

TEST_F(BatchCursorTest, EveryFlippedByteOfABatchIsDamageWhereTheBatchBegins) {
  for (uint64_t at = starts_[1]; at < starts_[2]; ++at) {
    // The leader epoch is under no checksum.
    if (at - starts_[1] >= 12 && at - starts_[1] < 16) continue;
    std::string damaged = contents_;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    BatchCursor cursor(Write(damaged), 0, damaged.size(), Offset(10));
    EXPECT_EQ(Count(cursor, Step::kDamaged), 1) << at;
    EXPECT_EQ(cursor.position(), starts_[1]);
    EXPECT_THAT(cursor.damage(), HasCode(ErrorCode::kCorruptMessage));
  }
}

TEST_F(BatchCursorTest, ACutBatchIsDamageAtEveryLength) {
  for (size_t size = starts_[2] + 1; size < contents_.size(); ++size) {
    BatchCursor cursor(Write(contents_.substr(0, size)), 0, size, Offset(10));
    EXPECT_EQ(Count(cursor, Step::kDamaged), 2) << size;
  }
}

TEST_F(BatchCursorTest, OffsetsThatDoNotAbutAreDamage) {
  const std::string gap = contents_.substr(0, starts_[1]) + contents_.substr(starts_[2]);
  BatchCursor cursor(Write(gap), 0, gap.size(), Offset(10));
  EXPECT_EQ(Count(cursor, Step::kDamaged), 1);
  BatchCursor elsewhere(Write(contents_), 0, contents_.size(), Offset(11));
  EXPECT_EQ(Count(elsewhere, Step::kDamaged), 0);
}

TEST_F(BatchCursorTest, BytesBeyondTheEndAreNotLookedAt) {
  std::string damaged = contents_;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  BatchCursor cursor(Write(damaged), 0, starts_[2], Offset(10));
  EXPECT_EQ(Count(cursor, Step::kEnd), 2);
}

TEST_F(BatchCursorTest, AFailedReadIsAnErrorAndNoDamage) {
  const File& file = Write(contents_);
  files_.FailCallAt(files_.calls() + 1, sim::SimFault::kIoError);
  BatchCursor cursor(file, 0, contents_.size(), Offset(10));
  EXPECT_THAT(cursor.Next(), HasCode(ErrorCode::kStorageError));
}

TEST_F(BatchCursorTest, RoomAllocatedAheadIsZeroToItsLastByte) {
  const std::string zeros(600'000, '\0');
  ASSERT_OK_AND_ASSIGN(const bool zero, IsZeroFilled(Write("x" + zeros), 1, zeros.size() + 1));
  EXPECT_TRUE(zero);
  ASSERT_OK_AND_ASSIGN(const bool not_zero, IsZeroFilled(Write(zeros + "x"), 0, zeros.size() + 1));
  EXPECT_FALSE(not_zero);
  ASSERT_OK_AND_ASSIGN(const bool empty, IsZeroFilled(Write("x"), 1, 1));
  EXPECT_TRUE(empty);
}

}  // namespace
}  // namespace millrace::storage
