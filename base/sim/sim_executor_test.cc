#include "base/sim/sim_executor.h"

#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::sim {
namespace {

using ::testing::ElementsAre;

TEST(SimExecutorTest, TasksOfOneExecutorRunInTheOrderPosted) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SimLoop loop(seed);
    auto executor = loop.MakeExecutor("a");
    std::vector<int> order;
    for (int i = 0; i < 10; ++i) executor->Post([&order, i] { order.push_back(i); });
    const MonotonicTime later = loop.now() + absl::Seconds(1);
    for (int i = 10; i < 20; ++i) executor->PostAt(later, [&order, i] { order.push_back(i); });
    ASSERT_TRUE(loop.RunUntilIdle());
    for (int i = 0; i < 20; ++i) EXPECT_EQ(order[i], i);
  }
}

TEST(SimExecutorTest, AnIdleStrandIsBorrowedOrNotAsTheSeedSays) {
  std::set<bool> drawn;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SimLoop loop(seed);
    auto owner = loop.MakeExecutor("owner");
    auto disk = loop.MakeExecutor("disk");
    bool ran = false;
    owner->Post([&] {
      const bool borrowed = disk->TryRun([&] {
        EXPECT_TRUE(disk->IsCurrent());
        loop.Delay(absl::Milliseconds(3));
        ran = true;
      });
      EXPECT_EQ(borrowed, ran);
      EXPECT_TRUE(owner->IsCurrent());
      // It was the caller that waited.
      EXPECT_EQ(loop.task_now() - loop.now(), absl::Milliseconds(ran ? 3 : 0));
      drawn.insert(borrowed);
    });
    ASSERT_TRUE(loop.RunUntilIdle());
  }
  EXPECT_EQ(drawn.size(), 2u);
}

TEST(SimExecutorTest, AStrandThatIsBusyPausedOrHasWorkIsNotBorrowed) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SimLoop loop(seed);
    auto owner = loop.MakeExecutor("owner");
    auto busy = loop.MakeExecutor("busy");
    auto paused = loop.MakeExecutor("paused");
    auto waited_for = loop.MakeExecutor("waited for");
    busy->Post([&] { loop.Delay(absl::Seconds(1)); });
    ASSERT_TRUE(loop.RunUntilIdle());
    paused->Pause();
    owner->Post([&] {
      waited_for->Post([] {});
      for (SimExecutor* strand : {busy.get(), paused.get(), waited_for.get()}) {
        EXPECT_FALSE(strand->TryRun([] {})) << strand->name();
      }
    });
    ASSERT_TRUE(loop.RunUntilIdle());
  }
}

TEST(SimExecutorTest, AStallIsSeenByWhoeverRuns) {
  SimLoop loop(1);
  const SimClock clock(loop.time());
  auto executor = loop.MakeExecutor("a", &clock);
  const MonotonicTime begin = clock.Now();
  std::vector<absl::Duration> seen;
  executor->PostAt(begin + absl::Milliseconds(3), [&] { seen.push_back(clock.Now() - begin); });
  executor->Post([&] {
    loop.Stall(absl::Milliseconds(5));
    seen.push_back(clock.Now() - begin);
  });
  ASSERT_TRUE(loop.RunUntilIdle());
  EXPECT_THAT(seen, ElementsAre(absl::Milliseconds(5), absl::Milliseconds(5)));
}

TEST(SimExecutorTest, TiesBetweenExecutorsAreBrokenBySeed) {
  std::set<std::string> orders;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SimLoop loop(seed);
    auto a = loop.MakeExecutor("a");
    auto b = loop.MakeExecutor("b");
    auto c = loop.MakeExecutor("c");
    std::string order;
    a->Post([&] { order += 'a'; });
    b->Post([&] { order += 'b'; });
    c->Post([&] { order += 'c'; });
    ASSERT_TRUE(loop.RunUntilIdle());
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 6u);
}

