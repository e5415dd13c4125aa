#include "broker/time_lookup.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/testing/shard_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class TimeLookupTest : public ::testing::Test {
 protected:
  ~TimeLookupTest() override {
    executor_->Shutdown();
    pool_->Shutdown();
  }

  static TopicPartition Partition(int index) { return ShardFixture::Partition(index); }
  void On(const std::function<void()>& call) { executor_->RunNow(call); }
  // Ends as a line of events_: what was found.
  void LookUp(int partition, absl::Status status = absl::OkStatus()) {
    TimeLookup lookup =
        [status, partition]() -> absl::StatusOr<std::optional<storage::TimestampAndOffset>> {
      RETURN_IF_ERROR(status);
      storage::TimestampAndOffset found;
      found.offset = Offset(partition);
      return found;
    };
    On([&] {
      LookUpTime(reads_.get(), pool_.get(), Partition(partition), LeaderEpoch(1), std::move(lookup),
                 [this, partition](
                     const absl::StatusOr<std::optional<storage::TimestampAndOffset>>& found) {
                   events_.push_back(absl::StrCat(
                       partition, " ",
                       found.ok() ? absl::StrCat((*found)->offset.value())
                                  : std::string(ErrorCodeName(CodeOf(found.status())))));
                 });
    });
  }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  std::unique_ptr<sim::SimExecutor> executor_ = loop_.MakeExecutor("shard", &clock_);
  std::unique_ptr<sim::SimExecutor> pool_ = loop_.MakeExecutor("pool", &clock_);
  std::vector<std::string> events_;
  int failures_ = 0;
  std::shared_ptr<ColdReads> reads_ = std::make_shared<ColdReads>(
      executor_.get(), &clock_, ColdReads::Metrics(),
      [this](const TopicPartition&, Offset, const absl::Status&) { ++failures_; });
};

TEST_F(TimeLookupTest, WhatIsFoundComesBackAndSoDoErrors) {
  LookUp(3);
  LookUp(4, MakeError(ErrorCode::kCorruptLog, "rot"));
  EXPECT_THAT(events_, IsEmpty());
  loop_.RunFor(absl::Milliseconds(100));
  EXPECT_THAT(events_, ElementsAre("3 3", "4 CORRUPT_LOG"));
  EXPECT_EQ(failures_, 0);
}

TEST_F(TimeLookupTest, S37_OneOnADiskThatHangsIsLateAndTheNextAreSoAtOnce) {
  pool_->Pause();
  for (int i = 0; i < 10; ++i) LookUp(i);
  loop_.RunFor(ColdReads::kPatience - absl::Milliseconds(1));
  EXPECT_THAT(events_, IsEmpty());
  EXPECT_THAT(pool_->pending(), ColdReads::kUnderWayMax);
  loop_.RunFor(absl::Milliseconds(2));
  EXPECT_THAT(events_, SizeIs(10));
  LookUp(10);
  EXPECT_THAT(events_, SizeIs(11));
  EXPECT_THAT(events_, Each(::testing::EndsWith(" REQUEST_TIMED_OUT")));
  // What a late one finds is nobody's.
  pool_->Resume();
  loop_.RunFor(absl::Seconds(1));
  EXPECT_THAT(events_, SizeIs(11));
  LookUp(12);
  loop_.RunFor(absl::Milliseconds(100));
  EXPECT_EQ(events_.back(), "12 12");
}

TEST_F(TimeLookupTest, MoreThanMayBeUnderWayHaveTheirTurnsInOrder) {
  for (int i = 0; i < 10; ++i) LookUp(i);
  loop_.RunFor(absl::Milliseconds(100));
  ASSERT_THAT(events_, SizeIs(10));
  EXPECT_EQ(events_.back(), "9 9");
}

TEST_F(TimeLookupTest, AtTheEndAllAreTold) {
  pool_->Pause();
  for (int i = 0; i < 10; ++i) LookUp(i);
  On([&] { reads_->Close(); });
  EXPECT_THAT(events_, SizeIs(10));
}

}  // namespace
}  // namespace millrace::broker
