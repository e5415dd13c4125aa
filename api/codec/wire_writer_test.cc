#include "api/codec/wire_writer.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::api {
namespace {

TEST(WireWriter, VarintSizesAreThoseOfTheEncoding) {
  EXPECT_EQ(VarintSize(0), 1u);
  EXPECT_EQ(VarintSize(127), 1u);
  EXPECT_EQ(VarintSize(128), 2u);
  EXPECT_EQ(VarintSize((uint64_t{1} << 35) - 1), 5u);
  EXPECT_EQ(VarintSize(UINT64_MAX), 10u);
}

TEST(WireWriter, LargeFieldsGoByReferenceBetweenThePieces) {
  const Bytes large = Bytes::Copy("0123456789");
  const MessagePieces pieces = EncodeMessage([&](auto& sink) {
    sink.Message(1, [&](auto& inner) {
      inner.Int(2, 5);
      inner.Pieces(3, {&large, 1});
      inner.Int(4, -1);
    });
  });
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[1].data(), large.data());
  EXPECT_EQ(pieces[0].slice(), Slice("\x0A\x19\x10\x05\x1A\x0A"));
  EXPECT_EQ(pieces[2].size(), 11u);
}

TEST(WireWriter, DefaultsAreLeftOutAndPresentFieldsAreNot) {
  const MessagePieces pieces = EncodeMessage([&](auto& sink) {
    sink.Int(1, 0);
    sink.Text(2, "");
    sink.PresentInt(3, 0);
    sink.PresentText(4, "");
    sink.Pieces(5, {});
  });
  EXPECT_EQ(Join(pieces).slice(), Slice("\x18\x00\x22\x00", 4));
}

TEST(WireWriter, AnEmptyMessageHasNoPieces) {
  EXPECT_TRUE(EncodeMessage([](auto&) {}).empty());
}

}  // namespace
}  // namespace millrace::api
