#include "record/testing/codec_test_cases.h"

namespace millrace::record {
namespace {

class ZstdTest : public testing::Test {
 protected:
  std::unique_ptr<Encoder> encoder_ = NewZstdEncoder(absl::nullopt);
  std::unique_ptr<Decoder> decoder_ = NewZstdDecoder(64 << 20);
};

TEST_F(ZstdTest, EverySizeComesBack) { ExpectEverySizeComesBack(*encoder_, *decoder_); }
TEST_F(ZstdTest, TruncationIsAnError) { ExpectTruncationsFail(*encoder_, *decoder_); }
TEST_F(ZstdTest, DamageIsHarmless) { ExpectDamageIsHarmless(*encoder_, *decoder_); }
TEST_F(ZstdTest, BoundHoldsExactly) { ExpectBoundHoldsExactly(*encoder_, *decoder_); }

TEST_F(ZstdTest, FramesInARowAreOneStream) {
  const std::string two = Encoded(*encoder_, "one ") + Encoded(*encoder_, "two");
  ASSERT_OK_AND_ASSIGN(const std::string back, Decoded(*decoder_, two));
  EXPECT_EQ(back, "one two");
}

TEST_F(ZstdTest, OtherBytesAfterTheFrameAreAnError) {
  EXPECT_THAT(Decoded(*decoder_, Encoded(*encoder_, "one") + "xx"),
              HasCode(ErrorCode::kCorruptMessage));
}

// The frame of Java's stream writer: no content size, a window, one raw block "abc".
TEST_F(ZstdTest, FrameWithoutContentSizeIsRead) {
  const std::string frame(
      "\x28\xB5\x2F\xFD\x00\x00\x19\x00\x00"
      "abc",
      12);
  ASSERT_OK_AND_ASSIGN(const std::string back, Decoded(*decoder_, frame));
  EXPECT_EQ(back, "abc");
}

TEST_F(ZstdTest, WindowLargerThanTheBoundIsRefused) {
  // The same frame, demanding a window of 64 MiB (exponent 16 over 1 KiB).
  const std::string frame(
      "\x28\xB5\x2F\xFD\x00\x80\x19\x00\x00"
      "abc",
      12);
  EXPECT_OK(Decoded(*decoder_, frame));
  const std::unique_ptr<Decoder> strict = NewZstdDecoder(1 << 20);
  EXPECT_THAT(Decoded(*strict, frame), HasCode(ErrorCode::kCorruptMessage));
}

// A frame header that promises 2^60 bytes: refused before anything is reserved.
TEST_F(ZstdTest, FalseContentSizeIsRefused) {
  const std::string frame(
      "\x28\xB5\x2F\xFD\xC0\x00\0\0\0\0\0\0\0\x10\x19\x00\x00"
      "abc",
      20);
  EXPECT_THAT(Decoded(*decoder_, frame), HasCode(ErrorCode::kMessageTooLarge));
}

TEST_F(ZstdTest, LevelIsHeeded) {
  const std::string input = Compressible(100000);
  const std::unique_ptr<Encoder> other = NewZstdEncoder(19);
  const std::string encoded = Encoded(*other, input);
  EXPECT_NE(encoded, Encoded(*encoder_, input));
  ASSERT_OK_AND_ASSIGN(const std::string back, Decoded(*decoder_, encoded));
  EXPECT_EQ(back, input);
}

}  // namespace
}  // namespace millrace::record
