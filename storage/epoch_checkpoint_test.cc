#include "storage/epoch_checkpoint.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/checked_text.h"

namespace millrace::storage {
namespace {

TEST(EpochCheckpointTest, EpochsAndWhatTheyCoverComeBack) {
  EpochCache epochs;
  ASSERT_OK(epochs.Assign(LeaderEpoch(1), Offset(0)));
  ASSERT_OK(epochs.Assign(LeaderEpoch(4), Offset(70)));
  ASSERT_OK_AND_ASSIGN(const EpochCheckpoint read,
                       DecodeEpochCheckpoint(EncodeEpochCheckpoint(epochs, Offset(99)), "p"));
  EXPECT_EQ(read.epochs, epochs);
  EXPECT_EQ(read.covers_to, Offset(99));
}

TEST(EpochCheckpointTest, SenselessEntriesAreDamage) {
  for (const char* line : {"x 1", "1", "1 2 3"}) {
    EXPECT_THAT(DecodeEpochCheckpoint(EncodeCheckedText("epochs", {"9", line}), "p"),
                HasCode(ErrorCode::kCorruptLog));
  }
  EXPECT_THAT(DecodeEpochCheckpoint(EncodeCheckedText("epochs", {"9", "4 1", "3 2"}), "p"),
              HasCode(ErrorCode::kCorruptLog));
}

}  // namespace
}  // namespace millrace::storage
