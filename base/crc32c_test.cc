#include "base/crc32c.h"

#include <string>

#include "gtest/gtest.h"

namespace millrace {
namespace {

using internal::Crc32cExtendHardware;
using internal::Crc32cExtendPortable;
using internal::Crc32cHasHardware;

// One bit at a time, straight from the definition.
uint32_t BitByBit(Slice data) {
  uint32_t remainder = 0xffffffff;
  for (char c : data) {
    remainder ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) {
      remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? 0x82f63b78 : 0);
    }
  }
  return ~remainder;
}

std::string Noise(size_t size) {
  std::string bytes(size, '\0');
  uint64_t state = 1;
  for (char& c : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    c = static_cast<char>(state >> 56);
  }
  return bytes;
}

TEST(Crc32cTest, PublishedVectors) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("a"), 0xc1d04330u);
  // RFC 3720, appendix B.4.
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string rising;
  std::string falling;
  for (int i = 0; i < 32; ++i) {
    rising.push_back(static_cast<char>(i));
    falling.push_back(static_cast<char>(31 - i));
  }
  EXPECT_EQ(Crc32c(rising), 0x46dd794eu);
  EXPECT_EQ(Crc32c(falling), 0x113fdb5cu);
  const unsigned char scsi_read[48] = {0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                       0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00,
                                       0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00,
                                       0x00, 0x18, 0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                       0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
  EXPECT_EQ(Crc32c(Slice(reinterpret_cast<const char*>(scsi_read), 48)), 0xd9963a56u);
}

TEST(Crc32cTest, BothWaysAgreeAtEveryAlignmentAndLength) {
  const std::string noise = Noise(400);
  for (size_t at = 0; at < 16; ++at) {
    for (size_t length = 0; length <= 300; ++length) {
      const Slice data = Slice(noise).substr(at, length);
      const uint32_t expected = BitByBit(data);
      ASSERT_EQ(Crc32cExtendPortable(0, data), expected) << at << " " << length;
      if (Crc32cHasHardware()) {
        ASSERT_EQ(Crc32cExtendHardware(0, data), expected) << at << " " << length;
      }
    }
  }
}

TEST(Crc32cTest, BothWaysAgreeWhereLanesBeginAndEnd) {
  if (!Crc32cHasHardware()) GTEST_SKIP() << "this processor has no CRC32C instruction";
  const std::string noise = Noise(3 * 12'288 + 100);
  for (size_t lanes : {768, 1536, 12'288, 13'056, 24'576, 36'864}) {
    for (size_t length = lanes - 17; length <= lanes + 17; ++length) {
      const Slice data = Slice(noise).substr(3, length);
      ASSERT_EQ(Crc32cExtendHardware(7, data), Crc32cExtendPortable(7, data)) << length;
    }
  }
}

TEST(Crc32cTest, ExtendingInPiecesGivesTheWhole) {
  const std::string noise = Noise(20'000);
  const uint32_t whole = Crc32c(noise);
  for (size_t cut : {0, 1, 7, 8, 255, 768, 12'287, 12'288, 19'999, 20'000}) {
    const Slice all(noise);
    EXPECT_EQ(Crc32cExtend(Crc32c(all.substr(0, cut)), all.substr(cut)), whole) << cut;
  }
}

TEST(Crc32cTest, EverySingleBitFlipIsSeen) {
  std::string noise = Noise(100);
  const uint32_t right = Crc32c(noise);
  for (size_t bit = 0; bit < noise.size() * 8; ++bit) {
    noise[bit / 8] = static_cast<char>(noise[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_NE(Crc32c(noise), right);
    noise[bit / 8] = static_cast<char>(noise[bit / 8] ^ (1 << (bit % 8)));
  }
}

}  // namespace
}  // namespace millrace
