#include "broker/repair_queue.h"

#include <vector>

#include "broker/testing/shard_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::SizeIs;
using Kind = MendOutcome::Kind;

class RepairQueueTest : public ::testing::Test {
 protected:
  RepairQueueTest() {
    f_.Lead(2);
    queue_ =
        std::make_shared<RepairQueue>(f_.shard, &f_.metrics,
                                      [this](const TopicPartition& partition, Offset at,
                                             absl::AnyInvocable<void(const MendOutcome&) &&> done) {
                                        asked_.push_back({partition, at});
                                        done_ = std::move(done);
                                      });
  }
  ~RepairQueueTest() override { f_.executor->Shutdown(); }

  void Find(int partition, int64_t at) {
    f_.executor->RunNow([&] {
      queue_->Add(f_.Partition(partition), Offset(at), MakeError(ErrorCode::kCorruptLog, "rot"));
    });
    f_.loop.RunFor(absl::Milliseconds(10));
  }
  void Answer(Kind kind, int ranges = 0) {
    ASSERT_TRUE(done_ != nullptr);
    MendOutcome outcome;
    outcome.kind = kind;
    outcome.ranges = ranges;
    f_.executor->RunNow([&] { std::exchange(done_, nullptr)(outcome); });
    f_.loop.RunFor(absl::Milliseconds(10));
  }
  double Metric(const std::string& name) {
    double sum = 0;
    for (const MetricSample& sample : f_.metrics.Collect()) {
      if (sample.name == name) sum += sample.value;
    }
    return sum;
  }

  ShardFixture f_;
  std::vector<std::pair<TopicPartition, Offset>> asked_;
  absl::AnyInvocable<void(const MendOutcome&) &&> done_;
  std::shared_ptr<RepairQueue> queue_;
};

TEST_F(RepairQueueTest, OneSegmentIsRepairedAtATimeAndEachOnce) {
  Find(0, 3);
  Find(0, 4);
  Find(1, 7);
  ASSERT_THAT(asked_, SizeIs(1)) << "of the second the segment is the first's";
  EXPECT_EQ(queue_->size(), 2u);
  EXPECT_EQ(Metric("millrace_log_damaged_segments"), 2);
  Answer(Kind::kWhole, 2);
  ASSERT_THAT(asked_, SizeIs(2));
  EXPECT_EQ(asked_[1].first, f_.Partition(1));
  EXPECT_EQ(asked_[1].second, Offset(7));
  Answer(Kind::kVoid);
  EXPECT_EQ(queue_->size(), 0u);
  EXPECT_EQ(Metric("millrace_log_damaged_segments"), 0);
  EXPECT_EQ(Metric("millrace_log_repaired_ranges_total"), 2);
  EXPECT_EQ(Metric("millrace_log_damage_found_total"), 2);
}

TEST_F(RepairQueueTest, WhatCannotBeHadIsAskedForAgainEverMoreRarely) {
  Find(0, 3);
  for (const int seconds : {1, 2, 4, 8, 16, 32, 60, 60}) {
    const size_t before = asked_.size();
    Answer(Kind::kLater);
    f_.loop.RunFor(absl::Seconds(seconds) - absl::Milliseconds(50));
    ASSERT_EQ(asked_.size(), before) << seconds;
    f_.loop.RunFor(absl::Milliseconds(60));
    ASSERT_EQ(asked_.size(), before + 1) << seconds;
  }
}

TEST_F(RepairQueueTest, WhatNobodyHasIsAskedForAgainRarely) {
  Find(0, 3);
  Answer(Kind::kNobodyHasIt);
  EXPECT_EQ(queue_->size(), 1u);
  f_.loop.RunFor(absl::Minutes(9));
  EXPECT_THAT(asked_, SizeIs(1));
  f_.loop.RunFor(absl::Minutes(2));
  EXPECT_THAT(asked_, SizeIs(2));
  // One that is found meanwhile need not wait for it.
  Answer(Kind::kNobodyHasIt);
  Find(1, 0);
  EXPECT_THAT(asked_, SizeIs(3));
}

TEST_F(RepairQueueTest, AReplicaThatIsNotHereHasNoDamage) {
  Find(9, 3);
  EXPECT_EQ(queue_->size(), 0u);
}

}  // namespace
}  // namespace millrace::broker
