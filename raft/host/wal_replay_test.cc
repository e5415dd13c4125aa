#include "raft/host/wal_replay.h"

#include <limits>
#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::raft {
namespace {

using ::testing::SizeIs;

WalRecord Start(int64_t term, int64_t index) {
  return WalRecord{WalRecordType::kSegmentStart, 0, Term(term), LogIndex(index), {}};
}
WalRecord EntryAt(int64_t term, int64_t index, uint8_t type = 2) {
  return WalRecord{WalRecordType::kEntry, type, Term(term), LogIndex(index), "x"};
}
WalRecord HardStateAt(int64_t term) {
  return WalRecord{WalRecordType::kHardState, 0, Term(term), LogIndex(0), {}};
}

TEST(WalReplayTest, AGapIsCorruption) {
  WalReplay replay(EntryId{});
  ASSERT_OK(replay.Apply(Start(0, 0)));
  ASSERT_OK(replay.Apply(EntryAt(1, 1)));
  EXPECT_THAT(replay.Apply(EntryAt(1, 3)), IsError(ErrorCode::kCorruptLog, "a gap"));
}

TEST(WalReplayTest, AFallingTermIsCorruption) {
  WalReplay replay(EntryId{});
  ASSERT_OK(replay.Apply(Start(0, 0)));
  ASSERT_OK(replay.Apply(EntryAt(2, 1)));
  EXPECT_THAT(replay.Apply(EntryAt(1, 2)), IsError(ErrorCode::kCorruptLog, "the term falls"));
}

TEST(WalReplayTest, AHardStateThatGoesBackIsCorruption) {
  WalReplay replay(EntryId{});
  ASSERT_OK(replay.Apply(HardStateAt(5)));
  EXPECT_THAT(replay.Apply(HardStateAt(4)), IsError(ErrorCode::kCorruptLog, "goes back"));
}

TEST(WalReplayTest, AVoteThatChangesWithinATermIsCorruption) {
  const std::string one = EncodeVote(VoterId{NodeId(1), DirectoryId(Uuid(1, 1))});
  const std::string two = EncodeVote(VoterId{NodeId(2), DirectoryId(Uuid(1, 1))});
  WalReplay replay(EntryId{});
  ASSERT_OK(replay.Apply(HardStateAt(5)));
  ASSERT_OK(replay.Apply(HardStateRecord(HardState{.term = Term(5)}, one)));
  EXPECT_THAT(replay.Apply(HardStateRecord(HardState{.term = Term(5)}, two)),
              HasCode(ErrorCode::kCorruptLog));
  EXPECT_OK(replay.Apply(HardStateRecord(HardState{.term = Term(6)}, two)));
}

TEST(WalReplayTest, ASegmentMustGoOnWhereTheLogEnds) {
  WalReplay replay(EntryId{});
  ASSERT_OK(replay.Apply(Start(0, 0)));
  ASSERT_OK(replay.Apply(EntryAt(1, 1)));
  EXPECT_OK(replay.Apply(Start(1, 1)));
  EXPECT_OK(replay.Apply(Start(0, 1))) << "term 0: not known to the writer";
  EXPECT_THAT(replay.Apply(Start(1, 2)), HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(replay.Apply(Start(2, 1)), HasCode(ErrorCode::kCorruptLog));
}

TEST(WalReplayTest, OverwritingBelowTheFirstKeptSegmentStartsThere) {
  WalReplay replay(EntryId{Term(1), LogIndex(50)});
  ASSERT_OK(replay.Apply(Start(1, 100)));
  ASSERT_OK(replay.Apply(EntryAt(1, 101)));
  ASSERT_OK(replay.Apply(EntryAt(2, 51)));
  EXPECT_FALSE(replay.ConflictsWithSnapshot());
  ASSERT_OK_AND_ASSIGN(const auto entries, replay.TakeEntries());
  EXPECT_THAT(entries, SizeIs(1));
}

TEST(WalReplayTest, EntriesMissingAboveTheSnapshotAreCorruption) {
  WalReplay replay(EntryId{Term(1), LogIndex(50)});
  ASSERT_OK(replay.Apply(Start(1, 60)));
  ASSERT_OK(replay.Apply(EntryAt(1, 61)));
  EXPECT_FALSE(replay.ConflictsWithSnapshot());
  EXPECT_THAT(replay.TakeEntries(), IsError(ErrorCode::kCorruptLog, "entries 51 to 60"));
}

TEST(WalReplayTest, ASnapshotOfAnotherTermConflicts) {
  WalReplay replay(EntryId{Term(2), LogIndex(1)});
  ASSERT_OK(replay.Apply(Start(0, 0)));
  ASSERT_OK(replay.Apply(EntryAt(1, 1)));
  EXPECT_TRUE(replay.ConflictsWithSnapshot());
}

TEST(WalReplayTest, TypesOfTheFutureAreNamed) {
  WalReplay replay(EntryId{});
  ASSERT_OK(replay.Apply(Start(0, 0)));
  EXPECT_THAT(replay.Apply(EntryAt(1, 1, 200)),
              IsError(ErrorCode::kUnsupportedFormatVersion, "200"));
  EXPECT_THAT(replay.Apply(WalRecord{static_cast<WalRecordType>(77), 0, {}, {}, {}}),
              IsError(ErrorCode::kUnsupportedFormatVersion, "77"));
}

TEST(WalReplayTest, MalformedPayloadsAreCorruption) {
  WalReplay replay(EntryId{});
  EXPECT_THAT(replay.Apply(WalRecord{WalRecordType::kVoters, 0, {}, {}, "x"}),
              HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(replay.Apply(WalRecord{WalRecordType::kHardState, 0, {}, {}, "x"}),
              HasCode(ErrorCode::kCorruptLog));
  ASSERT_OK(replay.Apply(Start(0, 0)));
  EXPECT_THAT(replay.Apply(WalRecord{WalRecordType::kTruncate, 0, {}, LogIndex(0), {}}),
              HasCode(ErrorCode::kCorruptLog));
}

TEST(WalReplayTest, ImpossibleNumbersAreCorruption) {
  WalReplay replay(EntryId{});
  for (int64_t number : {int64_t{-1}, std::numeric_limits<int64_t>::max()}) {
    EXPECT_THAT(replay.Apply(Start(1, number)), HasCode(ErrorCode::kCorruptLog));
    EXPECT_THAT(replay.Apply(Start(number, 1)), HasCode(ErrorCode::kCorruptLog));
  }
}

}  // namespace
}  // namespace millrace::raft
