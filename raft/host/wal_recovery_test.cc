#include "raft/host/wal_recovery.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "raft/host/wal_format.h"
#include "raft/host/wal_test_bed.h"

namespace millrace::raft {
namespace {

using ::testing::Contains;
using ::testing::SizeIs;

// A log of several segments of some entries each.
class WalRecoveryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(bed_.Open());
    bed_.AppendHardState(1);
    for (int64_t i = 1; i <= 20; ++i) {
      bed_.AppendEntry(1, i, 20'000);
      bed_.Run();
    }
    bed_.Seal();
    bed_.Close();
  }
  absl::StatusOr<WalRecovered> Recover(EntryId snapshot = {}) {
    return RecoverWal(SmallWalOptions(), bed_.files(), snapshot);
  }
  std::string Segment(uint64_t generation) { return bed_.Path(WalSegmentName(generation)); }
  void Overwrite(uint64_t generation, uint64_t offset, const std::string& bytes) {
    ASSERT_OK_AND_ASSIGN(auto file, bed_.files().Open(Segment(generation), OpenMode::kReadWrite));
    ASSERT_OK(file->WriteAt(offset, bytes));
  }
  void Copy(uint64_t from, uint64_t to) {
    ASSERT_OK_AND_ASSIGN(const std::string bytes,
                         ReadWholeFile(bed_.files(), Segment(from), 1 << 20));
    ASSERT_OK_AND_ASSIGN(auto file, bed_.files().Open(Segment(to), OpenMode::kTruncateCreate));
    ASSERT_OK(file->WriteAt(0, bytes));
  }

