#include "broker/isr.h"

#include <cstring>
#include <map>
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
const TopicPartition kPartition{TopicId(Uuid(1, 2)), PartitionIndex(0)};
constexpr absl::Duration kLagMax = absl::Seconds(5);

Buffer CopyOf(const Bytes& bytes) {
  Buffer buffer(bytes.size());
  std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return buffer;
}

class IsrTest : public ::testing::Test {
 protected:
  IsrTest() { Make({.durable = true, .min_insync_replicas = 1}); }

  void Make(const TopicSettings& settings) {
    auto log = std::make_unique<FakeReplicaLog>();
    log_ = log.get();
    held_ = std::make_unique<HeldPartition>(ReplicaOptions{.self = kSelf, .lag_time_max = kLagMax},
                                            kPartition, std::move(log), settings);
    isr_ = std::make_unique<Isr>(held_.get());
  }
  metadata::PartitionImage Image(metadata::BrokerList isr, int partition_epoch) {
    metadata::PartitionImage image;
    image.replicas = {{kSelf, {}}, {kB, {}}, {kC, {}}};
    image.isr = std::move(isr);
    image.leader = kSelf;
    image.leader_epoch = LeaderEpoch(7);
    image.partition_epoch = PartitionEpoch(partition_epoch);
    return image;
  }
  void Begin(metadata::BrokerList isr) {
    held_->leader = kSelf;
    held_->leader_epoch = LeaderEpoch(7);
    held_->partition_epoch = PartitionEpoch(10);
    isr_->Begin(Image(std::move(isr), 10), standings_, now_);
  }
  void Commit(metadata::BrokerList isr, int partition_epoch) {
    isr_->OnMetadata(Image(std::move(isr), partition_epoch), standings_, now_, &outbox_);
    held_->partition_epoch = PartitionEpoch(partition_epoch);
  }
  // The leader appends, and has it on its disk.
  void Append(int count) {
    const Offset before = log_->end_offset();
    ASSERT_OK(log_->StageAsLeader(CopyOf(MakeBatch(count)), LeaderEpoch(7), {}));
    log_->Sync();
    isr_->OnAppended(before, now_);
  }
  void Attach(NodeId broker, int64_t end, int64_t epoch = 100) {
    isr_->OnAttaching(broker, Offset(end), now_, &outbox_);
    isr_->OnAttached({broker, BrokerEpoch(epoch)}, now_);
  }
  void At(NodeId broker, int64_t written, int64_t durable) {
    isr_->OnPosition(broker, {Offset(written), Offset(durable)}, now_);
  }
  void At(NodeId broker, int64_t offset) { At(broker, offset, offset); }
  std::vector<IsrProposal> Proposals() {
    isr_->Propose(now_, &outbox_);
    return std::exchange(outbox_.isr_proposals, {});
  }
  static std::vector<NodeId> BrokersOf(const IsrProposal& proposal) {
    std::vector<NodeId> brokers;
    for (const IsrMember& member : proposal.new_isr) brokers.push_back(member.broker);
    return brokers;
  }
  // The set that one proposal asks for; empty if there is none.
  std::vector<NodeId> Proposed() {
    const std::vector<IsrProposal> proposals = Proposals();
    return proposals.size() == 1 ? BrokersOf(proposals[0]) : std::vector<NodeId>();
  }
  IsrAnswer Answer(const absl::Status& status) {
    IsrAnswer answer;
    answer.topic_partition = kPartition;
    answer.leader_epoch = LeaderEpoch(7);
    answer.partition_epoch = held_->partition_epoch;
    answer.status = status;
    return answer;
  }
  IsrAnswer Answer(const absl::Status& status, metadata::BrokerList isr, int partition_epoch) {
    IsrAnswer answer = Answer(status);
    answer.state =
        IsrAnswer::State{kSelf, LeaderEpoch(7), std::move(isr), PartitionEpoch(partition_epoch)};
    return answer;
  }
  void Pass(absl::Duration time) { now_ = now_ + time; }

