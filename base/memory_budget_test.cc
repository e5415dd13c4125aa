#include "base/memory_budget.h"

#include <atomic>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(MemoryBudgetTest, RefusesWhatDoesNotFitAndLeavesTheReservationAlone) {
  MemoryBudget budget(100);
  Reservation first;
  ASSERT_TRUE(budget.TryReserve(60, &first));
  Reservation second;
  EXPECT_FALSE(budget.TryReserve(41, &second));
  EXPECT_EQ(second.bytes(), 0);
  EXPECT_TRUE(budget.TryReserve(40, &second));
  EXPECT_EQ(budget.used_bytes(), 100);
}

TEST(MemoryBudgetTest, AReservationCanBeDividedAmongHolders) {
  MemoryBudget budget(100);
  Reservation whole = budget.ReserveAlways(60);
  Reservation part = whole.Split(20);
  EXPECT_EQ(part.bytes(), 20);
  EXPECT_EQ(whole.bytes(), 40);
  whole.Release();
  EXPECT_EQ(budget.used_bytes(), 20);
  part.Release();
  EXPECT_EQ(budget.used_bytes(), 0);
  Reservation none;
  EXPECT_EQ(none.Split(7).bytes(), 0);
}

TEST(MemoryBudgetTest, LargerThanTheBudgetFitsAloneOnly) {
  MemoryBudget budget(100);
  Reservation small;
  Reservation large;
  ASSERT_TRUE(budget.TryReserve(1, &small));
  EXPECT_FALSE(budget.TryReserve(500, &large));
  small.Release();
  EXPECT_TRUE(budget.TryReserve(500, &large));
  EXPECT_FALSE(budget.TryReserve(1, &small));
}

TEST(MemoryBudgetTest, ReserveAlwaysMayGoPastTheLimit) {
  MemoryBudget budget(100);
  const Reservation reservation = budget.ReserveAlways(150);
  EXPECT_EQ(budget.used_bytes(), 150);
  Reservation other;
  EXPECT_FALSE(budget.TryReserve(1, &other));
}

TEST(MemoryBudgetTest, MovedReservationIsGivenBackOnce) {
  MemoryBudget budget(100);
  {
    Reservation a = budget.ReserveAlways(10);
    Reservation b = std::move(a);
    EXPECT_EQ(b.bytes(), 10);
    a = budget.ReserveAlways(5);
    a = std::move(b);
    EXPECT_EQ(budget.used_bytes(), 10);
    Reservation& same = a;
    a = std::move(same);
    EXPECT_EQ(a.bytes(), 10);
  }
  EXPECT_EQ(budget.used_bytes(), 0);
}

TEST(MemoryBudgetTest, ReplacingAReservationGivesTheOldOneBack) {
  MemoryBudget budget(100);
  Reservation reservation;
  ASSERT_TRUE(budget.TryReserve(10, &reservation));
  ASSERT_TRUE(budget.TryReserve(30, &reservation));
  EXPECT_EQ(budget.used_bytes(), 30);
}

TEST(MemoryBudgetTest, EachReleaseWakesTheOneWhoWaits) {
  MemoryBudget budget(100);
  int woken = 0;
  budget.SetOnRelease([&] { ++woken; });
  Reservation a = budget.ReserveAlways(10);
  a.Release();
  EXPECT_EQ(woken, 1);
  a.Release();
  Reservation().Release();
  EXPECT_EQ(woken, 1);
}

TEST(MemoryBudgetTest, HoldsItsLimitWithManyThreads) {
  constexpr int64_t kLimit = 64;
  MemoryBudget budget(kLimit);
  std::atomic<int> woken{0};
  std::atomic<int64_t> most{0};
  budget.SetOnRelease([&] { woken.fetch_add(1); });
  std::atomic<int> granted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20'000; ++i) {
        Reservation reservation;
        if (!budget.TryReserve(1 + (i * 7 + t) % 30, &reservation)) continue;
        granted.fetch_add(1);
        const int64_t used = budget.used_bytes();
        if (used > most.load()) most.store(used);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(budget.used_bytes(), 0);
  EXPECT_LE(most.load(), kLimit);
  EXPECT_EQ(woken.load(), granted.load());
}

TEST(MemoryBudgetTest, MayBeReleasedOnAnotherThread) {
  MemoryBudget budget(1000);
  std::vector<Reservation> made;
  for (int i = 0; i < 100; ++i) made.push_back(budget.ReserveAlways(10));
  std::thread releaser([mine = std::move(made)]() mutable { mine.clear(); });
  releaser.join();
  EXPECT_EQ(budget.used_bytes(), 0);
}

}  // namespace
}  // namespace millrace
