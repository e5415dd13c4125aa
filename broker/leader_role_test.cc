#include "broker/leader_role.h"

#include <memory>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "broker/testing/fake_replica_log.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr NodeId kSelf{1}, kB{2}, kC{3};
constexpr FollowerId kFollowerB{kB, BrokerEpoch(100)};
constexpr FollowerId kFollowerC{kC, BrokerEpoch(100)};
const DirectoryId kDirectory(Uuid(4, 4));
const TopicPartition kPartition{TopicId(Uuid(1, 2)), PartitionIndex(0)};
constexpr WallTime kWall{1'767'225'600'000};
constexpr LeaderEpoch kEpoch{7};

class LeaderRoleTest : public ::testing::Test {
 protected:
  explicit LeaderRoleTest(const ControllerContact* contact = nullptr) {
    auto log = std::make_unique<FakeReplicaLog>();
    log_ = log.get();
    held_ = std::make_unique<HeldPartition>(ReplicaOptions{.self = kSelf, .contact = contact},
                                            kPartition, std::move(log),
                                            TopicSettings{.min_insync_replicas = 2});
    role_ = std::make_unique<LeaderRole>(held_.get());
  }
  metadata::PartitionImage Image(metadata::BrokerList isr) {
    metadata::PartitionImage image;
    image.replicas = {{kSelf, {}}, {kB, kDirectory}, {kC, {}}};
    image.isr = std::move(isr);
    image.leader = kSelf;
    image.leader_epoch = kEpoch;
    image.partition_epoch = PartitionEpoch(partition_epoch_++);
    return image;
  }
  void Begin(metadata::BrokerList isr) {
    const metadata::PartitionImage image = Image(std::move(isr));
    held_->leader = kSelf;
    held_->leader_epoch = kEpoch;
    held_->partition_epoch = image.partition_epoch;
    role_->Begin(image, standings_, now_, &outbox_);
  }
  void Commit(metadata::BrokerList isr) {
    role_->OnMetadata(Image(std::move(isr)), standings_, true, now_, &outbox_);
  }
  void Produce(api::Acks acks = api::Acks::kAll) {
    ProduceEvent event;
    event.id = ProduceId(next_id_++);
    event.batches = MakeBatch(1);
    event.acks = acks;
    event.deadline = now_ + absl::Seconds(1);
    role_->Produce(std::move(event), {now_, kWall}, &outbox_);
  }
  void Sync() {
    log_->Sync();
    role_->OnAdvanced(now_, &outbox_);
  }
  AttachReply Attach(FollowerId follower, uint64_t attach, int last_epoch, int64_t end,
                     DirectoryId directory = kDirectory) {
    AttachRequest request{kPartition, directory, kEpoch, attach, LeaderEpoch(last_epoch),
                          Offset(end)};
    role_->OnAttach(follower, request, now_, &outbox_);
    if (outbox_.attach_replies.empty()) return {};
    return std::exchange(outbox_.attach_replies, {}).back().reply;
  }
  void At(FollowerId follower, uint64_t attach, int64_t offset) {
    role_->OnPosition(follower, {kPartition, kEpoch, attach, {Offset(offset), Offset(offset)}},
                      now_, &outbox_);
  }
  std::vector<ProduceReply> Replies() { return std::exchange(outbox_.produced, {}); }