  FakeReplicaLog* log_ = nullptr;
  std::unique_ptr<HeldPartition> held_;
  std::unique_ptr<Isr> isr_;
  BrokerStandings standings_ = {
      {kSelf, BrokerEpoch(50), true}, {kB, BrokerEpoch(100), true}, {kC, BrokerEpoch(100), true}};
  Outbox outbox_;
  MonotonicTime now_ = MonotonicTime::FromNanos(1'000'000'000);
};

// --- Positions ---

TEST_F(IsrTest, AFollowerLacksWhatItsCountedPositionHasNotReached) {
  const auto lags = [this] {
    std::map<NodeId, int64_t> lags;
    isr_->ForEachLag([&](NodeId follower, int64_t records) { lags[follower] = records; });
    return lags;
  };
  using Lags = std::map<NodeId, int64_t>;
  log_->ResetTo(Offset(10));
  held_->SetHighWatermark(Offset(10));
  Begin({kSelf, kB});
  Append(4);
  held_->SetHighWatermark(Offset(12));
  EXPECT_EQ(lags(), (Lags{{kB, 2}, {kC, 4}})) << "not heard of: in sync, and not in sync";
  Attach(kC, 10);
  At(kC, 14, 11);
  EXPECT_EQ(lags(), (Lags{{kB, 2}, {kC, 3}}));
  held_->settings.durable = false;
  EXPECT_EQ(lags(), (Lags{{kB, 2}, {kC, 0}}));
  isr_->OnDetached(kC, now_);
  Append(5);
  EXPECT_EQ(lags(), (Lags{{kB, 7}, {kC, 5}})) << "who is away falls behind";
  isr_->OnAttaching(kC, Offset(14), now_, &outbox_);
  EXPECT_EQ(lags(), (Lags{{kB, 7}, {kC, 5}})) << "and has not lost what it told";
}

TEST_F(IsrTest, TheCommonPositionWaitsForEveryMember_S14) {
  Begin({kSelf, kB});
  Append(3);
  EXPECT_EQ(isr_->CommonPosition(now_), std::nullopt) << "B has said nothing in this epoch";
  Attach(kB, 0);
  EXPECT_EQ(isr_->CommonPosition(now_), std::nullopt) << "attached, and not yet told";
  At(kB, 2);
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(2));
  isr_->OnAttaching(kB, Offset(2), now_, &outbox_);
  EXPECT_EQ(isr_->CommonPosition(now_), std::nullopt) << "what it said in another attach is void";
}

TEST_F(IsrTest, WhatIsWrittenDoesNotCountInADurableTopic_S06) {
  Begin({kSelf, kB});
  Append(3);
  Attach(kB, 0);
  At(kB, 3, 1);
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(1));
  held_->settings.durable = false;
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(3));
}

TEST_F(IsrTest, TheLeadersOwnLogEndNeverCounts_S02) {
  Begin({kSelf});
  ASSERT_OK(log_->StageAsLeader(CopyOf(MakeBatch(2)), LeaderEpoch(7), {}));
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(0));
}

TEST_F(IsrTest, TheMinimumIsOfTheCommittedSetAndAtMostOfTheReplicas_S15_S16) {
  Make({.min_insync_replicas = 2});
  Begin({kSelf});
  Append(1);
  Attach(kB, 0);
  At(kB, 1);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
  EXPECT_FALSE(isr_->HasMin()) << "B is proposed, not committed";
  Commit({kSelf, kB}, 11);
  EXPECT_TRUE(isr_->HasMin());
  held_->settings.min_insync_replicas = 9;
  EXPECT_FALSE(isr_->HasMin());
  Commit({kSelf, kB, kC}, 12);
  EXPECT_TRUE(isr_->HasMin());
}

TEST_F(IsrTest, TheMinimumIsOfTheReplicasBeforeAReassignmentUntilItIsDone_S16) {
  Make({.min_insync_replicas = 2});
  metadata::PartitionImage image = Image({kSelf}, 10);
  image.target = {kSelf, kB, kC};
  image.adding = {kB, kC};
  held_->leader = kSelf;
  held_->partition_epoch = PartitionEpoch(10);
  isr_->Begin(image, standings_, now_);
  EXPECT_TRUE(isr_->HasMin()) << "one replica before: one is enough";
  Commit({kSelf}, 11);
  EXPECT_FALSE(isr_->HasMin());
}

// --- Joining ---

TEST_F(IsrTest, AFollowerJoinsOnceItHasAllThatIsCommitted) {
  Begin({kSelf});
  Append(4);
  held_->high_watermark = Offset(4);
  Attach(kB, 0);
  At(kB, 3);
  EXPECT_THAT(Proposals(), IsEmpty());
  At(kB, 4);
  const auto proposals = Proposals();
  ASSERT_THAT(proposals, SizeIs(1));
  EXPECT_EQ(proposals[0].leader_epoch, LeaderEpoch(7));
  EXPECT_EQ(proposals[0].partition_epoch, PartitionEpoch(10));
  EXPECT_THAT(proposals[0].new_isr,
              ElementsAre(IsrMember{kSelf, BrokerEpoch(50)}, IsrMember{kB, BrokerEpoch(100)}))
      << "with the run of each (KIP-903)";
  EXPECT_THAT(Proposals(), IsEmpty()) << "one in flight";
}

