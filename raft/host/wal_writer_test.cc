#include "raft/host/wal_writer.h"

#include <algorithm>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "raft/host/wal_format.h"
#include "raft/host/wal_reader.h"
#include "raft/host/wal_test_bed.h"

namespace millrace::raft {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Not;

// Collects the flags of all groups, and their number per segment.
class Groups : public WalVisitor {
 public:
  explicit Groups(WalTestBed& bed) { EXPECT_OK(VisitWal(bed.files(), kWalTestDirectory, this)); }
  void OnSegment(const std::string&, uint64_t generation, uint64_t) override {
    generations.push_back(generation);
  }
  void OnGroup(const WalGroup& group, bool) override {
    flags.push_back(group.header.flags);
    durable_through.push_back(group.header.durable_through);
  }
  void OnRecord(const WalRecord& record, uint64_t) override { types.push_back(record.type); }
  void OnTail(const WalScan&) override {}

  std::vector<uint64_t> generations;
  std::vector<uint16_t> flags;
  std::vector<uint64_t> durable_through;
  std::vector<WalRecordType> types;
};

TEST(WalWriterTest, S09_AnIdleLogIsSealedWithin20Ms) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  bed.AppendEntry(1, 1);
  bed.Run(absl::Milliseconds(1));
  EXPECT_THAT(Groups(bed).flags, ElementsAre(kWalFlagStart, 0));
  bed.Run(absl::Milliseconds(19));
  EXPECT_THAT(Groups(bed).flags, ElementsAre(kWalFlagStart, 0, kWalFlagSeal));
  bed.Run(absl::Seconds(10));
  EXPECT_THAT(Groups(bed).flags, ElementsAre(kWalFlagStart, 0, kWalFlagSeal)) << "only once";
}

TEST(WalWriterTest, ABusyLogIsNotSealed) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  for (int64_t i = 1; i <= 15; ++i) {
    bed.AppendEntry(1, i);
    bed.Run(absl::Milliseconds(5));
  }
  EXPECT_THAT(Groups(bed).flags, Not(Contains(kWalFlagSeal)));
}

TEST(WalWriterTest, S09_EachGroupSaysThatAllBeforeItAreDurable) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  for (int64_t i = 1; i <= 3; ++i) {
    bed.AppendEntry(1, i);
    bed.Run();
  }
  bed.Seal();
  EXPECT_THAT(Groups(bed).durable_through, ElementsAre(0, 1, 2, 3, 4));
}

TEST(WalWriterTest, S09_EverySegmentBeginsWithHardStateAndVoters) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  bed.AppendHardState(1);
  for (int64_t i = 1; i <= 20; ++i) bed.AppendEntry(1, i, 30'000);
  bed.Run();
  const Groups groups(bed);
  ASSERT_GE(groups.generations.size(), 4u);
  for (size_t i = 0; i < groups.types.size(); ++i) {
    if (groups.types[i] != WalRecordType::kSegmentStart) continue;
    ASSERT_LT(i + 2, groups.types.size());
    EXPECT_EQ(groups.types[i + 1], WalRecordType::kHardState);
    EXPECT_EQ(groups.types[i + 2], WalRecordType::kVoters);
  }
}

TEST(WalWriterTest, ReleasedSegmentsAreRecycledUnderAHigherGeneration) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  int64_t index = 0;
  std::vector<size_t> files;
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 4; ++i) bed.AppendEntry(1, ++index, 30'000);
    bed.Run();
    bed.wal().ReleaseBefore(LogIndex(index - 3));
    bed.Run();
    files.push_back(bed.Names().size());
  }
  EXPECT_THAT(files, Each(::testing::Le(4u))) << "released files are used again";
  EXPECT_GE(Groups(bed).generations.back(), 30u);
  bed.Close();
  ASSERT_OK(bed.Open(SmallWalOptions(), EntryId{Term(1), LogIndex(index - 4)}));
  EXPECT_EQ(bed.recovery().entries.size(), 4u);
}

TEST(WalWriterTest, NothingAboveTheReleasedIndexGoes) {
  for (int64_t released = 1; released <= 20; ++released) {
    WalTestBed bed;
    ASSERT_OK(bed.Open());
    for (int64_t i = 1; i <= 20; ++i) bed.AppendEntry(1, i, 30'000);
    bed.Run();
    bed.wal().ReleaseBefore(LogIndex(released));
    bed.Run();
    bed.Close();
    const int64_t term = released == 1 ? 0 : 1;
    ASSERT_OK(bed.Open(SmallWalOptions(), EntryId{Term(term), LogIndex(released - 1)})) << released;
    ASSERT_EQ(bed.recovery().entries.size(), static_cast<size_t>(21 - released));
    EXPECT_EQ(bed.recovery().entries[0], TestEntry(1, released, 30'000));
  }
}

TEST(WalWriterTest, ASealedCleanLogGoesOnInItsSegment) {
  WalTestBed bed;
  for (int64_t i = 1; i <= 5; ++i) {
    ASSERT_OK(bed.Open());
    bed.AppendEntry(1, i);
    bed.Seal();
    bed.Close();
  }
  EXPECT_THAT(Groups(bed).generations, ElementsAre(1));
  ASSERT_OK(bed.Open());
  EXPECT_EQ(bed.recovery().entries.size(), 5u);
}

TEST(WalWriterTest, S09_ACutOpensASegmentOfAHigherGenerationBeforeAnythingElse) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  bed.AppendEntry(1, 1);
  bed.Seal();
  bed.Close();
  {
    ASSERT_OK_AND_ASSIGN(auto file,
                         bed.files().Open(bed.Path(WalSegmentName(1)), OpenMode::kReadWrite));
    ASSERT_OK(file->WriteAt(3 * kWalBlockBytes, "a torn group"));
  }
  ASSERT_OK(bed.Open());
  EXPECT_TRUE(bed.recovery().cut.has_value());
  sim::SimRandom random(1);
  WalTestBed crashed(bed.files().CrashImage(sim::CrashMode::kLoseAll, random));
  EXPECT_THAT(Groups(crashed).generations, ElementsAre(1, 2));
  ASSERT_OK(crashed.Open());
  EXPECT_FALSE(crashed.recovery().cut.has_value()) << "the new segment has taken over";
  EXPECT_EQ(crashed.recovery().entries.size(), 1u);
}

TEST(WalWriterTest, AnAppendIntoFilledSpaceChangesNoFileSize) {
  WalTestBed bed;
  WalOptions options = SmallWalOptions();
  options.segment_bytes = 1 << 20;
  options.fill_step_bytes = 64 << 10;
  ASSERT_OK(bed.Open(options));
  bed.Run();
  // Between an append and its callback: one write, one sync, no filling.
  std::vector<sim::SimCall::Kind> calls;
  bool waiting = false;
  bed.files().SetOnCall([&](const sim::SimCall& call) {
    if (waiting) calls.push_back(call.kind);
  });
  for (int64_t i = 1; i <= 60; ++i) {
    waiting = true;
    calls.clear();
    WalBatch batch;
    batch.entries.push_back(TestEntry(1, i, 6'000));
    ASSERT_OK(bed.wal().Append(std::move(batch), [&waiting] { waiting = false; }));
    while (waiting) ASSERT_TRUE(bed.loop().RunOne());
    EXPECT_EQ(std::count(calls.begin(), calls.end(), sim::SimCall::Kind::kWrite), 1) << i;
    bed.Run();
  }
}

}  // namespace
}  // namespace millrace::raft