  FakeReplicaLog* log_ = nullptr;
  std::unique_ptr<HeldPartition> held_;
  std::unique_ptr<LeaderRole> role_;
  BrokerStandings standings_ = {
      {kSelf, BrokerEpoch(50), true}, {kB, BrokerEpoch(100), true}, {kC, BrokerEpoch(100), true}};
  Outbox outbox_;
  MonotonicTime now_ = MonotonicTime::FromNanos(1'000'000'000);
  uint64_t next_id_ = 1;
  int partition_epoch_ = 1;
};

// --- Deletions ---

// Two records are committed on both.
class LeaderRoleDeletionTest : public LeaderRoleTest {
 protected:
  LeaderRoleDeletionTest() {
    held_->settings.min_insync_replicas = 2;
    Begin({kSelf, kB});
    Attach(kFollowerB, 1, -1, 0);
    Produce();
    Produce();
    Sync();
    At(kFollowerB, 1, 2);
    Starts(kFollowerB, 0);
    while (role_->TakePush(kB, 1000, now_, &outbox_).has_value()) continue;
    outbox_.Clear();
  }
  void Delete(int64_t before) {
    role_->DeleteBefore({ProduceId(next_id_++), Offset(before), now_ + absl::Seconds(1)},
                        Offset(before), now_, &outbox_);
  }
  // The follower says where its log starts on its disk.
  void Starts(FollowerId follower, int64_t log_start) {
    role_->OnPosition(follower, {kPartition, kEpoch, 1, {Offset(2), Offset(2)}, Offset(log_start)},
                      now_, &outbox_);
  }
  // The code of each answer.
  std::vector<ErrorCode> Deleted() {
    std::vector<ErrorCode> codes;
    for (const DeletionReply& reply : std::exchange(outbox_.deleted, {})) {
      codes.push_back(reply.outcome.code);
    }
    return codes;
  }
};

TEST_F(LeaderRoleDeletionTest, IsAnsweredWhenTheDisksOfAllInSyncHaveDeleted_KIP107) {
  Delete(1);
  EXPECT_THAT(outbox_.sendable, SizeIs(1)) << "the follower is told";
  Starts(kFollowerB, 1);
  EXPECT_THAT(Deleted(), IsEmpty()) << "the leader's own disk has not";
  Sync();
  EXPECT_THAT(Deleted(), ElementsAre(ErrorCode::kNone));
  Delete(2);
  Sync();
  EXPECT_THAT(Deleted(), IsEmpty());
  Starts(kFollowerB, 2);
  EXPECT_THAT(Deleted(), ElementsAre(ErrorCode::kNone));
}

TEST_F(LeaderRoleDeletionTest, OfAnEarlierVersionThatTellsNothingNothingIsExpected) {
  Begin({kSelf, kB});
  Attach(kFollowerB, 2, -1, 0);
  Delete(1);
  Sync();
  EXPECT_THAT(Deleted(), IsEmpty()) << "it is not attached yet";
  At(kFollowerB, 2, 2);
  EXPECT_THAT(Deleted(), ElementsAre(ErrorCode::kNone));
}

TEST_F(LeaderRoleDeletionTest, TooFewInSyncDeleteNothing) {
  Commit({kSelf});
  Delete(1);
  EXPECT_THAT(Deleted(), ElementsAre(ErrorCode::kNotEnoughReplicas));
  EXPECT_EQ(log_->log_start_offset(), Offset(0));
}

TEST_F(LeaderRoleDeletionTest, WhatTakesTooLongIsToldSo) {
  Delete(1);
  Sync();
  EXPECT_LE(role_->next_deadline(), now_ + absl::Seconds(1));
  now_ = now_ + absl::Seconds(1);
  role_->Tick(now_, &outbox_);
  EXPECT_THAT(Deleted(), ElementsAre(ErrorCode::kRequestTimedOut));
}

TEST_F(LeaderRoleDeletionTest, AtTheEndOfTheEpochTheOutcomeIsNotKnown_S11) {
  Delete(1);
  role_->End(MakeError(ErrorCode::kNotLeaderOrFollower, "another one leads"), std::nullopt,
             &outbox_);
  EXPECT_THAT(Deleted(), ElementsAre(ErrorCode::kOutcomeUnknown));
}

TEST_F(LeaderRoleDeletionTest, WhoStillHasWhatWasDeletedDoesNotJoin_KIP107) {
  Delete(1);
  Sync();
  Starts(kFollowerB, 1);
  EXPECT_THAT(Deleted(), ElementsAre(ErrorCode::kNone));
  Attach(kFollowerC, 1, kEpoch.value(), 2);
  outbox_.isr_proposals.clear();
  Starts(kFollowerC, 0);
  EXPECT_THAT(outbox_.isr_proposals, IsEmpty());
  Starts(kFollowerC, 1);
  EXPECT_THAT(outbox_.isr_proposals, SizeIs(1));
}

// --- A throttled reassignment ---

// Broker C comes, with a throttle or without.
class LeaderRoleThrottleTest : public LeaderRoleTest {
 protected:
  metadata::PartitionImage Coming(metadata::BrokerList isr, int64_t throttle_bytes_per_s) {
    metadata::PartitionImage image = Image(std::move(isr));
    image.target = {kC, kB};
    image.adding = {kC};
    image.throttle_bytes_per_s = throttle_bytes_per_s;
    return image;
  }
  void Change(const metadata::PartitionImage& image) {
    role_->OnMetadata(image, standings_, true, now_, &outbox_);
  }
  // Followers that are told of since the last call.
  std::vector<NodeId> Told() {
    std::vector<NodeId> told;
    for (const Sendable& sendable : std::exchange(outbox_.sendable, {})) {
      told.push_back(sendable.follower);
    }
    return told;
  }
};

TEST_F(LeaderRoleThrottleTest, HoldsBackThoseWhoComeAndNobodyElse) {
  Begin({kSelf, kB});
  for (int i = 0; i < 3; ++i) Produce();
  Sync();
  Attach(kFollowerB, 1, -1, 0);
  Attach(kFollowerC, 1, -1, 0);
  EXPECT_FALSE(role_->IsThrottled(kC)) << "not reassigned";
  Change(Coming({kSelf, kB}, 1000));
  EXPECT_TRUE(role_->IsThrottled(kC));
  EXPECT_FALSE(role_->IsThrottled(kB));
  Change(Coming({kSelf}, 1000));
  EXPECT_FALSE(role_->IsThrottled(kB)) << "out of sync, but it held the partition before";
  Told();
  Change(Coming({kSelf}, 0));
  EXPECT_FALSE(role_->IsThrottled(kC));
  EXPECT_THAT(Told(), ElementsAre(kC)) << "what it waits for may go";
  Change(Coming({kSelf}, 1000));
  EXPECT_TRUE(role_->IsThrottled(kC));
  Commit({kSelf});
  EXPECT_FALSE(role_->IsThrottled(kC)) << "taken back";
}

TEST_F(LeaderRoleThrottleTest, LetsGoWhomTheHighWatermarkWaitsFor) {
  Begin({kSelf, kB});
  Produce();
  Sync();
  Attach(kFollowerB, 1, -1, 0);
  At(kFollowerB, 1, 1);
  Attach(kFollowerC, 1, -1, 0);
  Change(Coming({kSelf, kB}, 1000));
  Told();
  At(kFollowerC, 1, 1);
  ASSERT_THAT(outbox_.isr_proposals, SizeIs(1)) << "it joins";
  EXPECT_FALSE(role_->IsThrottled(kC)) << "S-15: from the proposal on it is waited for";
  EXPECT_THAT(Told(), ElementsAre(kC));
  Change(Coming({kSelf, kB, kC}, 1000));
  EXPECT_FALSE(role_->IsThrottled(kC));
}

// --- acks=all on several replicas ---

TEST_F(LeaderRoleTest, AcknowledgedWhenTheWholeInSyncSetHasIt) {
  Begin({kSelf, kB, kC});
  Attach(kFollowerB, 1, -1, 0);
  Attach(kFollowerC, 1, -1, 0);
  Produce();
  Sync();
  At(kFollowerB, 1, 1);
  EXPECT_THAT(Replies(), IsEmpty());
  At(kFollowerC, 1, 1);
  const auto replies = Replies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_TRUE(replies[0].outcome.ok());
  EXPECT_EQ(held_->high_watermark, Offset(1));
}

TEST_F(LeaderRoleTest, TooFewInSyncRefusesBeforeAndAfterTheAppend) {
  Begin({kSelf, kB});
  Produce();
  Sync();
  Commit({kSelf});
  Produce();
  auto replies = Replies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].outcome.code, ErrorCode::kNotEnoughReplicas);
  EXPECT_THAT(log_->batches(), SizeIs(1));
  EXPECT_EQ(held_->high_watermark, Offset(0)) << "KAFKA-15583: it stands under the minimum";
  now_ = now_ + absl::Seconds(1);
  role_->Tick(now_, &outbox_);
  replies = Replies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].outcome.code, ErrorCode::kNotEnoughReplicasAfterAppend);
}

