#include "broker/replica.h"

#include <cstring>
#include <memory>
#include <utility>

#include "base/status_matchers.h"
#include "broker/testing/fake_replica_log.h"
#include "record/batch_stamp.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr NodeId kSelf{1}, kOther{2};
const TopicPartition kPartition{TopicId(Uuid(1, 2)), PartitionIndex(0)};
constexpr WallTime kWall{1'767'225'600'000};

class ReplicaTest : public ::testing::Test {
 protected:
  ReplicaTest() { Make({}); }

  void Make(const TopicSettings& settings) {
    auto log = std::make_unique<FakeReplicaLog>();
    log_ = log.get();
    replica_ = std::make_unique<Replica>(ReplicaOptions{.self = kSelf, .contact = &contact_},
                                         kPartition, std::move(log), settings);
  }

  metadata::PartitionImage Image(int epoch, NodeId leader = kSelf,
                                 metadata::BrokerList isr = {kSelf}) {
    metadata::PartitionImage image;
    image.replicas = {{kSelf, {}}};
    image.isr = std::move(isr);
    image.leader = leader;
    image.leader_epoch = LeaderEpoch(epoch);
    image.partition_epoch = PartitionEpoch(partition_epoch_++);
    return image;
  }
  void Lead(int epoch) { replica_->OnMetadata(Image(epoch), {}, true, MonotonicTime(), &outbox_); }

  ProduceId Produce(const Bytes& batch, api::Acks acks = api::Acks::kAll,
                    std::optional<LeaderEpoch> epoch = std::nullopt) {
    ProduceEvent event;
    event.id = ProduceId(next_id_++);
    event.batches = batch;
    event.acks = acks;
    event.leader_epoch = epoch;
    event.deadline = MonotonicTime::FromNanos(1000);
    replica_->Produce(event, {MonotonicTime(), kWall}, &outbox_);
    return event.id;
  }
  void Write() {
    log_->Write();
    replica_->OnAdvanced(MonotonicTime(), &outbox_);
  }
  void Sync() {
    log_->Sync();
    replica_->OnAdvanced(MonotonicTime(), &outbox_);
  }
  // By ListOffsets; kNoOffset: there is none.
  absl::StatusOr<Offset> Listed(const api::ListOffsetsPartition& request,
                                MonotonicTime now = MonotonicTime()) {
    api::ListOffsetsPartitionResult result;
    ASSIGN_OR_RETURN(TimeLookup lookup, replica_->ListOffsets(request, now, &result));
    ASSIGN_OR_RETURN(const auto found, std::move(lookup)());
    return found ? found->offset : kNoOffset;
  }
  absl::StatusOr<Offset> OffsetSince(int64_t timestamp_ms, MonotonicTime now = MonotonicTime()) {
    return Listed(
        {.name = {}, .position = api::OffsetPosition::kTimestamp, .timestamp_ms = timestamp_ms},
        now);
  }
  absl::StatusOr<Offset> OffsetOfMaxTimestamp(MonotonicTime now = MonotonicTime()) {
    return Listed({.name = {}, .position = api::OffsetPosition::kMaxTimestamp}, now);
  }
  // The refusal of a deletion, or none.
  ErrorCode Deletion(Offset before, MonotonicTime now = MonotonicTime()) {
    const ProduceId id(next_id_++);
    replica_->DeleteRecords({id, before, MonotonicTime::Never()}, now, &outbox_);
    for (const DeletionReply& reply : std::exchange(outbox_.deleted, {})) {
      if (reply.id == id) return reply.outcome.code;
    }
    return ErrorCode::kNone;
  }
  std::vector<ProduceReply> Replies() { return std::exchange(outbox_.produced, {}); }
  std::vector<ParkId> Woken() { return std::exchange(outbox_.woken, {}); }

  ControllerContact contact_;
  FakeReplicaLog* log_ = nullptr;
  std::unique_ptr<Replica> replica_;
  Outbox outbox_;
  uint64_t next_id_ = 1;
  int partition_epoch_ = 0;
};

// --- Memory ---

TEST_F(ReplicaTest, MemoryThatNobodyElseHoldsBecomesTheLogs) {
  Lead(5);
  ProduceEvent event;
  event.batches = MakeBatch(3);
  replica_->Produce(std::move(event), {MonotonicTime(), kWall}, &outbox_);
  EXPECT_EQ(outbox_.copied_bytes, 0);
  const Bytes shared = MakeBatch(3);
  Produce(shared);
  EXPECT_EQ(outbox_.copied_bytes, static_cast<int64_t>(shared.size()));
  EXPECT_EQ(shared, MakeBatch(3)) << "what others hold is not stamped";
}

// --- Acknowledgements ---

TEST_F(ReplicaTest, ADurableTopicIsAcknowledgedFromTheDisk_S06) {
  Lead(5);
  Produce(MakeBatch(3));
  Write();
  EXPECT_THAT(Replies(), IsEmpty()) << "written is not durable";
  EXPECT_EQ(replica_->high_watermark(), Offset(0));
  Sync();
  const auto replies = Replies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_TRUE(replies[0].outcome.ok());
  EXPECT_EQ(replies[0].base_offset, Offset(0));
  EXPECT_EQ(replies[0].records, 3);
  EXPECT_EQ(replies[0].level, api::DurabilityLevel::kDurable);
  EXPECT_EQ(replica_->high_watermark(), Offset(3));
  EXPECT_EQ(replica_->last_stable_offset(), Offset(3));
  EXPECT_EQ(log_->told_high_watermark(), Offset(3));
}

