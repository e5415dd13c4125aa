#include "api/codec/scattered_reader.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::api {
namespace {

std::vector<Slice> InBytes(const std::string& message) {
  std::vector<Slice> pieces;
  for (size_t i = 0; i < message.size(); ++i) pieces.push_back(Slice(message).substr(i, 1));
  pieces.insert(pieces.begin(), Slice());
  pieces.push_back(Slice());
  return pieces;
}

TEST(ScatteredReader, ReadsEachWireTypeAcrossPieces) {
  const std::string message("\x08\xAC\x02\x15\x01\x02\x03\x04\x1A\x02hi\x22\x02\x08\x07", 16);
  const std::vector<Slice> pieces = InBytes(message);
  ScatteredReader reader(pieces);
  ASSERT_TRUE(reader.Next());
  ASSERT_TRUE(reader.Is(1, WireType::kVarint));
  EXPECT_EQ(reader.Varint(), 300u);
  ASSERT_TRUE(reader.Next());
  ASSERT_TRUE(reader.Is(2, WireType::kFixed32));
  EXPECT_EQ(reader.Fixed32(), 0x04030201u);
  ASSERT_TRUE(reader.Next());
  ASSERT_TRUE(reader.Is(3, WireType::kLength));
  EXPECT_EQ(reader.Text(), "hi");
  ASSERT_TRUE(reader.Next());
  ScatteredReader inner = reader.Message();
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.ok());
  ASSERT_TRUE(inner.Next());
  EXPECT_EQ(inner.Varint(), 7u);
  EXPECT_FALSE(inner.Next());
  EXPECT_TRUE(inner.ok());
}

TEST(ScatteredReader, ErrorsAreSticky) {
  for (const std::string& bad : {
           std::string("\x08", 1),                                           // no value
           std::string("\x08\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),  // 11 bytes
           std::string("\x00\x01", 2),                                       // field number 0
           std::string("\x0C", 1),                                           // group end
           std::string("\x0E\x01"),                                          // wire type 6
           std::string("\x0A\x05hi"),                                        // length too large
           std::string("\x0D\x01\x02"),                                      // half a fixed32
           std::string("\x09\x01\x02"),                                      // half a fixed64
           std::string("\x0B\x08\x01"),                                      // group without end
           std::string("\x0B\x14"),      // group ends as another
           std::string(100000, '\x0B'),  // too deep
       }) {
    const std::vector<Slice> pieces = InBytes(bad);
    ScatteredReader reader(pieces);
    while (reader.Next()) reader.Skip();
    EXPECT_FALSE(reader.ok());
    EXPECT_FALSE(reader.Next());
  }
}

TEST(ScatteredReader, AFieldWithinOnePieceIsSeenWhereItLies) {
  const std::string message = "\x0A\x05hello";
  const Slice piece = message;
  ScatteredReader reader({&piece, 1});
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.Length().data(), message.data() + 2);
}

TEST(ScatteredReader, AnEmptyMessageHasNoFields) {
  ScatteredReader none({});
  EXPECT_FALSE(none.Next());
  EXPECT_TRUE(none.ok());
}

}  // namespace
}  // namespace millrace::api
