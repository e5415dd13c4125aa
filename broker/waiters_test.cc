#include "broker/waiters.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

MonotonicTime At(int64_t nanos) { return MonotonicTime::FromNanos(nanos); }

ProduceWaiter Waiter(uint64_t id, int64_t end, int64_t deadline) {
  ProduceWaiter waiter;
  waiter.id = ProduceId(id);
  waiter.end_offset = Offset(end);
  waiter.deadline = At(deadline);
  return waiter;
}

std::vector<uint64_t> Ids(const std::vector<ProduceWaiter>& waiters) {
  std::vector<uint64_t> ids;
  for (const ProduceWaiter& waiter : waiters) ids.push_back(waiter.id.value());
  return ids;
}

TEST(ProduceWaiters, AreSatisfiedInOrderOfOffset) {
  ProduceWaiters waiters;
  waiters.Add(Waiter(1, 10, 100));
  waiters.Add(Waiter(2, 20, 100));
  waiters.Add(Waiter(3, 30, 100));
  std::vector<ProduceWaiter> out;
  waiters.TakeSatisfied(Offset(9), &out);
  EXPECT_THAT(out, IsEmpty());
  waiters.TakeSatisfied(Offset(20), &out);
  EXPECT_THAT(Ids(out), ElementsAre(1, 2));
  EXPECT_EQ(waiters.size(), 1u);
}

TEST(ProduceWaiters, ARetryOfAnOlderBatchWaitsAtItsOwnOffset) {
  ProduceWaiters waiters;
  waiters.Add(Waiter(1, 10, 100));
  waiters.Add(Waiter(2, 30, 100));
  waiters.Add(Waiter(3, 20, 100));
  std::vector<ProduceWaiter> out;
  waiters.TakeSatisfied(Offset(25), &out);
  EXPECT_THAT(Ids(out), ElementsAre(1, 3));
}

TEST(ProduceWaiters, KnowWhenTheLeadersOwnPositionPassedThem) {
  ProduceWaiters waiters;
  waiters.Add(Waiter(1, 10, 100));
  waiters.Add(Waiter(2, 20, 1));
  waiters.Add(Waiter(3, 30, 100));
  waiters.NoteSynced(Offset(9), At(4));
  waiters.NoteSynced(Offset(20), At(5));
  waiters.NoteSynced(Offset(20), At(6));
  std::vector<ProduceWaiter> out;
  waiters.TakeExpired(At(1), &out);
  ASSERT_THAT(Ids(out), ElementsAre(2));
  EXPECT_EQ(out[0].synced, At(5));
  out.clear();
  // A retry of a batch that has been synced: nobody knows when.
  waiters.Add(Waiter(4, 5, 100));
  waiters.NoteSynced(Offset(30), At(7));
  waiters.TakeSatisfied(Offset(30), &out);
  ASSERT_THAT(Ids(out), ElementsAre(4, 1, 3));
  EXPECT_EQ(out[0].synced, MonotonicTime());
  EXPECT_EQ(out[1].synced, At(5));
  EXPECT_EQ(out[2].synced, At(7));
}

TEST(ProduceWaiters, ExpireAtTheirOwnDeadlinesInWhateverOrder) {
  ProduceWaiters waiters;
  EXPECT_EQ(waiters.next_deadline(), MonotonicTime::Never());
  waiters.Add(Waiter(1, 10, 300));
  waiters.Add(Waiter(2, 20, 100));
  waiters.Add(Waiter(3, 30, 200));
  EXPECT_EQ(waiters.next_deadline(), At(100));
  std::vector<ProduceWaiter> out;
  waiters.TakeExpired(At(99), &out);
  EXPECT_THAT(out, IsEmpty());
  waiters.TakeExpired(At(200), &out);
  EXPECT_THAT(Ids(out), ElementsAre(2, 3));
  EXPECT_EQ(waiters.next_deadline(), At(300));
  waiters.TakeAll(&out);
  EXPECT_TRUE(waiters.empty());
  EXPECT_EQ(waiters.next_deadline(), MonotonicTime::Never());
}

TEST(FetchWaiters, WakeWhenTheHighWatermarkPassesWithEnoughBytes) {
  FetchWaiters waiters;
  waiters.Park(ParkId(1), Offset(10), 1);
  waiters.Park(ParkId(2), Offset(10), 150);
  std::vector<ParkId> woken;
  waiters.Advanced(Offset(11), 100, &woken);
  EXPECT_THAT(woken, ElementsAre(ParkId(1)));
  waiters.Advanced(Offset(12), 100, &woken);
  EXPECT_THAT(woken, ElementsAre(ParkId(1), ParkId(2)));
  EXPECT_EQ(waiters.size(), 0u);
}

TEST(FetchWaiters, DoNotWakeForWhatLiesBelowTheirOffset) {
  FetchWaiters waiters;
  waiters.Park(ParkId(1), Offset(50), 1);
  std::vector<ParkId> woken;
  waiters.Advanced(Offset(50), 1000, &woken);
  EXPECT_THAT(woken, IsEmpty());
  waiters.Advanced(Offset(51), 10, &woken);
  EXPECT_THAT(woken, ElementsAre(ParkId(1)));
}

TEST(FetchWaiters, UnparkedAreNotWoken) {
  FetchWaiters waiters;
  waiters.Park(ParkId(1), Offset(0), 1);
  waiters.Unpark(ParkId(1));
  std::vector<ParkId> woken;
  waiters.Advanced(Offset(5), 10, &woken);
  waiters.TakeAll(&woken);
  EXPECT_THAT(woken, IsEmpty());
}

}  // namespace
}  // namespace millrace::broker
