#include "broker/scrubber.h"

#include <vector>

#include "broker/testing/shard_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ScrubberTest : public ::testing::Test {
 protected:
  ScrubberTest() {
    f_.Lead(2);
    std::vector<ProduceReply> replies;
    for (int partition = 0; partition < 2; ++partition) {
      f_.logs[partition]->set_cold(true);
      for (int i = 0; i < 8; ++i) f_.Produce(partition, MakeBatch(1, 400 << 10), &replies);
    }
    f_.loop.RunFor(absl::Seconds(1));
    scrubber_ = std::make_shared<Scrubber>(f_.shard, &f_.metrics);
    f_.executor->RunNow([&] {
      f_.shard->SetOnDamage(
          [this](const TopicPartition& partition, Offset at, const absl::Status&) {
            found_.push_back({partition, at});
          });
    });
  }
  ~ScrubberTest() override { f_.executor->Shutdown(); }

  void SetPace(absl::Duration interval, int64_t bytes_per_second) {
    f_.executor->RunNow([&] { scrubber_->SetPace({interval, bytes_per_second}); });
  }
  int64_t Metric(const std::string& name) {
    for (const MetricSample& sample : f_.metrics.Collect()) {
      if (sample.name == name) return static_cast<int64_t>(sample.value);
    }
    return -1;
  }
  int64_t Read() { return Metric("millrace_log_scrub_bytes_total"); }
  int64_t All() { return f_.logs[0]->size_bytes() + f_.logs[1]->size_bytes(); }

  ShardFixture f_;
  std::vector<std::pair<TopicPartition, Offset>> found_;
  std::shared_ptr<Scrubber> scrubber_;
};

TEST_F(ScrubberTest, APassReadsAllLogsOnceAndTheNextComesAfterTheInterval) {
  SetPace(absl::Minutes(60), 100 << 20);
  f_.loop.RunFor(absl::Minutes(9));
  EXPECT_EQ(Read(), 0) << "not while the broker starts";
  f_.loop.RunFor(absl::Minutes(2));
  EXPECT_EQ(Read(), All());
  EXPECT_EQ(Metric("millrace_log_scrub_passes_total"), 1);
  f_.loop.RunFor(absl::Minutes(58));
  EXPECT_EQ(Read(), All());
  f_.loop.RunFor(absl::Minutes(2));
  EXPECT_EQ(Read(), 2 * All());
  EXPECT_THAT(found_, IsEmpty());
}

TEST_F(ScrubberTest, ItReadsNoFasterThanAllowed) {
  SetPace(absl::Seconds(1), 100 << 10);
  f_.loop.RunFor(absl::Seconds(11));
  EXPECT_LE(Read(), (10 * 100 << 10) + (1 << 20));
  f_.loop.RunFor(absl::Seconds(50));
  EXPECT_GE(Read(), 50 * 100 << 10);
  // From the next read on.
  SetPace(absl::Hours(1), 100 << 20);
  f_.loop.RunFor(absl::Seconds(20));
  EXPECT_EQ(Read(), All());
}

TEST_F(ScrubberTest, WithoutAnIntervalItEnds) {
  SetPace(absl::Seconds(1), 100 << 10);
  f_.loop.RunFor(absl::Seconds(11));
  SetPace(absl::ZeroDuration(), 100 << 10);
  f_.loop.RunFor(absl::Seconds(11));
  const int64_t read = Read();
  f_.loop.RunFor(absl::Hours(3));
  EXPECT_EQ(Read(), read);
  // And begins again.
  SetPace(absl::Minutes(1), 100 << 20);
  f_.loop.RunFor(absl::Minutes(5));
  EXPECT_GE(Read(), read + 3 * All());
}

TEST_F(ScrubberTest, DamageIsToldAndTheOtherLogsAreRead) {
  f_.logs[0]->set_cold_error(MakeError(ErrorCode::kCorruptLog, "rot"));
  SetPace(absl::Minutes(1), 100 << 20);
  f_.loop.RunFor(absl::Seconds(90));
  EXPECT_THAT(found_, ElementsAre(std::make_pair(f_.Partition(0), Offset(0))));
  EXPECT_EQ(Read(), f_.logs[1]->size_bytes());
}