TEST_F(IsrTest, NobodyJoinsBelowTheStartOfTheEpoch_KAFKA7128) {
  Append(4);
  Begin({kSelf});
  // The new leader does not know the high watermark yet.
  ASSERT_EQ(held_->high_watermark, Offset(0));
  Attach(kB, 0);
  At(kB, 3);
  EXPECT_THAT(Proposals(), IsEmpty());
  At(kB, 4);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
}

TEST_F(IsrTest, NobodyJoinsADurableTopicByWhatIsWritten_S06) {
  Begin({kSelf});
  Append(2);
  held_->high_watermark = Offset(2);
  Attach(kB, 0);
  At(kB, 2, 1);
  EXPECT_THAT(Proposals(), IsEmpty());
}

TEST_F(IsrTest, FencedBrokersAndThoseShuttingDownDoNotJoin_KIP841) {
  standings_[1].may_join = false;
  Begin({kSelf});
  Attach(kB, 0);
  At(kB, 0);
  EXPECT_THAT(Proposals(), IsEmpty());
  standings_[1].may_join = true;
  isr_->OnStandings(standings_, now_);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
}

TEST_F(IsrTest, OnlyTheRegisteredRunOfABrokerJoins_KIP903) {
  Begin({kSelf});
  Attach(kB, 0, 99);
  At(kB, 0);
  EXPECT_THAT(Proposals(), IsEmpty());
  Attach(kB, 0, 100);
  At(kB, 0);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
}

TEST_F(IsrTest, ANewRegistrationVoidsWhatTheFormerRunSaid_S05) {
  Begin({kSelf, kB});
  Append(2);
  Attach(kB, 0);
  At(kB, 2);
  standings_[1].epoch = BrokerEpoch(200);
  isr_->OnStandings(standings_, now_);
  EXPECT_EQ(isr_->CommonPosition(now_), std::nullopt);
}

TEST_F(IsrTest, TheHighWatermarkWaitsForAnOutsiderThatCaughtUpForAWhile_S34) {
  Begin({kSelf});
  Append(4);
  Attach(kB, 0);
  Append(2);
  held_->high_watermark = Offset(5);
  At(kB, 4);
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(4)) << "it had reached the end as of its attach";
  EXPECT_EQ(isr_->next_deadline(), now_ + absl::Milliseconds(500));
  Pass(absl::Milliseconds(500));
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(6));
  EXPECT_THAT(Proposals(), IsEmpty());
  EXPECT_EQ(isr_->next_deadline(), MonotonicTime::Never());
  At(kB, 4);
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(6)) << "bounded: no second attempt at once";
  At(kB, 6);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
}

TEST_F(IsrTest, NobodyWaitsForAnOutsiderThatReachedAnEndOfLongAgo_S34) {
  Begin({kSelf});
  Append(4);
  Attach(kB, 0);
  Append(2);
  held_->high_watermark = Offset(5);
  Pass(kLagMax + absl::Milliseconds(1));
  At(kB, 4);
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(6)) << "it was the end when it attached";
  EXPECT_FALSE(isr_->IsAwaited(kB, now_));
  Append(1);
  At(kB, 6);
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(6)) << "that was the end a moment ago";
  EXPECT_TRUE(isr_->IsAwaited(kB, now_));
}

// It had an hour's records to copy: the wait is for the last few, not for all that came meanwhile.
TEST_F(IsrTest, NobodyWaitsForAnOutsiderWhileItComesNearerByItself_S34) {
  Begin({kSelf});
  Append(4);
  Attach(kB, 0);
  Append(4);
  held_->high_watermark = Offset(8);
  Pass(absl::Milliseconds(800));
  At(kB, 4);
  EXPECT_FALSE(isr_->IsAwaited(kB, now_)) << "it copied for 800 ms";
  Append(4);
  Pass(absl::Milliseconds(400));
  At(kB, 8);
  EXPECT_FALSE(isr_->IsAwaited(kB, now_)) << "and in half of that what had come by then";
  Append(4);
  Pass(absl::Milliseconds(250));
  At(kB, 12);
  EXPECT_TRUE(isr_->IsAwaited(kB, now_)) << "it comes no nearer: always a write behind";
}

TEST_F(IsrTest, AnOutsiderThatIsAHopBehindIsWaitedFor_S34) {
  Begin({kSelf});
  Append(4);
  Attach(kB, 0);
  Append(4);
  Pass(absl::Milliseconds(800));
  At(kB, 4);
  Append(4);
  Pass(absl::Milliseconds(5));
  At(kB, 8);
  EXPECT_TRUE(isr_->IsAwaited(kB, now_)) << "though it was far behind before";
}

