#include "base/thread_executor.h"

#include <atomic>
#include <latch>
#include <memory>

#include "base/system_clock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(ThreadExecutorTest, TasksRunInOrderOnItsThread) {
  ThreadExecutor executor("test");
  std::vector<int> order;
  std::latch done(1);
  for (int i = 0; i < 1000; ++i) {
    executor.Post([&, i] {
      EXPECT_TRUE(executor.IsCurrent());
      order.push_back(i);
    });
  }
  executor.Post([&] { done.count_down(); });
  done.wait();
  ASSERT_EQ(order.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(order[i], i);
  EXPECT_FALSE(executor.IsCurrent());
}

TEST(ThreadExecutorTest, ManyThreadsMayPost) {
  ThreadExecutor executor("test");
  int count = 0;  // Touched by the executor only.
  std::latch done(4 * 1000);
  std::vector<std::thread> posters;
  for (int t = 0; t < 4; ++t) {
    posters.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        executor.Post([&] {
          ++count;
          done.count_down();
        });
      }
    });
  }
  done.wait();
  for (std::thread& poster : posters) poster.join();
  executor.Shutdown();
  EXPECT_EQ(count, 4000);
}

TEST(ThreadExecutorTest, AnIdleStrandRunsATaskOnTheCallersThread) {
  ThreadExecutor executor("test");
  std::thread::id thread;
  ASSERT_TRUE(executor.TryRun([&] {
    thread = std::this_thread::get_id();
    EXPECT_TRUE(executor.IsCurrent());
  }));
  EXPECT_EQ(thread, std::this_thread::get_id());
  EXPECT_FALSE(executor.IsCurrent());
}

TEST(ThreadExecutorTest, AStrandThatIsBusyOrHasWorkWaitingIsNotBorrowed) {
  ThreadExecutor executor("test");
  std::latch begun(1);
  std::latch go_on(1);
  executor.Post([&] {
    begun.count_down();
    go_on.wait();
  });
  begun.wait();
  EXPECT_FALSE(executor.TryRun([] { FAIL() << "two tasks of one strand at once"; }));
  // Nor from within a task that was borrowed for itself.
  ThreadExecutor other("other");
  EXPECT_TRUE(other.TryRun([&] { EXPECT_FALSE(other.TryRun([] {})); }));
  EXPECT_TRUE(other.TryRun([&] {
    other.Post([] {});
    EXPECT_FALSE(other.TryRun([] {}));
  }));
  go_on.count_down();
  // Before what its task waits for goes.
  executor.Shutdown();
}

TEST(ThreadExecutorTest, WhatIsPostedToABorrowedStrandRunsWhenItIsGivenBack) {
  ThreadExecutor executor("test");
  const SystemClock clock;
  std::vector<int> order;
  std::latch done(2);
  ASSERT_TRUE(executor.TryRun([&] {
    executor.Post([&] {
      order.push_back(2);
      done.count_down();
    });
    executor.PostAt(clock.Now() + absl::Milliseconds(1), [&] {
      order.push_back(3);
      done.count_down();
    });
    order.push_back(1);
  }));
  done.wait();
  executor.Shutdown();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(ThreadExecutorTest, ATimerThatComesDueWhileTheStrandIsBorrowedWaits) {
  ThreadExecutor executor("test");
  const SystemClock clock;
  bool borrowed = false;
  std::latch done(1);
  const MonotonicTime due = clock.Now() + absl::Milliseconds(2);
  executor.PostAt(due, [&] {
    EXPECT_FALSE(borrowed);
    done.count_down();
  });
  // False if the timer was quicker.
  executor.TryRun([&] {
    borrowed = true;
    while (clock.Now() < due + absl::Milliseconds(5)) std::this_thread::yield();
    borrowed = false;
  });
  done.wait();
}

TEST(ThreadExecutorTest, OneTaskAtATimeWhoeverRunsIt) {
  auto executor = std::make_unique<ThreadExecutor>("test");
  int count = 0;  // Touched by the strand only.
  std::atomic<int> expected = 0;
  std::latch posted(4);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        if (executor->TryRun([&] { ++count; })) {
          expected.fetch_add(1);
        } else if (i % 7 == 0) {
          executor->Post([&] { ++count; });
          expected.fetch_add(1);
        }
      }
      posted.count_down();
    });
  }
  posted.wait();
  std::latch done(1);
  executor->Post([&] { done.count_down(); });
  done.wait();
  executor.reset();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, expected.load());
}