uint64_t TraceOf(uint64_t seed) {
  SimLoop loop(seed);
  auto a = loop.MakeExecutor("a");
  auto b = loop.MakeExecutor("b");
  int left = 50;
  std::function<void()> ping = [&] {
    if (--left == 0) return;
    SimExecutor& other = left % 3 == 0 ? *a : *b;
    other.Post([&] { ping(); });
    a->PostAt(loop.now() + absl::Microseconds(left), [] {});
  };
  a->Post([&] { ping(); });
  for (int i = 0; i < 20; ++i) b->Post([] {});
  EXPECT_TRUE(loop.RunUntilIdle());
  return loop.trace_hash();
}

TEST(SimExecutorTest, SameSeedSameTrace) {
  EXPECT_EQ(TraceOf(1), TraceOf(1));
  EXPECT_NE(TraceOf(1), TraceOf(2));
}

TEST(SimExecutorTest, TimersRunAtTheirTimeAndTimeJumps) {
  SimLoop loop(1);
  auto executor = loop.MakeExecutor("a");
  std::vector<int64_t> seen;
  const auto note = [&] { seen.push_back(loop.now().nanos()); };
  executor->PostAt(MonotonicTime::FromNanos(500), note);
  executor->PostAt(MonotonicTime::FromNanos(100), note);
  executor->PostAt(MonotonicTime::Never(), note);
  ASSERT_TRUE(loop.RunUntilIdle());
  EXPECT_THAT(seen, ElementsAre(100, 500));
}

TEST(SimExecutorTest, RunUntilStopsAtTheTime) {
  SimLoop loop(1);
  auto executor = loop.MakeExecutor("a");
  int ran = 0;
  executor->PostAt(MonotonicTime::FromNanos(100), [&] { ++ran; });
  executor->PostAt(MonotonicTime::FromNanos(101), [&] { ++ran; });
  loop.RunUntil(MonotonicTime::FromNanos(100));
  EXPECT_EQ(ran, 1);
  loop.RunFor(absl::Nanoseconds(900));
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(loop.now().nanos(), 1000);
}

TEST(SimExecutorTest, RunUntilPredicateIsBounded) {
  SimLoop loop(1);
  auto executor = loop.MakeExecutor("a");
  int ticks = 0;
  std::function<void()> tick = [&] {
    ++ticks;
    executor->PostAt(loop.now() + absl::Seconds(1), [&] { tick(); });
  };
  executor->Post([&] { tick(); });
  EXPECT_TRUE(loop.RunUntil([&] { return ticks == 3; }, absl::Seconds(10)));
  EXPECT_FALSE(loop.RunUntil([&] { return ticks == 100; }, absl::Seconds(10)));
  EXPECT_LE(ticks, 14);
  EXPECT_FALSE(loop.RunUntilIdle(100));
}

TEST(SimExecutorTest, EventsOfAGoneExecutorDoNotLetTimeRunAhead) {
  SimLoop loop(1);
  auto a = loop.MakeExecutor("a");
  auto b = loop.MakeExecutor("b");
  int ran = 0;
  a->PostAt(MonotonicTime::FromNanos(10), [&] { ++ran; });
  b->PostAt(MonotonicTime::FromNanos(100), [&] { ++ran; });
  a.reset();
  loop.RunUntil(MonotonicTime::FromNanos(50));
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(loop.now().nanos(), 50);
}

TEST(SimExecutorTest, IsCurrentOnlyWithinItsOwnTask) {
  SimLoop loop(1);
  auto a = loop.MakeExecutor("a");
  auto b = loop.MakeExecutor("b");
  bool right = false;
  a->Post([&] { right = a->IsCurrent() && !b->IsCurrent(); });
  ASSERT_TRUE(loop.RunUntilIdle());
  EXPECT_TRUE(right);
  EXPECT_FALSE(a->IsCurrent());
  b->RunNow([&] { right = b->IsCurrent(); });
  EXPECT_TRUE(right);
}

