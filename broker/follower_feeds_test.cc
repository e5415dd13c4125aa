#include "broker/follower_feeds.h"

#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "broker/testing/fake_replica_log.h"

namespace millrace::broker {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr NodeId kB{2};
constexpr FollowerId kFollower{kB, BrokerEpoch(100)};
const TopicPartition kPartition{TopicId(Uuid(1, 2)), PartitionIndex(0)};

void Append(FakeReplicaLog* log, int count, int epoch) {
  const Bytes batch = MakeBatch(count);
  Buffer buffer(batch.size());
  std::memcpy(buffer.data(), batch.data(), batch.size());
  ASSERT_OK(log->StageAsLeader(std::move(buffer), LeaderEpoch(epoch), {}));
}

// --- The divergence check ---

class DivergenceTest : public ::testing::Test {
 protected:
  // The leader: epoch 1 to 4, epoch 3 to 9, epoch 5 to 12.
  DivergenceTest() {
    Append(&log_, 4, 1);
    Append(&log_, 5, 3);
    Append(&log_, 3, 5);
  }
  AttachReply Check(int last_epoch, int64_t end) {
    AttachRequest request;
    request.last_epoch = LeaderEpoch(last_epoch);
    request.end_offset = Offset(end);
    AttachReply reply;
    CheckDivergence(log_, request, &reply);
    return reply;
  }
  bool Fits(int last_epoch, int64_t end) {
    const AttachReply reply = Check(last_epoch, end);
    return !reply.diverging && !reply.reset_to;
  }

  FakeReplicaLog log_;
};

TEST_F(DivergenceTest, APrefixFits) {
  EXPECT_TRUE(Fits(5, 12));
  EXPECT_TRUE(Fits(5, 10));
  EXPECT_TRUE(Fits(3, 9));
  EXPECT_TRUE(Fits(3, 6));
  EXPECT_TRUE(Fits(1, 4));
  EXPECT_TRUE(Fits(-1, 0)) << "an empty log";
}

TEST_F(DivergenceTest, ALongerTailOfAKnownEpochEndsWhereTheLeadersDoes_KIP101) {
  EXPECT_EQ(Check(3, 11).diverging, (storage::EpochEnd{LeaderEpoch(3), Offset(9)}));
  EXPECT_EQ(Check(5, 20).diverging, (storage::EpochEnd{LeaderEpoch(5), Offset(12)}));
}

TEST_F(DivergenceTest, AnUnknownEpochIsAnsweredWithTheLargestBelow_KIP279) {
  EXPECT_EQ(Check(4, 9).diverging, (storage::EpochEnd{LeaderEpoch(3), Offset(9)}));
  EXPECT_EQ(Check(2, 4).diverging, (storage::EpochEnd{LeaderEpoch(1), Offset(4)}));
  EXPECT_EQ(Check(9, 5).diverging, (storage::EpochEnd{LeaderEpoch(5), Offset(12)}));
}

TEST_F(DivergenceTest, AFollowerBelowTheLogStartBeginsThere) {
  log_.SetHighWatermark(Offset(12));
  log_.RaiseLogStart(Offset(9), [](const absl::Status&) {});
  EXPECT_EQ(Check(3, 8).reset_to, Offset(9));
  EXPECT_EQ(Check(-1, 0).reset_to, Offset(9));
  EXPECT_EQ(Check(3, 9).reset_to, Offset(9)) << "its epochs are not known any more";
  EXPECT_TRUE(Fits(5, 9));
  EXPECT_EQ(Check(3, 10).reset_to, Offset(9)) << "no epoch here is as old";
  EXPECT_EQ(Check(-1, 20).reset_to, Offset(9)) << "an empty log that begins beyond the end";
  EXPECT_TRUE(Fits(-1, 10));
}

// --- Feeding ---

class FollowerFeedsTest : public ::testing::Test {
 protected:
  FollowerFeedsTest() {
    auto log = std::make_unique<FakeReplicaLog>();
    log_ = log.get();
    held_ = std::make_unique<HeldPartition>(ReplicaOptions{.self = NodeId(1)}, kPartition,
                                            std::move(log), TopicSettings{});
    held_->leader_epoch = LeaderEpoch(7);
    feeds_ = std::make_unique<FollowerFeeds>(held_.get());
  }
  void Attach(int64_t end, uint64_t attach = 1) {
    AttachRequest request;
    request.attach = attach;
    request.end_offset = Offset(end);
    feeds_->Attach(kFollower, request, &outbox_);
  }
  std::vector<Sendable> Sendables() { return std::exchange(outbox_.sendable, {}); }
  std::optional<PendingPush> Take(size_t bytes_max = 1 << 20) {
    return feeds_->Take(kB, bytes_max, &outbox_);
  }

