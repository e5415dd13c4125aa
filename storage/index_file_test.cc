#include "storage/index_file.h"

#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

TEST(IndexFileTest, EntriesAreKafkasBytes) {
  std::string offsets;
  AppendOffsetIndexEntry({1, 0x0203}, &offsets);
  EXPECT_EQ(offsets, std::string("\0\0\0\1\0\0\2\3", 8));
  std::string times;
  AppendTimeIndexEntry({0x0102030405060708, 9}, &times);
  EXPECT_EQ(times, std::string("\1\2\3\4\5\6\7\x8\0\0\0\x9", 12));
}

TEST(IndexFileTest, LookupsFindTheLastEntryThatFits) {
  sim::SimFileSystem files;
  ASSERT_OK_AND_ASSIGN(const auto index, files.Open("i", OpenMode::kCreate));
  ASSERT_OK_AND_ASSIGN(const auto times, files.Open("t", OpenMode::kCreate));
  std::string offset_bytes;
  std::string time_bytes;
  for (int i = 1; i <= 20; ++i) {
    AppendOffsetIndexEntry({i * 10, i * 100}, &offset_bytes);
    AppendTimeIndexEntry({i * 1000, i * 10}, &time_bytes);
  }
  ASSERT_OK_AND_ASSIGN(const auto none, FindOffset(*index, 5));
  EXPECT_EQ(none, std::nullopt);
  ASSERT_OK(index->WriteAt(0, offset_bytes));
  ASSERT_OK(times->WriteAt(0, time_bytes));
  for (int i = 1; i <= 20; ++i) {
    ASSERT_OK_AND_ASSIGN(const auto found, FindOffset(*index, i * 10 + 9));
    EXPECT_EQ(found, (OffsetIndexEntry{i * 10, i * 100}));
    ASSERT_OK_AND_ASSIGN(const auto before, FindTimeBefore(*times, i * 1000 + 1));
    EXPECT_EQ(before, (TimeIndexEntry{i * 1000, i * 10}));
  }
  ASSERT_OK_AND_ASSIGN(const auto early, FindTimeBefore(*times, 1000));
  EXPECT_EQ(early, std::nullopt);
  ASSERT_OK_AND_ASSIGN(const auto last, LastTimeEntry(*times));
  EXPECT_EQ(last, (TimeIndexEntry{20000, 200}));
}

}  // namespace
}  // namespace millrace::storage