TEST(ThreadExecutorTest, ShutdownWaitsForABorrowedTask) {
  auto executor = std::make_unique<ThreadExecutor>("test");
  std::latch begun(1);
  std::atomic<bool> ended = false;
  std::thread borrower([&] {
    EXPECT_TRUE(executor->TryRun([&] {
      begun.count_down();
      // Once it shuts down, what is posted goes at once.
      while (!ended) {
        const auto token = std::make_shared<int>();
        executor->Post([token] {});
        ended = token.use_count() == 1;
      }
    }));
  });
  begun.wait();
  executor->Shutdown();
  EXPECT_TRUE(ended);
  EXPECT_FALSE(executor->TryRun([] {}));
  borrower.join();
}

TEST(ThreadPoolTest, IsNoStrandToBorrow) {
  ThreadPool pool("test", 2);
  EXPECT_FALSE(pool.TryRun([] {}));
}

TEST(ThreadExecutorTest, TimersRunInOrderOfTimeAndNotBefore) {
  const SystemClock clock;
  ThreadExecutor executor("test");
  std::vector<int> order;
  std::latch done(3);
  const MonotonicTime start = clock.Now();
  const auto post = [&](int ms) {
    executor.PostAt(start + absl::Milliseconds(ms), [&, ms] {
      EXPECT_GE(clock.Now() - start, absl::Milliseconds(ms));
      order.push_back(ms);
      done.count_down();
    });
  };
  post(20);
  post(5);
  post(10);
  executor.PostAt(MonotonicTime::Never(), [] { ADD_FAILURE(); });
  done.wait();
  EXPECT_EQ(order, (std::vector<int>{5, 10, 20}));
}

TEST(ThreadExecutorTest, EarlierTimerWakesAThreadThatWaitsForALaterOne) {
  const SystemClock clock;
  ThreadExecutor executor("test");
  std::latch done(1);
  executor.PostAt(clock.Now() + absl::Hours(1), [] { ADD_FAILURE(); });
  executor.PostAt(clock.Now() + absl::Milliseconds(1), [&] { done.count_down(); });
  done.wait();
}

TEST(ThreadExecutorTest, TimerOfThePastRunsAtOnce) {
  ThreadExecutor executor("test");
  std::latch done(1);
  executor.PostAt(MonotonicTime(), [&] { done.count_down(); });
  done.wait();
}

// Posts when it is destroyed.
struct PostsAtItsEnd {
  explicit PostsAtItsEnd(Executor* executor_in) : executor(executor_in) {}
  ~PostsAtItsEnd() {
    executor->Post([] {});
  }
  Executor* executor;
};

TEST(ThreadExecutorTest, ShutdownDestroysWhatWaitsUnrun) {
  ThreadExecutor executor("test");
  auto held = std::make_shared<PostsAtItsEnd>(&executor);
  std::latch running(1);
  std::atomic<int> ran{0};
  executor.Post([&] {
    running.count_down();
    // Goes on until Shutdown has begun, so that all that is posted meanwhile waits behind it.
    auto probe = std::make_shared<int>();
    do {
      executor.Post([probe, &ran] { ++ran; });
      std::this_thread::yield();
    } while (probe.use_count() > 1 && (probe = std::make_shared<int>()) != nullptr);
  });
  running.wait();
  executor.Post([held, &ran] { ++ran; });
  executor.PostAt(SystemClock().Now() + absl::Hours(1), [held, &ran] { ++ran; });
  executor.Shutdown();
  EXPECT_EQ(ran.load(), 0);
  EXPECT_EQ(held.use_count(), 1);
  executor.Post([held, &ran] { ++ran; });
  EXPECT_EQ(held.use_count(), 1);
}

TEST(ThreadExecutorDeathTest, ShutdownByOneOfItsTasksIsABug) {
  EXPECT_DEATH(
      {
        ThreadExecutor executor("test");
        std::latch never(1);
        executor.Post([&] { executor.Shutdown(); });
        never.wait();
      },
      "one of its own tasks");
}

TEST(ThreadPoolTest, TasksRunAtTheSameTime) {
  ThreadPool pool("test", 3);
  std::latch all(3);
  std::latch done(3);
  for (int i = 0; i < 3; ++i) {
    pool.Post([&] {
      EXPECT_TRUE(pool.IsCurrent());
      all.arrive_and_wait();  // Hangs unless three run at once.
      done.count_down();
    });
  }
  done.wait();
}

TEST(ThreadPoolTest, TimersThatComeDueTogetherUseAllThreads) {
  ThreadPool pool("test", 3);
  std::latch all(3);
  std::latch done(3);
  const MonotonicTime when = SystemClock().Now() + absl::Milliseconds(5);
  for (int i = 0; i < 3; ++i) {
    pool.PostAt(when, [&] {
      all.arrive_and_wait();
      done.count_down();
    });
  }
  done.wait();
}

}  // namespace
}  // namespace millrace
