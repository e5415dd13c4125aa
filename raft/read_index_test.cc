#include "raft/read_index.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ReadIndex, WaitsForARoundThatBeganAfterItsArrival) {
  ReadIndex reads;
  std::vector<ReadResult> results;
  reads.Add(ReadId(1), LogIndex(7), Round(3));
  reads.Add(ReadId(2), LogIndex(8), Round(4));
  reads.Confirm(Round(2), LogIndex(5), LogIndex(9), &results);
  EXPECT_THAT(results, IsEmpty());
  reads.Confirm(Round(3), LogIndex(5), LogIndex(9), &results);
  EXPECT_THAT(results, ElementsAre(ReadResult{ReadId(1), true, LogIndex(7)}));
}

TEST(ReadIndex, WaitsForTheNoOpOfTheTermAndIsNotOlder) {
  ReadIndex reads;
  std::vector<ReadResult> results;
  reads.Add(ReadId(1), LogIndex(3), Round(1));
  reads.Confirm(Round(9), LogIndex(5), LogIndex(4), &results);
  EXPECT_THAT(results, IsEmpty());
  reads.Confirm(Round(9), LogIndex(5), LogIndex(5), &results);
  EXPECT_THAT(results, ElementsAre(ReadResult{ReadId(1), true, LogIndex(5)}));
}

TEST(ReadIndex, LosingLeadershipFailsAll) {
  ReadIndex reads;
  std::vector<ReadResult> results;
  reads.Add(ReadId(1), LogIndex(3), Round(1));
  reads.FailAll(&results);
  EXPECT_THAT(results, ElementsAre(ReadResult{ReadId(1), false, LogIndex(0)}));
  EXPECT_TRUE(reads.empty());
}

}  // namespace
}  // namespace millrace::raft
