#include "broker/fetch_memory.h"

#include <memory>
#include <utility>

#include "broker/testing/shard_fixture.h"

namespace millrace::broker {
namespace {

std::shared_ptr<FetchReader> Reader() { return std::make_shared<FetchReader>(); }

TEST(FetchMemoryTest, ASharesBytesComeBackWithIt) {
  MemoryBudget budget(100);
  auto memory = FetchMemory::Create(&budget);
  auto share = memory->TryTake(70, Reader());
  ASSERT_NE(share, nullptr);
  EXPECT_EQ(memory->TryTake(6, Reader()), nullptr);
  share->ShrinkTo(60);
  EXPECT_EQ(budget.used_bytes(), 60);
  share->ShrinkTo(65);
  EXPECT_EQ(budget.used_bytes(), 60);
  Bytes bytes = WithShare(Bytes::Copy("answer"), std::move(share));
  EXPECT_EQ(bytes.slice(), "answer");
  Bytes part = bytes.Sub(0, 2);
  bytes = Bytes();
  EXPECT_EQ(budget.used_bytes(), 60);
  part = Bytes();
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(FetchMemoryTest, AQuarterIsForReadersThatAreOwedNothing) {
  MemoryBudget budget(100);
  auto memory = FetchMemory::Create(&budget);
  const auto slow = Reader();
  const auto owed = memory->TryTake(75, slow);
  ASSERT_NE(owed, nullptr);
  EXPECT_FALSE(slow->is_owed_nothing());
  EXPECT_EQ(memory->TryTake(1, slow), nullptr);
  EXPECT_EQ(memory->TryTakeFirst(1, slow), nullptr);
  const auto quick = Reader();
  for (int i = 0; i < 3; ++i) {
    auto share = memory->TryTakeFirst(25, quick);
    ASSERT_NE(share, nullptr);
    EXPECT_EQ(memory->TryTakeFirst(1, quick), nullptr) << "something is on its way";
    share.reset();
    EXPECT_TRUE(quick->is_owed_nothing());
  }
  EXPECT_EQ(budget.used_bytes(), 75);
}

TEST(FetchMemoryTest, AShareIsOfWhomItWasGivenTo) {
  MemoryBudget budget(100);
  auto memory = FetchMemory::Create(&budget);
  const auto one = Reader();
  const auto other = Reader();
  auto share = memory->TryTake(10, one);
  share->GiveTo(other);
  EXPECT_TRUE(one->is_owed_nothing());
  EXPECT_FALSE(other->is_owed_nothing());
  share.reset();
  EXPECT_TRUE(other->is_owed_nothing());
}

// What a disk that hangs keeps is given to nobody.
TEST(FetchMemoryTest, S37_AShareBeyondTheBudgetThatIsGivenAwayLetsAnotherOneGoBeyond) {
  MemoryBudget budget(100);
  auto memory = FetchMemory::Create(&budget);
  const auto all = memory->TryTakeFirst(100, Reader());
  const auto beyond = memory->TryTakeFirst(10, Reader());
  ASSERT_NE(beyond, nullptr);
  EXPECT_EQ(memory->TryTakeFirst(10, Reader()), nullptr);
  beyond->GiveTo(Reader());
  EXPECT_NE(memory->TryTakeFirst(10, Reader()), nullptr);
}

TEST(FetchMemoryTest, S37_WhatIsReadOfADiskIsAQuarterOfTheBudgetAtMost) {
  MemoryBudget budget(1000);
  auto memory = FetchMemory::Create(&budget);
  EXPECT_EQ(memory->DiskReadBytesMax(5), 50);
  const ShardFixture f;
  for (int i = 0; i < 5; ++i) memory->AddStrand(f.executor.get(), [] {});
  EXPECT_EQ(memory->DiskReadBytesMax(5), 10);
}

TEST(FetchMemoryTest, OneMayExceedTheBudget) {
  MemoryBudget budget(100);
  auto memory = FetchMemory::Create(&budget);
  const auto all = memory->TryTakeFirst(100, Reader());
  auto beyond = memory->TryTakeFirst(50, Reader());
  ASSERT_NE(beyond, nullptr);
  EXPECT_EQ(budget.used_bytes(), 150);
  EXPECT_EQ(memory->TryTakeFirst(1, Reader()), nullptr);
  beyond.reset();
  EXPECT_NE(memory->TryTakeFirst(1, Reader()), nullptr);
}

TEST(FetchMemoryTest, OnlyWhoWantsIsWokenAndOnce) {
  sim::SimLoop loop(1);
  sim::SimClock clock(loop.time());
  const auto executor = loop.MakeExecutor("shard", &clock);
  MemoryBudget budget(100);
  auto memory = FetchMemory::Create(&budget);
  int woken = 0;
  int other = 0;
  const auto strand = memory->AddStrand(executor.get(), [&] { ++woken; });
  memory->AddStrand(executor.get(), [&] { ++other; });
  memory->TryTake(10, Reader()).reset();
  loop.RunFor(absl::Seconds(1));
  EXPECT_EQ(woken, 0);
  strand->Want();
  for (int i = 0; i < 3; ++i) memory->TryTake(10, Reader()).reset();
  loop.RunFor(absl::Seconds(1));
  EXPECT_EQ(woken, 1);
  strand->Want();
  strand->Forget();
  memory->TryTake(10, Reader()).reset();
  loop.RunFor(absl::Seconds(1));
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(other, 0);
  executor->Shutdown();
}

}  // namespace
}  // namespace millrace::broker
