#include "record/testing/codec_test_cases.h"

namespace millrace::record {
namespace {

class Lz4Test : public testing::Test {
 protected:
  std::unique_ptr<Encoder> encoder_ = NewLz4Encoder(absl::nullopt);
  std::unique_ptr<Decoder> decoder_ = NewLz4Decoder();
};

TEST_F(Lz4Test, EverySizeComesBack) { ExpectEverySizeComesBack(*encoder_, *decoder_); }
TEST_F(Lz4Test, TruncationIsAnError) { ExpectTruncationsFail(*encoder_, *decoder_); }
TEST_F(Lz4Test, DamageIsHarmless) { ExpectDamageIsHarmless(*encoder_, *decoder_); }
TEST_F(Lz4Test, BoundHoldsExactly) { ExpectBoundHoldsExactly(*encoder_, *decoder_); }

// Kafka's Java reader refuses frames with linked blocks, and knows version 1 only.
TEST_F(Lz4Test, WritesStandardFramesOfIndependentBlocks) {
  const std::string frame = Encoded(*encoder_, Compressible(200000));
  EXPECT_EQ(frame.substr(0, 4), "\x04\x22\x4D\x18");
  const int flags = static_cast<unsigned char>(frame[4]);
  EXPECT_EQ(flags >> 6, 1) << "version";
  EXPECT_TRUE(flags & 0x20) << "independent blocks";
  EXPECT_TRUE(flags & 0x08) << "content size";
  EXPECT_EQ((static_cast<unsigned char>(frame[5]) >> 4) & 7, 4) << "blocks of 64 KiB";
}

TEST_F(Lz4Test, SomethingAfterTheFrameIsAnError) {
  EXPECT_THAT(Decoded(*decoder_, Encoded(*encoder_, "one") + "x"),
              IsError(ErrorCode::kCorruptMessage, "follows"));
}

TEST_F(Lz4Test, HigherLevelsAreNotLarger) {
  const std::string input = Compressible(100000);
  const std::unique_ptr<Encoder> dense = NewLz4Encoder(12);
  EXPECT_LE(Encoded(*dense, input).size(), Encoded(*encoder_, input).size());
}

}  // namespace
}  // namespace millrace::record
