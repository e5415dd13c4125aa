#include "rpc/write_queue.h"

#include "gtest/gtest.h"
#include "rpc/raw_bytes.h"

namespace millrace::rpc {
namespace {

grpc::ByteBuffer Message(size_t size) {
  return ToByteBuffer({Bytes::FromString(std::string(size, 'x'))});
}

TEST(WriteQueue, IsWritableUpToItsLimitAndAgainAtHalf) {
  WriteQueue queue(100);
  queue.Push(Message(60));
  EXPECT_TRUE(queue.writable());
  queue.Push(Message(40));
  EXPECT_FALSE(queue.writable());
  queue.Push(Message(30));
  EXPECT_EQ(queue.bytes(), 130);
  EXPECT_FALSE(queue.Sent());  // 70 left.
  EXPECT_TRUE(queue.Sent());   // 30 left: turned writable, told once.
  EXPECT_TRUE(queue.writable());
  EXPECT_FALSE(queue.Sent());
  EXPECT_TRUE(queue.empty());
}

TEST(WriteQueue, TakesAMessageOverTheLimit) {
  WriteQueue queue(10);
  queue.Push(Message(1000));
  EXPECT_FALSE(queue.writable());
  EXPECT_TRUE(queue.Sent());
}

TEST(WriteQueue, KeepsTheOrder) {
  WriteQueue queue(10);
  for (size_t size = 1; size <= 3; ++size) queue.Push(Message(size));
  for (size_t size = 1; size <= 3; ++size) {
    EXPECT_EQ(queue.front().Length(), size);
    queue.Sent();
  }
}

TEST(WriteQueue, ClearMakesItWritable) {
  WriteQueue queue(10);
  queue.Push(Message(20));
  queue.Clear();
  EXPECT_TRUE(queue.writable());
  EXPECT_EQ(queue.bytes(), 0);
}

}  // namespace
}  // namespace millrace::rpc
