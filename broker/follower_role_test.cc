#include "broker/follower_role.h"

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "base/status_matchers.h"
#include "broker/testing/fake_replica_log.h"
#include "record/batch_stamp.h"

namespace millrace::broker {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr NodeId kSelf{1}, kLeader{2};
const TopicPartition kPartition{TopicId(Uuid(1, 2)), PartitionIndex(0)};
const DirectoryId kDirectory(Uuid(4, 4));

// A batch as a leader stores it.
Bytes Stamped(int count, int64_t base, int epoch) {
  Bytes batch = MakeBatch(count);
  Buffer buffer(batch.size());
  std::memcpy(buffer.data(), batch.data(), batch.size());
  record::StampBaseOffset(buffer.data(), Offset(base));
  record::StampLeaderEpoch(buffer.data(), LeaderEpoch(epoch));
  return std::move(buffer).Freeze();
}

class FollowerRoleTest : public ::testing::Test {
 protected:
  FollowerRoleTest() {
    auto log = std::make_unique<FakeReplicaLog>();
    log_ = log.get();
    held_ = std::make_unique<HeldPartition>(ReplicaOptions{.self = kSelf, .directory = kDirectory},
                                            kPartition, std::move(log), TopicSettings{});
    role_ = std::make_unique<FollowerRole>(held_.get());
  }
  void Have(int count, int epoch) {
    ASSERT_OK(log_->StageAsFollower(Stamped(count, log_->end_offset().value(), epoch), {}));
    log_->Sync();
  }
  // The attach that the last step asked for.
  AttachRequest Asked() {
    EXPECT_THAT(outbox_.attaches, SizeIs(1));
    return std::exchange(outbox_.attaches, {}).at(0).request;
  }
  AttachRequest Follow(int epoch) {
    held_->leader = kLeader;
    held_->leader_epoch = LeaderEpoch(epoch);
    role_->Follow(kLeader, now_, &outbox_);
    return Asked();
  }
  AttachReply ReplyTo(const AttachRequest& request, int64_t high_watermark = 0) {
    AttachReply reply;
    reply.topic_partition = kPartition;
    reply.leader_epoch = request.leader_epoch;
    reply.attach = request.attach;
    reply.high_watermark = Offset(high_watermark);
    return reply;
  }
  void Answer(const AttachReply& reply) { role_->OnAttachReply(reply, now_, &outbox_); }
  // Follows in `epoch`, and fits.
  AttachRequest Attached(int epoch, int64_t high_watermark = 0) {
    const AttachRequest request = Follow(epoch);
    Answer(ReplyTo(request, high_watermark));
    EXPECT_TRUE(role_->is_attached());
    return request;
  }
  ReplicaPush PushIn(const AttachRequest& attach, Bytes batches, int64_t high_watermark = 0) {
    return {kPartition,         attach.leader_epoch,    attach.attach, log_->end_offset(),
            std::move(batches), Offset(high_watermark), Offset(0)};
  }
  void Detach(const AttachRequest& attach, const absl::Status& why = absl::OkStatus()) {
    role_->OnDetached({kPartition, attach.leader_epoch, attach.attach, why}, now_, &outbox_);
  }
  // The attach after the pause, which fits.
  AttachRequest AttachedAgain() {
    now_ = role_->next_deadline();
    role_->Tick(now_, &outbox_);
    const AttachRequest request = Asked();
    Answer(ReplyTo(request));
    EXPECT_TRUE(role_->is_attached());
    return request;
  }
  absl::Duration pause() const { return role_->next_deadline() - now_; }
  void Push(ReplicaPush push) { role_->OnPush(std::move(push), {now_, {}}, &outbox_); }
  void Diverge(const AttachRequest& request, int epoch, int64_t end, int64_t log_start = 0) {
    AttachReply reply = ReplyTo(request, 100);
    reply.diverging = storage::EpochEnd{LeaderEpoch(epoch), Offset(end)};
    reply.log_start = Offset(log_start);
    Answer(reply);
  }