TEST_F(LeaderRoleTest, AProposedMemberIsWaitedForAndDoesNotMakeTheMinimum_S15) {
  Begin({kSelf});
  Attach(kFollowerB, 1, -1, 0);
  At(kFollowerB, 1, 0);
  ASSERT_THAT(outbox_.isr_proposals, SizeIs(1));
  Produce();
  EXPECT_EQ(Replies()[0].outcome.code, ErrorCode::kNotEnoughReplicas);
  Produce(api::Acks::kLeader);
  Sync();
  At(kFollowerB, 1, 1);
  EXPECT_EQ(held_->high_watermark, Offset(0));
}

TEST_F(LeaderRoleTest, TheAnswerMovesTheHighWatermark_KAFKA13091) {
  Begin({kSelf});
  Produce(api::Acks::kLeader);
  Sync();
  Attach(kFollowerB, 1, -1, 0);
  At(kFollowerB, 1, 1);
  ASSERT_THAT(outbox_.isr_proposals, SizeIs(1));
  EXPECT_EQ(held_->high_watermark, Offset(0));
  IsrAnswer answer;
  answer.leader_epoch = kEpoch;
  answer.partition_epoch = held_->partition_epoch;
  answer.state = IsrAnswer::State{kSelf, kEpoch, {kSelf, kB}, held_->partition_epoch + 1};
  role_->OnIsrAnswer(answer, now_, &outbox_);
  EXPECT_EQ(held_->high_watermark, Offset(1));
}

