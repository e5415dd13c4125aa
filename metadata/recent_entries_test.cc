#include "metadata/recent_entries.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/test_image.h"
#include "rsm/entry_codec.h"

namespace millrace::metadata {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<int64_t> IndexesAfter(const RecentEntries& entries, int64_t index,
                                  size_t bytes_max = 1 << 20) {
  std::vector<int64_t> indexes;
  for (const RecentEntries::Entry& entry : entries.After(LogIndex(index), bytes_max)) {
    indexes.push_back(entry.index.value());
  }
  return indexes;
}

size_t EntrySize() { return rsm::EncodeEntry({{Founded()}})->size(); }

TEST(RecentEntriesTest, WhateverComesAfterTheStartIsThereInOrder) {
  RecentEntries entries(1 << 20);
  EXPECT_TRUE(entries.Covers(LogIndex(0)));
  EXPECT_THAT(IndexesAfter(entries, 0), IsEmpty());
  // Indexes without records are left out.
  for (const int64_t index : {2, 3, 7}) entries.Append(LogIndex(index), {Founded()});
  EXPECT_THAT(IndexesAfter(entries, 0), ElementsAre(2, 3, 7));
  EXPECT_THAT(IndexesAfter(entries, 2), ElementsAre(3, 7));
  EXPECT_THAT(IndexesAfter(entries, 5), ElementsAre(7));
  EXPECT_THAT(IndexesAfter(entries, 7), IsEmpty());
}

TEST(RecentEntriesTest, TheyAreAsInTheLog) {
  RecentEntries entries(1 << 20);
  const std::vector<rsm::Record> records = {Registered(1, 1), TopicMade(1, "t")};
  entries.Append(LogIndex(4), records);
  const auto decoded = rsm::DecodeEntry(entries.After(LogIndex(0), 1 << 20).at(0).payload);
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, records);
}

TEST(RecentEntriesTest, TheOldestGoWhenTheBoundIsReachedAndAreNotCoveredAnyMore) {
  RecentEntries entries(3 * EntrySize());
  for (int64_t index = 1; index <= 5; ++index) entries.Append(LogIndex(index), {Founded()});
  EXPECT_FALSE(entries.Covers(LogIndex(1)));
  ASSERT_TRUE(entries.Covers(LogIndex(2)));
  EXPECT_THAT(IndexesAfter(entries, 2), ElementsAre(3, 4, 5));
  EXPECT_EQ(entries.bytes(), 3 * EntrySize());
}

TEST(RecentEntriesTest, TheNewestStaysHoweverLargeItIs) {
  RecentEntries entries(1);
  entries.Append(LogIndex(1), {Founded()});
  entries.Append(LogIndex(2), {Founded()});
  EXPECT_FALSE(entries.Covers(LogIndex(0)));
  EXPECT_THAT(IndexesAfter(entries, 1), ElementsAre(2));
}

TEST(RecentEntriesTest, OneMessageTakesWhatFitsAndAtLeastOne) {
  RecentEntries entries(1 << 20);
  for (int64_t index = 1; index <= 5; ++index) entries.Append(LogIndex(index), {Founded()});
  EXPECT_THAT(IndexesAfter(entries, 0, 2 * EntrySize()), ElementsAre(1, 2));
  EXPECT_THAT(IndexesAfter(entries, 0, 1), ElementsAre(1));
}

TEST(RecentEntriesTest, AnImageReplacesWhatCameBefore) {
  RecentEntries entries(1 << 20);
  entries.Append(LogIndex(1), {Founded()});
  entries.StartAfter(LogIndex(9));
  EXPECT_FALSE(entries.Covers(LogIndex(8)));
  EXPECT_THAT(IndexesAfter(entries, 9), IsEmpty());
  entries.Append(LogIndex(10), {Founded()});
  EXPECT_THAT(IndexesAfter(entries, 9), ElementsAre(10));
}

}  // namespace
}  // namespace millrace::metadata
