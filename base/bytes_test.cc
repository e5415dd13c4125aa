#include "base/bytes.h"

#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(BytesTest, CopyDoesNotShareItsSource) {
  std::string source = "hello";
  const Bytes bytes = Bytes::Copy(source);
  source[0] = 'j';
  EXPECT_EQ(bytes.slice(), "hello");
  EXPECT_EQ(bytes.ToString(), "hello");
}

TEST(BytesTest, FromStringKeepsTheCharactersWhereTheyAre) {
  std::string source(100, 'x');
  const char* const where = source.data();
  EXPECT_EQ(Bytes::FromString(std::move(source)).data(), where);
}

TEST(BytesTest, SubSharesTheBlock) {
  Bytes sub;
  {
    const Bytes bytes = Bytes::Copy("hello world");
    sub = bytes.Sub(6, 5);
    EXPECT_EQ(sub.data(), bytes.data() + 6);
  }
  EXPECT_EQ(sub.slice(), "world");
  EXPECT_TRUE(sub.Sub(5, 0).empty());
}

TEST(BytesTest, BlockGivesItsReservationBackWithTheLastHolder) {
  MemoryBudget budget(100);
  Reservation reservation;
  ASSERT_TRUE(budget.TryReserve(40, &reservation));
  Buffer buffer(40, std::move(reservation));
  std::memset(buffer.data(), 'a', buffer.size());
  Bytes all = std::move(buffer).Freeze(10);
  EXPECT_EQ(all.size(), 10u);
  Bytes part = all.Sub(2, 3);
  all = Bytes();
  EXPECT_EQ(budget.used_bytes(), 40);
  EXPECT_EQ(part.slice(), "aaa");
  part = Bytes();
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(BytesTest, ATakenReservationIsGivenBackBeforeTheMemory) {
  MemoryBudget budget(100);
  Buffer buffer(40, budget.ReserveAlways(40));
  Reservation taken = buffer.TakeReservation();
  const Bytes bytes = std::move(buffer).Freeze();
  EXPECT_EQ(budget.used_bytes(), 40);
  taken.Release();
  EXPECT_EQ(budget.used_bytes(), 0);
  EXPECT_EQ(bytes.size(), 40u);
}

TEST(BytesTest, TheSoleHolderOfWholeMemoryMayWriteToItAgain) {
  MemoryBudget budget(100);
  Buffer buffer(5, budget.ReserveAlways(5));
  std::memcpy(buffer.data(), "hello", 5);
  const char* const where = buffer.data();
  Bytes bytes = std::move(buffer).Freeze();
  std::optional<Buffer> again = Buffer::Reclaim(&bytes);
  ASSERT_TRUE(again.has_value());
  EXPECT_TRUE(bytes.empty());
  EXPECT_EQ(again->data(), where);
  again->data()[0] = 'j';
  EXPECT_EQ(std::move(*again).Freeze().slice(), "jello");
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(BytesTest, MemoryThatOthersMaySeeIsNotReclaimed) {
  Bytes shared = Bytes::Copy("hello");
  const Bytes other = shared;
  EXPECT_FALSE(Buffer::Reclaim(&shared).has_value());
  EXPECT_EQ(shared.slice(), "hello");
  Bytes part = Bytes::Copy("hello").Sub(1, 4);
  EXPECT_FALSE(Buffer::Reclaim(&part).has_value());
  EXPECT_EQ(part.slice(), "ello");
  Bytes string = Bytes::FromString("hello");
  EXPECT_FALSE(Buffer::Reclaim(&string).has_value());
  Bytes none;
  EXPECT_FALSE(Buffer::Reclaim(&none).has_value());
}

TEST(BytesTest, ShareKeepsItsOwnerAlive) {
  auto owner = std::make_shared<const std::string>("owned");
  std::weak_ptr<const std::string> watch = owner;
  Bytes bytes = Bytes::Share(*owner, owner);
  owner.reset();
  EXPECT_FALSE(watch.expired());
  EXPECT_EQ(bytes.slice(), "owned");
  bytes = Bytes();
  EXPECT_TRUE(watch.expired());
}

TEST(BytesTest, EqualityIsOfContents) {
  EXPECT_EQ(Bytes::Copy("a"), Bytes::FromString("a"));
  EXPECT_FALSE(Bytes::Copy("a") == Bytes::Copy("b"));
  EXPECT_EQ(Bytes(), Bytes::Copy(""));
}

TEST(BytesTest, LastHolderMayBeOnAnotherThread) {
  MemoryBudget budget(1 << 20);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    Bytes bytes = Buffer(1000, budget.ReserveAlways(1000)).Freeze(1000);
    for (int j = 0; j < 2; ++j) {
      threads.emplace_back([copy = bytes]() mutable { copy = Bytes(); });
    }
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(BytesDeathTest, SubBeyondTheEndIsABug) {
  const Bytes bytes = Bytes::Copy("abc");
  EXPECT_DEATH(bytes.Sub(2, 2), "CHECK failed");
  EXPECT_DEATH(bytes.Sub(4, 0), "CHECK failed");
}

}  // namespace
}  // namespace millrace