// --- Attaching ---

TEST_F(LeaderRoleTest, AnOldTailCountsOnlyAfterItsCheck_S14_KAFKA13141) {
  held_->leader_epoch = LeaderEpoch(5);
  Produce(api::Acks::kNone);
  log_->Sync();
  Begin({kSelf, kB});
  Produce();
  Sync();
  Attach(kFollowerB, 1, 7, 2);
  At(kFollowerB, 1, 2);
  EXPECT_EQ(held_->high_watermark, Offset(2));
  Replies();
  Produce();
  Sync();
  const AttachReply reply = Attach(kFollowerB, 2, 6, 5);
  ASSERT_TRUE(reply.diverging.has_value());
  At(kFollowerB, 2, 3);
  At(kFollowerB, 1, 3);
  EXPECT_THAT(Replies(), IsEmpty()) << "not attached: nothing it says counts";
  Attach(kFollowerB, 3, 7, 2);
  At(kFollowerB, 2, 3);
  EXPECT_THAT(Replies(), IsEmpty()) << "said in another attach";
  At(kFollowerB, 3, 3);
  EXPECT_THAT(Replies(), SizeIs(1));
}

TEST_F(LeaderRoleTest, AnAttachOfAnUnknownRunWaitsAndOfAnOldOneIsRefused_S14_KIP380) {
  Begin({kSelf, kB});
  EXPECT_EQ(Attach({kB, BrokerEpoch(101)}, 1, -1, 0).outcome.code, ErrorCode::kUnknownLeaderEpoch);
  EXPECT_EQ(Attach({kB, BrokerEpoch(99)}, 1, -1, 0).outcome.code, ErrorCode::kStaleBrokerEpoch);
  EXPECT_EQ(Attach({NodeId(9), BrokerEpoch(1)}, 1, -1, 0).outcome.code,
            ErrorCode::kUnknownLeaderEpoch);
  EXPECT_TRUE(Attach(kFollowerB, 1, -1, 0).outcome.ok());
}

// A standing that is newer than the members: the answer to a proposal had a later partition epoch
// than the image that brought the replica's broker.
TEST_F(LeaderRoleTest, AnAttachOfAReplicaThatIsNoMemberYetWaits) {
  constexpr FollowerId kNew{NodeId(4), BrokerEpoch(100)};
  Begin({kSelf, kB});
  metadata::PartitionImage with_it = Image({kSelf, kB});
  with_it.replicas.push_back({kNew.broker, {}});
  standings_.push_back({kNew.broker, kNew.epoch, true});
  role_->OnMetadata(with_it, standings_, false, now_, &outbox_);
  EXPECT_EQ(Attach(kNew, 1, -1, 0).outcome.code, ErrorCode::kUnknownLeaderEpoch);
  role_->OnMetadata(with_it, standings_, true, now_, &outbox_);
  EXPECT_TRUE(Attach(kNew, 2, -1, 0).outcome.ok());
  now_ = now_ + absl::Seconds(1);
  outbox_.isr_proposals.clear();
  At(kNew, 2, 0);
  ASSERT_THAT(outbox_.isr_proposals, SizeIs(1)) << "it can join";
}

