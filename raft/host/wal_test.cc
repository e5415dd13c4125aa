#include "raft/host/wal.h"

#include <vector>

#include "gmock/gmock.h"
#include "raft/host/wal_test_bed.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Counts the syncs of a bed's file system.
int CountSyncs(WalTestBed& bed, const std::function<void()>& during) {
  int syncs = 0;
  bed.files().SetOnCall([&syncs](const sim::SimCall& call) {
    if (call.kind == sim::SimCall::Kind::kSync) ++syncs;
  });
  during();
  bed.files().SetOnCall(nullptr);
  return syncs;
}

TEST(WalTest, ANewDirectoryIsCreatedEmpty) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  EXPECT_TRUE(bed.recovery().created);
  EXPECT_EQ(bed.recovery().hard_state, HardState{});
  EXPECT_THAT(bed.recovery().entries, IsEmpty());
}

TEST(WalTest, WhatWasAppendedIsFoundAgain) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  const VoterSet voters{EntryId{Term(1), LogIndex(1)},
                        {Voter{kWalTestVoter, "host:9093", false},
                         Voter{VoterId{NodeId(2), DirectoryId(Uuid(3, 4))}, "", true}}};
  bed.AppendHardState(1, 0);
  WalBatch batch;
  batch.entries = {TestEntry(1, 1), TestEntry(1, 2)};
  batch.voters = voters;
  bed.Append(std::move(batch));
  bed.Run();
  bed.Close();
  ASSERT_OK(bed.Open());
  EXPECT_FALSE(bed.recovery().created);
  EXPECT_EQ(bed.recovery().hard_state, (HardState{Term(1), kWalTestVoter, LogIndex(0)}));
  EXPECT_EQ(bed.recovery().voters, voters);
  EXPECT_THAT(bed.recovery().entries, ElementsAre(TestEntry(1, 1), TestEntry(1, 2)));
  EXPECT_FALSE(bed.recovery().cut.has_value());
}

TEST(WalTest, ALoneAppendCostsOneSync) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  EXPECT_EQ(CountSyncs(bed,
                       [&bed] {
                         bed.AppendEntry(1, 1);
                         bed.Run();
                       }),
            1);
  EXPECT_THAT(bed.persisted(), ElementsAre(1));
}

TEST(WalTest, WhatArrivesDuringASyncSharesTheNextGroup) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  bed.Run();
  const int syncs = CountSyncs(bed, [&bed] {
    bed.disk_strand().Pause();
    for (int i = 1; i <= 20; ++i) bed.AppendEntry(1, i);
    bed.disk_strand().Resume();
    bed.Run();
  });
  EXPECT_EQ(syncs, 1);
  EXPECT_THAT(bed.persisted(), SizeIs(20));
}

TEST(WalTest, S10_CallbacksRunInTheOrderOfTheAppends) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  std::vector<int> expected;
  for (int i = 1; i <= 50; ++i) {
    // Large ones fill a group, so that several groups are needed.
    bed.AppendEntry(1, i, i % 3 == 0 ? 30'000 : 10);
    expected.push_back(i);
  }
  EXPECT_THAT(bed.persisted(), IsEmpty());
  bed.Run();
  EXPECT_EQ(bed.persisted(), expected);
}

TEST(WalTest, S10_NothingIsPersistedBeforeItsSync) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  bool synced = false;
  bed.files().SetOnCall([&synced](const sim::SimCall& call) {
    if (call.kind == sim::SimCall::Kind::kSync) synced = true;
  });
  bool persisted = false;
  WalBatch batch;
  batch.entries.push_back(TestEntry(1, 1));
  ASSERT_OK(bed.wal().Append(std::move(batch), [&] {
    persisted = true;
    EXPECT_TRUE(synced);
  }));
  bed.Run();
  EXPECT_TRUE(persisted);
}

TEST(WalTest, AnEntryAtAnOldIndexCutsTheTail) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  for (int i = 1; i <= 5; ++i) bed.AppendEntry(1, i);
  bed.AppendEntry(2, 3);
  bed.Run();
  bed.Close();
  ASSERT_OK(bed.Open());
  EXPECT_THAT(bed.recovery().entries,
              ElementsAre(TestEntry(1, 1), TestEntry(1, 2), TestEntry(2, 3)));
}

