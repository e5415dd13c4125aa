#include "raft/host/wal_files.h"

#include <optional>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "raft/host/wal_format.h"
#include "raft/host/wal_test_bed.h"

namespace millrace::raft {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;

class WalFilesTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(files_.Open()); }

  WalTestBed bed_;
  WalFiles files_{SmallWalOptions(), &bed_.files()};
};

TEST_F(WalFilesTest, ANewSegmentsNameIsDurableAtOnce) {
  ASSERT_OK_AND_ASSIGN(const WalSegmentFile segment, files_.Activate(1));
  EXPECT_EQ(segment.filled_bytes, SmallWalOptions().fill_step_bytes);
  sim::SimRandom random(1);
  auto image = bed_.files().CrashImage(sim::CrashMode::kLoseAll, random);
  ASSERT_OK_AND_ASSIGN(const bool exists, image->Exists(segment.path));
  EXPECT_TRUE(exists);
}

TEST_F(WalFilesTest, ASpareIsMadeInStepsAndThenUsed) {
  int steps = 0;
  for (; !files_.has_spare(); ++steps) ASSERT_OK(files_.PrepareSpareStep());
  EXPECT_EQ(steps, 8);
  EXPECT_THAT(bed_.Names(), ElementsAre("spare.wal"));
  ASSERT_OK_AND_ASSIGN(const WalSegmentFile segment, files_.Activate(3));
  EXPECT_EQ(segment.filled_bytes, SmallWalOptions().segment_bytes);
  EXPECT_THAT(bed_.Names(), ElementsAre(WalSegmentName(3)));
  EXPECT_FALSE(files_.has_spare());
}

TEST_F(WalFilesTest, AFullDiskOnlyDropsTheSpare) {
  ASSERT_OK(files_.PrepareSpareStep());
  bed_.files().SetCapacity(bed_.files().used_bytes() + 4096);
  EXPECT_OK(files_.PrepareSpareStep());
  EXPECT_FALSE(files_.has_spare());
  EXPECT_THAT(bed_.Names(), Not(Contains("spare.tmp")));
}

TEST_F(WalFilesTest, AFullDiskWithoutRoomForANameDropsTheSpareToo) {
  for (const auto step : {sim::SimCall::Kind::kCreate, sim::SimCall::Kind::kRename}) {
    bed_.files().SetFaults([step](const sim::SimCall& call) {
      return call.kind == step ? std::optional(sim::SimFault::kNoSpace) : std::nullopt;
    });
    for (int i = 0; i < 8; ++i) ASSERT_OK(files_.PrepareSpareStep());
    EXPECT_FALSE(files_.has_spare());
    EXPECT_THAT(bed_.Names(), ElementsAre());
  }
  bed_.files().ClearFaults();
  while (!files_.has_spare()) ASSERT_OK(files_.PrepareSpareStep());
  EXPECT_THAT(bed_.Names(), ElementsAre("spare.wal"));
}

TEST_F(WalFilesTest, AFullDiskIsToldWhereTheNextSegmentIsNeeded) {
  bed_.files().SetFaults([](const sim::SimCall& call) {
    return call.kind == sim::SimCall::Kind::kCreate ? std::optional(sim::SimFault::kNoSpace)
                                                    : std::nullopt;
  });
  EXPECT_THAT(files_.Activate(1), HasCode(ErrorCode::kStorageFull));
}

TEST_F(WalFilesTest, AnIoErrorOnTheSpareIsAnError) {
  bed_.files().FailSyncs(true);
  EXPECT_THAT(files_.PrepareSpareStep(), HasCode(ErrorCode::kStorageError));
}

TEST_F(WalFilesTest, AFullRetiredSegmentBecomesTheSpare) {
  ASSERT_OK_AND_ASSIGN(WalSegmentFile segment, files_.Activate(1));
  ASSERT_OK(files_.Fill(&segment, SmallWalOptions().segment_bytes));
  ASSERT_OK(files_.Retire({1, segment.filled_bytes, LogIndex(5)}));
  EXPECT_TRUE(files_.has_spare());
  EXPECT_THAT(bed_.Names(), ElementsAre("spare.wal"));
}

TEST_F(WalFilesTest, AShortRetiredSegmentIsRemoved) {
  ASSERT_OK_AND_ASSIGN(const WalSegmentFile segment, files_.Activate(1));
  ASSERT_OK(files_.Retire({1, segment.filled_bytes, LogIndex(5)}));
  EXPECT_FALSE(files_.has_spare());
  EXPECT_THAT(bed_.Names(), ElementsAre());
}

TEST_F(WalFilesTest, FillNeverGoesBeyondTheSegment) {
  ASSERT_OK_AND_ASSIGN(WalSegmentFile segment, files_.Activate(1));
  ASSERT_OK(files_.Fill(&segment, SmallWalOptions().segment_bytes - kWalBlockBytes));
  ASSERT_OK(files_.Fill(&segment, segment.filled_bytes + 1));
  EXPECT_EQ(segment.filled_bytes, SmallWalOptions().segment_bytes);
}

TEST_F(WalFilesTest, OpenRemovesAnUnfinishedSpareAndOneOfAnotherSize) {
  ASSERT_OK(files_.PrepareSpareStep());
  WalFiles again(SmallWalOptions(), &bed_.files());
  ASSERT_OK(again.Open());
  EXPECT_THAT(bed_.Names(), ElementsAre());
  while (!again.has_spare()) ASSERT_OK(again.PrepareSpareStep());
  WalOptions other = SmallWalOptions();
  other.segment_bytes *= 2;
  WalFiles larger(other, &bed_.files());
  ASSERT_OK(larger.Open());
  EXPECT_FALSE(larger.has_spare());
  EXPECT_THAT(bed_.Names(), ElementsAre());
}

}  // namespace
}  // namespace millrace::raft