TEST_F(ReplicaTest, AReplicatedTopicIsAcknowledgedWhenWrittenNeverWhenStaged_S02) {
  Make({.durable = false});
  Lead(5);
  Produce(MakeBatch(1));
  EXPECT_THAT(Replies(), IsEmpty());
  Write();
  const auto replies = Replies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].level, api::DurabilityLevel::kReplicated);
}

TEST_F(ReplicaTest, AcksOfTheLeaderWaitForItsOwnPositionOnly) {
  replica_->OnMetadata(Image(5, kSelf, {kSelf, kOther}), {}, true, MonotonicTime(), &outbox_);
  Produce(MakeBatch(1), api::Acks::kLeader);
  Produce(MakeBatch(1), api::Acks::kAll);
  Sync();
  const auto replies = Replies();
  ASSERT_THAT(replies, SizeIs(1)) << "the other member of the in-sync set has said nothing";
  EXPECT_EQ(replies[0].id, ProduceId(1));
  EXPECT_EQ(replica_->high_watermark(), Offset(0));
}

TEST_F(ReplicaTest, AnAnswerTellsTheOwnDiskFromTheWaitForOthers) {
  const auto at = [](int64_t nanos) { return MonotonicTime::FromNanos(nanos); };
  replica_->OnMetadata(Image(5, kSelf, {kSelf, kOther}), {}, true, at(1), &outbox_);
  Produce(MakeBatch(1));
  log_->Sync();
  replica_->OnAdvanced(at(5), &outbox_);
  replica_->OnAdvanced(at(6), &outbox_);
  EXPECT_THAT(Replies(), IsEmpty());
  // The other one is not waited for any more.
  replica_->OnMetadata(Image(5), {}, true, at(9), &outbox_);
  const auto replies = Replies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].synced, at(5));
}

TEST_F(ReplicaTest, AcksNoneAnswersAtOnce) {
  Lead(5);
  Produce(MakeBatch(1), api::Acks::kNone);
  const auto replies = Replies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_TRUE(replies[0].outcome.ok());
  EXPECT_EQ(replies[0].base_offset, kNoOffset);
  EXPECT_THAT(log_->batches(), SizeIs(1));
}

TEST_F(ReplicaTest, UnknownAcksAreRefused) {
  Lead(5);
  Produce(MakeBatch(1), static_cast<api::Acks>(9));
  EXPECT_EQ(Replies()[0].outcome.code, ErrorCode::kInvalidRequiredAcks);
}

TEST_F(ReplicaTest, RaisingTheLevelPromisesTheOldOneUntilTheDiskHasIt_S07) {
  Make({.durable = false});
  Lead(5);
  Produce(MakeBatch(1));
  Write();
  Produce(MakeBatch(1));
  EXPECT_THAT(Replies(), SizeIs(1));
  replica_->OnSettings({.durable = true}, MonotonicTime(), &outbox_);
  EXPECT_EQ(replica_->high_watermark(), Offset(1)) << "it never falls";
  Write();
  EXPECT_THAT(Replies(), IsEmpty());
  Sync();
  const auto replies = Replies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].level, api::DurabilityLevel::kDurable);
}

TEST_F(ReplicaTest, AnUnacknowledgedProduceTimesOutAndSaysSo) {
  Lead(5);
  Produce(MakeBatch(1));
  EXPECT_EQ(replica_->next_deadline(), MonotonicTime::FromNanos(1000));
  replica_->Tick(MonotonicTime::FromNanos(999), &outbox_);
  EXPECT_THAT(Replies(), IsEmpty());
  replica_->Tick(MonotonicTime::FromNanos(1000), &outbox_);
  EXPECT_EQ(Replies()[0].outcome.code, ErrorCode::kRequestTimedOut);
  Sync();
  EXPECT_THAT(Replies(), IsEmpty()) << "answered once";
}

// --- min.insync.replicas ---

TEST_F(ReplicaTest, TooFewInSyncRefusesBeforeTheAppend) {
  Make({.min_insync_replicas = 2});
  metadata::PartitionImage image = Image(5);
  image.replicas = {{kSelf, {}}, {kOther, {}}};
  replica_->OnMetadata(image, {}, true, MonotonicTime(), &outbox_);
  Produce(MakeBatch(1));
  EXPECT_EQ(Replies()[0].outcome.code, ErrorCode::kNotEnoughReplicas);
  EXPECT_THAT(log_->batches(), IsEmpty());
  Produce(MakeBatch(1), api::Acks::kLeader);
  Sync();
  EXPECT_TRUE(Replies()[0].outcome.ok());
  EXPECT_EQ(replica_->high_watermark(), Offset(0)) << "it stands still while too few are in sync";
}

TEST_F(ReplicaTest, ShrinkingBelowTheMinimumAfterTheAppendIsTold) {
  Make({.min_insync_replicas = 2});
  metadata::PartitionImage image = Image(5, kSelf, {kSelf, kOther});
  image.replicas = {{kSelf, {}}, {kOther, {}}};
  replica_->OnMetadata(image, {}, true, MonotonicTime(), &outbox_);
  Produce(MakeBatch(1));
  image.isr = {kSelf};
  image.partition_epoch = PartitionEpoch(9);
  replica_->OnMetadata(image, {}, true, MonotonicTime(), &outbox_);
  Sync();
  replica_->Tick(MonotonicTime::FromNanos(1000), &outbox_);
  EXPECT_EQ(Replies()[0].outcome.code, ErrorCode::kNotEnoughReplicasAfterAppend);
}

