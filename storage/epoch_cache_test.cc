#include "storage/epoch_cache.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

EpochCache Make(std::vector<std::pair<int, int>> entries) {
  EpochCache cache;
  for (const auto& [epoch, start] : entries) {
    EXPECT_OK(cache.Assign(LeaderEpoch(epoch), Offset(start)));
  }
  return cache;
}

TEST(EpochCacheTest, EpochsNeverFall) {
  EpochCache cache = Make({{3, 0}, {5, 10}});
  EXPECT_THAT(cache.Assign(LeaderEpoch(4), Offset(20)), HasCode(ErrorCode::kCorruptLog));
  ASSERT_OK_AND_ASSIGN(const bool changed, cache.Assign(LeaderEpoch(5), Offset(20)));
  EXPECT_FALSE(changed);
}

TEST(EpochCacheTest, AnEpochThatWroteNothingLeavesNoTrace) {
  EXPECT_EQ(Make({{3, 0}, {4, 10}, {5, 10}}), Make({{3, 0}, {5, 10}}));
}

TEST(EpochCacheTest, EndIsThatOfTheLargestEpochNotAboveTheOneAsked) {
  const EpochCache cache = Make({{3, 0}, {5, 10}, {8, 30}});
  EXPECT_EQ(cache.EndOf(LeaderEpoch(3), Offset(50)), (EpochEnd{LeaderEpoch(3), Offset(10)}));
  EXPECT_EQ(cache.EndOf(LeaderEpoch(7), Offset(50)), (EpochEnd{LeaderEpoch(5), Offset(30)}));
  EXPECT_EQ(cache.EndOf(LeaderEpoch(9), Offset(50)), (EpochEnd{LeaderEpoch(8), Offset(50)}));
  EXPECT_EQ(cache.EndOf(LeaderEpoch(2), Offset(50)), EpochEnd{});
}

TEST(EpochCacheTest, TruncationKeepsWhatCoversTheRest) {
  EpochCache cache = Make({{3, 0}, {5, 10}, {8, 30}});
  cache.TruncateFromStart(Offset(15));
  EXPECT_EQ(cache, Make({{5, 15}, {8, 30}}));
  cache.TruncateFromEnd(Offset(30));
  EXPECT_EQ(cache, Make({{5, 15}}));
  EXPECT_EQ(cache.EpochAt(Offset(14)), kNoLeaderEpoch);
  EXPECT_EQ(cache.EpochAt(Offset(99)), LeaderEpoch(5));
}

TEST(EpochCacheTest, CoveringNamesTheEntriesThatOverlap) {
  const EpochCache cache = Make({{3, 0}, {5, 10}, {8, 30}});
  EXPECT_EQ(cache.Covering(Offset(10), Offset(30)).size(), 1u);
  EXPECT_EQ(cache.Covering(Offset(9), Offset(31)).size(), 3u);
}

}  // namespace
}  // namespace millrace::storage
