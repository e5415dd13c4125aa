#include "rpc/raw_bytes.h"

#include <grpcpp/support/slice.h>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::rpc {
namespace {

const std::string kLarge(100'000, 'x');

std::vector<grpc::Slice> SlicesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  return slices;
}

TEST(RawBytes, OutboundPiecesAreNotCopied) {
  const Bytes a = Bytes::Copy(kLarge);
  const Bytes b = Bytes::FromString(kLarge);
  const grpc::ByteBuffer buffer = ToByteBuffer({a, Bytes(), b});
  const std::vector<grpc::Slice> slices = SlicesOf(buffer);
  ASSERT_EQ(slices.size(), 2u);
  EXPECT_EQ(static_cast<const void*>(slices[0].begin()), a.data());
  EXPECT_EQ(static_cast<const void*>(slices[1].begin()), b.data());
  EXPECT_EQ(buffer.Length(), 2 * kLarge.size());
}

TEST(RawBytes, OutboundMessageHoldsItsMemoryUntilItGoes) {
  auto owner = std::make_shared<const std::string>(kLarge);
  const std::weak_ptr<const std::string> watch = owner;
  grpc::ByteBuffer buffer;
  {
    const Bytes bytes = Bytes::Share(*owner, owner);
    owner.reset();
    buffer = ToByteBuffer({bytes});
  }
  EXPECT_FALSE(watch.expired());
  buffer.Clear();
  EXPECT_TRUE(watch.expired());
}

TEST(RawBytes, TinyPiecesAreCopied) {
  auto owner = std::make_shared<const std::string>("tiny");
  const std::weak_ptr<const std::string> watch = owner;
  const grpc::ByteBuffer buffer = ToByteBuffer({Bytes::Share(*owner, owner)});
  owner.reset();
  EXPECT_TRUE(watch.expired());
  ASSERT_OK_AND_ASSIGN(const Bytes bytes, Flatten(buffer));
  EXPECT_EQ(bytes.slice(), "tiny");
}

TEST(RawBytes, FlattenCopiesOnceIntoMemoryOfTheRightSize) {
  const grpc::Slice parts[] = {grpc::Slice(kLarge), grpc::Slice("tail")};
  const grpc::ByteBuffer buffer(parts, 2);
  MemoryBudget budget(1 << 30);
  Reservation reservation;
  ASSERT_TRUE(budget.TryReserve(static_cast<int64_t>(buffer.Length()), &reservation));
  {
    ASSERT_OK_AND_ASSIGN(const Bytes bytes, Flatten(buffer, std::move(reservation)));
    EXPECT_EQ(bytes.ToString(), kLarge + "tail");
    // Counted as long as the bytes live, and not longer.
    EXPECT_EQ(budget.used_bytes(), static_cast<int64_t>(kLarge.size() + 4));
  }
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(RawBytes, AReceivedMessageIsSeenWhereTheNetworkPutIt) {
  const grpc::Slice parts[] = {grpc::Slice(kLarge), grpc::Slice("tail")};
  const grpc::ByteBuffer buffer(parts, 2);
  MemoryBudget budget(1 << 30);
  {
    ASSERT_OK_AND_ASSIGN(ReceivedMessage opened,
                         ReceivedMessage::Open(buffer, budget.ReserveAlways(100'004)));
    const ReceivedMessage message = std::move(opened);
    ASSERT_EQ(message.pieces().size(), 2u);
    EXPECT_EQ(static_cast<const void*>(message.pieces()[0].data()), parts[0].begin());
    EXPECT_EQ(message.pieces()[1], "tail");
    EXPECT_EQ(message.size(), kLarge.size() + 4);
    EXPECT_EQ(budget.used_bytes(), 100'004);
  }
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(RawBytes, ViewSharesASingleSlice) {
  const grpc::Slice slice(kLarge);
  const grpc::ByteBuffer buffer(&slice, 1);
  ASSERT_OK_AND_ASSIGN(const Bytes view, View(buffer));
  EXPECT_EQ(static_cast<const void*>(view.data()), slice.begin());
  EXPECT_EQ(view.slice(), kLarge);
}

TEST(RawBytes, ViewOfSeveralSlicesIsACopy) {
  const grpc::Slice parts[] = {grpc::Slice(kLarge), grpc::Slice("tail")};
  ASSERT_OK_AND_ASSIGN(const Bytes view, View(grpc::ByteBuffer(parts, 2)));
  EXPECT_EQ(view.ToString(), kLarge + "tail");
}

TEST(RawBytes, EmptyMessages) {
  ASSERT_OK_AND_ASSIGN(const Bytes none, Flatten(ToByteBuffer({})));
  EXPECT_TRUE(none.empty());
  ASSERT_OK_AND_ASSIGN(const Bytes invalid, Flatten(grpc::ByteBuffer()));
  EXPECT_TRUE(invalid.empty());
}

TEST(RawBytes, TotalSizeAddsUp) {
  EXPECT_EQ(TotalSize({Bytes::Copy("ab"), Bytes(), Bytes::Copy("cde")}), 5u);
}

}  // namespace
}  // namespace millrace::rpc