// The producers would stand still for nothing.
TEST_F(IsrTest, NobodyWaitsForAnOutsiderThatWouldNotArriveInTime_S34) {
  Begin({kSelf});
  Append(4);
  Attach(kB, 0);
  for (int64_t at = 4; at < 20; at += 4) {
    Append(4);
    Pass(absl::Milliseconds(600));
    At(kB, at);
    EXPECT_FALSE(isr_->IsAwaited(kB, now_));
  }
}

// An attach begins anew: how near it was before says nothing.
TEST_F(IsrTest, AnOutsiderThatCameBackIsMeasuredAnew_S34) {
  Begin({kSelf});
  Append(4);
  Attach(kB, 0);
  At(kB, 4);
  Pass(kLagMax);
  Append(40);
  Attach(kB, 4);
  Append(4);
  Pass(absl::Milliseconds(300));
  At(kB, 44);
  EXPECT_FALSE(isr_->IsAwaited(kB, now_));
}

TEST_F(IsrTest, NobodyWaitsForAFencedOutsider_KIP841) {
  standings_[1].may_join = false;
  Begin({kSelf});
  Append(2);
  Attach(kB, 0);
  At(kB, 0);
  Append(1);
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(3));
}

// --- Leaving ---

TEST_F(IsrTest, AMemberThatDoesNotCatchUpLeaves) {
  Begin({kSelf, kB, kC});
  Attach(kB, 0);
  Attach(kC, 0);
  At(kB, 0);
  At(kC, 0);
  Pass(absl::Minutes(1));
  EXPECT_THAT(Proposals(), IsEmpty()) << "at the end, for however long";
  Append(2);
  At(kB, 2);
  EXPECT_EQ(isr_->next_deadline(), now_ + kLagMax);
  Pass(kLagMax - absl::Milliseconds(1));
  EXPECT_THAT(Proposals(), IsEmpty());
  Pass(absl::Milliseconds(1));
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
}

// A follower that speaks and hears nothing, in a partition where too few are in sync.
TEST_F(IsrTest, WhoLagsDoesNotJoinThoughItHasAllThatIsCommitted) {
  Begin({kSelf, kB});
  Append(2);
  Attach(kB, 0);
  At(kB, 2);
  held_->SetHighWatermark(Offset(2));
  Append(3);
  Pass(kLagMax);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf));
  Commit({kSelf}, 11);
  At(kB, 2);
  EXPECT_THAT(Proposals(), IsEmpty());
  EXPECT_EQ(isr_->next_deadline(), MonotonicTime::Never()) << "nothing changes by time alone";
  At(kB, 5);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
}

TEST_F(IsrTest, AMemberThatIsAlwaysALittleBehindStays) {
  Begin({kSelf, kB});
  Attach(kB, 0);
  At(kB, 0);
  for (int i = 1; i <= 20; ++i) {
    Append(1);
    Pass(absl::Seconds(1));
    At(kB, i - 1);
    EXPECT_THAT(Proposals(), IsEmpty()) << i;
  }
}

TEST_F(IsrTest, AMemberThatIsGoneLeavesEvenIfNothingIsAppended) {
  Begin({kSelf, kB});
  Attach(kB, 0);
  At(kB, 0);
  Pass(absl::Minutes(1));
  isr_->OnDetached(kB, now_);
  EXPECT_EQ(isr_->next_deadline(), now_ + kLagMax);
  Pass(kLagMax);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf));
}

TEST_F(IsrTest, AMemberWhoseLogLostWhatItAcknowledgedLeavesAtOnce_S05) {
  Begin({kSelf, kB});
  Append(3);
  Attach(kB, 0);
  At(kB, 3);
  Attach(kB, 1);
  ASSERT_THAT(outbox_.notices, SizeIs(1));
  EXPECT_EQ(outbox_.notices[0].kind, ReplicaNotice::Kind::kFollowerLostData);
  EXPECT_EQ(outbox_.notices[0].replica, kB);
  EXPECT_EQ(outbox_.notices[0].from, Offset(1));
  EXPECT_EQ(outbox_.notices[0].to, Offset(3));
  EXPECT_THAT(Proposed(), ElementsAre(kSelf));
}