TEST(WalTest, ACutWithoutANewEntryHolds) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  for (int i = 1; i <= 5; ++i) bed.AppendEntry(1, i);
  bed.Append(WalBatch{.truncate_from = LogIndex(4)});
  bed.Run();
  bed.Close();
  ASSERT_OK(bed.Open());
  EXPECT_THAT(bed.recovery().entries, SizeIs(3));
}

TEST(WalTest, ARestartAfterASnapshotEmptiesTheLog) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  for (int i = 1; i <= 5; ++i) bed.AppendEntry(1, i);
  bed.Append(WalBatch{.restart_after = EntryId{Term(3), LogIndex(100)}});
  bed.AppendEntry(3, 101);
  bed.Run();
  bed.Close();
  ASSERT_OK(bed.Open(SmallWalOptions(), EntryId{Term(3), LogIndex(100)}));
  EXPECT_THAT(bed.recovery().entries, ElementsAre(TestEntry(3, 101)));
}

TEST(WalTest, ASnapshotAboveTheLogRestartsIt) {
  const EntryId snapshot{Term(4), LogIndex(50)};
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  bed.AppendHardState(4);
  for (int i = 1; i <= 5; ++i) bed.AppendEntry(1, i);
  bed.Run();
  bed.Close();
  ASSERT_OK(bed.Open(SmallWalOptions(), snapshot));
  EXPECT_THAT(bed.recovery().entries, IsEmpty());
  EXPECT_EQ(bed.recovery().hard_state.term, Term(4));
  bed.AppendEntry(4, 51);
  bed.Run();
  bed.Close();
  ASSERT_OK(bed.Open(SmallWalOptions(), snapshot));
  EXPECT_THAT(bed.recovery().entries, ElementsAre(TestEntry(4, 51)));
}

TEST(WalTest, S36_AnImageThatIsNotOnTheLogIsRefusedWhereAsked) {
  WalOptions options = SmallWalOptions();
  options.refuse_conflicting_snapshot = true;
  WalTestBed bed;
  ASSERT_OK(bed.Open(options));
  for (int i = 1; i <= 5; ++i) bed.AppendEntry(1, i);
  bed.Run();
  bed.Close();
  EXPECT_THAT(bed.Open(options, EntryId{Term(2), LogIndex(3)}), HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(bed.Open(options, EntryId{Term(1), LogIndex(6)}), HasCode(ErrorCode::kCorruptLog));
  EXPECT_OK(bed.Open(options, EntryId{Term(1), LogIndex(3)}));
  EXPECT_THAT(bed.recovery().entries, ElementsAre(TestEntry(1, 4), TestEntry(1, 5)));
}

TEST(WalTest, AnEntryBeyondTheMaximumIsRefusedAndNothingIsAppended) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  WalBatch batch;
  batch.entries.push_back(
      Entry{Term(1), LogIndex(1), EntryType::kPayload,
            Bytes::FromString(std::string(SmallWalOptions().entry_bytes_max + 1, 'x'))});
  EXPECT_THAT(bed.wal().Append(std::move(batch), [] { FAIL(); }),
              IsError(ErrorCode::kEntryTooLarge, "32769"));
  EXPECT_EQ(bed.wal().unsynced_bytes(), 0u);
  bed.AppendEntry(1, 1, SmallWalOptions().entry_bytes_max - 3);
  bed.Run();
  EXPECT_THAT(bed.persisted(), SizeIs(1));
}