TEST_F(ReplicaTest, TheMinimumIsNeverMoreThanTheReplicas_S16) {
  Make({.min_insync_replicas = 3});
  Lead(5);
  Produce(MakeBatch(1));
  Sync();
  EXPECT_TRUE(Replies()[0].outcome.ok());
}

// --- Epochs ---

TEST_F(ReplicaTest, OnlyTheLeaderOfTheEpochServes) {
  Produce(MakeBatch(1));
  EXPECT_EQ(Replies()[0].outcome.code, ErrorCode::kNotLeaderOrFollower);
  replica_->OnMetadata(Image(4, kOther), {}, true, MonotonicTime(), &outbox_);
  Produce(MakeBatch(1));
  auto refused = Replies();
  EXPECT_EQ(refused[0].outcome.code, ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(refused[0].outcome.leader->leader, kOther);
  EXPECT_EQ(refused[0].outcome.leader->leader_epoch, LeaderEpoch(4));
  Lead(5);
  Produce(MakeBatch(1), api::Acks::kAll, LeaderEpoch(4));
  EXPECT_EQ(Replies()[0].outcome.code, ErrorCode::kFencedLeaderEpoch);
  Produce(MakeBatch(1), api::Acks::kAll, LeaderEpoch(6));
  EXPECT_EQ(Replies()[0].outcome.code, ErrorCode::kUnknownLeaderEpoch);
  Produce(MakeBatch(1), api::Acks::kAll, LeaderEpoch(5));
  EXPECT_THAT(Replies(), IsEmpty());
  EXPECT_THAT(log_->batches(), SizeIs(1));
}

TEST_F(ReplicaTest, ALeadershipThatIsNotOfThisRegistrationDoesNotCount_S01) {
  replica_->OnMetadata(Image(5), {}, false, MonotonicTime(), &outbox_);
  EXPECT_FALSE(replica_->is_leader());
  replica_->OnMetadata(Image(5), {}, true, MonotonicTime(), &outbox_);
  EXPECT_TRUE(replica_->is_leader());
}

TEST_F(ReplicaTest, AnEpochChangeFailsWaitersWithUnknownOutcome_S11) {
  Lead(5);
  Produce(MakeBatch(1));
  Produce(MakeBatch(1), api::Acks::kLeader);
  replica_->Park(ParkId(7), {.offset = Offset(0)}, 1, &outbox_);
  Lead(6);
  const auto replies = Replies();
  ASSERT_THAT(replies, SizeIs(2));
  EXPECT_EQ(replies[0].outcome.code, ErrorCode::kOutcomeUnknown);
  EXPECT_EQ(replies[1].outcome.code, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(Woken(), ElementsAre(ParkId(7)));
  Sync();
  EXPECT_THAT(Replies(), IsEmpty()) << "the same offsets in another epoch are other waiters'";
}

TEST_F(ReplicaTest, OlderMetadataIsIgnored) {
  Lead(5);
  replica_->OnMetadata(Image(4, kOther), {}, true, MonotonicTime(), &outbox_);
  EXPECT_TRUE(replica_->is_leader());
  EXPECT_EQ(replica_->leader_epoch(), LeaderEpoch(5));
}

TEST_F(ReplicaTest, LatestIsNotAvailableUntilTheHighWatermarkReachesTheElection_S38) {
  Lead(5);
  Produce(MakeBatch(4));
  Write();
  // Elected again while the records are not on the disk yet.
  Lead(6);
  EXPECT_THAT(replica_->LatestOffset(std::nullopt, MonotonicTime()),
              HasCode(ErrorCode::kOffsetNotAvailable));
  Sync();
  EXPECT_EQ(*replica_->LatestOffset(std::nullopt, MonotonicTime()), Offset(4));
}

TEST_F(ReplicaTest, ThatNothingIsYoungerIsNotSaidUntilTheHighWatermarkReachesTheElection_S38) {
  Lead(5);
  Produce(MakeBatch(2, 10, 1000));
  Sync();
  Produce(MakeBatch(2, 10, kWall.ms));
  Write();
  Lead(6);
  EXPECT_EQ(*OffsetSince(1000), Offset(0)) << "what is found below the high watermark stays found";
  EXPECT_THAT(OffsetSince(2000), HasCode(ErrorCode::kOffsetNotAvailable));
  EXPECT_THAT(OffsetOfMaxTimestamp(), HasCode(ErrorCode::kOffsetNotAvailable));
  Sync();
  EXPECT_EQ(*OffsetSince(2000), Offset(2));
  EXPECT_EQ(*OffsetSince(kWall.ms + 1), kNoOffset);
  EXPECT_EQ(*OffsetOfMaxTimestamp(), Offset(2));
}

TEST_F(ReplicaTest, NothingIsDeletedUpToAHighWatermarkThatIsNotKnownYet_S38) {
  Lead(5);
  Produce(MakeBatch(2));
  Sync();
  Produce(MakeBatch(2));
  Write();
  Lead(6);
  // Both may be committed already, by the leader of before.
  EXPECT_EQ(Deletion(kNoOffset), ErrorCode::kOffsetNotAvailable);
  EXPECT_EQ(Deletion(Offset(4)), ErrorCode::kOffsetNotAvailable) << "asked again, it succeeds";
  EXPECT_EQ(log_->log_start_offset(), Offset(0));
  EXPECT_EQ(Deletion(Offset(1)), ErrorCode::kNone);
  Sync();
  EXPECT_EQ(Deletion(kNoOffset), ErrorCode::kNone);
  EXPECT_EQ(log_->log_start_offset(), Offset(4));
  EXPECT_EQ(Deletion(Offset(5)), ErrorCode::kOffsetOutOfRange);
}

// --- Roles ---

class ReplicaRolesTest : public ReplicaTest {
 protected:
  void See(int epoch, NodeId leader) {
    metadata::PartitionImage image = Image(epoch, leader, {kSelf, kOther});
    image.replicas = {{kSelf, {}}, {kOther, {}}};
    replica_->OnMetadata(image, {{kSelf, BrokerEpoch(1), true}, {kOther, BrokerEpoch(2), true}},
                         true, MonotonicTime(), &outbox_);
  }
  std::vector<AttachTo> Attaches() { return std::exchange(outbox_.attaches, {}); }
};

TEST_F(ReplicaRolesTest, AFollowerAttachesToTheLeaderInEveryEpoch_S14) {
  See(4, kOther);
  auto attaches = Attaches();
  ASSERT_THAT(attaches, SizeIs(1));
  EXPECT_EQ(attaches[0].leader, kOther);
  EXPECT_EQ(attaches[0].request.leader_epoch, LeaderEpoch(4));
  See(4, kOther);
  EXPECT_THAT(Attaches(), IsEmpty()) << "nothing changed for it";
  See(5, kOther);
  attaches = Attaches();
  ASSERT_THAT(attaches, SizeIs(1));
  EXPECT_EQ(attaches[0].request.leader_epoch, LeaderEpoch(5));
  EXPECT_THAT(outbox_.detaches, IsEmpty()) << "the same stream goes on";
}

TEST_F(ReplicaRolesTest, ADeposedLeaderFollowsAndNamesItsSuccessor_S40) {
  See(4, kSelf);
  replica_->OnAttach({kOther, BrokerEpoch(2)},
                     {kPartition, {}, LeaderEpoch(4), 1, kNoLeaderEpoch, Offset(0)},
                     MonotonicTime(), &outbox_);
  Produce(MakeBatch(1));
  See(5, kOther);
  const auto replies = Replies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].outcome.code, ErrorCode::kOutcomeUnknown);
  EXPECT_EQ(replies[0].outcome.leader->leader, kOther);
  EXPECT_EQ(replies[0].outcome.leader->leader_epoch, LeaderEpoch(5));
  ASSERT_THAT(outbox_.detaches, SizeIs(1)) << "its follower is told";
  EXPECT_EQ(outbox_.detaches[0].detach.leader_epoch, LeaderEpoch(4));
  const auto attaches = Attaches();
  ASSERT_THAT(attaches, SizeIs(1));
  EXPECT_EQ(attaches[0].request.end_offset, Offset(1)) << "its tail is the new leader's to judge";
}