TEST_F(IsrTest, WhoLostWhatItAcknowledgedIsToBeNoEligibleLeader_S05) {
  Begin({kSelf, kB});
  Append(3);
  Attach(kB, 0);
  At(kB, 3);
  // It has been fenced, and came back as another run.
  metadata::PartitionImage image = Image({kSelf}, 11);
  image.elr = {kB};
  standings_[1].epoch = BrokerEpoch(200);
  isr_->OnMetadata(image, standings_, now_, &outbox_);
  held_->partition_epoch = PartitionEpoch(11);
  ASSERT_THAT(Proposals(), IsEmpty());
  Attach(kB, 1, 200);
  EXPECT_LE(isr_->next_deadline(), now_);
  std::vector<IsrProposal> proposals = Proposals();
  ASSERT_THAT(proposals, SizeIs(1));
  EXPECT_THAT(BrokersOf(proposals[0]), ElementsAre(kSelf));
  EXPECT_THAT(proposals[0].damaged, ElementsAre(kB));
  Commit({kSelf}, 12);
  EXPECT_THAT(Proposals(), IsEmpty()) << "the metadata shows it to be none";
  // It has copied what it lost.
  At(kB, 3);
  proposals = Proposals();
  ASSERT_THAT(proposals, SizeIs(1));
  EXPECT_THAT(BrokersOf(proposals[0]), ElementsAre(kSelf, kB));
  EXPECT_THAT(proposals[0].damaged, IsEmpty());
  Commit({kSelf, kB}, 13);
  EXPECT_THAT(Proposals(), IsEmpty());
}

// Too few are left in sync: without that word the controller would make it eligible.
TEST_F(IsrTest, WhoLeavesForLostDataIsNamed_S05) {
  Begin({kSelf, kB});
  Append(3);
  Attach(kB, 0);
  At(kB, 3);
  Attach(kB, 1);
  const std::vector<IsrProposal> proposals = Proposals();
  ASSERT_THAT(proposals, SizeIs(1));
  EXPECT_THAT(BrokersOf(proposals[0]), ElementsAre(kSelf));
  EXPECT_THAT(proposals[0].damaged, ElementsAre(kB));
}

// The answer tells who is in sync, and not who is eligible.
TEST_F(IsrTest, WhatWasLostBetweenTheAnswerAndTheMetadataIsKnown_S05) {
  Begin({kSelf, kB});
  Append(3);
  Attach(kB, 0);
  At(kB, 2);
  Pass(kLagMax);
  ASSERT_THAT(Proposed(), ElementsAre(kSelf));
  isr_->OnAnswer(Answer(absl::OkStatus(), {kSelf}, 11), now_, &outbox_);
  Attach(kB, 1);
  metadata::PartitionImage image = Image({kSelf}, 11);
  image.elr = {kB};
  isr_->OnMetadata(image, standings_, now_, &outbox_);
  const std::vector<IsrProposal> proposals = Proposals();
  ASSERT_THAT(proposals, SizeIs(1));
  EXPECT_THAT(proposals[0].damaged, ElementsAre(kB));
}

TEST_F(IsrTest, WhatWasOnlyWrittenMayBeLostInADurableTopic_S05) {
  Begin({kSelf, kB});
  Append(3);
  Attach(kB, 0);
  At(kB, 3, 1);
  Attach(kB, 1);
  EXPECT_THAT(outbox_.notices, IsEmpty());
}

// --- The life of a proposal ---

class IsrProposalTest : public IsrTest {
 protected:
  // B is proposed to join {self}; the union is at B's position 1.
  IsrProposalTest() {
    Begin({kSelf});
    Attach(kB, 0);
    At(kB, 0);
    EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
    Append(2);
    At(kB, 1);
    EXPECT_EQ(isr_->CommonPosition(now_), Offset(1));
  }
};

TEST_F(IsrProposalTest, ATimeoutKeepsTheUnionAndProposesTheSameAgain_S15) {
  isr_->OnAnswer(Answer(MakeError(ErrorCode::kRequestTimedOut, "")), now_, &outbox_);
  isr_->OnAnswer(Answer(MakeError(ErrorCode::kNotController, "")), now_, &outbox_);
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(1));
  EXPECT_THAT(Proposals(), IsEmpty());
  Pass(absl::Milliseconds(100));
  EXPECT_EQ(isr_->next_deadline(), now_);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
}

TEST_F(IsrProposalTest, WhenPutOutAgainItNamesTheRunsThatWereCounted_KIP903) {
  isr_->OnAnswer(Answer(MakeError(ErrorCode::kRequestTimedOut, "")), now_, &outbox_);
  standings_[1].epoch = BrokerEpoch(200);
  isr_->OnStandings(standings_, now_);
  Pass(absl::Milliseconds(100));
  const auto proposals = Proposals();
  ASSERT_THAT(proposals, SizeIs(1));
  EXPECT_EQ(proposals[0].new_isr[1], (IsrMember{kB, BrokerEpoch(100)}));
}