TEST(WalTest, UnsyncedBytesAreBounded) {
  WalOptions options = SmallWalOptions();
  options.unsynced_bytes_max = 50'000;
  WalTestBed bed;
  ASSERT_OK(bed.Open(options));
  bed.AppendEntry(1, 1, 30'000);
  WalBatch more;
  more.entries.push_back(TestEntry(1, 2, 30'000));
  EXPECT_THAT(bed.wal().Append(more, [] {}), HasCode(ErrorCode::kResourceExhausted));
  EXPECT_TRUE(bed.wal().oldest_unpersisted().has_value());
  bed.Run();
  EXPECT_FALSE(bed.wal().oldest_unpersisted().has_value());
  EXPECT_OK(bed.wal().Append(more, [] {}));
}

TEST(WalTest, S09_AFailedSyncIsFinalAndReportedOnce) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  bed.AppendEntry(1, 1);
  bed.Run();
  bed.files().FailSyncs(true);
  bed.AppendEntry(1, 2);
  bed.AppendEntry(1, 3);
  bed.Run();
  bed.files().FailSyncs(false);
  EXPECT_EQ(bed.failures(), 1);
  EXPECT_THAT(bed.failure(), HasCode(ErrorCode::kStorageError));
  EXPECT_THAT(bed.wal().Append(WalBatch{.hard_state = HardState{}}, [] { FAIL(); }),
              HasCode(ErrorCode::kStorageError));
  bed.Seal();
  EXPECT_EQ(bed.failures(), 1);
  EXPECT_THAT(bed.persisted(), ElementsAre(1));
}

TEST(WalTest, AfterAFailedSyncTheLastGroupIsMadeDurableBeforeItIsShown) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  bed.AppendEntry(1, 1);
  bed.Run();
  bed.files().FailSyncs(true);
  bed.AppendEntry(1, 2);
  bed.Run();
  bed.files().FailSyncs(false);
  bed.Close();
  // The page cache shows the entry and calls it clean; the disk does not have it.
  ASSERT_OK(bed.Open());
  ASSERT_THAT(bed.recovery().entries, SizeIs(2));
  sim::SimRandom random(3);
  WalTestBed after(bed.files().CrashImage(sim::CrashMode::kLoseAll, random));
  ASSERT_OK(after.Open());
  EXPECT_THAT(after.recovery().entries, SizeIs(2));
}

TEST(WalTest, ASealWhoseSyncFailedLeavesNoHoleBehindLaterGroups) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  bed.AppendEntry(1, 1);
  bed.Run(absl::ZeroDuration());
  bed.files().FailSyncs(true);
  bed.Seal();
  ASSERT_EQ(bed.failures(), 1);
  bed.files().FailSyncs(false);
  bed.Close();
  // The page cache shows the seal and calls it clean; the disk does not have it.
  ASSERT_OK(bed.Open());
  bed.AppendEntry(1, 2);
  bed.Run();
  sim::SimRandom random(3);
  WalTestBed after(bed.files().CrashImage(sim::CrashMode::kLoseAll, random));
  ASSERT_OK(after.Open());
  EXPECT_THAT(after.recovery().entries, SizeIs(2));
}

TEST(WalTest, AFullDiskIsReportedAsSuch) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  bed.files().SetCapacity(bed.files().used_bytes() + 20'000);
  int64_t index = 0;
  while (bed.failures() == 0 && index < 100) {
    bed.AppendEntry(1, ++index, 5'000);
    bed.Run();
  }
  EXPECT_EQ(bed.failures(), 1);
  EXPECT_THAT(bed.failure(), HasCode(ErrorCode::kStorageFull));
  // What was acknowledged before is there, also with the disk still full.
  bed.Close();
  ASSERT_OK(bed.Open());
  EXPECT_GE(bed.recovery().entries.size(), bed.persisted().size());
}

TEST(WalTest, NoCallbackRunsAfterDestruction) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  bed.AppendEntry(1, 1);
  bed.Close();
  bed.Seal();
  EXPECT_THAT(bed.persisted(), IsEmpty());
}

TEST(WalTest, ACallbackMayAppend) {
  WalTestBed bed;
  ASSERT_OK(bed.Open());
  WalBatch batch;
  batch.entries.push_back(TestEntry(1, 1));
  ASSERT_OK(bed.wal().Append(std::move(batch), [&bed] { bed.AppendEntry(1, 2); }));
  bed.Run();
  EXPECT_THAT(bed.persisted(), SizeIs(1));
}

TEST(WalTest, OptionsThatCannotHoldAnEntryAreRefused) {
  WalOptions options = SmallWalOptions();
  options.segment_bytes = 64 << 10;
  WalTestBed bed;
  EXPECT_THAT(bed.Open(options), IsError(ErrorCode::kInvalidConfig, "65536"));
  options.segment_bytes = (1 << 20) + 1;
  EXPECT_THAT(bed.Open(options), HasCode(ErrorCode::kInvalidConfig));
}

}  // namespace
}  // namespace millrace::raft