TEST_F(ReplicaRolesTest, AFollowerThatIsElectedKeepsItsHighWatermark) {
  See(4, kOther);
  const AttachRequest request = Attaches().at(0).request;
  AttachReply reply;
  reply.topic_partition = kPartition;
  reply.leader_epoch = request.leader_epoch;
  reply.attach = request.attach;
  replica_->OnAttachReply(reply, MonotonicTime(), &outbox_);
  EXPECT_TRUE(replica_->is_attached());
  const Bytes batch = MakeBatch(2);
  Buffer stamped(batch.size());
  std::memcpy(stamped.data(), batch.data(), batch.size());
  record::StampBaseOffset(stamped.data(), Offset(0));
  record::StampLeaderEpoch(stamped.data(), LeaderEpoch(4));
  replica_->OnPush({kPartition, LeaderEpoch(4), request.attach, Offset(0),
                    std::move(stamped).Freeze(), Offset(2), Offset(0)},
                   {MonotonicTime(), kWall}, &outbox_);
  See(5, kSelf);
  EXPECT_TRUE(replica_->is_leader());
  EXPECT_EQ(replica_->high_watermark(), Offset(2));
  ASSERT_THAT(outbox_.detaches, SizeIs(1)) << "it follows nobody any more";
  EXPECT_EQ(outbox_.detaches[0].peer, kOther);
}

TEST_F(ReplicaRolesTest, WhoDoesNotLeadRefusesAttaches_KIP320) {
  const auto code_of = [&](int epoch) {
    replica_->OnAttach({kOther, BrokerEpoch(2)},
                       {kPartition, {}, LeaderEpoch(epoch), 1, kNoLeaderEpoch, Offset(0)},
                       MonotonicTime(), &outbox_);
    return std::exchange(outbox_.attach_replies, {}).at(0).reply.outcome.code;
  };
  See(4, kOther);
  EXPECT_EQ(code_of(4), ErrorCode::kNotLeaderOrFollower);
  See(5, kSelf);
  EXPECT_EQ(code_of(4), ErrorCode::kFencedLeaderEpoch);
  EXPECT_EQ(code_of(6), ErrorCode::kUnknownLeaderEpoch);
  EXPECT_EQ(code_of(5), ErrorCode::kNone);
}