  FakeReplicaLog* log_ = nullptr;
  std::unique_ptr<HeldPartition> held_;
  std::unique_ptr<FollowerRole> role_;
  Outbox outbox_;
  MonotonicTime now_ = MonotonicTime::FromNanos(1'000'000'000);
};

// --- Attaching ---

TEST_F(FollowerRoleTest, ItNamesTheEndOfItsLogByEpochAndOffset) {
  Have(3, 4);
  const AttachRequest request = Follow(7);
  EXPECT_EQ(request.leader_epoch, LeaderEpoch(7));
  EXPECT_EQ(request.last_epoch, LeaderEpoch(4));
  EXPECT_EQ(request.end_offset, Offset(3));
  EXPECT_EQ(request.directory, kDirectory);
  const AttachRequest again = Follow(8);
  EXPECT_GT(again.attach, request.attach) << "also under the same leader (S-14)";
}

TEST_F(FollowerRoleTest, APositionIsToldOnceItIsAttachedAndWheneverItMoves) {
  Have(3, 4);
  const AttachRequest request = Follow(7);
  role_->OnAdvanced(&outbox_);
  EXPECT_THAT(outbox_.positions, IsEmpty());
  Answer(ReplyTo(request));
  ASSERT_THAT(outbox_.positions, SizeIs(1));
  EXPECT_EQ(outbox_.positions[0].leader, kLeader);
  EXPECT_EQ(outbox_.positions[0].position.attach, request.attach);
  EXPECT_EQ(outbox_.positions[0].position.position, (LogPosition{Offset(3), Offset(3)}));
  outbox_.Clear();
  Push(PushIn(request, Stamped(2, 3, 7)));
  EXPECT_THAT(outbox_.positions, IsEmpty()) << "staged is nothing (S-02)";
  log_->Write();
  role_->OnAdvanced(&outbox_);
  role_->OnAdvanced(&outbox_);
  ASSERT_THAT(outbox_.positions, SizeIs(1));
  EXPECT_EQ(outbox_.positions[0].position.position, (LogPosition{Offset(5), Offset(3)}));
}

TEST_F(FollowerRoleTest, ARefusalOrALostStreamIsAnsweredWithANewAttachAfterAPauseThatDoubles) {
  AttachRequest request = Follow(7);
  AttachReply refused = ReplyTo(request);
  refused.outcome = {ErrorCode::kUnknownLeaderEpoch, "", std::nullopt};
  Answer(refused);
  EXPECT_EQ(role_->next_deadline(), now_ + absl::Milliseconds(10));
  now_ = now_ + absl::Milliseconds(10);
  role_->Tick(now_, &outbox_);
  request = Asked();
  Detach(request);
  EXPECT_EQ(pause(), absl::Milliseconds(20));
  request = AttachedAgain();
  EXPECT_EQ(role_->next_deadline(), MonotonicTime::Never());
  Push(PushIn(request, Stamped(2, 0, 7)));
  Detach(request);
  EXPECT_EQ(pause(), absl::Milliseconds(10)) << "it has followed";
}

// As the leader does that cannot read what comes next.
TEST_F(FollowerRoleTest, AnAttachThatFitsButBringsNothingDoesNotEndTheDoubling) {
  AttachRequest request = Attached(7);
  for (const int ms : {10, 20, 40, 80, 160, 320, 640, 1000, 1000}) {
    Detach(request, MakeError(ErrorCode::kCorruptLog, "damaged"));
    EXPECT_EQ(pause(), absl::Milliseconds(ms));
    request = AttachedAgain();
  }
  // Positions alone are told to one that has all.
  Push(PushIn(request, {}, 0));
  Detach(request);
  EXPECT_EQ(pause(), absl::Milliseconds(10));
  request = AttachedAgain();
  now_ = now_ + absl::Seconds(1);
  Detach(request);
  EXPECT_EQ(pause(), absl::Milliseconds(10)) << "nothing came, but the stream has lasted";
}

TEST_F(FollowerRoleTest, AnAnswerThatNeverComesIsNotAwaitedForEver) {
  const AttachRequest request = Follow(7);
  now_ = role_->next_deadline();
  role_->Tick(now_, &outbox_);
  EXPECT_GT(Asked().attach, request.attach);
  Answer(ReplyTo(request));
  EXPECT_FALSE(role_->is_attached()) << "the answer to another attach";
}

TEST_F(FollowerRoleTest, NobodyIsFollowedAfterItLeft) {
  const AttachRequest request = Attached(7);
  role_->Leave(MakeError(ErrorCode::kShuttingDown, ""), &outbox_);
  ASSERT_THAT(outbox_.detaches, SizeIs(1));
  EXPECT_EQ(outbox_.detaches[0].peer, kLeader);
  EXPECT_EQ(outbox_.detaches[0].detach.attach, request.attach);
  Push(PushIn(request, Stamped(2, 0, 7)));
  EXPECT_EQ(log_->end_offset(), Offset(0));
  EXPECT_EQ(role_->next_deadline(), MonotonicTime::Never());
}

// --- Truncation ---

TEST_F(FollowerRoleTest, ItCutsToTheEndOfTheDivergingEpochNeverToTheHighWatermark_KIP101) {
  Have(4, 3);
  Have(4, 4);
  held_->SetHighWatermark(Offset(4));
  Diverge(Follow(7), 3, 4);
  EXPECT_EQ(log_->end_offset(), Offset(4));
  const AttachRequest again = Asked();
  EXPECT_EQ(again.last_epoch, LeaderEpoch(3));
  EXPECT_EQ(again.end_offset, Offset(4));
  EXPECT_FALSE(role_->is_attached());
}

TEST_F(FollowerRoleTest, UncommittedRecordsThatTheLeaderHasAreKept_KAFKA1211) {
  Have(4, 3);
  held_->SetHighWatermark(Offset(1));
  Attached(7, 1);
  EXPECT_EQ(log_->end_offset(), Offset(4));
}

TEST_F(FollowerRoleTest, WithoutTheLeadersEpochItCutsToItsOwnEndOfTheOneBelow_KIP279) {
  Have(4, 1);
  Have(4, 2);
  Have(4, 5);
  // The leader has epoch 3 up to 6, where this log is inside of a batch of epoch 2.
  Diverge(Follow(7), 3, 6);
  EXPECT_EQ(log_->end_offset(), Offset(8));
  EXPECT_EQ(Asked().last_epoch, LeaderEpoch(2));
}

TEST_F(FollowerRoleTest, OneWhoseRecordsAreAllDeletedBeginsAnewWhereItsEpochDiverges) {
  Have(8, 5);
  held_->SetHighWatermark(Offset(8));
  log_->RaiseLogStart(Offset(8), nullptr);
  // The leader has epoch 3 up to 10, and then a later one.
  Diverge(Follow(7), 3, 10);
  const AttachRequest again = Asked();
  EXPECT_EQ(again.last_epoch, kNoLeaderEpoch);
  EXPECT_EQ(again.end_offset, Offset(8));
}

TEST_F(FollowerRoleTest, TheHighWatermarkRisesOnlyAfterTheCut_KAFKA14704) {
  Have(4, 3);
  Have(4, 4);
  Diverge(Follow(7), 3, 4);
  EXPECT_EQ(held_->high_watermark, Offset(0));
  Answer(ReplyTo(Asked(), 100));
  EXPECT_EQ(held_->high_watermark, Offset(4)) << "at most the log end";
}

TEST_F(FollowerRoleTest, AnAnswerOfAFormerAttachOrEpochCutsNothing_KAFKA18991) {
  Have(4, 3);
  const AttachRequest old_request = Follow(7);
  const AttachRequest request = Follow(8);
  Diverge(old_request, 2, 0);
  AttachRequest mixed = request;
  mixed.leader_epoch = LeaderEpoch(7);
  Diverge(mixed, 2, 0);
  EXPECT_EQ(log_->end_offset(), Offset(4));
  Answer(ReplyTo(request));
  Diverge(request, 2, 0);
  EXPECT_EQ(log_->end_offset(), Offset(4)) << "attached already";
}

TEST_F(FollowerRoleTest, AnAnswerThatCutsNothingIsNotFollowedAtOnce) {
  Have(4, 3);
  Diverge(Follow(7), 3, 9);
  EXPECT_THAT(outbox_.attaches, IsEmpty());
  EXPECT_EQ(role_->next_deadline(), now_ + absl::Milliseconds(10));
}

TEST_F(FollowerRoleTest, ACutBelowTheHighWatermarkIsTold) {
  Have(4, 3);
  Have(4, 4);
  held_->SetHighWatermark(Offset(8));
  Diverge(Follow(7), 3, 4);
  EXPECT_EQ(held_->high_watermark, Offset(4));
  ASSERT_THAT(outbox_.notices, SizeIs(1));
  EXPECT_EQ(outbox_.notices[0].kind, ReplicaNotice::Kind::kCutBelowHighWatermark);
  EXPECT_EQ(outbox_.notices[0].from, Offset(4));
  EXPECT_EQ(outbox_.notices[0].to, Offset(8));
}

TEST_F(FollowerRoleTest, ItTellsOnceWhereItsLogStartsOnTheDisk_KIP107) {
  Have(4, 3);
  const AttachRequest request = Follow(7);
  AttachReply reply = ReplyTo(request, 4);
  Answer(reply);
  ASSERT_THAT(outbox_.positions, SizeIs(1));
  EXPECT_EQ(outbox_.positions[0].position.log_start, Offset(0));
  outbox_.Clear();
  ReplicaPush push;
  push.topic_partition = request.topic_partition;
  push.leader_epoch = LeaderEpoch(7);
  push.attach = request.attach;
  push.base_offset = push.high_watermark = Offset(4);
  push.log_start = Offset(2);
  role_->OnPush(push, {now_, WallTime()}, &outbox_);
  EXPECT_EQ(log_->log_start_offset(), Offset(2));
  role_->OnAdvanced(&outbox_);
  EXPECT_THAT(outbox_.positions, IsEmpty()) << "a crash would bring it back";
  log_->Sync();
  role_->OnAdvanced(&outbox_);
  ASSERT_THAT(outbox_.positions, SizeIs(1));
  EXPECT_EQ(outbox_.positions[0].position.log_start, Offset(2));
  outbox_.Clear();
  role_->OnAsked(&outbox_);
  ASSERT_THAT(outbox_.positions, SizeIs(1));
  EXPECT_EQ(outbox_.positions[0].position.log_start, std::nullopt);
}

TEST_F(FollowerRoleTest, WithNothingInCommonItBeginsAgainWhereItsLogDoes_KAFKA3978) {
  Have(4, 3);
  Have(4, 4);
  held_->SetHighWatermark(Offset(4));
  log_->RaiseLogStart(Offset(4), [](const absl::Status&) {});
  Diverge(Follow(7), 3, 4);
  EXPECT_EQ(log_->log_start_offset(), Offset(4)) << "what is deleted stays deleted";
  EXPECT_EQ(log_->end_offset(), Offset(4));
  EXPECT_EQ(Asked().last_epoch, kNoLeaderEpoch);
}

TEST_F(FollowerRoleTest, BeyondTheLeadersEndItBeginsAtTheLeadersStart) {
  Have(4, 3);
  Have(4, 4);
  held_->SetHighWatermark(Offset(4));
  log_->RaiseLogStart(Offset(4), [](const absl::Status&) {});
  Diverge(Follow(7), 2, 3, 1);
  EXPECT_EQ(log_->log_start_offset(), Offset(1));
  EXPECT_EQ(log_->end_offset(), Offset(1));
}

TEST_F(FollowerRoleTest, BelowTheLeadersStartItBeginsThere_KAFKA6975) {
  Have(4, 3);
  AttachReply reply = ReplyTo(Follow(7), 60);
  reply.reset_to = Offset(50);
  Answer(reply);
  EXPECT_EQ(held_->high_watermark, Offset(50));
  EXPECT_THAT(outbox_.notices, IsEmpty()) << "retention, no loss";
  const AttachRequest request = Asked();
  EXPECT_EQ(request.end_offset, Offset(50));
  Answer(ReplyTo(request, 60));
  Push(PushIn(request, Stamped(4, 48, 7), 60));
  EXPECT_EQ(log_->end_offset(), Offset(52)) << "the batch that the start lies in is kept whole";
}

TEST_F(FollowerRoleTest, WhereItBeginsAnewIsToldAsDurableWhenTheDiskHasIt_S06) {
  Have(4, 3);
  AttachReply reply = ReplyTo(Follow(7), 60);
  reply.reset_to = Offset(50);
  Answer(reply);
  outbox_.positions.clear();
  Answer(ReplyTo(Asked(), 60));
  ASSERT_THAT(outbox_.positions, SizeIs(1));
  EXPECT_EQ(outbox_.positions[0].position.position, (LogPosition{Offset(50), Offset(4)}));
  EXPECT_EQ(outbox_.positions[0].position.log_start, Offset(0));
  log_->Sync();
  role_->OnAdvanced(&outbox_);
  ASSERT_THAT(outbox_.positions, SizeIs(2));
  EXPECT_EQ(outbox_.positions[1].position.position, (LogPosition{Offset(50), Offset(50)}));
  EXPECT_EQ(outbox_.positions[1].position.log_start, Offset(50));
}

// --- Pushes ---

TEST_F(FollowerRoleTest, OnlyPushesOfItsEpochAndAttachAreTaken_S14_KAFKA13207) {
  const AttachRequest old_request = Attached(7);
  const AttachRequest request = Attached(8);
  Push(PushIn(old_request, Stamped(1, 0, 7)));
  AttachRequest mixed = request;
  mixed.leader_epoch = LeaderEpoch(9);
  Push(PushIn(mixed, Stamped(1, 0, 9)));
  EXPECT_EQ(log_->end_offset(), Offset(0));
  EXPECT_EQ(held_->leader_epoch, LeaderEpoch(8)) << "it never learns an epoch from a stream";
  Push(PushIn(request, Stamped(1, 0, 8)));
  EXPECT_EQ(log_->end_offset(), Offset(1));
}

TEST_F(FollowerRoleTest, ARepeatIsDroppedAndAGapDetaches_S14) {
  const AttachRequest request = Attached(7);
  Push(PushIn(request, Stamped(2, 0, 7)));
  Push(PushIn(request, Stamped(2, 0, 7)));
  EXPECT_EQ(log_->end_offset(), Offset(2));
  EXPECT_TRUE(role_->is_attached());
  Push(PushIn(request, Stamped(2, 4, 7)));
  EXPECT_EQ(log_->end_offset(), Offset(2));
  EXPECT_FALSE(role_->is_attached());
  ASSERT_THAT(outbox_.detaches, SizeIs(1));
  EXPECT_EQ(outbox_.detaches[0].detach.attach, request.attach);
}

TEST_F(FollowerRoleTest, DamagedBatchesAreNotStored) {
  const AttachRequest request = Attached(7);
  Bytes good = Stamped(2, 0, 7);
  std::string damaged = good.ToString();
  damaged.back() ^= 1;
  Push(PushIn(request, Bytes::FromString(damaged)));
  EXPECT_EQ(log_->end_offset(), Offset(0));
  EXPECT_FALSE(role_->is_attached());
}

TEST_F(FollowerRoleTest, BatchesOfALaterEpochThanTheLeadersAreRefused_S13) {
  const AttachRequest request = Attached(7);
  Push(PushIn(request, Stamped(2, 0, 8)));
  EXPECT_EQ(log_->end_offset(), Offset(0));
  EXPECT_FALSE(role_->is_attached());
}

TEST_F(FollowerRoleTest, ItsHighWatermarkIsAtMostItsLogEnd_S14_KAFKA9491) {
  const AttachRequest request = Attached(7);
  Push(PushIn(request, Stamped(2, 0, 7), 10));
  EXPECT_EQ(held_->high_watermark, Offset(2));
  Push(PushIn(request, {}, 1));
  EXPECT_EQ(held_->high_watermark, Offset(2)) << "it does not fall";
}

TEST_F(FollowerRoleTest, TheLogStartFollowsTheLeaderUpToTheHighWatermark_KIP107) {
  const AttachRequest request = Attached(7);
  ReplicaPush push = PushIn(request, Stamped(4, 0, 7), 2);
  push.log_start = Offset(3);
  Push(std::move(push));
  EXPECT_EQ(log_->log_start_offset(), Offset(2));
  push = PushIn(request, {}, 4);
  push.log_start = Offset(3);
  Push(std::move(push));
  EXPECT_EQ(log_->log_start_offset(), Offset(3));
}

TEST_F(FollowerRoleTest, AFullDiskDetachesAndIsTriedAgainAfterTheLongestPause) {
  AttachRequest request = Attached(7);
  for (int round = 0; round < 3; ++round) {
    log_->set_stage_error(MakeError(ErrorCode::kStorageFull, "full"));
    Push(PushIn(request, Stamped(1, 0, 7)));
    EXPECT_FALSE(role_->is_attached());
    EXPECT_THAT(std::exchange(outbox_.detaches, {}), SizeIs(1));
    EXPECT_EQ(pause(), absl::Seconds(1));
    request = AttachedAgain();
  }
  log_->set_stage_error(absl::OkStatus());
  Push(PushIn(request, Stamped(1, 0, 7)));
  EXPECT_EQ(log_->end_offset(), Offset(1));
}

TEST_F(FollowerRoleTest, PushesThatAreRefusedDoNotEndTheDoubling) {
  AttachRequest request = Attached(7);
  for (const int ms : {10, 20, 40}) {
    Push(PushIn(request, Stamped(2, 4, 7)));
    EXPECT_EQ(pause(), absl::Milliseconds(ms)) << "a gap";
    request = AttachedAgain();
  }
}

// --- Damage ---

TEST_F(FollowerRoleTest, ADamagedFollowerDetachesSaysWhyAndStaysAwayUntilItIsRepaired_S35) {
  Have(3, 4);
  const AttachRequest attach = Attached(7);
  outbox_.Clear();
  held_->damaged = true;
  role_->OnDamage(now_, &outbox_);
  ASSERT_THAT(outbox_.detaches, SizeIs(1));
  EXPECT_EQ(outbox_.detaches[0].peer, kLeader);
  EXPECT_EQ(outbox_.detaches[0].detach.attach, attach.attach);
  EXPECT_EQ(CodeOf(outbox_.detaches[0].detach.status), ErrorCode::kCorruptLog);
  EXPECT_EQ(role_->next_deadline(), MonotonicTime::Never());
  Push(PushIn(attach, Stamped(1, 3, 7)));
  EXPECT_EQ(log_->end_offset(), Offset(3));
  outbox_.Clear();
  // The leader of a new epoch is told as well, once it knows of this follower.
  held_->leader_epoch = LeaderEpoch(8);
  role_->Follow(kLeader, now_, &outbox_);
  Answer(ReplyTo(Asked(), 2));
  EXPECT_FALSE(role_->is_attached());
  EXPECT_THAT(outbox_.positions, IsEmpty());
  ASSERT_THAT(outbox_.detaches, SizeIs(1));
  EXPECT_EQ(CodeOf(outbox_.detaches[0].detach.status), ErrorCode::kCorruptLog);
  EXPECT_EQ(role_->next_deadline(), MonotonicTime::Never());
  EXPECT_EQ(held_->high_watermark, Offset(2));
  held_->damaged = false;
  role_->OnDamage(now_, &outbox_);
  EXPECT_EQ(Asked().leader_epoch, LeaderEpoch(8));
}

TEST_F(FollowerRoleTest, ADamagedFollowerThatDivergesSaysSoAndCutsNothing_S35) {
  Have(1, 4);
  Have(2, 4);
  const AttachRequest attach = Follow(7);
  held_->damaged = true;
  role_->OnDamage(now_, &outbox_);
  EXPECT_THAT(outbox_.detaches, IsEmpty()) << "the leader may not know of it yet";
  Diverge(attach, 4, 1);
  EXPECT_EQ(log_->end_offset(), Offset(3));
  EXPECT_EQ(held_->high_watermark, Offset(0));
  ASSERT_THAT(outbox_.detaches, SizeIs(1));
  EXPECT_EQ(CodeOf(outbox_.detaches[0].detach.status), ErrorCode::kCorruptLog);
  EXPECT_EQ(role_->next_deadline(), MonotonicTime::Never());
  held_->damaged = false;
  role_->OnDamage(now_, &outbox_);
  Diverge(Asked(), 4, 1);
  EXPECT_EQ(log_->end_offset(), Offset(1));
}

}  // namespace
}  // namespace millrace::broker
