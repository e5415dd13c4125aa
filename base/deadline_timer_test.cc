#include "base/deadline_timer.h"

#include <vector>

#include "base/sim/sim_executor.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

MonotonicTime At(int64_t nanos) { return MonotonicTime::FromNanos(nanos); }

class DeadlineTimerTest : public ::testing::Test {
 protected:
  void Set(int64_t nanos) {
    executor_->RunNow([&] { timer_->Set(At(nanos)); });
  }
  void RunAll() { ASSERT_TRUE(loop_.RunUntilIdle()); }

  sim::SimLoop loop_{1};
  std::unique_ptr<sim::SimExecutor> executor_ = loop_.MakeExecutor("a");
  std::vector<int64_t> fired_;
  std::unique_ptr<DeadlineTimer> timer_ = std::make_unique<DeadlineTimer>(
      executor_.get(), [this] { fired_.push_back(loop_.now().nanos()); });
};

TEST_F(DeadlineTimerTest, FiresOnceAtItsDeadline) {
  Set(100);
  EXPECT_EQ(timer_->deadline(), At(100));
  RunAll();
  EXPECT_EQ(fired_, std::vector<int64_t>{100});
  EXPECT_EQ(timer_->deadline(), MonotonicTime::Never());
}

TEST_F(DeadlineTimerTest, MovingItLaterPostsNothing) {
  Set(100);
  for (int64_t when = 101; when < 150; ++when) Set(when);
  EXPECT_EQ(executor_->pending(), 1u);
  RunAll();
  EXPECT_EQ(fired_, std::vector<int64_t>{149});
  EXPECT_EQ(loop_.events_run(), 2u);
}

TEST_F(DeadlineTimerTest, MovingItEarlierFiresEarlier) {
  Set(100);
  Set(50);
  RunAll();
  EXPECT_EQ(fired_, std::vector<int64_t>{50});
}

TEST_F(DeadlineTimerTest, ClearedTimerDoesNotFire) {
  Set(100);
  executor_->RunNow([&] { timer_->Clear(); });
  RunAll();
  EXPECT_TRUE(fired_.empty());
}

TEST_F(DeadlineTimerTest, DestroyedTimerDoesNotFire) {
  Set(100);
  timer_.reset();
  RunAll();
  EXPECT_TRUE(fired_.empty());
}

TEST_F(DeadlineTimerTest, PostsDoNotPileUp) {
  for (int i = 0; i < 1000; ++i) {
    Set(1'000'000);
    Set(loop_.now().nanos() + 10);
    loop_.RunFor(absl::Nanoseconds(10));
  }
  EXPECT_EQ(fired_.size(), 1000u);
  EXPECT_LE(executor_->pending(), 1u);
}

TEST_F(DeadlineTimerTest, CallbackMaySetTheNextDeadlineOrDestroyTheTimer) {
  std::unique_ptr<DeadlineTimer> timer;
  int times = 0;
  timer = std::make_unique<DeadlineTimer>(executor_.get(), [&] {
    if (++times < 3) {
      timer->Set(loop_.now() + absl::Nanoseconds(10));
    } else {
      timer.reset();
    }
  });
  executor_->RunNow([&] { timer->Set(At(10)); });
  RunAll();
  EXPECT_EQ(times, 3);
  EXPECT_EQ(loop_.now().nanos(), 30);
}

TEST_F(DeadlineTimerTest, DeadlineOfThePastFiresSoon) {
  loop_.RunFor(absl::Nanoseconds(500));
  Set(100);
  RunAll();
  EXPECT_EQ(fired_, std::vector<int64_t>{500});
}

TEST_F(DeadlineTimerTest, SettingItElsewhereIsABug) {
  EXPECT_DEATH(timer_->Set(At(1)), "IsCurrent");
}

}  // namespace
}  // namespace millrace