TEST_F(ReplicaRolesTest, AnUnassignedOrOfflineReplicaFollowsNobody) {
  See(4, kOther);
  Attaches();
  metadata::PartitionImage image = Image(4, kOther, {kOther});
  image.replicas = {{kOther, {}}};
  replica_->OnMetadata(image, {}, true, MonotonicTime(), &outbox_);
  EXPECT_THAT(std::exchange(outbox_.detaches, {}), SizeIs(1));
  EXPECT_EQ(replica_->next_deadline(), MonotonicTime::Never());
  See(5, kOther);
  EXPECT_THAT(Attaches(), SizeIs(1));
  replica_->OnFailed(MakeError(ErrorCode::kStorageError, "the directory failed"), &outbox_);
  EXPECT_THAT(outbox_.detaches, SizeIs(1));
  See(6, kOther);
  EXPECT_THAT(Attaches(), IsEmpty());
}

// --- Idempotent producers ---

Bytes Sequenced(int sequence, int count) {
  return MakeBatch(count, 10, kWall.ms,
                   {.producer_id = ProducerId(7),
                    .producer_epoch = ProducerEpoch(0),
                    .base_sequence = sequence});
}

TEST_F(ReplicaTest, ARetryIsAnsweredWithTheFirstOffsetAndNotAppended) {
  Lead(5);
  Produce(Sequenced(0, 2));
  Produce(Sequenced(2, 2));
  Produce(Sequenced(0, 2));
  EXPECT_THAT(log_->batches(), SizeIs(2));
  EXPECT_THAT(Replies(), IsEmpty()) << "a retry waits like the batch itself";
  Sync();
  auto replies = Replies();
  ASSERT_THAT(replies, SizeIs(3));
  EXPECT_EQ(replies[0].base_offset, Offset(0));
  EXPECT_EQ(replies[1].base_offset, Offset(0));
  EXPECT_EQ(replies[2].base_offset, Offset(2));
  Produce(Sequenced(2, 2));
  replies = Replies();
  ASSERT_THAT(replies, SizeIs(1)) << "acknowledged already";
  EXPECT_EQ(replies[0].base_offset, Offset(2));
}

TEST_F(ReplicaTest, AGapInTheSequenceIsRefused) {
  Lead(5);
  Produce(Sequenced(0, 2));
  Produce(Sequenced(5, 1));
  EXPECT_EQ(Replies()[0].outcome.code, ErrorCode::kOutOfOrderSequenceNumber);
}

// --- Append ---

TEST_F(ReplicaTest, TheClientsMemoryIsNotWrittenTo) {
  Lead(5);
  const Bytes batch = MakeBatch(2);
  const std::string before = batch.ToString();
  Produce(MakeBatch(1));
  Produce(batch);
  EXPECT_EQ(batch.ToString(), before);
  const auto stored = record::BatchView::Parse(log_->batches()[1]);
  EXPECT_EQ(stored->base_offset(), Offset(1));
  EXPECT_EQ(stored->leader_epoch(), LeaderEpoch(5));
}

TEST_F(ReplicaTest, LogAppendTimeIsStampedAndTold) {
  Make({.log_append_time = true});
  Lead(5);
  Produce(MakeBatch(2, 10, 1));
  Sync();
  EXPECT_EQ(Replies()[0].log_append_time_ms, kWall.ms);
  const auto stored = record::BatchView::Parse(log_->batches()[0]);
  ASSERT_OK(stored);
  EXPECT_EQ(stored->timestamp_type(), record::TimestampType::kLogAppendTime);
  EXPECT_EQ(stored->max_timestamp_ms(), kWall.ms);
}

TEST_F(ReplicaTest, AFullDiskRefusesProduceOnly) {
  Lead(5);
  Produce(MakeBatch(1));
  Sync();
  Replies();
  log_->set_stage_error(MakeError(ErrorCode::kStorageFull, "full"));
  Produce(MakeBatch(1));
  EXPECT_EQ(Replies()[0].outcome.code, ErrorCode::kStorageFull);
  EXPECT_TRUE(replica_->Fetch({.offset = Offset(0), .bytes_max = 1000}).outcome.ok());
}

TEST_F(ReplicaTest, AFailedDirectoryTakesItOfflineAndLeavesOutcomesUnknown) {
  Lead(5);
  Produce(MakeBatch(1));
  replica_->Park(ParkId(7), {.offset = Offset(0)}, 1, &outbox_);
  replica_->OnFailed(MakeError(ErrorCode::kStorageError, "the directory failed"), &outbox_);
  EXPECT_EQ(Replies()[0].outcome.code, ErrorCode::kOutcomeUnknown);
  EXPECT_THAT(Woken(), ElementsAre(ParkId(7)));
  Produce(MakeBatch(1));
  EXPECT_EQ(Replies()[0].outcome.code, ErrorCode::kStorageError);
  EXPECT_EQ(replica_->Fetch({.offset = Offset(0), .bytes_max = 10}).outcome.code,
            ErrorCode::kStorageError);
  Sync();
  EXPECT_EQ(replica_->high_watermark(), Offset(0)) << "it resigned";
}

// --- Fetch ---

TEST_F(ReplicaTest, NothingBeyondTheHighWatermarkIsServed) {
  Lead(5);
  Produce(MakeBatch(2));
  Sync();
  Produce(MakeBatch(2));
  Write();
  FetchAnswer answer = replica_->Fetch({.offset = Offset(0), .bytes_max = 1 << 20});
  ASSERT_TRUE(answer.outcome.ok());
  EXPECT_EQ(answer.high_watermark, Offset(2));
  EXPECT_EQ(answer.read.result->next_offset, Offset(2));
  answer = replica_->Fetch({.offset = Offset(3), .bytes_max = 1 << 20});
  EXPECT_TRUE(answer.outcome.ok()) << "in the log, and not yet to be seen";
  EXPECT_EQ(answer.read.result->bytes, 0u);
}