TEST(SimExecutorTest, PausedExecutorRunsNothingUntilResumed) {
  SimLoop loop(1);
  auto a = loop.MakeExecutor("a");
  auto b = loop.MakeExecutor("b");
  std::string order;
  a->Pause();
  a->Post([&] { order += '1'; });
  a->PostAt(MonotonicTime::FromNanos(10), [&] { order += '2'; });
  b->PostAt(MonotonicTime::FromNanos(20), [&] { order += 'b'; });
  ASSERT_TRUE(loop.RunUntilIdle());
  EXPECT_EQ(order, "b");
  a->Resume();
  ASSERT_TRUE(loop.RunUntilIdle());
  EXPECT_EQ(order.size(), 3u);
}

TEST(SimExecutorTest, ShutdownDestroysTasksUnrun) {
  SimLoop loop(1);
  auto executor = loop.MakeExecutor("a");
  auto held = std::make_shared<int>(1);
  bool ran = false;
  executor->Post([held, &ran] { ran = true; });
  executor->PostAt(MonotonicTime::FromNanos(5), [held, &ran] { ran = true; });
  EXPECT_EQ(held.use_count(), 3);
  executor->Shutdown();
  EXPECT_EQ(held.use_count(), 1);
  executor->Post([held, &ran] { ran = true; });
  EXPECT_EQ(held.use_count(), 1);
  ASSERT_TRUE(loop.RunUntilIdle());
  EXPECT_FALSE(ran);
}

TEST(SimExecutorTest, ExecutorMayGoWithEventsPendingEvenInItsOwnTask) {
  SimLoop loop(1);
  auto a = loop.MakeExecutor("a");
  auto b = loop.MakeExecutor("b");
  int ran = 0;
  a->Post([&] {
    ++ran;
    a.reset();
  });
  a->Post([&] { ++ran; });
  b->Post([&] { ++ran; });
  ASSERT_TRUE(loop.RunUntilIdle());
  EXPECT_EQ(ran, 2);
}

TEST(SimExecutorTest, PostAtTakesTheTimesOfItsClock) {
  SimLoop loop(1);
  loop.RunFor(absl::Seconds(5));
  SimClock clock(loop.time(), MonotonicTime::FromNanos(1));
  clock.SetDrift(100'000);  // Ten per cent fast.
  auto executor = loop.MakeExecutor("a", &clock);
  executor->PostAt(clock.Now() + absl::Seconds(11), [] {});
  ASSERT_TRUE(loop.RunUntilIdle());
  const absl::Duration error = loop.now() - MonotonicTime() - absl::Seconds(15);
  EXPECT_LT(absl::AbsDuration(error), absl::Nanoseconds(20));
}

TEST(SimExecutorTest, DelayHoldsBackTheTaskItsPostsAndItsExecutor) {
  SimLoop loop(1);
  auto disk = loop.MakeExecutor("disk");
  auto shard = loop.MakeExecutor("shard");
  std::vector<std::pair<char, int64_t>> seen;
  disk->Post([&] {
    loop.Delay(absl::Nanoseconds(100));
    shard->Post([&] { seen.emplace_back('s', loop.now().nanos()); });
  });
  disk->Post([&] { seen.emplace_back('d', loop.now().nanos()); });
  shard->Post([&] { seen.emplace_back('f', loop.now().nanos()); });
  ASSERT_TRUE(loop.RunUntilIdle());
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0], std::pair('f', int64_t{0}));
  EXPECT_EQ(seen[1].second, 100);
  EXPECT_EQ(seen[2].second, 100);
}

TEST(SimExecutorTest, CheckerRunsAfterEveryEvent) {
  SimLoop loop(1);
  auto executor = loop.MakeExecutor("a");
  int checks = 0;
  loop.SetAfterEvent([&] { ++checks; });
  for (int i = 0; i < 5; ++i) executor->Post([] {});
  ASSERT_TRUE(loop.RunUntilIdle());
  EXPECT_EQ(checks, 5);
  EXPECT_EQ(loop.events_run(), 5u);
}

}  // namespace
}  // namespace millrace::sim
