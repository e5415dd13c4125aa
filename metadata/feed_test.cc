#include "metadata/feed.h"

#include <deque>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/test_image.h"

namespace millrace::metadata {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Runs tasks when told.
class QueueExecutor final : public Executor {
 public:
  void Post(Task task) override { tasks_.push_back(std::move(task)); }
  void PostAt(MonotonicTime, Task task) override { tasks_.push_back(std::move(task)); }
  bool IsCurrent() const override { return running_; }
  void RunAll() {
    running_ = true;
    while (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      std::move(task)();
    }
    running_ = false;
  }

 private:
  std::deque<Task> tasks_;
  bool running_ = false;
};

class FeedTest : public ::testing::Test {
 protected:
  FeedTest() : feed_(std::make_shared<const Image>(TestImage())) {}

  void Publish(const std::vector<rsm::Record>& records) {
    feed_.Publish(std::make_shared<const Image>(Next(*feed_.current(), records)), records);
  }
  Feed::Observer Recorder(std::vector<int64_t>* seen) {
    return [seen](const Update& update) { seen->push_back(update.image->index().value()); };
  }

  Feed feed_;
};

TEST_F(FeedTest, NewObserverStartsWithTheWholeImage) {
  Delta first;
  feed_.Subscribe(nullptr, [&](const Update& update) { first = *update.delta; });
  EXPECT_THAT(first.topics_created, ElementsAre(TestTopicId(1)));
  EXPECT_EQ(first.partitions_changed.size(), 2u);
  EXPECT_EQ(first.from, LogIndex(0));
}

TEST_F(FeedTest, ObserversAreToldOnTheirExecutorInOrderWithNothingLeftOut) {
  QueueExecutor executor;
  std::vector<int64_t> seen;
  bool on_executor = true;
  feed_.Subscribe(&executor, [&](const Update& update) {
    on_executor = on_executor && executor.IsCurrent();
    seen.push_back(update.image->index().value());
  });
  Publish({TopicMade(2, "u")});
  Publish({TopicGone(2)});
  EXPECT_THAT(seen, IsEmpty());
  executor.RunAll();
  EXPECT_THAT(seen, ElementsAre(2, 3, 4));
  EXPECT_TRUE(on_executor);
}

TEST_F(FeedTest, UnsubscribedObserverHearsNoMore) {
  std::vector<int64_t> seen;
  const auto id = feed_.Subscribe(nullptr, Recorder(&seen));
  feed_.Unsubscribe(id);
  Publish({});
  EXPECT_THAT(seen, ElementsAre(2));
}

TEST_F(FeedTest, ObserverMayUnsubscribeAnotherWhileItIsTold) {
  std::vector<int64_t> seen;
  Feed::SubscriptionId victim;
  bool armed = false;
  feed_.Subscribe(nullptr, [&](const Update&) {
    if (armed) feed_.Unsubscribe(victim);
  });
  victim = feed_.Subscribe(nullptr, Recorder(&seen));
  armed = true;
  Publish({});
  EXPECT_THAT(seen, ElementsAre(2));
}

TEST_F(FeedTest, S20_ImagesNeverGoBack) { EXPECT_DEATH(feed_.Publish(feed_.current(), {}), ""); }

TEST_F(FeedTest, S20_ImageThatCameWholeRemovesNothing) {
  Delta last;
  feed_.Subscribe(nullptr, [&](const Update& update) { last = *update.delta; });
  feed_.PublishWhole(std::make_shared<const Image>(Next(*feed_.current(), {TopicGone(1)})));
  EXPECT_THAT(last.topics_removed, IsEmpty());
  EXPECT_EQ(last.topics_absent.size(), 1u);
  EXPECT_TRUE(last.whole);
}

}  // namespace
}  // namespace millrace::metadata
