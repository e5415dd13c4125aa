#include "broker/codec/piece_reader.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

TEST(PieceReaderTest, ValuesMayLieAcrossPieces) {
  const std::vector<Slice> pieces = {Slice("\x01", 1), Slice(), Slice("\x02\x03", 2),
                                     Slice("\x04\xac\x02rest", 7)};
  PieceReader reader(pieces);
  uint32_t number = 0;
  ASSERT_TRUE(reader.ReadLittle(&number));
  EXPECT_EQ(number, 0x04030201U);
  uint32_t varint = 0;
  ASSERT_TRUE(reader.ReadVarint32(&varint));
  EXPECT_EQ(varint, 300U);
  EXPECT_EQ(reader.position(), 6U);
  std::string rest(4, ' ');
  ASSERT_TRUE(reader.ReadInto(rest.data(), rest.size()));
  EXPECT_EQ(rest, "rest");
  EXPECT_TRUE(reader.empty());
}

TEST(PieceReaderTest, NothingBeyondTheEndIsRead) {
  const std::vector<Slice> pieces = {Slice("ab"), Slice("c")};
  PieceReader reader(pieces);
  uint32_t number = 7;
  EXPECT_FALSE(reader.ReadLittle(&number));
  EXPECT_EQ(number, 7U);
  EXPECT_FALSE(reader.Skip(4));
  PieceReader part{absl::Span<const Slice>()};
  EXPECT_FALSE(reader.Split(4, &part));
  EXPECT_EQ(reader.remaining(), 3U);
  EXPECT_TRUE(reader.Skip(3));
  EXPECT_FALSE(reader.ReadVarint32(&number));
}

TEST(PieceReaderTest, APartEndsWhereItWasCut) {
  const std::vector<Slice> pieces = {Slice("ab"), Slice("cdef")};
  PieceReader reader(pieces);
  PieceReader part{absl::Span<const Slice>()};
  ASSERT_TRUE(reader.Split(3, &part));
  std::string bytes(3, ' ');
  ASSERT_TRUE(part.ReadInto(bytes.data(), 3));
  EXPECT_EQ(bytes, "abc");
  EXPECT_FALSE(part.Skip(1));
  ASSERT_TRUE(reader.ReadInto(bytes.data(), 3));
  EXPECT_EQ(bytes, "def");
}

TEST(PieceReaderTest, AVarintThatIsTooLargeIsRefused) {
  const std::vector<Slice> large = {Slice("\xff\xff\xff\xff\x1f", 5)};
  uint32_t number = 0;
  EXPECT_FALSE(PieceReader(large).ReadVarint32(&number));
  const std::vector<Slice> endless = {Slice("\xff\xff\xff\xff\xff\x01", 6)};
  EXPECT_FALSE(PieceReader(endless).ReadVarint32(&number));
  const std::vector<Slice> largest = {Slice("\xff\xff\xff\xff\x0f", 5)};
  ASSERT_TRUE(PieceReader(largest).ReadVarint32(&number));
  EXPECT_EQ(number, 0xffffffffU);
}

}  // namespace
}  // namespace millrace::broker
