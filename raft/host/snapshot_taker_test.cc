#include "raft/host/snapshot_taker.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::raft {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

EntryId At(int64_t index) { return EntryId{Term(1), LogIndex(index)}; }

// Its state is what it says at the time.
class SayingMachine : public SnapshotMachine {
 public:
  Encode Capture() override {
    return [saying = saying] { return absl::StatusOr<std::string>(saying); };
  }
  absl::StatusOr<Install> Decode(LogIndex, std::string) override { return Install(nullptr); }
  std::string saying = "first";
};

class SnapshotTakerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(auto store, SnapshotStore::Open(&files_, "/s"));
    snapshots_ = std::move(store);
    taker_ = std::make_unique<SnapshotTaker>(
        SnapshotTaker::Dependencies{.owner = owner_.get(),
                                    .snapshot_disk = disk_.get(),
                                    .snapshots = snapshots_,
                                    .machine = &machine_},
        1000, absl::Hours(1), [this](const absl::StatusOr<SnapshotOffer>& ended) {
          if (ended.ok()) taken_.push_back(*ended);
          ++ended_;
        });
  }

  const MonotonicTime start_ = MonotonicTime::FromNanos(1'000'000'000);
  sim::SimLoop loop_{1};
  std::unique_ptr<sim::SimExecutor> owner_ = loop_.MakeExecutor("owner");
  std::unique_ptr<sim::SimExecutor> disk_ = loop_.MakeExecutor("disk");
  sim::SimFileSystem files_;
  std::shared_ptr<SnapshotStore> snapshots_;
  SayingMachine machine_;
  std::vector<SnapshotOffer> taken_;
  int ended_ = 0;
  std::unique_ptr<SnapshotTaker> taker_;
};

TEST_F(SnapshotTakerTest, OneIsDueWhenEnoughWasCommittedSinceTheLast) {
  taker_->OnApplied(999, start_);
  EXPECT_FALSE(taker_->due(start_));
  taker_->OnApplied(1, start_);
  EXPECT_TRUE(taker_->due(start_));
  taker_->Take(At(7), VoterSet(), start_);
  taker_->OnApplied(5000, start_);
  EXPECT_FALSE(taker_->due(start_)) << "one at a time";
  ASSERT_TRUE(loop_.RunUntilIdle());
  ASSERT_THAT(taken_, SizeIs(1));
  EXPECT_EQ(taken_[0].id.last, At(7));
  EXPECT_TRUE(taker_->due(start_));
}

TEST_F(SnapshotTakerTest, ALittleIsWrittenAfterAWhileAndNothingNever) {
  EXPECT_EQ(taker_->deadline(), MonotonicTime::Never());
  taker_->OnApplied(1, start_);
  taker_->OnApplied(1, start_ + absl::Minutes(50));
  EXPECT_EQ(taker_->deadline(), start_ + absl::Hours(1));
  EXPECT_FALSE(taker_->due(start_ + absl::Minutes(59)));
  EXPECT_TRUE(taker_->due(start_ + absl::Hours(1)));
  taker_->Take(At(7), VoterSet(), start_);
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_EQ(taker_->deadline(), MonotonicTime::Never());
}

TEST_F(SnapshotTakerTest, TheStateIsThatOfTheMomentItWasCaptured) {
  taker_->Take(At(7), VoterSet(), start_);
  machine_.saying = "later";
  ASSERT_TRUE(loop_.RunUntilIdle());
  ASSERT_THAT(taken_, SizeIs(1));
  ASSERT_OK_AND_ASSIGN(const std::string body, snapshots_->ReadBody(taken_[0].id));
  EXPECT_EQ(body, "first");
}

TEST_F(SnapshotTakerTest, AnInstalledSnapshotBeginsTheCountAnew) {
  taker_->OnApplied(2000, start_);
  taker_->OnInstalled();
  EXPECT_FALSE(taker_->due(start_));
}

// By then the log may be full, so that nothing more is committed.
TEST_F(SnapshotTakerTest, OneThatCannotBeWrittenIsTriedAgainLaterThoughNothingIsCommitted) {
  files_.SetCapacity(10);
  taker_->OnApplied(1000, start_);
  taker_->Take(At(7), VoterSet(), start_);
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(taken_, IsEmpty());
  EXPECT_EQ(ended_, 1);
  EXPECT_EQ(taker_->deadline(), start_ + SnapshotTaker::kRetryAfter);
  files_.SetCapacity(1 << 30);
  taker_->Take(At(7), VoterSet(), start_ + SnapshotTaker::kRetryAfter);
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(taken_, SizeIs(1));
  EXPECT_EQ(taker_->deadline(), MonotonicTime::Never());
  taker_->OnApplied(1000, start_);
  EXPECT_TRUE(taker_->due(start_)) << "the next one waits for nothing";
}

TEST_F(SnapshotTakerTest, ANewerOneFromElsewhereIsNotOvertakenByAnOlder) {
  ASSERT_OK(snapshots_->Write(At(20), VoterSet(), "from the leader"));
  taker_->Take(At(7), VoterSet(), start_);
  ASSERT_TRUE(loop_.RunUntilIdle());
  ASSERT_THAT(taken_, SizeIs(1));
  EXPECT_EQ(taken_[0].id.last, At(20));
}

}  // namespace
}  // namespace millrace::raft
