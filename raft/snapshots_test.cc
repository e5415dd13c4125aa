#include "raft/snapshots.h"

#include <string>

#include "gtest/gtest.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using testing::Id;

SnapshotOffer Offer(int64_t index, uint64_t bytes = 100, uint32_t checksum = 1) {
  return SnapshotOffer{SnapshotId{Id(1, index), bytes, checksum}, {}, Round()};
}
SnapshotChunk Chunk(const SnapshotOffer& offer, uint64_t offset, uint64_t size) {
  return SnapshotChunk{offer.id, offset, size, Bytes::FromString(std::string(size, 'x')), Round()};
}

TEST(SnapshotShelf, KeepsTheLogOfThePreviousSnapshot_KAFKA14238) {
  SnapshotShelf shelf(std::nullopt);
  EXPECT_EQ(shelf.log_needed_after(), LogIndex(0));
  shelf.Put(Offer(10));
  EXPECT_EQ(shelf.log_needed_after(), LogIndex(0));
  shelf.Put(Offer(20));
  EXPECT_EQ(shelf.log_needed_after(), LogIndex(10));
  EXPECT_TRUE(shelf.Has(Offer(10).id));
  shelf.Put(Offer(30));
  EXPECT_FALSE(shelf.Has(Offer(10).id));
  shelf.Replace(Offer(99));
  EXPECT_FALSE(shelf.Has(Offer(30).id));
}

TEST(SnapshotReceiver, TakesThePiecesInOrderOnceEach) {
  SnapshotReceiver receiver;
  const SnapshotOffer offer = Offer(10);
  receiver.Begin(offer);
  EXPECT_FALSE(receiver.Accept(Chunk(offer, 40, 40)));
  EXPECT_TRUE(receiver.Accept(Chunk(offer, 0, 40)));
  EXPECT_FALSE(receiver.Accept(Chunk(offer, 0, 40)));
  EXPECT_FALSE(receiver.complete());
  EXPECT_TRUE(receiver.Accept(Chunk(offer, 40, 60)));
  EXPECT_TRUE(receiver.complete());
}

TEST(SnapshotReceiver, APieceBeyondTheEndOrWithoutItsBytesIsRefused) {
  SnapshotReceiver receiver;
  const SnapshotOffer offer = Offer(10);
  receiver.Begin(offer);
  EXPECT_FALSE(receiver.Accept(Chunk(offer, 0, 101)));
  SnapshotChunk without = Chunk(offer, 0, 10);
  without.data = Bytes();
  EXPECT_FALSE(receiver.Accept(without));
  EXPECT_FALSE(receiver.Accept(Chunk(offer, 0, 0)));
}

TEST(SnapshotReceiver, GoesOnAfterABreakIfItIsTheSameSnapshot) {
  SnapshotReceiver receiver;
  receiver.Resume(Offer(10).id, 40);
  EXPECT_FALSE(receiver.Accept(Chunk(Offer(10), 40, 40)));  // Not offered yet.
  receiver.Begin(Offer(10));
  EXPECT_EQ(receiver.received(), 40u);
  receiver.Begin(Offer(10, 100, /*checksum=*/2));
  EXPECT_EQ(receiver.received(), 0u);
}

TEST(SnapshotReceiver, ADamagedFileIsFetchedAgain) {
  SnapshotReceiver receiver;
  const SnapshotOffer offer = Offer(10);
  receiver.Begin(offer);
  EXPECT_EQ(receiver.Finish(offer.id, true), std::nullopt);  // Not complete.
  ASSERT_TRUE(receiver.Accept(Chunk(offer, 0, 100)));
  EXPECT_EQ(receiver.Finish(offer.id, false), std::nullopt);
  EXPECT_EQ(receiver.received(), 0u);
  ASSERT_TRUE(receiver.Accept(Chunk(offer, 0, 100)));
  EXPECT_EQ(receiver.Finish(offer.id, true), offer);
  EXPECT_FALSE(receiver.IsFor(offer.id));
}

}  // namespace
}  // namespace millrace::raft
