#include "base/coding.h"

#include <limits>
#include <vector>

#include "base/status_matchers.h"

namespace millrace {
namespace {

std::string Hex(Slice bytes) {
  std::string text;
  for (char c : bytes) {
    text += "0123456789abcdef"[static_cast<uint8_t>(c) >> 4];
    text += "0123456789abcdef"[static_cast<uint8_t>(c) & 15];
  }
  return text;
}

// Values around every power of two, of both signs.
std::vector<int64_t> Interesting() {
  std::vector<int64_t> values = {0};
  for (int bit = 0; bit < 63; ++bit) {
    for (int64_t delta : {-1, 0, 1}) {
      values.push_back((int64_t{1} << bit) + delta);
      values.push_back(-(int64_t{1} << bit) + delta);
    }
  }
  values.push_back(std::numeric_limits<int64_t>::max());
  values.push_back(std::numeric_limits<int64_t>::min());
  return values;
}

TEST(CodingTest, FixedIntegersHaveTheirByteOrder) {
  std::string out;
  AppendBig<int16_t>(0x0102, &out);
  AppendBig<uint32_t>(0x01020304, &out);
  AppendBig<int64_t>(-2, &out);
  AppendBig<int8_t>(0x7f, &out);
  EXPECT_EQ(Hex(out),
            "0102"
            "01020304"
            "fffffffffffffffe"
            "7f");
  out.clear();
  AppendLittle<int16_t>(0x0102, &out);
  AppendLittle<uint32_t>(0x01020304, &out);
  AppendLittle<uint64_t>(1, &out);
  EXPECT_EQ(Hex(out),
            "0201"
            "04030201"
            "0100000000000000");
}

TEST(CodingTest, FixedIntegersSurviveAtAnyAlignment) {
  char memory[32];
  for (int at = 0; at < 8; ++at) {
    for (int64_t value : Interesting()) {
      StoreBig<int64_t>(memory + at, value);
      EXPECT_EQ(LoadBig<int64_t>(memory + at), value);
      StoreLittle<int64_t>(memory + at, value);
      EXPECT_EQ(LoadLittle<int64_t>(memory + at), value);
      StoreBig<int32_t>(memory + at, static_cast<int32_t>(value));
      EXPECT_EQ(LoadBig<int32_t>(memory + at), static_cast<int32_t>(value));
    }
  }
}

TEST(CodingTest, VarintsAreThoseOfKafkasRecordFormat) {
  const auto signed32 = [](int32_t value) {
    std::string out;
    AppendSignedVarint32(value, &out);
    return Hex(out);
  };
  // The values that Kafka's own ByteUtilsTest uses.
  EXPECT_EQ(signed32(0), "00");
  EXPECT_EQ(signed32(-1), "01");
  EXPECT_EQ(signed32(1), "02");
  EXPECT_EQ(signed32(63), "7e");
  EXPECT_EQ(signed32(-64), "7f");
  EXPECT_EQ(signed32(64), "8001");
  EXPECT_EQ(signed32(-65), "8101");
  EXPECT_EQ(signed32(8191), "fe7f");
  EXPECT_EQ(signed32(-8192), "ff7f");
  EXPECT_EQ(signed32(std::numeric_limits<int32_t>::max()), "feffffff0f");
  EXPECT_EQ(signed32(std::numeric_limits<int32_t>::min()), "ffffffff0f");
  std::string out;
  AppendSignedVarint64(std::numeric_limits<int64_t>::min(), &out);
  EXPECT_EQ(Hex(out), "ffffffffffffffffff01");
  out.clear();
  AppendVarint(300, &out);
  EXPECT_EQ(Hex(out), "ac02");
}

TEST(CodingTest, VarintsSurviveAndHaveTheSizeForetold) {
  for (int64_t value : Interesting()) {
    std::string out;
    AppendVarint(static_cast<uint64_t>(value), &out);
    EXPECT_EQ(out.size(), VarintSize(static_cast<uint64_t>(value)));
    uint64_t back = 0;
    Reader reader(out);
    ASSERT_TRUE(reader.ReadVarint64(&back));
    EXPECT_EQ(back, static_cast<uint64_t>(value));
    EXPECT_TRUE(reader.empty());

    out.clear();
    AppendSignedVarint64(value, &out);
    EXPECT_EQ(out.size(), VarintSize(ZigZag64(value)));
    int64_t signed_back = 0;
    ASSERT_TRUE(Reader(out).ReadSignedVarint64(&signed_back));
    EXPECT_EQ(signed_back, value);

    const auto narrow = static_cast<int32_t>(value);
    out.clear();
    AppendSignedVarint32(narrow, &out);
    int32_t narrow_back = 0;
    ASSERT_TRUE(Reader(out).ReadSignedVarint32(&narrow_back));
    EXPECT_EQ(narrow_back, narrow);
  }
}

TEST(CodingTest, EveryTruncationIsRefusedAndChangesNothing) {
  std::string varint;
  AppendVarint(std::numeric_limits<uint64_t>::max(), &varint);
  for (size_t length = 0; length < varint.size(); ++length) {
    Reader reader(Slice(varint).substr(0, length));
    uint64_t value = 42;
    EXPECT_FALSE(reader.ReadVarint64(&value));
    EXPECT_EQ(value, 42u);
    EXPECT_EQ(reader.position(), 0u);
  }
  for (size_t length = 0; length < 8; ++length) {
    Reader reader(Slice("12345678").substr(0, length));
    int64_t value = 42;
    EXPECT_FALSE(reader.ReadBig(&value));
    EXPECT_FALSE(reader.ReadLittle(&value));
    EXPECT_EQ(value, 42);
    EXPECT_EQ(reader.remaining(), length);
  }
}

TEST(CodingTest, VarintsTooLongOrTooLargeAreRefused) {
  uint32_t narrow = 42;
  // 2^32, and six bytes for one value.
  EXPECT_FALSE(Reader(Slice("\x80\x80\x80\x80\x10", 5)).ReadVarint32(&narrow));
  EXPECT_FALSE(Reader(Slice("\x80\x80\x80\x80\x80\x00", 6)).ReadVarint32(&narrow));
  EXPECT_EQ(narrow, 42u);
  EXPECT_TRUE(Reader(Slice("\xff\xff\xff\xff\x0f", 5)).ReadVarint32(&narrow));
  EXPECT_EQ(narrow, 0xffffffffu);
  uint64_t wide = 42;
  // 2^64, and eleven bytes.
  EXPECT_FALSE(Reader(Slice("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 10)).ReadVarint64(&wide));
  EXPECT_FALSE(
      Reader(Slice("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11)).ReadVarint64(&wide));
  EXPECT_EQ(wide, 42u);
}

TEST(CodingTest, PaddedVarintIsAccepted) {
  uint32_t value = 42;
  EXPECT_TRUE(Reader(Slice("\x81\x00", 2)).ReadVarint32(&value));
  EXPECT_EQ(value, 1u);
}

TEST(CodingTest, ReaderTakesThingsInOrder) {
  std::string input;
  AppendBig<int32_t>(7, &input);
  AppendVarint(200, &input);
  input += "abcdef";
  AppendLittle<uint16_t>(9, &input);
  Reader reader(input);
  int32_t number = 0;
  uint64_t varint = 0;
  Slice bytes;
  uint16_t last = 0;
  ASSERT_TRUE(reader.ReadBig(&number));
  ASSERT_TRUE(reader.ReadVarint64(&varint));
  ASSERT_TRUE(reader.ReadBytes(4, &bytes));
  EXPECT_EQ(reader.position(), 10u);
  EXPECT_EQ(reader.rest().substr(0, 2), "ef");
  EXPECT_FALSE(reader.ReadBytes(5, &bytes));
  EXPECT_EQ(bytes, "abcd");
  ASSERT_TRUE(reader.Skip(2));
  ASSERT_TRUE(reader.ReadLittle(&last));
  EXPECT_EQ(number, 7);
  EXPECT_EQ(varint, 200u);
  EXPECT_EQ(last, 9);
  EXPECT_TRUE(reader.empty());
  EXPECT_FALSE(reader.Skip(1));
}

TEST(CodingTest, HugeLengthDoesNotOverflow) {
  Slice bytes;
  EXPECT_FALSE(Reader("abc").ReadBytes(std::numeric_limits<size_t>::max(), &bytes));
}

TEST(CodingTest, FailureSaysWhatAndWhere) {
  Reader reader("abc");
  ASSERT_TRUE(reader.Skip(2));
  EXPECT_THAT(ReadFailed(reader, "record key"),
              IsError(ErrorCode::kCorruptMessage, "truncated record key at byte 2 (1 bytes left)"));
}

}  // namespace
}  // namespace millrace
