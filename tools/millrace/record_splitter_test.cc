#include "tools/millrace/record_splitter.h"

#include <string>
#include <vector>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Split(const std::string& input, const std::string& delimiter,
                               size_t piece_size) {
  RecordSplitter splitter(delimiter, 100);
  std::vector<std::string> records;
  auto sink = [&](Slice record) {
    records.emplace_back(record);
    return absl::OkStatus();
  };
  for (size_t i = 0; i < input.size(); i += piece_size) {
    EXPECT_TRUE(splitter.Feed(Slice(input).substr(i, piece_size), sink).ok());
  }
  EXPECT_TRUE(splitter.Finish(sink).ok());
  return records;
}

TEST(RecordSplitter, FindsDelimitersAcrossPiecesOfEverySize) {
  const std::string input = "a\nb\n\nc\n\n\n\nlast";
  for (size_t size = 1; size <= input.size(); ++size) {
    EXPECT_THAT(Split(input, "\n\n", size), ElementsAre("a\nb", "c", "", "last")) << size;
  }
}

TEST(RecordSplitter, WhatFollowsTheLastDelimiterIsARecordUnlessEmpty) {
  EXPECT_THAT(Split("a\nb", "\n", 3), ElementsAre("a", "b"));
  EXPECT_THAT(Split("a\nb\n", "\n", 3), ElementsAre("a", "b"));
  EXPECT_THAT(Split("", "\n", 3), ElementsAre());
  EXPECT_THAT(Split("\n", "\n", 3), ElementsAre(""));
}

TEST(RecordSplitter, ARecordBeyondTheLimitIsRefusedWithItsNumber) {
  RecordSplitter splitter("\n", 4);
  auto sink = [](Slice) { return absl::OkStatus(); };
  ASSERT_TRUE(splitter.Feed("abcd\n", sink).ok());
  const absl::Status refused = splitter.Feed("abcdefgh", sink);
  EXPECT_EQ(CodeOf(refused), ErrorCode::kMessageTooLarge);
  EXPECT_THAT(std::string(refused.message()), ::testing::HasSubstr("record 1 "));
}

TEST(Unescape, UnderstandsTheUsualSequences) {
  EXPECT_EQ(Unescape("\\n\\t\\x41").value(), "\n\tA");
  EXPECT_EQ(CodeOf(Unescape("\\q").status()), ErrorCode::kInvalidRequest);
}

}  // namespace
}  // namespace millrace::tools