TEST_F(LeaderRoleTest, AReplicaInAnotherDirectoryThanTheMetadataSaysIsRefused_S05) {
  Begin({kSelf, kB});
  EXPECT_EQ(Attach(kFollowerB, 1, -1, 0, DirectoryId(Uuid(9, 9))).outcome.code,
            ErrorCode::kDirectoryUnavailable);
  EXPECT_TRUE(Attach(kFollowerC, 1, -1, 0, DirectoryId(Uuid(9, 9))).outcome.ok())
      << "the metadata has yet to learn where";
}

TEST_F(LeaderRoleTest, AStaleAttachIsDropped_S14) {
  Begin({kSelf, kB});
  Attach(kFollowerB, 5, -1, 0);
  Produce();
  role_->OnAttach(kFollowerB, {kPartition, kDirectory, kEpoch, 4, kNoLeaderEpoch, Offset(0)}, now_,
                  &outbox_);
  EXPECT_THAT(outbox_.attach_replies, IsEmpty());
  Sync();
  At(kFollowerB, 5, 1);
  EXPECT_THAT(Replies(), SizeIs(1));
}

TEST_F(LeaderRoleTest, ANewRegistrationDetachesTheFormerRun_KIP903) {
  Begin({kSelf, kB});
  Attach(kFollowerB, 1, -1, 0);
  Produce();
  Sync();
  standings_[1].epoch = BrokerEpoch(200);
  Commit({kSelf, kB});
  ASSERT_THAT(outbox_.detaches, SizeIs(1));
  At(kFollowerB, 1, 1);
  EXPECT_THAT(Replies(), IsEmpty());
}

TEST_F(LeaderRoleTest, AnImpossiblePositionEndsTheAttach) {
  Begin({kSelf, kB});
  Attach(kFollowerB, 1, -1, 0);
  At(kFollowerB, 1, 9);
  ASSERT_THAT(outbox_.detaches, SizeIs(1));
  EXPECT_EQ(outbox_.detaches[0].detach.attach, 1u);
  EXPECT_EQ(role_->TakePush(kB, 100, now_, &outbox_), std::nullopt);
}

// --- The high watermark ---

TEST_F(LeaderRoleTest, ItWaitsForFollowersOfTheNewEpochAndNeverFalls) {
  Begin({kSelf, kB});
  Attach(kFollowerB, 1, -1, 0);
  Produce();
  Sync();
  At(kFollowerB, 1, 1);
  ASSERT_EQ(held_->high_watermark, Offset(1));
  role_->OnGone(kFollowerB, now_, &outbox_);
  Attach(kFollowerB, 2, 7, 1);
  EXPECT_EQ(held_->high_watermark, Offset(1));
  At(kFollowerB, 2, 1);
  EXPECT_EQ(held_->high_watermark, Offset(1));
}

TEST_F(LeaderRoleTest, FollowersAreToldTheHighWatermark) {
  Begin({kSelf, kB});
  Attach(kFollowerB, 1, -1, 0);
  Produce();
  EXPECT_TRUE(role_->TakePush(kB, 1000, now_, &outbox_).has_value());
  EXPECT_EQ(role_->TakePush(kB, 1000, now_, &outbox_), std::nullopt);
  outbox_.Clear();
  Sync();
  At(kFollowerB, 1, 1);
  ASSERT_THAT(outbox_.sendable, SizeIs(1));
  EXPECT_TRUE(outbox_.sendable[0].can_wait);
  EXPECT_EQ(role_->TakePush(kB, 1000, now_, &outbox_)->header.high_watermark, Offset(1));
}

