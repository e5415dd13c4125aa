#include "record/testing/codec_test_cases.h"

namespace millrace::record {
namespace {

// xerial's header: magic, version 1, compatible with version 1.
const std::string kFrameHeader("\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16);
// Raw snappy of "abc": length 3, then a literal of 3 bytes.
const std::string kRawAbc(
    "\x03\x08"
    "abc",
    5);

class SnappyTest : public testing::Test {
 protected:
  std::unique_ptr<Encoder> encoder_ = NewSnappyEncoder();
  std::unique_ptr<Decoder> decoder_ = NewSnappyDecoder();
};

TEST_F(SnappyTest, EverySizeComesBack) { ExpectEverySizeComesBack(*encoder_, *decoder_); }
TEST_F(SnappyTest, DamageIsHarmless) { ExpectDamageIsHarmless(*encoder_, *decoder_); }
TEST_F(SnappyTest, BoundHoldsExactly) { ExpectBoundHoldsExactly(*encoder_, *decoder_); }

// The framing has no end: a stream cut between blocks is whole in itself (the batch's checksum and
// record count say otherwise).
TEST_F(SnappyTest, TruncationIsAnErrorButBetweenBlocks) {
  ExpectTruncationsFail(*encoder_, *decoder_, kFrameHeader.size());
}

TEST_F(SnappyTest, WritesXerialsFraming) {
  EXPECT_EQ(Encoded(*encoder_, "abc"), kFrameHeader + std::string("\0\0\0\5", 4) + kRawAbc);
  // A second block begins after 32 KiB.
  const std::string two = Encoded(*encoder_, Incompressible(32769));
  EXPECT_EQ(two.substr(two.size() - 7), std::string("\0\0\0\3\x01\x00", 6) + two.back());
}

TEST_F(SnappyTest, ReadsRawSnappyWithoutFraming) {
  ASSERT_OK_AND_ASSIGN(const std::string back, Decoded(*decoder_, kRawAbc));
  EXPECT_EQ(back, "abc");
}

TEST_F(SnappyTest, ReadsConcatenatedStreams) {
  const std::string one = Encoded(*encoder_, "abc");
  ASSERT_OK_AND_ASSIGN(const std::string back, Decoded(*decoder_, one + one));
  EXPECT_EQ(back, "abcabc");
}

TEST_F(SnappyTest, NewerFramingIsRefused) {
  std::string newer = Encoded(*encoder_, "abc");
  newer[15] = 2;
  EXPECT_THAT(Decoded(*decoder_, newer), IsError(ErrorCode::kCorruptMessage, "newer version"));
}

TEST_F(SnappyTest, FalseLengthsAreRefused) {
  EXPECT_THAT(Decoded(*decoder_, kFrameHeader + std::string("\xFF\xFF\xFF\xFF", 4) + kRawAbc),
              HasCode(ErrorCode::kCorruptMessage));
  EXPECT_THAT(Decoded(*decoder_, kFrameHeader + std::string("\x7F\xFF\xFF\xFF", 4) + kRawAbc),
              HasCode(ErrorCode::kCorruptMessage));
  // Raw snappy that promises 4 GiB - 1.
  EXPECT_THAT(Decoded(*decoder_,
                      "\xFF\xFF\xFF\xFF\x0F"
                      "abc"),
              HasCode(ErrorCode::kMessageTooLarge));
}

}  // namespace
}  // namespace millrace::record