TEST_F(ScrubberTest, ALogThatCannotBeReadIsLeftForTheNextPass) {
  f_.logs[0]->set_cold_error(MakeError(ErrorCode::kStorageError, "no disk"));
  SetPace(absl::Minutes(1), 100 << 20);
  f_.loop.RunFor(absl::Seconds(90));
  EXPECT_THAT(found_, IsEmpty());
  EXPECT_EQ(Read(), f_.logs[1]->size_bytes());
  f_.logs[0]->set_cold_error(absl::OkStatus());
  f_.loop.RunFor(absl::Seconds(60));
  EXPECT_EQ(Read(), f_.logs[1]->size_bytes() + All());
}

TEST_F(ScrubberTest, S37_ADiskThatHangsIsPassedOverUntilItAnswers) {
  const auto hangs = f_.loop.MakeExecutor("hangs", &f_.clock);
  hangs->Pause();
  f_.logs[0]->set_cold_reads(hangs.get());
  SetPace(absl::Minutes(1), 100 << 20);
  f_.loop.RunFor(absl::Minutes(3) + absl::Seconds(45));
  EXPECT_EQ(Metric("millrace_log_scrub_passes_total"), 3);
  EXPECT_EQ(Read(), 3 * f_.logs[1]->size_bytes());
  EXPECT_EQ(hangs->pending(), 1U) << "it is not asked for more";
  hangs->Resume();
  f_.loop.RunFor(absl::Minutes(1));
  EXPECT_EQ(Read(), 3 * f_.logs[1]->size_bytes() + All());
  EXPECT_THAT(found_, IsEmpty());
  hangs->Shutdown();
}

// The next pass begins when it is due, not when the last log is passed over.
TEST_F(ScrubberTest, TheLastLogOfAPassFailsOrHangsAsAnyOther) {
  f_.logs[1]->set_cold_error(MakeError(ErrorCode::kStorageError, "no disk"));
  SetPace(absl::Minutes(1), 100 << 20);
  f_.loop.RunFor(absl::Seconds(90));
  EXPECT_EQ(Metric("millrace_log_scrub_passes_total"), 1);
  EXPECT_EQ(Read(), f_.logs[0]->size_bytes());
  f_.logs[1]->set_cold_error(absl::OkStatus());
  const auto hangs = f_.loop.MakeExecutor("hangs", &f_.clock);
  hangs->Pause();
  f_.logs[1]->set_cold_reads(hangs.get());
  f_.loop.RunFor(absl::Seconds(75));
  EXPECT_EQ(Metric("millrace_log_scrub_passes_total"), 2);
  EXPECT_EQ(Read(), 2 * f_.logs[0]->size_bytes());
  hangs->Shutdown();
}

TEST_F(ScrubberTest, DamageThatADiskTellsLateIsToldToo) {
  const auto hangs = f_.loop.MakeExecutor("hangs", &f_.clock);
  hangs->Pause();
  f_.logs[0]->set_cold_reads(hangs.get());
  f_.logs[0]->set_cold_error(MakeError(ErrorCode::kCorruptLog, "rot"));
  SetPace(absl::Hours(1), 100 << 20);
  f_.loop.RunFor(absl::Minutes(12));
  EXPECT_EQ(Read(), f_.logs[1]->size_bytes());
  hangs->Resume();
  f_.loop.RunFor(absl::Seconds(1));
  EXPECT_THAT(found_, ElementsAre(std::make_pair(f_.Partition(0), Offset(0))));
  hangs->Shutdown();
}

TEST_F(ScrubberTest, AReplicaThatGoesMeanwhileIsPassedOver) {
  SetPace(absl::Seconds(1), 100 << 10);
  f_.loop.RunFor(absl::Seconds(3));
  f_.executor->RunNow([&] {
    f_.shard->RemoveReplica(f_.Partition(0), MakeError(ErrorCode::kUnknownTopicOrPartition, "x"));
  });
  f_.loop.RunFor(absl::Seconds(100));
  EXPECT_GE(Metric("millrace_log_scrub_passes_total"), 1);
  EXPECT_THAT(found_, IsEmpty());
}

}  // namespace
}  // namespace millrace::broker