TEST_F(IsrProposalTest, ARefusalAtTheSamePartitionEpochEndsIt_S15) {
  isr_->OnAnswer(Answer(MakeError(ErrorCode::kInvalidRequest, "fenced"), {kSelf}, 10), now_,
                 &outbox_);
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(2));
  EXPECT_THAT(Proposals(), IsEmpty()) << "not again at once";
  At(kB, 2);
  Pass(absl::Milliseconds(200));
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
}

TEST_F(IsrProposalTest, ARefusalOfAnOlderStateIsNoAnswer_KAFKA14144) {
  isr_->OnAnswer(Answer(MakeError(ErrorCode::kInvalidRequest, ""), {kSelf}, 9), now_, &outbox_);
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(1));
  EXPECT_TRUE(isr_->has_proposal());
}

TEST_F(IsrProposalTest, TheAnswerMayComeBeforeTheImage_KAFKA13091) {
  isr_->OnAnswer(Answer(absl::OkStatus(), {kSelf, kB}, 11), now_, &outbox_);
  EXPECT_THAT(isr_->committed(), ElementsAre(kSelf, kB));
  EXPECT_FALSE(isr_->has_proposal());
  EXPECT_EQ(held_->partition_epoch, PartitionEpoch(11));
  Commit({kSelf, kB}, 11);
  EXPECT_THAT(isr_->committed(), ElementsAre(kSelf, kB));
}

TEST_F(IsrProposalTest, AnAnswerThatComesBeforeTheImageBringsItsMinimum_KIP966) {
  // Raised from 1 to 3: the controller keeps as eligible leaders those that are missing.
  IsrAnswer answer = Answer(absl::OkStatus(), {kSelf, kB}, 11);
  answer.state->min_isr = 3;
  EXPECT_TRUE(isr_->HasMin());
  isr_->OnAnswer(answer, now_, &outbox_);
  EXPECT_THAT(isr_->committed(), ElementsAre(kSelf, kB));
  EXPECT_FALSE(isr_->HasMin());
  // The image comes with the settings of its time.
  Commit({kSelf, kB}, 11);
  EXPECT_TRUE(isr_->HasMin());
}

TEST_F(IsrProposalTest, TheImageMayComeBeforeTheAnswer_KAFKA13091) {
  const IsrAnswer answer = Answer(absl::OkStatus(), {kSelf, kB}, 11);
  Commit({kSelf, kB}, 11);
  EXPECT_FALSE(isr_->has_proposal());
  Commit({kSelf}, 12);
  isr_->OnAnswer(answer, now_, &outbox_);
  EXPECT_THAT(isr_->committed(), ElementsAre(kSelf)) << "the older is ignored";
  EXPECT_EQ(held_->partition_epoch, PartitionEpoch(12));
}

TEST_F(IsrProposalTest, AnotherChangeThatCameFirstEndsIt_KIP497) {
  Commit({kSelf, kC}, 11);
  EXPECT_FALSE(isr_->has_proposal());
  EXPECT_EQ(isr_->CommonPosition(now_), std::nullopt) << "C has not said how far it is";
}

TEST_F(IsrProposalTest, AConflictAdoptsWhatTheControllerSays_KAFKA2729) {
  isr_->OnAnswer(Answer(MakeError(ErrorCode::kInvalidRequest, "epoch"), {kSelf, kC}, 14), now_,
                 &outbox_);
  EXPECT_THAT(isr_->committed(), ElementsAre(kSelf, kC));
  EXPECT_EQ(held_->partition_epoch, PartitionEpoch(14));
  At(kB, 2);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kC, kB));
}

TEST_F(IsrProposalTest, AnswersOfAnotherLeaderEpochAreIgnored) {
  IsrAnswer answer = Answer(absl::OkStatus(), {kSelf, kB}, 11);
  answer.leader_epoch = LeaderEpoch(6);
  answer.state->leader_epoch = LeaderEpoch(6);
  isr_->OnAnswer(answer, now_, &outbox_);
  EXPECT_THAT(isr_->committed(), ElementsAre(kSelf));
  EXPECT_TRUE(isr_->has_proposal());
}

TEST_F(IsrTest, AMemberThatLeavesIsWaitedForUntilThatIsCommitted_S15) {
  Begin({kSelf, kB});
  Attach(kB, 0);
  At(kB, 0);
  Append(2);
  Pass(kLagMax);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf));
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(0));
  Commit({kSelf}, 11);
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(2));
  EXPECT_EQ(outbox_.notices.back().kind, ReplicaNotice::Kind::kIsrShrunk);
}