TEST_F(LeaderRoleTest, ADeadFollowerLeavesAndTheRestGoesOn) {
  held_->settings.min_insync_replicas = 1;
  Begin({kSelf, kB});
  Attach(kFollowerB, 1, -1, 0);
  At(kFollowerB, 1, 0);
  Produce();
  Sync();
  role_->OnDetached(kFollowerB, {kPartition, kEpoch, 1, MakeError(ErrorCode::kStorageFull, "full")},
                    now_, &outbox_);
  EXPECT_EQ(role_->next_deadline(), now_ + absl::Seconds(1)) << "the produce's own deadline";
  now_ = now_ + absl::Seconds(5);
  role_->Tick(now_, &outbox_);
  ASSERT_THAT(outbox_.isr_proposals, SizeIs(1));
  EXPECT_THAT(outbox_.isr_proposals[0].new_isr, ElementsAre(IsrMember{kSelf, BrokerEpoch(50)}));
  Commit({kSelf});
  EXPECT_EQ(held_->high_watermark, Offset(1));
}

TEST_F(LeaderRoleTest, TheEndOfTheTermTellsFollowersAndLeavesOutcomesUnknown_S11) {
  Begin({kSelf, kB});
  Attach(kFollowerB, 1, -1, 0);
  Produce();
  role_->End(MakeError(ErrorCode::kFencedLeaderEpoch, "epoch 8 began"),
             LeaderHint{kB, LeaderEpoch(8), ""}, &outbox_);
  const auto replies = Replies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].outcome.code, ErrorCode::kOutcomeUnknown);
  EXPECT_EQ(replies[0].outcome.leader->leader, kB);
  ASSERT_THAT(outbox_.detaches, SizeIs(1));
  EXPECT_EQ(outbox_.detaches[0].peer, kB);
  EXPECT_EQ(outbox_.detaches[0].detach.leader_epoch, kEpoch);
}

TEST_F(LeaderRoleTest, AFollowerThatSaysItIsDamagedLeavesAtOnce_S35) {
  held_->settings.min_insync_replicas = 1;
  Begin({kSelf, kB});
  Attach(kFollowerB, 1, -1, 0);
  At(kFollowerB, 1, 0);
  const ReplicaDetach stale{kPartition, kEpoch, 9, MakeError(ErrorCode::kCorruptLog, "damaged")};
  role_->OnDetached(kFollowerB, stale, now_, &outbox_);
  EXPECT_THAT(outbox_.isr_proposals, IsEmpty()) << "of another attach";
  role_->OnDetached(kFollowerB, {kPartition, kEpoch, 1, stale.status}, now_, &outbox_);
  ASSERT_THAT(outbox_.isr_proposals, SizeIs(1));
  EXPECT_THAT(outbox_.isr_proposals[0].new_isr, ElementsAre(IsrMember{kSelf, BrokerEpoch(50)}));
  EXPECT_THAT(outbox_.isr_proposals[0].damaged, ElementsAre(kB));
}

TEST_F(LeaderRoleTest, AFollowerWhoseLogDoesNotFitMaySayThatItIsDamaged_S35) {
  held_->settings.min_insync_replicas = 1;
  Begin({kSelf, kB});
  const ReplicaDetach detach{kPartition, kEpoch, 1, MakeError(ErrorCode::kCorruptLog, "damaged")};
  const AttachReply reply = Attach(kFollowerB, 1, 3, 5);
  ASSERT_TRUE(reply.diverging.has_value() || reply.reset_to.has_value());
  role_->OnDetached({kB, BrokerEpoch(99)}, detach, now_, &outbox_);
  EXPECT_THAT(outbox_.isr_proposals, IsEmpty()) << "an earlier run of it";
  role_->OnDetached(kFollowerB, detach, now_, &outbox_);
  ASSERT_THAT(outbox_.isr_proposals, SizeIs(1));
  EXPECT_THAT(outbox_.isr_proposals[0].new_isr, ElementsAre(IsrMember{kSelf, BrokerEpoch(50)}));
}

// --- Cut off from the controllers ---

class LeaderRoleCutOffTest : public LeaderRoleTest {
 protected:
  LeaderRoleCutOffTest() : LeaderRoleTest(&contact_) {
    contact_.last = now_;
    Begin({kSelf, kB});
    Attach(kFollowerB, 1, -1, 0);
    At(kFollowerB, 1, 0);
  }
  void Pass(absl::Duration time) { now_ = now_ + time; }
  void Confirm(uint64_t attach, MonotonicTime asked_at) {
    role_->OnConfirmed(kFollowerB, {kPartition, kEpoch, attach, {}}, asked_at);
  }
  // What acks of the leader alone are answered with.
  ErrorCode Answer(api::Acks acks = api::Acks::kLeader) {
    Produce(acks);
    Sync();
    const std::vector<ProduceReply> replies = Replies();
    return replies.size() == 1 ? replies[0].outcome.code : ErrorCode::kUnknownServerError;
  }

