#include "raft/log.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using testing::E;
using ::testing::ElementsAre;
using testing::Id;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::Terms;

TEST(Log, AnEmptyLogEndsWhereItStarts) {
  const Log log(Id(3, 9), {});
  EXPECT_EQ(log.last(), Id(3, 9));
  EXPECT_EQ(log.stable(), LogIndex(9));
  EXPECT_TRUE(log.Has(Id(3, 9)));
  EXPECT_EQ(log.TermAt(LogIndex(8)), std::nullopt);
  EXPECT_EQ(log.TermAt(LogIndex(10)), std::nullopt);
}

TEST(Log, FindsWhereTwoLogsMayMeet) {
  const Log log(EntryId{}, Terms({1, 1, 4, 4, 6}));
  EXPECT_EQ(log.LastAtOrBelow(LogIndex(9), Term(9)), Id(6, 5));
  EXPECT_EQ(log.LastAtOrBelow(LogIndex(4), Term(9)), Id(4, 4));
  EXPECT_EQ(log.LastAtOrBelow(LogIndex(9), Term(5)), Id(4, 4));
  EXPECT_EQ(log.LastAtOrBelow(LogIndex(9), Term(3)), Id(1, 2));
  EXPECT_EQ(log.LastAtOrBelow(LogIndex(9), Term(0)), Id(0, 0));
}

TEST(Log, SlicesByBytesAndGivesAtLeastOne) {
  const Log log(EntryId{}, {E(1, 1, std::string(1000, 'a')), E(1, 2, "b"), E(1, 3, "c")});
  EXPECT_THAT(log.Slice(LogIndex(1), 1), SizeIs(1));
  EXPECT_THAT(log.Slice(LogIndex(2), 1000), SizeIs(2));
  EXPECT_THAT(log.Slice(LogIndex(4), 1000), IsEmpty());
}

TEST(Log, CountsBytesThroughAppendTruncateAndCompact) {
  Log log(EntryId{}, Terms({1, 1, 1, 1}));
  const uint64_t one = Log::CostOf(E(1, 1));
  EXPECT_EQ(log.bytes(), 4 * one);
  EXPECT_EQ(log.BytesAfter(LogIndex(3)), one);
  log.CompactTo(LogIndex(2));
  EXPECT_EQ(log.bytes(), 2 * one);
  EXPECT_EQ(log.start(), Id(1, 2));
  log.TruncateFrom(LogIndex(4));
  log.Append(E(2, 4));
  log.Append(E(2, 5));
  EXPECT_EQ(log.bytes(), 3 * one);
  EXPECT_EQ(log.BytesAfter(LogIndex(3)), 2 * one);
}

TEST(Log, EntriesAreTakenForWritingOnce) {
  Log log(EntryId{}, {});
  log.Append(E(1, 1));
  EXPECT_THAT(log.TakeUnpersisted(ReadySeq(1)), ElementsAre(E(1, 1)));
  EXPECT_FALSE(log.has_unpersisted());
  log.Append(E(1, 2));
  EXPECT_THAT(log.TakeUnpersisted(ReadySeq(2)), ElementsAre(E(1, 2)));
  log.Persisted(ReadySeq(1));
  EXPECT_EQ(log.stable(), LogIndex(1));
  log.Persisted(ReadySeq(2));
  EXPECT_EQ(log.stable(), LogIndex(2));
}

// S-10, its trace: (6, term 2) is on its way to the disk when (6, term 3) takes its place.
TEST(Log, S10AnOverwrittenEntryDoesNotBecomeDurableByItsPredecessorsWrite) {
  Log log(EntryId{}, Terms({1, 1, 1, 1, 1}));
  log.Append(E(2, 6));
  EXPECT_THAT(log.TakeUnpersisted(ReadySeq(7)), ElementsAre(E(2, 6)));
  log.TruncateFrom(LogIndex(6));
  log.Append(E(3, 6));
  EXPECT_THAT(log.TakeUnpersisted(ReadySeq(8)), ElementsAre(E(3, 6)));
  log.Persisted(ReadySeq(7));
  EXPECT_EQ(log.stable(), LogIndex(5));
  log.Persisted(ReadySeq(8));
  EXPECT_EQ(log.stable(), LogIndex(6));
}

TEST(Log, ATruncationIsWrittenAgainFromWhereItCut) {
  Log log(EntryId{}, Terms({1, 1, 1}));
  log.TruncateFrom(LogIndex(2));
  EXPECT_EQ(log.stable(), LogIndex(1));
  log.Append(E(2, 2));
  EXPECT_THAT(log.TakeUnpersisted(ReadySeq(1)), ElementsAre(E(2, 2)));
}

TEST(Log, ARestartIsDurableWithTheReadyThatCarriesIt) {
  Log log(EntryId{}, Terms({1, 1, 1}));
  log.Append(E(1, 4));
  log.TakeUnpersisted(ReadySeq(1));
  log.Restart(Id(5, 90));
  EXPECT_EQ(log.last(), Id(5, 90));
  EXPECT_THAT(log.TakeUnpersisted(ReadySeq(2)), IsEmpty());
  log.Persisted(ReadySeq(1));
  EXPECT_EQ(log.stable(), LogIndex(0));
  log.Persisted(ReadySeq(2));
  EXPECT_EQ(log.stable(), LogIndex(90));
}

}  // namespace
}  // namespace millrace::raft
