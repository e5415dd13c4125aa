#include "api/codec/wire_reader.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::api {
namespace {

TEST(WireReader, ReadsEachWireType) {
  const std::string message("\x08\xAC\x02\x15\x01\x02\x03\x04\x1A\x02hi", 12);
  WireReader reader(message);
  ASSERT_TRUE(reader.Next());
  ASSERT_TRUE(reader.Is(1, WireType::kVarint));
  EXPECT_EQ(reader.Varint(), 300u);
  ASSERT_TRUE(reader.Next());
  ASSERT_TRUE(reader.Is(2, WireType::kFixed32));
  EXPECT_EQ(reader.Fixed32(), 0x04030201u);
  ASSERT_TRUE(reader.Next());
  ASSERT_TRUE(reader.Is(3, WireType::kLength));
  EXPECT_EQ(reader.Text(), "hi");
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.ok());
}

TEST(WireReader, ErrorsAreSticky) {
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
           std::string("\x0B\x14"),  // group ends as another
       }) {
    WireReader reader(bad);
    while (reader.Next()) reader.Skip();
    EXPECT_FALSE(reader.ok());
    EXPECT_FALSE(reader.Next());
  }
}

TEST(WireReader, SkipsGroupsUpToADepth) {
  std::string fine = "\x0B\x08\x01\x13\x14\x0C\x10\x05";
  WireReader reader(fine);
  ASSERT_TRUE(reader.Next());
  reader.Skip();
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.number(), 2u);
  EXPECT_EQ(reader.Varint(), 5u);
  EXPECT_TRUE(reader.ok());

  const std::string deep(100000, '\x0B');
  WireReader deep_reader(deep);
  while (deep_reader.Next()) deep_reader.Skip();
  EXPECT_FALSE(deep_reader.ok());
}

TEST(Utf8, KnowsValidFromInvalid) {
  EXPECT_TRUE(IsUtf8("plain"));
  EXPECT_TRUE(IsUtf8("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x8C\x8A"));
  EXPECT_FALSE(IsUtf8("\xC0\x80"));          // overlong
  EXPECT_FALSE(IsUtf8("\xED\xA0\x80"));      // surrogate
  EXPECT_FALSE(IsUtf8("\xF5\x80\x80\x80"));  // beyond U+10FFFF
  EXPECT_FALSE(IsUtf8("\xE2\x82"));          // cut off
  EXPECT_EQ(ToUtf8("a\xFF"
                   "b"),
            "a\xEF\xBF\xBD"
            "b");
}

}  // namespace
}  // namespace millrace::api