  FakeReplicaLog* log_ = nullptr;
  std::unique_ptr<HeldPartition> held_;
  std::unique_ptr<FollowerFeeds> feeds_;
  Outbox outbox_;
};

TEST_F(FollowerFeedsTest, WhatIsStagedIsPushedBeforeItIsWritten) {
  Attach(0);
  EXPECT_THAT(Sendables(), IsEmpty());
  Append(log_, 2, 7);
  feeds_->Tell(&outbox_);
  Append(log_, 2, 7);
  feeds_->Tell(&outbox_);
  ASSERT_THAT(outbox_.sendable, SizeIs(1)) << "told once";
  EXPECT_EQ(outbox_.sendable[0].follower, kB);
  EXPECT_FALSE(outbox_.sendable[0].can_wait);
  const std::optional<PendingPush> push = Take();
  ASSERT_TRUE(push.has_value());
  EXPECT_EQ(push->header.leader_epoch, LeaderEpoch(7));
  EXPECT_EQ(push->header.attach, 1u);
  EXPECT_EQ(push->header.base_offset, Offset(0));
  EXPECT_EQ(push->read.result->next_offset, Offset(4));
  EXPECT_EQ(Take(), std::nullopt);
  Sendables();
  Append(log_, 1, 7);
  feeds_->Tell(&outbox_);
  EXPECT_THAT(Sendables(), SizeIs(1));
  EXPECT_EQ(Take()->header.base_offset, Offset(4));
}

TEST_F(FollowerFeedsTest, AFollowerGetsItsShareAtATime) {
  for (int i = 0; i < 3; ++i) Append(log_, 2, 7);
  Attach(2);
  EXPECT_THAT(Sendables(), SizeIs(1)) << "it has something to catch up with";
  EXPECT_EQ(Take(1)->read.result->next_offset, Offset(4)) << "one batch is always given";
  EXPECT_EQ(Take(1)->read.result->next_offset, Offset(6));
  EXPECT_EQ(Take(1), std::nullopt);
}

TEST_F(FollowerFeedsTest, ANewHighWatermarkAloneMayWait) {
  Append(log_, 2, 7);
  Attach(2);
  held_->SetHighWatermark(Offset(2));
  feeds_->Tell(&outbox_);
  const std::vector<Sendable> told = Sendables();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_TRUE(told[0].can_wait);
  Append(log_, 1, 7);
  feeds_->Tell(&outbox_);
  EXPECT_THAT(Sendables(), SizeIs(1)) << "batches do not wait";
  std::optional<PendingPush> push = Take();
  EXPECT_EQ(push->header.high_watermark, Offset(2));
  EXPECT_EQ(push->read.result->pieces.size(), 1u);
  EXPECT_EQ(Take(), std::nullopt);
  held_->SetHighWatermark(Offset(3));
  feeds_->Tell(&outbox_);
  push = Take();
  EXPECT_EQ(push->header.high_watermark, Offset(3));
  EXPECT_THAT(push->read.result->pieces, IsEmpty());
}

TEST_F(FollowerFeedsTest, AColdReadHoldsUpTheNext) {
  log_->set_cold(true);
  for (int i = 0; i < 2; ++i) Append(log_, 2, 7);
  Attach(0);
  Sendables();
  std::optional<PendingPush> push = Take(1);
  ASSERT_FALSE(push->read.result.has_value());
  EXPECT_EQ(Take(1), std::nullopt);
  feeds_->Tell(&outbox_);
  EXPECT_THAT(Sendables(), IsEmpty());
  feeds_->OnRead(kB, 1, Offset(2), &outbox_);
  EXPECT_THAT(Sendables(), SizeIs(1));
  push = Take(1);
  EXPECT_EQ(push->header.base_offset, Offset(2));
  feeds_->OnRead(kB, 1, MakeError(ErrorCode::kCorruptLog, "damage"), &outbox_);
  EXPECT_EQ(outbox_.detaches.back().detach.attach, 1u);
  EXPECT_FALSE(feeds_->IsAttached(kB));
}

TEST_F(FollowerFeedsTest, AReadOfAFormerAttachIsIgnored_S14) {
  log_->set_cold(true);
  Append(log_, 2, 7);
  Attach(0, 1);
  Take();
  Attach(0, 2);
  feeds_->OnRead(kB, 1, Offset(2), &outbox_);
  EXPECT_EQ(Take()->header.base_offset, Offset(0));
}

TEST_F(FollowerFeedsTest, AFollowerThatTheLogStartHasPassedIsDetached) {
  Append(log_, 2, 7);
  Append(log_, 2, 7);
  Attach(0);
  log_->set_read_error(MakeError(ErrorCode::kOffsetOutOfRange, "below the start"));
  EXPECT_EQ(Take(), std::nullopt);
  ASSERT_THAT(outbox_.detaches, SizeIs(1));
  EXPECT_EQ(outbox_.detaches[0].peer, kB);
}

TEST_F(FollowerFeedsTest, AttachesAreKeyedByRunAndNumber_S14) {
  Attach(0, 5);
  EXPECT_TRUE(feeds_->IsStale(kFollower, 4));
  EXPECT_TRUE(feeds_->IsStale(kFollower, 5));
  EXPECT_FALSE(feeds_->IsStale(kFollower, 6));
  EXPECT_FALSE(feeds_->IsStale({kB, BrokerEpoch(101)}, 1)) << "another run counts anew";
  EXPECT_TRUE(feeds_->IsAttached(kFollower, 5));
  EXPECT_FALSE(feeds_->IsAttached(kFollower, 4));
  feeds_->DetachOlderThan(kB, BrokerEpoch(101), &outbox_);
  EXPECT_FALSE(feeds_->IsAttached(kB));
}

}  // namespace
}  // namespace millrace::broker