TEST_F(IsrTest, ALeaderThatWasElectedUncleanConfirmsItsRecovery_KIP704) {
  metadata::PartitionImage image = Image({kSelf}, 10);
  image.recovery_state = metadata::RecoveryState::kRecovering;
  held_->leader_epoch = LeaderEpoch(7);
  held_->partition_epoch = PartitionEpoch(10);
  isr_->Begin(image, standings_, now_);
  const auto proposals = Proposals();
  ASSERT_THAT(proposals, SizeIs(1));
  EXPECT_THAT(BrokersOf(proposals[0]), ElementsAre(kSelf));
  EXPECT_EQ(proposals[0].recovery_state, metadata::RecoveryState::kRecovered);
  isr_->OnAnswer(Answer(absl::OkStatus(), {kSelf}, 11), now_, &outbox_);
  EXPECT_THAT(Proposals(), IsEmpty());
}

// --- Damage ---

TEST_F(IsrTest, ADamagedFollowerLeavesAtOnceAndMayJoinWhenItAttachesAgain_S35) {
  Begin({kSelf, kB, kC});
  Append(3);
  Attach(kB, 0);
  At(kB, 3);
  Attach(kC, 0);
  At(kC, 3);
  ASSERT_THAT(Proposals(), IsEmpty());
  isr_->OnDamaged(kB);
  isr_->OnDetached(kB, now_);
  EXPECT_LE(isr_->next_deadline(), now_);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kC));
  Commit({kSelf, kC}, 11);
  EXPECT_THAT(Proposals(), IsEmpty());
  Attach(kB, 3);
  At(kB, 3);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kC, kB));
}

TEST_F(IsrTest, ADamagedFollowerThatWasCutComesBackOnceAndIsNoLostData_S22) {
  Begin({kSelf, kB});
  Append(3);
  Attach(kB, 0);
  At(kB, 3);
  isr_->OnDamaged(kB);
  isr_->OnDetached(kB, now_);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf));
  Commit({kSelf}, 11);
  outbox_.Clear();
  Attach(kB, 2);
  EXPECT_THAT(outbox_.notices, IsEmpty());
  At(kB, 3);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
  Commit({kSelf, kB}, 12);
  EXPECT_THAT(Proposals(), IsEmpty()) << "it need not leave again";
  // While its seat counts it must leave before it may come back.
  isr_->OnDamaged(kB);
  Attach(kB, 2);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf));
}

TEST_F(IsrTest, WhoLostDataWhileOutOfSyncNeedNotLeaveAgain_S05) {
  Begin({kSelf});
  Append(3);
  Attach(kB, 0);
  At(kB, 2);
  Attach(kB, 1);
  ASSERT_THAT(outbox_.notices, SizeIs(1)) << "it is told";
  At(kB, 3);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
  Commit({kSelf, kB}, 11);
  EXPECT_THAT(Proposals(), IsEmpty());
}

TEST_F(IsrTest, WhoIsDamagedIsToBeNoEligibleLeader_S35) {
  Begin({kSelf, kB});
  Append(3);
  Attach(kB, 0);
  At(kB, 3);
  isr_->OnDamaged(kB);
  isr_->OnDetached(kB, now_);
  std::vector<IsrProposal> proposals = Proposals();
  ASSERT_THAT(proposals, SizeIs(1));
  EXPECT_THAT(proposals[0].damaged, ElementsAre(kB));
  Commit({kSelf}, 11);
  EXPECT_THAT(Proposals(), IsEmpty()) << "the metadata shows it to be none";
  // One that has left for another reason is eligible, and found to be damaged then.
  metadata::PartitionImage image = Image({kSelf}, 12);
  image.elr = {kB};
  isr_->OnMetadata(image, standings_, now_, &outbox_);
  held_->partition_epoch = PartitionEpoch(12);
  EXPECT_LE(isr_->next_deadline(), now_);
  proposals = Proposals();
  ASSERT_THAT(proposals, SizeIs(1));
  EXPECT_THAT(BrokersOf(proposals[0]), ElementsAre(kSelf));
  EXPECT_THAT(proposals[0].damaged, ElementsAre(kB));
  isr_->OnAnswer(Answer(absl::OkStatus(), {kSelf}, 13), now_, &outbox_);
  EXPECT_THAT(Proposals(), IsEmpty());
}