  ControllerContact contact_;
};

TEST_F(LeaderRoleCutOffTest, S33_AcksBelowAllAreRefusedPastOneSessionTimeout) {
  Pass(contact_.session_timeout - absl::Milliseconds(1));
  EXPECT_EQ(Answer(), ErrorCode::kNone);
  Pass(absl::Milliseconds(1));
  const Offset end = log_->end_offset();
  EXPECT_EQ(Answer(), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(Answer(api::Acks::kNone), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(log_->end_offset(), end) << "refused before the append";
  contact_.last = now_;
  EXPECT_EQ(Answer(), ErrorCode::kNone);
}

TEST_F(LeaderRoleCutOffTest, S33_AcksOfAllGoOn) {
  Pass(absl::Hours(1));
  Produce();
  Sync();
  EXPECT_THAT(Replies(), IsEmpty());
  At(kFollowerB, 1, 1);
  const std::vector<ProduceReply> replies = Replies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_TRUE(replies[0].outcome.ok());
}

TEST_F(LeaderRoleCutOffTest, S33_ServesWhileTheFollowersConfirmTheEpoch) {
  Pass(absl::Hours(1));
  Confirm(1, now_);
  EXPECT_EQ(Answer(), ErrorCode::kNone);
  Pass(contact_.session_timeout);
  EXPECT_EQ(Answer(), ErrorCode::kNone);
  Pass(absl::Nanoseconds(1));
  EXPECT_EQ(Answer(), ErrorCode::kNotLeaderOrFollower);
  Confirm(2, now_);
  EXPECT_EQ(Answer(), ErrorCode::kNotLeaderOrFollower) << "of another attach";
}

// --- A durability that is raised ---

class LeaderRoleRaiseTest : public LeaderRoleTest {
 protected:
  LeaderRoleRaiseTest() {
    held_->settings.durable = false;
    Begin({kSelf, kB});
    Attach(kFollowerB, 1, -1, 0);
    for (int i = 0; i < 3; ++i) Produce();
    Write();
    At(3, 0);
    EXPECT_EQ(held_->high_watermark, Offset(3));
    EXPECT_THAT(Replies(), SizeIs(3));
    // Staged and written, and not acknowledged yet.
    Produce();
    Write();
  }
  void Write() {
    log_->Write();
    role_->OnAdvanced(now_, &outbox_);
  }
  void At(int64_t written, int64_t durable) {
    role_->OnPosition(kFollowerB, {kPartition, kEpoch, 1, {Offset(written), Offset(durable)}}, now_,
                      &outbox_);
  }
  void SetLevel(bool durable) {
    const TopicSettings before = held_->settings;
    held_->settings.durable = durable;
    role_->OnSettings(before, now_, &outbox_);
  }
  void SetRaising(bool raising) {
    metadata::PartitionImage image = Image({kSelf, kB});
    image.raising = raising;
    role_->OnMetadata(image, standings_, true, now_, &outbox_);
  }
  // The metadata and the settings come one after the other, in either order.
  void Raise() {
    SetRaising(true);
    SetLevel(true);
  }
  // Whether a proposal says that what was acknowledged before is on all disks.
  bool Reported() {
    bool reported = false;
    for (const IsrProposal& proposal : std::exchange(outbox_.isr_proposals, {})) {
      EXPECT_THAT(proposal.new_isr, SizeIs(2));
      reported = reported || proposal.raised;
    }
    return reported;
  }
  // Of a record that is on all disks.
  api::DurabilityLevel LevelOfNext() {
    Produce();
    Sync();
    const int64_t end = log_->end_offset().value();
    At(end, end);
    const std::vector<ProduceReply> replies = Replies();
    return replies.empty() ? api::DurabilityLevel::kUnspecified : replies.back().level;
  }
};

TEST_F(LeaderRoleRaiseTest, S07_TheHighWatermarkStandsStillUntilAllDisksHaveTheEndOfTheSwitch) {
  Produce();
  Raise();
  Sync();
  At(5, 4);
  EXPECT_EQ(held_->high_watermark, Offset(3)) << "the log ended at 5 when the level was raised";
  EXPECT_THAT(Replies(), IsEmpty());
  EXPECT_FALSE(Reported());
  At(5, 5);
  EXPECT_EQ(held_->high_watermark, Offset(5));
  EXPECT_THAT(Replies(), SizeIs(2));
  EXPECT_TRUE(Reported());
}

TEST_F(LeaderRoleRaiseTest, S07_AcknowledgementsNameTheLowerLevelUntilTheControllersKnow) {
  Raise();
  Produce(api::Acks::kLeader);
  Sync();
  const std::vector<ProduceReply> replies = Replies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].level, api::DurabilityLevel::kReplicated);
  At(5, 5);
  EXPECT_TRUE(Reported());
  EXPECT_EQ(LevelOfNext(), api::DurabilityLevel::kReplicated)
      << "a crash would still make replicas suspect";
  SetRaising(false);
  EXPECT_EQ(LevelOfNext(), api::DurabilityLevel::kDurable);
  EXPECT_FALSE(Reported());
}

