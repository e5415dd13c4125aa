#include "record/testing/codec_test_cases.h"

namespace millrace::record {
namespace {

class GzipTest : public testing::Test {
 protected:
  std::unique_ptr<Encoder> encoder_ = NewGzipEncoder(absl::nullopt);
  std::unique_ptr<Decoder> decoder_ = NewGzipDecoder();
};

TEST_F(GzipTest, EverySizeComesBack) { ExpectEverySizeComesBack(*encoder_, *decoder_); }
TEST_F(GzipTest, TruncationIsAnError) { ExpectTruncationsFail(*encoder_, *decoder_); }
TEST_F(GzipTest, DamageIsHarmless) { ExpectDamageIsHarmless(*encoder_, *decoder_); }
TEST_F(GzipTest, BoundHoldsExactly) { ExpectBoundHoldsExactly(*encoder_, *decoder_); }

TEST_F(GzipTest, MembersInARowAreOneStream) {
  const std::string two = Encoded(*encoder_, "one ") + Encoded(*encoder_, "two");
  ASSERT_OK_AND_ASSIGN(const std::string back, Decoded(*decoder_, two));
  EXPECT_EQ(back, "one two");
}

TEST_F(GzipTest, OtherBytesAfterTheMemberAreAnError) {
  EXPECT_THAT(Decoded(*decoder_, Encoded(*encoder_, "one") + "xx"),
              HasCode(ErrorCode::kCorruptMessage));
}

TEST_F(GzipTest, HigherLevelsAreNotLarger) {
  const std::string input = Compressible(100000);
  const std::unique_ptr<Encoder> fast = NewGzipEncoder(1);
  const std::unique_ptr<Encoder> dense = NewGzipEncoder(9);
  EXPECT_LE(Encoded(*dense, input).size(), Encoded(*fast, input).size());
}

}  // namespace
}  // namespace millrace::record