  WalTestBed bed_;
};

TEST_F(WalRecoveryTest, SegmentsMakeOneLog) {
  ASSERT_OK_AND_ASSIGN(const WalRecovered recovered, Recover());
  EXPECT_THAT(recovered.recovery.entries, SizeIs(20));
  ASSERT_GE(recovered.position.segments.size(), 3u);
  EXPECT_EQ(recovered.position.segments.back().index_max, LogIndex(20));
  EXPECT_TRUE(recovered.position.can_continue);
  EXPECT_TRUE(recovered.position.last_is_seal);
}

TEST_F(WalRecoveryTest, AMissingSegmentIsCorruptionUnlessASnapshotCoversIt) {
  ASSERT_OK(bed_.files().RemoveFile(Segment(2)));
  EXPECT_THAT(Recover(), IsError(ErrorCode::kCorruptLog, "are missing"));
  ASSERT_OK_AND_ASSIGN(const WalRecovered recovered, Recover(EntryId{Term(1), LogIndex(15)}));
  EXPECT_THAT(recovered.recovery.entries, SizeIs(5));
  EXPECT_THAT(recovered.position.orphans, Contains(Segment(1)));
}

TEST_F(WalRecoveryTest, TheVoteSurvivesTheRecyclingOfItsSegment) {
  ASSERT_OK(bed_.files().RemoveFile(Segment(1)));
  ASSERT_OK_AND_ASSIGN(const WalRecovered recovered, Recover(EntryId{Term(1), LogIndex(12)}));
  EXPECT_EQ(recovered.recovery.hard_state, (HardState{Term(1), kWalTestVoter, LogIndex(0)}));
}

TEST_F(WalRecoveryTest, S09_ASegmentThatEndsBeforeItsSuccessorSaysIsCorruption) {
  ASSERT_OK_AND_ASSIGN(auto file, bed_.files().Open(Segment(1), OpenMode::kReadWrite));
  ASSERT_OK_AND_ASSIGN(const uint64_t size, file->Size());
  // Cut whole groups off: nothing in this segment can tell.
  ASSERT_OK(file->Truncate(size / kWalBlockBytes / 2 * kWalBlockBytes));
  EXPECT_THAT(Recover(), IsError(ErrorCode::kCorruptLog, "was durable"));
}

TEST_F(WalRecoveryTest, ASegmentUnderAnothersNameIsNotTaken) {
  Copy(1, 2);
  EXPECT_THAT(Recover(), HasCode(ErrorCode::kCorruptLog));
}

TEST_F(WalRecoveryTest, ANewestFileThatWasNeverStartedCountsForNothing) {
  Copy(1, 77);  // A recycled file: another generation's bytes.
  ASSERT_OK_AND_ASSIGN(const WalRecovered recovered, Recover());
  EXPECT_THAT(recovered.recovery.entries, SizeIs(20));
  EXPECT_THAT(recovered.position.orphans, Contains(Segment(77)));
  EXPECT_FALSE(recovered.position.can_continue) << "its generation is not used again";
  EXPECT_EQ(recovered.position.generation_max, 77u);
}

TEST_F(WalRecoveryTest, ADamagedStartOfTheNewestSegmentIsCorruptionNotAnOldLog) {
  ASSERT_OK_AND_ASSIGN(const WalRecovered recovered, Recover());
  const uint64_t newest = recovered.position.generation_max;
  Overwrite(newest, 0, std::string(100, 'x'));
  EXPECT_THAT(Recover(), IsError(ErrorCode::kCorruptLog, "later group"));
}

TEST_F(WalRecoveryTest, ADamagedStartOfAnInnerSegmentIsCorruption) {
  Overwrite(2, 8, "x");
  EXPECT_THAT(Recover(), IsError(ErrorCode::kCorruptLog, "first group"));
}

TEST_F(WalRecoveryTest, AFormatOfTheFutureIsNamedAndNotTouched) {
  ASSERT_OK_AND_ASSIGN(const WalRecovered recovered, Recover());
  WalGroupBuilder builder;
  WalGroupHeader header{
      .version = kWalVersion + 1, .flags = kWalFlagStart, .generation = 99, .number = 1};
  uint32_t chain = 0;
  const std::string group(builder.Finish(&header, &chain));
  ASSERT_OK(bed_.files().Open(Segment(99), OpenMode::kCreate).status());
  Overwrite(99, 0, group);
  EXPECT_THAT(Recover(), IsError(ErrorCode::kUnsupportedFormatVersion, "version 2"));
}

TEST_F(WalRecoveryTest, OtherFilesAreLeftAlone) {
  ASSERT_OK(bed_.files().Open(bed_.Path("README"), OpenMode::kCreate).status());
  ASSERT_OK(bed_.files().CreateDirectory(bed_.Path("lost+found")));
  EXPECT_OK(Recover());
  ASSERT_OK(bed_.Open());
  EXPECT_THAT(bed_.Names(), Contains("README"));
}

TEST_F(WalRecoveryTest, ATornTailIsReportedAndCut) {
  ASSERT_OK_AND_ASSIGN(const WalRecovered before, Recover());
  Overwrite(before.position.generation_max, before.position.tail_offset, "torn");
  ASSERT_OK_AND_ASSIGN(const WalRecovered recovered, Recover());
  ASSERT_TRUE(recovered.recovery.cut.has_value());
  EXPECT_EQ(recovered.recovery.cut->offset, before.position.tail_offset);
  EXPECT_THAT(recovered.recovery.entries, SizeIs(20));
  EXPECT_FALSE(recovered.position.can_continue);
}

TEST_F(WalRecoveryTest, S09_AGroupThatComesBackAfterItWasCutStaysCut) {
  ASSERT_OK(bed_.Open());
  bed_.AppendEntry(1, 21);
  bed_.Run();
  bed_.Close();
  ASSERT_OK_AND_ASSIGN(const WalRecovered whole, Recover());
  ASSERT_THAT(whole.recovery.entries, SizeIs(21));
  const std::string path = Segment(whole.position.generation_max);
  const uint64_t bit = (whole.position.last_group_offset + kWalGroupHeaderBytes) * 8;
  // The last group is damaged before its seal: a torn tail, cut by the next start.
  bed_.files().FlipBit(path, bit);
  ASSERT_OK(bed_.Open());
  EXPECT_THAT(bed_.recovery().entries, SizeIs(20));
  bed_.AppendEntry(2, 21);
  bed_.Run();
  bed_.Close();
  // The disk gives the right bytes again; they are not part of the log any more.
  bed_.files().FlipBit(path, bit);
  ASSERT_OK_AND_ASSIGN(const WalRecovered again, Recover());
  ASSERT_THAT(again.recovery.entries, SizeIs(21));
  EXPECT_EQ(again.recovery.entries.back(), TestEntry(2, 21));
}

}  // namespace
}  // namespace millrace::raft
