#include "broker/fetch_memory.h"

#include <memory>
#include <utility>

#include "broker/testing/shard_fixture.h"

namespace millrace::broker {
namespace {

TEST(FetchMemoryTest, ASharesBytesComeBackWithIt) {
  MemoryBudget budget(100);
  auto memory = FetchMemory::Create(&budget);
  auto share = memory->TryTake(80);
  ASSERT_NE(share, nullptr);
  EXPECT_EQ(memory->TryTake(30), nullptr);
  share->ShrinkTo(60);
  EXPECT_EQ(budget.used_bytes(), 60);
  share->ShrinkTo(70);
  EXPECT_EQ(budget.used_bytes(), 60);
  Bytes bytes = WithShare(Bytes::Copy("answer"), std::move(share));
  EXPECT_EQ(bytes.slice(), "answer");
  Bytes part = bytes.Sub(0, 2);
  bytes = Bytes();
  EXPECT_EQ(budget.used_bytes(), 60);
  part = Bytes();
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(FetchMemoryTest, OneMayExceedTheBudget) {
  MemoryBudget budget(100);
  auto memory = FetchMemory::Create(&budget);
  const auto all = memory->TryTake(100);
  auto beyond = memory->TryTakeBeyond(50);
  ASSERT_NE(beyond, nullptr);
  EXPECT_EQ(budget.used_bytes(), 150);
  EXPECT_EQ(memory->TryTakeBeyond(1), nullptr);
  beyond.reset();
  EXPECT_NE(memory->TryTakeBeyond(1), nullptr);
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
  memory->TryTake(10).reset();
  loop.RunFor(absl::Seconds(1));
  EXPECT_EQ(woken, 0);
  strand->Want();
  for (int i = 0; i < 3; ++i) memory->TryTake(10).reset();
  loop.RunFor(absl::Seconds(1));
  EXPECT_EQ(woken, 1);
  strand->Want();
  strand->Forget();
  memory->TryTake(10).reset();
  loop.RunFor(absl::Seconds(1));
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(other, 0);
  executor->Shutdown();
}

}  // namespace
}  // namespace millrace::broker
