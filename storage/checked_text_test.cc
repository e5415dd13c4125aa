#include "storage/checked_text.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

TEST(CheckedTextTest, LinesComeBack) {
  const std::vector<std::string> lines = {"a=1", "", "b c"};
  ASSERT_OK_AND_ASSIGN(const auto decoded,
                       DecodeCheckedText("kind", EncodeCheckedText("kind", lines), "p"));
  EXPECT_EQ(decoded, lines);
}

TEST(CheckedTextTest, EveryBitAndEveryCutIsNoticed) {
  const std::string text = EncodeCheckedText("kind", {"a=1"});
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeCheckedText("kind", damaged, "p").ok()) << bit;
  }
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_FALSE(DecodeCheckedText("kind", Slice(text).substr(0, size), "p").ok()) << size;
  }
}

TEST(CheckedTextTest, AnotherKindOrOriginIsNotOurs) {
  EXPECT_THAT(DecodeCheckedText("a", EncodeCheckedText("b", {}), "p"),
              HasCode(ErrorCode::kInvalidDirectory));
  EXPECT_THAT(DecodeCheckedText("a", "version=0\nbroker.id=1\n", "p"),
              IsError(ErrorCode::kInvalidDirectory, "not written by this program"));
}

}  // namespace
}  // namespace millrace::storage
