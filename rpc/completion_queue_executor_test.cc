#include "rpc/completion_queue_executor.h"

#include <future>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

using testdata::kPatience;
using testdata::SteadyClock;
using testdata::Watched;
using testing::ElementsAre;

// Runs everything that was posted before.
void Flush(CompletionQueueExecutor* executor) {
  std::promise<void> done;
  executor->Post([&] { done.set_value(); });
  ASSERT_EQ(done.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST(CompletionQueueExecutor, RunsTasksInOrderOnItsOwnThread) {
  const SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "test");
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) {
    executor.Post([&, i] {
      EXPECT_TRUE(executor.IsCurrent());
      order.push_back(i);
    });
  }
  Flush(&executor);
  EXPECT_FALSE(executor.IsCurrent());
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(CompletionQueueExecutor, TaskPostedByATaskRunsAfterThoseBefore) {
  const SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "test");
  std::vector<std::string> order;
  std::promise<void> done;
  executor.Post([&] {
    executor.Post([&] {
      order.push_back("nested");
      done.set_value();
    });
    order.push_back("outer");
  });
  done.get_future().get();
  EXPECT_THAT(order, ElementsAre("outer", "nested"));
}

TEST(CompletionQueueExecutor, EndlessSelfPostingDoesNotStarveOthers) {
  const SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "test");
  std::atomic<bool> stop = false;
  std::function<void()> again = [&] {
    if (!stop) executor.Post(again);
  };
  executor.Post(again);
  // Comes in as an event of the queue, not as a task.
  std::promise<void> alarm;
  struct Tag final : CompletionTag {
    explicit Tag(std::promise<void>* p) : promise(p) {}
    void Complete(bool) override { promise->set_value(); }
    std::promise<void>* promise;
  } tag(&alarm);
  grpc::Alarm timer;
  timer.Set(executor.queue(), gpr_inf_past(GPR_CLOCK_MONOTONIC),
            static_cast<void*>(static_cast<CompletionTag*>(&tag)));
  EXPECT_EQ(alarm.get_future().wait_for(kPatience), std::future_status::ready);
  Flush(&executor);
  stop = true;
  Flush(&executor);
}

TEST(CompletionQueueExecutor, TimersRunInOrderOfTimeAndNeverEarly) {
  const SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "test");
  const MonotonicTime now = clock.Now();
  Watched<std::vector<int>> order;
  for (const int ms : {30, 10, 20}) {
    const MonotonicTime when = now + absl::Milliseconds(ms);
    executor.PostAt(when, [&, ms, when] {
      EXPECT_GE(clock.Now(), when);
      order.Change([&](std::vector<int>& o) { o.push_back(ms); });
    });
  }
  executor.PostAt(now - absl::Seconds(1),
                  [&] { order.Change([](std::vector<int>& o) { o.push_back(0); }); });
  ASSERT_TRUE(order.Wait([](const std::vector<int>& o) { return o.size() == 4; }));
  EXPECT_THAT(order.Get(), ElementsAre(0, 10, 20, 30));
}

TEST(CompletionQueueExecutor, EarlierTimerWakesTheSleeper) {
  const SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "test");
  executor.PostAt(clock.Now() + absl::Hours(1), [] { FAIL() << "an hour has not passed"; });
  Flush(&executor);
  std::promise<void> ran;
  executor.PostAt(clock.Now() + absl::Milliseconds(5), [&] { ran.set_value(); });
  EXPECT_EQ(ran.get_future().wait_for(kPatience), std::future_status::ready);
}

TEST(CompletionQueueExecutor, ShutdownDestroysTasksUnrun) {
  const SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "test");
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = owned;
  executor.PostAt(clock.Now() + absl::Hours(1), [owned = std::move(owned)] { FAIL(); });
  executor.Shutdown();
  EXPECT_TRUE(watch.expired());
  bool ran = false;
  executor.Post([&] { ran = true; });
  executor.PostAt(clock.Now(), [&] { ran = true; });
  executor.Shutdown();
  EXPECT_FALSE(ran);
}

TEST(CompletionQueueExecutor, ManyPostersLoseNothing) {
  const SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "test");
  constexpr int kPosters = 4;
  constexpr int kTasks = 20000;
  int sum = 0;
  std::vector<std::thread> posters;
  for (int p = 0; p < kPosters; ++p) {
    posters.emplace_back([&] {
      for (int i = 0; i < kTasks; ++i) executor.Post([&] { ++sum; });
    });
  }
  for (std::thread& poster : posters) poster.join();
  Flush(&executor);
  EXPECT_EQ(sum, kPosters * kTasks);
}

// Shutting down while others post: no crash, every task runs or is destroyed.
TEST(CompletionQueueExecutor, ShutdownRacesWithPosters) {
  const SteadyClock clock;
  for (int round = 0; round < 50; ++round) {
    CompletionQueueExecutor executor(&clock, "test");
    auto token = std::make_shared<int>(0);
    std::thread poster([&] {
      for (int i = 0; i < 200; ++i) executor.Post([token] {});
    });
    executor.Shutdown();
    poster.join();
    EXPECT_EQ(token.use_count(), 1);
  }
}

}  // namespace
}  // namespace millrace::rpc