TEST_F(LeaderRoleRaiseTest, S07_NothingIsReportedBeforeTheSettingsAreHere) {
  SetRaising(true);
  At(4, 0);
  EXPECT_EQ(held_->high_watermark, Offset(3)) << "what is written counts no more";
  // Others of the topic's settings change first.
  role_->OnSettings(held_->settings, now_, &outbox_);
  SetRaising(true);
  EXPECT_FALSE(Reported());
  SetLevel(true);
  EXPECT_FALSE(Reported());
  Sync();
  At(4, 4);
  EXPECT_TRUE(Reported());
}

TEST_F(LeaderRoleRaiseTest, S07_TheSettingsMayBeHereFirst) {
  SetLevel(true);
  Sync();
  At(4, 4);
  EXPECT_FALSE(Reported());
  SetRaising(true);
  role_->Tick(now_, &outbox_);
  EXPECT_TRUE(Reported());
}

TEST_F(LeaderRoleRaiseTest, S07_AReportThatWasLostIsMadeAgain) {
  Raise();
  Sync();
  At(4, 4);
  EXPECT_TRUE(Reported());
  SetRaising(true);
  EXPECT_TRUE(Reported()) << "another change came first";
}

TEST_F(LeaderRoleRaiseTest, S07_LoweringTakesEffectAtOnce) {
  Raise();
  At(4, 0);
  EXPECT_EQ(held_->high_watermark, Offset(3));
  SetLevel(false);
  SetRaising(false);
  EXPECT_EQ(held_->high_watermark, Offset(4));
  EXPECT_FALSE(Reported());
}

TEST_F(LeaderRoleRaiseTest, S07_ARaiseOfAnEarlierEpochHoldsNothingUp) {
  Produce();
  SetLevel(true);
  role_->End(absl::UnavailableError("another leads"), std::nullopt, &outbox_);
  // That one had less.
  log_->TruncateTo(Offset(3), Offset(3));
  Begin({kSelf, kB});
  Attach(kFollowerB, 2, -1, 0);
  Produce();
  Sync();
  LeaderRoleTest::At(kFollowerB, 2, 4);
  EXPECT_EQ(held_->high_watermark, Offset(4));
}

TEST_F(LeaderRoleRaiseTest, S07_ANewLeaderBeginsAnewWithItsOwnEnd) {
  SetLevel(true);
  metadata::PartitionImage image = Image({kSelf, kB});
  image.raising = true;
  role_->Begin(image, standings_, now_, &outbox_);
  Attach(kFollowerB, 2, -1, 0);
  Sync();
  const auto at = [&](int64_t durable) {
    role_->OnPosition(kFollowerB, {kPartition, kEpoch, 2, {Offset(4), Offset(durable)}}, now_,
                      &outbox_);
  };
  at(3);
  EXPECT_FALSE(Reported());
  at(4);
  EXPECT_TRUE(Reported());
}

}  // namespace
}  // namespace millrace::broker