TEST_F(ReplicaTest, OffsetsOutsideTheLogAreOutOfRange) {
  Lead(5);
  Produce(MakeBatch(2));
  Sync();
  EXPECT_EQ(replica_->Fetch({.offset = Offset(3), .bytes_max = 10}).outcome.code,
            ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(replica_->Fetch({.offset = Offset(-1), .bytes_max = 10}).outcome.code,
            ErrorCode::kOffsetOutOfRange);
  log_->RaiseLogStart(Offset(1), [](const absl::Status&) {});
  EXPECT_EQ(replica_->Fetch({.offset = Offset(0), .bytes_max = 10}).outcome.code,
            ErrorCode::kOffsetOutOfRange);
}

TEST_F(ReplicaTest, AParkedFetchWakesWhenItsBytesAreCommitted) {
  Lead(5);
  const Bytes batch = MakeBatch(1);
  replica_->Park(ParkId(1), {.offset = Offset(0)}, 1, &outbox_);
  replica_->Park(ParkId(2), {.offset = Offset(0)}, static_cast<int64_t>(batch.size()) + 1,
                 &outbox_);
  Produce(batch);
  Write();
  EXPECT_THAT(Woken(), IsEmpty());
  Sync();
  EXPECT_THAT(Woken(), ElementsAre(ParkId(1)));
  Produce(batch);
  Sync();
  EXPECT_THAT(Woken(), ElementsAre(ParkId(2)));
}

TEST_F(ReplicaTest, ParkingBehindTheHighWatermarkOrInAnotherEpochWakesAtOnce) {
  Lead(5);
  Produce(MakeBatch(2));
  Sync();
  replica_->Park(ParkId(1), {.offset = Offset(1)}, 1, &outbox_);
  replica_->Park(ParkId(2), {.offset = Offset(2), .leader_epoch = LeaderEpoch(4)}, 1, &outbox_);
  replica_->Park(ParkId(3), {.offset = Offset(2), .leader_epoch = LeaderEpoch(5)}, 1, &outbox_);
  EXPECT_THAT(Woken(), ElementsAre(ParkId(1), ParkId(2)));
}

// --- A follower's readers (KIP-392) ---

class NearReaderTest : public ReplicaTest {
 protected:
  // Another broker leads in epoch 5; this replica asks to attach.
  AttachRequest Follow(metadata::BrokerList isr = {kSelf, kOther}) {
    replica_->OnMetadata(Image(5, kOther, std::move(isr)), {}, true, MonotonicTime(), &outbox_);
    return outbox_.attaches.back().request;
  }
  void Attach(const AttachRequest& request) {
    AttachReply reply;
    reply.topic_partition = kPartition;
    reply.leader_epoch = request.leader_epoch;
    reply.attach = request.attach;
    replica_->OnAttachReply(reply, MonotonicTime(), &outbox_);
    ASSERT_TRUE(replica_->is_attached());
  }
  void Push(const AttachRequest& request, Bytes batches, int64_t high_watermark) {
    replica_->OnPush({kPartition, request.leader_epoch, request.attach, log_->end_offset(),
                      std::move(batches), Offset(high_watermark), Offset(0)},
                     {MonotonicTime(), kWall}, &outbox_);
  }
  static Bytes Stamped(int count, int64_t base) {
    const Bytes batch = MakeBatch(count);
    Buffer buffer(batch.size());
    std::memcpy(buffer.data(), batch.data(), batch.size());
    record::StampBaseOffset(buffer.data(), Offset(base));
    record::StampLeaderEpoch(buffer.data(), LeaderEpoch(5));
    return std::move(buffer).Freeze();
  }
  static FetchQuery At(int64_t offset, int epoch = 5) {
    return {.offset = Offset(offset),
            .leader_epoch = LeaderEpoch(epoch),
            .bytes_max = 1 << 20,
            .nearby = true};
  }
  ErrorCode CodeAt(int64_t offset, int epoch = 5) {
    return replica_->Fetch(At(offset, epoch)).outcome.code;
  }
};

TEST_F(NearReaderTest, AreServedUpToTheHighWatermarkAndWokenByIt_S38) {
  const AttachRequest request = Follow();
  EXPECT_EQ(CodeAt(0), ErrorCode::kNotLeaderOrFollower) << "not attached";
  Attach(request);
  Push(request, Stamped(2, 0), 0);
  FetchAnswer answer = replica_->Fetch(At(0));
  ASSERT_TRUE(answer.outcome.ok());
  EXPECT_EQ(answer.read.result->bytes, 0u) << "nothing is committed";
  replica_->Park(ParkId(1), At(0), 1, &outbox_);
  replica_->Park(ParkId(2), At(0), 1 << 20, &outbox_);
  EXPECT_THAT(Woken(), IsEmpty());
  Push(request, {}, 2);
  EXPECT_THAT(Woken(), ElementsAre(ParkId(1))) << "as many bytes as it asked for";
  answer = replica_->Fetch(At(0));
  EXPECT_EQ(answer.high_watermark, Offset(2));
  EXPECT_EQ(answer.read.result->next_offset, Offset(2));
  // The leader's high watermark may be ahead of what this one has heard.
  Push(request, Stamped(2, 2), 2);
  EXPECT_EQ(CodeAt(4), ErrorCode::kNone);
}

TEST_F(NearReaderTest, AreNeverToldThatAnOffsetIsOutOfRange_S38) {
  const AttachRequest request = Follow();
  Attach(request);
  Push(request, Stamped(2, 0), 2);
  const FetchAnswer beyond = replica_->Fetch(At(3));
  EXPECT_EQ(beyond.outcome.code, ErrorCode::kOffsetNotAvailable);
  EXPECT_EQ(beyond.outcome.leader->leader, kOther);
  log_->RaiseLogStart(Offset(1), [](const absl::Status&) {});
  EXPECT_EQ(CodeAt(0), ErrorCode::kOffsetNotAvailable);
}

TEST_F(NearReaderTest, AreFencedByEpochAsAtALeader) {
  Attach(Follow());
  EXPECT_EQ(CodeAt(0, 4), ErrorCode::kFencedLeaderEpoch);
  EXPECT_EQ(CodeAt(0, 6), ErrorCode::kUnknownLeaderEpoch);
  FetchQuery elsewhere = At(0);
  elsewhere.nearby = false;
  EXPECT_EQ(replica_->Fetch(elsewhere).outcome.code, ErrorCode::kNotLeaderOrFollower);
}

TEST_F(NearReaderTest, WakeAndAreRefusedWhenTheFollowerIsDetachedOrOutOfSync) {
  const AttachRequest request = Follow();
  Attach(request);
  replica_->Park(ParkId(1), At(0), 1, &outbox_);
  replica_->OnDetached({kPartition, request.leader_epoch, request.attach, absl::OkStatus()},
                       MonotonicTime(), &outbox_);
  EXPECT_THAT(Woken(), ElementsAre(ParkId(1)));
  EXPECT_EQ(CodeAt(0), ErrorCode::kNotLeaderOrFollower);

  Make({});
  Attach(Follow());
  replica_->Park(ParkId(2), At(0), 1, &outbox_);
  replica_->OnMetadata(Image(5, kOther, {kOther}), {}, true, MonotonicTime(), &outbox_);
  EXPECT_THAT(Woken(), ElementsAre(ParkId(2)));
  EXPECT_EQ(CodeAt(0), ErrorCode::kNotLeaderOrFollower);
}

// Two batches at 0 and 2 that are committed, and two at 4 and 6 that are not, of which the last is
// damaged.
class UncommittedDamageTest : public NearReaderTest {
 protected:
  void MakeDamaged(metadata::BrokerList isr) {
    const AttachRequest request = Follow(std::move(isr));
    Attach(request);
    for (const int64_t base : {0, 2, 4, 6}) Push(request, Stamped(2, base), 4);
    log_->Sync();
    replica_->SetDamaged(true, MonotonicTime(), &outbox_);
    outbox_.Clear();
  }
};

TEST_F(UncommittedDamageTest, OfAFollowerOutOfSyncIsCutAndAskedForAgain_S22) {
  MakeDamaged({kOther});
  EXPECT_FALSE(replica_->MayCutDamaged(Offset(2))) << "committed";
  ASSERT_TRUE(replica_->MayCutDamaged(Offset(6)));
  replica_->CutDamaged(Offset(6));
  EXPECT_EQ(log_->end_offset(), Offset(6));
  EXPECT_FALSE(replica_->MayCutDamaged(Offset(6))) << "it is gone";
  replica_->SetDamaged(false, MonotonicTime(), &outbox_);
  ASSERT_THAT(outbox_.attaches, SizeIs(1));
  EXPECT_EQ(outbox_.attaches[0].request.end_offset, Offset(6));
}

TEST_F(UncommittedDamageTest, OfOneWithASeatIsNotCutUntilItHasGivenThatUp_S35) {
  MakeDamaged({kSelf, kOther});
  EXPECT_FALSE(replica_->MayCutDamaged(Offset(6))) << "it may have been acknowledged since";
  metadata::PartitionImage eligible = Image(5, kOther, {kOther});
  eligible.elr = {kSelf};
  replica_->OnMetadata(eligible, {}, true, MonotonicTime(), &outbox_);
  EXPECT_FALSE(replica_->MayCutDamaged(Offset(6)));
  replica_->OnMetadata(Image(5, kOther, {kOther}), {}, true, MonotonicTime(), &outbox_);
  EXPECT_TRUE(replica_->MayCutDamaged(Offset(6)));
  replica_->OnMetadata(Image(6, kNoNode, {}), {}, true, MonotonicTime(), &outbox_);
  EXPECT_FALSE(replica_->MayCutDamaged(Offset(6))) << "it may be the best that is left (S-32)";
}

TEST_F(UncommittedDamageTest, OfALeaderIsNeverCut_S22) {
  MakeDamaged({kOther});
  Lead(6);
  EXPECT_FALSE(replica_->MayCutDamaged(Offset(6)));
}

TEST_F(UncommittedDamageTest, IsNotCutWhereTheHighWatermarkWasNotLearned_S22) {
  const AttachRequest request = Follow({kOther});
  Attach(request);
  Push(request, Stamped(2, 0), 0);
  replica_->SetDamaged(true, MonotonicTime(), &outbox_);
  EXPECT_FALSE(replica_->MayCutDamaged(Offset(0)));
}

TEST_F(ReplicaTest, RecordsAreDeletedUpToTheHighWatermarkOnly) {
  Lead(5);
  Produce(MakeBatch(2));
  Sync();
  Produce(MakeBatch(2));
  EXPECT_EQ(Deletion(Offset(3)), ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(Deletion(Offset(-2)), ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(log_->log_start_offset(), Offset(0));
  replica_->DeleteRecords({ProduceId(91), Offset(1)}, MonotonicTime(), &outbox_);
  EXPECT_EQ(log_->log_start_offset(), Offset(1));
  replica_->DeleteRecords({ProduceId(92), kNoOffset}, MonotonicTime(), &outbox_);
  EXPECT_EQ(log_->log_start_offset(), Offset(2));
  EXPECT_THAT(outbox_.deleted, IsEmpty()) << "the disk does not have it yet";
  Sync();
  ASSERT_THAT(outbox_.deleted, SizeIs(2));
  EXPECT_EQ(outbox_.deleted[0].id, ProduceId(91));
  EXPECT_EQ(outbox_.deleted[0].log_start_offset, Offset(1));
  EXPECT_EQ(outbox_.deleted[1].log_start_offset, Offset(2));
}

// --- Cut off from the controllers ---

// Leads, with another in sync, and has heard nothing from the controllers for long enough.
class ReplicaCutOffTest : public ReplicaRolesTest {
 protected:
  ReplicaCutOffTest() {
    Lead(5);
    Produce(MakeBatch(2));
    Sync();
    See(6, kSelf);
    replica_->OnAttach(kFollower, {kPartition, {}, LeaderEpoch(6), 1, LeaderEpoch(5), Offset(2)},
                       MonotonicTime(), &outbox_);
    contact_.last = MonotonicTime();
    now_ = now_ + contact_.session_timeout;
  }
  ErrorCode FetchAt(int64_t offset) {
    return replica_->Fetch({.offset = Offset(offset), .bytes_max = 1000, .now = now_}).outcome.code;
  }
  void Confirm() {
    replica_->OnFollowerConfirmed(kFollower, {kPartition, LeaderEpoch(6), 1, {}}, now_);
  }

  const FollowerId kFollower{kOther, BrokerEpoch(2)};
  MonotonicTime now_;
};

TEST_F(ReplicaCutOffTest, S33_TheEndIsServedOnlyWhileTheFollowersConfirm) {
  EXPECT_EQ(FetchAt(0), ErrorCode::kNone) << "what is committed stays so";
  EXPECT_EQ(FetchAt(2), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(FetchAt(9), ErrorCode::kNotLeaderOrFollower) << "another may have as much by now";
  EXPECT_THAT(replica_->LatestOffset(std::nullopt, now_), HasCode(ErrorCode::kNotLeaderOrFollower));
  EXPECT_EQ(*OffsetSince(kWall.ms, now_), Offset(0));
  EXPECT_THAT(OffsetSince(kWall.ms + 1, now_), HasCode(ErrorCode::kNotLeaderOrFollower));
  EXPECT_THAT(OffsetOfMaxTimestamp(now_), HasCode(ErrorCode::kNotLeaderOrFollower));
  EXPECT_EQ(Deletion(kNoOffset, now_), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(Deletion(Offset(3), now_), ErrorCode::kNotLeaderOrFollower);
  Confirm();
  EXPECT_EQ(*OffsetSince(kWall.ms + 1, now_), kNoOffset);
  EXPECT_EQ(FetchAt(2), ErrorCode::kNone);
  EXPECT_EQ(FetchAt(9), ErrorCode::kOffsetOutOfRange);
  EXPECT_EQ(*replica_->LatestOffset(std::nullopt, now_), Offset(2));
}

TEST_F(ReplicaCutOffTest, S33_ReadersAtTheEndAreWokenToBeRefused) {
  Confirm();
  replica_->Park(ParkId(1), {.offset = Offset(2)}, 1, &outbox_);
  replica_->WakeIfReplaced(now_, &outbox_);
  EXPECT_THAT(Woken(), IsEmpty());
  now_ = now_ + contact_.session_timeout + absl::Nanoseconds(1);
  replica_->WakeIfReplaced(now_, &outbox_);
  EXPECT_THAT(Woken(), ElementsAre(ParkId(1)));
}

TEST_F(ReplicaRolesTest, S33_AFollowerTellsItsPositionAgainWhenItIsAsked) {
  replica_->OnAsked(&outbox_);
  EXPECT_THAT(outbox_.positions, IsEmpty()) << "it follows nobody";
  See(4, kOther);
  const AttachRequest attach = Attaches().at(0).request;
  replica_->OnAsked(&outbox_);
  EXPECT_THAT(outbox_.positions, IsEmpty()) << "not attached yet";
  AttachReply fits{kPartition, LeaderEpoch(4), attach.attach};
  replica_->OnAttachReply(fits, MonotonicTime(), &outbox_);
  EXPECT_THAT(std::exchange(outbox_.positions, {}), SizeIs(1));
  replica_->OnAsked(&outbox_);
  const std::vector<PositionTo> positions = std::exchange(outbox_.positions, {});
  ASSERT_THAT(positions, SizeIs(1));
  EXPECT_EQ(positions[0].leader, kOther);
  EXPECT_EQ(positions[0].position.leader_epoch, LeaderEpoch(4));
  See(5, kSelf);
  replica_->OnAsked(&outbox_);
  EXPECT_THAT(outbox_.positions, IsEmpty()) << "it leads";
}

}  // namespace
}  // namespace millrace::broker
