#include "record/codec.h"

#include <algorithm>
#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::record {
namespace {

// Writes `text` through Room() as a stream decoder does.
absl::Status Write(Slice text, BoundedOutput* out) {
  while (!text.empty()) {
    ASSIGN_OR_RETURN(const absl::Span<char> room, out->Room());
    const size_t now = std::min(room.size(), text.size());
    std::copy_n(text.data(), now, room.data());
    out->Wrote(now);
    text.remove_prefix(now);
  }
  return absl::OkStatus();
}

TEST(BoundedOutputTest, GrowsAndKeepsWhatWasWritten) {
  BoundedOutput out(1000, 3);
  std::string all;
  for (int i = 0; i < 100; ++i) {
    const std::string part(1 + i % 19, static_cast<char>('a' + i % 26));
    if (all.size() + part.size() > 1000) break;
    ASSERT_OK(Write(part, &out));
    all += part;
  }
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, std::move(out).Finish());
  EXPECT_EQ(bytes.ToString(), all);
}

TEST(BoundedOutputTest, TheBoundItselfFits) {
  BoundedOutput out(100, 10);
  ASSERT_OK(Write(std::string(100, 'x'), &out));
  EXPECT_OK(out.Room());
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, std::move(out).Finish());
  EXPECT_EQ(bytes.size(), 100u);
}

TEST(BoundedOutputTest, OneByteBeyondTheBoundIsAnErrorAndNoMoreFits) {
  BoundedOutput out(100, 10);
  ASSERT_OK(Write(std::string(101, 'x'), &out));
  EXPECT_THAT(out.Room(), HasCode(ErrorCode::kMessageTooLarge));
  EXPECT_THAT(std::move(out).Finish(), HasCode(ErrorCode::kMessageTooLarge));
}

TEST(BoundedOutputTest, ExactRoomIsRefusedBeyondTheBound) {
  BoundedOutput out(100, 10);
  ASSERT_OK_AND_ASSIGN(const absl::Span<char> room, out.Room(60));
  EXPECT_EQ(room.size(), 60u);
  std::fill(room.begin(), room.end(), 'y');
  out.Wrote(60);
  EXPECT_OK(out.Room(40));
  EXPECT_THAT(out.Room(41), HasCode(ErrorCode::kMessageTooLarge));
  EXPECT_THAT(out.Room(~size_t{0}), HasCode(ErrorCode::kMessageTooLarge));
}

}  // namespace
}  // namespace millrace::record