TEST_F(IsrTest, WhoWasFoundImpairedAtItsStartIsToBeNoEligibleLeader_S08_S35) {
  Begin({kSelf});
  Append(3);
  ASSERT_THAT(Proposals(), IsEmpty());
  metadata::PartitionImage image = Image({kSelf}, 11);
  image.elr = image.impaired = {kB};
  isr_->OnMetadata(image, standings_, now_, &outbox_);
  held_->partition_epoch = PartitionEpoch(11);
  EXPECT_LE(isr_->next_deadline(), now_);
  std::vector<IsrProposal> proposals = Proposals();
  ASSERT_EQ(proposals.size(), 1u);
  EXPECT_THAT(BrokersOf(proposals[0]), ElementsAre(kSelf));
  EXPECT_THAT(proposals[0].damaged, ElementsAre(kB));
  Commit({kSelf}, 12);
  EXPECT_THAT(Proposals(), IsEmpty());
  // It has been cut to what is here, and copies the rest.
  Attach(kB, 2);
  At(kB, 3);
  proposals = Proposals();
  ASSERT_EQ(proposals.size(), 1u);
  EXPECT_THAT(BrokersOf(proposals[0]), ElementsAre(kSelf, kB));
  EXPECT_THAT(proposals[0].damaged, IsEmpty());
}

TEST_F(IsrTest, ADamagedLeaderLeavesItToTheOthers_S35) {
  Begin({kSelf, kB, kC});
  Append(3);
  Attach(kB, 0);
  At(kB, 3);
  held_->damaged = true;
  EXPECT_LE(isr_->next_deadline(), now_);
  EXPECT_THAT(Proposed(), ElementsAre(kB, kC));
  // Until that is committed its own position counts.
  EXPECT_EQ(isr_->CommonPosition(now_), std::nullopt) << "C has said nothing";
  At(kC, 9);
  EXPECT_EQ(isr_->CommonPosition(now_), Offset(3));
}

TEST_F(IsrTest, ADamagedLeaderThatNobodyCanFollowLeadsOn_S35) {
  Begin({kSelf, kB});
  Append(3);
  held_->damaged = true;
  // In sync by the metadata, and not seen in this epoch.
  EXPECT_THAT(Proposals(), IsEmpty());
  Attach(kB, 0);
  At(kB, 3);
  standings_[1].may_join = false;
  isr_->OnStandings(standings_, now_);
  EXPECT_THAT(Proposals(), IsEmpty()) << "fenced, or shutting down";
  Begin({kSelf});
  EXPECT_THAT(Proposals(), IsEmpty());
  held_->damaged = false;
  EXPECT_THAT(Proposals(), IsEmpty());
}

// --- Cut off from the controllers ---

TEST_F(IsrTest, S33_EveryMemberHasToConfirmInThisAttach) {
  const MonotonicTime asked = now_;
  Begin({kSelf, kB, kC});
  Attach(kB, 0);
  Attach(kC, 0);
  EXPECT_FALSE(isr_->IsConfirmedSince(asked))
      << "an attach has no time: it may have been under way";
  isr_->OnConfirmed(kB, asked);
  EXPECT_FALSE(isr_->IsConfirmedSince(asked));
  isr_->OnConfirmed(kC, asked);
  EXPECT_TRUE(isr_->IsConfirmedSince(asked));
  EXPECT_FALSE(isr_->IsConfirmedSince(asked + absl::Nanoseconds(1)));
  isr_->OnDetached(kB, now_);
  EXPECT_FALSE(isr_->IsConfirmedSince(asked)) << "it may follow another by now";
  Attach(kB, 0);
  EXPECT_FALSE(isr_->IsConfirmedSince(asked)) << "what it confirmed in another attach is void";
}

TEST_F(IsrTest, S33_WhoCannotBeElectedNeedNotConfirm) {
  Begin({kSelf});
  EXPECT_TRUE(isr_->IsConfirmedSince(now_)) << "nobody else is in sync";
  // What is proposed may have taken effect without an answer.
  Attach(kB, 0);
  At(kB, 0);
  EXPECT_THAT(Proposed(), ElementsAre(kSelf, kB));
  EXPECT_FALSE(isr_->IsConfirmedSince(now_));
  isr_->OnConfirmed(kB, now_);
  EXPECT_TRUE(isr_->IsConfirmedSince(now_));
}

TEST_F(IsrTest, S33_UnderTheMinimumSomebodyOutOfSyncMayBeElected) {
  Make({.durable = true, .min_insync_replicas = 2});
  Begin({kSelf});
  EXPECT_FALSE(isr_->IsConfirmedSince(now_)) << "an eligible leader replica (KIP-966)";
}

}  // namespace
}  // namespace millrace::broker
