// What a leader does beyond the paper: check-quorum, reads, membership, transfer, snapshots,
// bounds.
#include "raft/leader.h"

#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using testing::Id;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::Start;
using testing::Terms;
using testing::TestNode;
using testing::V;
using testing::Voters;
using Kind = VoterChange::Kind;

// A leader of {1, 2, 3} in term 1 whose no-op, entry 1, is committed.
TestNode MakeLeader(Options options = {}) {
  TestNode node(1, Start(Voters({1, 2, 3})), options);
  node.Elect({2});
  node.Acknowledge(2, 1);
  node.Acknowledge(3, 1);
  node.Sent();
  return node;
}

TEST(Leader, StepsDownWhenItHearsNoMajority) {
  TestNode node = MakeLeader();
  const MonotonicTime heard = node.now();
  while (node->role() == Role::kLeader) node.TickAtDeadline();
  EXPECT_EQ(node.now() - heard, Options().election_timeout_max);
  EXPECT_EQ(node->term(), Term(1));
}

TEST(Leader, OneFollowerOfTwoIsEnoughToGoOn) {
  TestNode node = MakeLeader();
  for (int i = 0; i < 100; ++i) {
    node.TickAtDeadline();
    node.Acknowledge(2, 1);
  }
  EXPECT_EQ(node->role(), Role::kLeader);
}

// S-10: the leader's disk and the network work in parallel; its own match counts when durable.
TEST(Leader, S10AppendsLeaveBeforeTheOwnDiskAndCommitDoesNotWaitForIt) {
  TestNode node = MakeLeader();
  node.HoldDisk();
  ASSERT_OK(node.Propose("a"));
  EXPECT_THAT(node.SentOf<AppendRequest>(), SizeIs(2));
  node.Acknowledge(2, 2);
  EXPECT_EQ(node->commit(), LogIndex(1));
  node.Acknowledge(3, 2);
  EXPECT_EQ(node->commit(), LogIndex(2));
  // Committed by the others; not applied here before it is durable here.
  EXPECT_THAT(node.committed, SizeIs(1));
  node.ReleaseDisk();
  EXPECT_THAT(node.committed, SizeIs(2));
}

TEST(Leader, ProposalsOfOneSyncLeaveInOneAppend) {
  TestNode node = MakeLeader();
  for (int i = 0; i < 5; ++i) ASSERT_OK(node->Propose(Bytes::Copy("a"), node.now()));
  node.Tick();
  const auto sent = node.SentOf<AppendRequest>(2);
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_THAT(sent[0].entries, SizeIs(5));
}

// A leader that lets the news of commits wait, and has told all of it.
TestNode MakePatientLeader() {
  Options options;
  options.commit_notice_delay = absl::Milliseconds(20);
  TestNode node = MakeLeader(options);
  node.TickAtDeadline();
  node.Sent();
  return node;
}

TEST(Leader, NewsOfACommitGoesWithTheNextAppend) {
  TestNode node = MakePatientLeader();
  ASSERT_OK(node.Propose("a"));
  node.Acknowledge(2, 2);
  node.Acknowledge(3, 2);
  EXPECT_EQ(node->commit(), LogIndex(2));
  EXPECT_THAT(node.SentOf<AppendRequest>(2),
              ElementsAre(Field(&AppendRequest::entries, SizeIs(1))));
  ASSERT_OK(node.Propose("b"));
  EXPECT_THAT(node.SentOf<AppendRequest>(2),
              ElementsAre(Field(&AppendRequest::commit, LogIndex(2))));
  // Told, so nothing more is due before the heartbeat.
  const MonotonicTime told = node.now();
  node.TickAtDeadline();
  EXPECT_GT(node.now() - told, absl::Milliseconds(20));
}

TEST(Leader, NewsOfACommitThatNoAppendCarriesIsSentByItself) {
  TestNode node = MakePatientLeader();
  ASSERT_OK(node.Propose("a"));
  node.Acknowledge(2, 2);
  node.Sent();
  const MonotonicTime committed = node.now();
  node.TickAtDeadline();
  EXPECT_EQ(node.now() - committed, absl::Milliseconds(20));
  const auto news = Field(&AppendRequest::commit, LogIndex(2));
  EXPECT_THAT(node.SentOf<AppendRequest>(), ElementsAre(news, news));
}

TEST(Leader, RefusesProposalsAtItsBounds) {
  Options options;
  options.uncommitted_bytes_max = 1000;
  TestNode node = MakeLeader(options);
  ASSERT_OK(node.Propose(std::string(900, 'a')));
  EXPECT_THAT(node.Propose(std::string(900, 'a')), HasCode(ErrorCode::kResourceExhausted));
  node.Acknowledge(2, 2);
  EXPECT_OK(node.Propose(std::string(900, 'a')));
}

TEST(Leader, ALostAppendIsFoundOutByTheNextHeartbeat) {
  TestNode node = MakeLeader();
  ASSERT_OK(node.Propose("lost"));
  node.Sent();
  node.TickAtDeadline();
  const auto heartbeat = node.SentOf<AppendRequest>(3);
  ASSERT_THAT(heartbeat, SizeIs(1));
  EXPECT_EQ(heartbeat[0].previous, Id(1, 2));
  node.Receive(3, 1,
               AppendResponse{.refused = LogIndex(2),
                              .hint = Id(1, 1),
                              .last = LogIndex(1),
                              .round = heartbeat[0].round});
  const auto again = node.SentOf<AppendRequest>(3);
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].previous, Id(1, 1));
  EXPECT_THAT(again[0].entries, SizeIs(1));
}

// ---- Reads: thesis 6.4, S-12 ----

TEST(Leader, S12AReadWaitsForARoundOfItsOwn) {
  TestNode node = MakeLeader();
  ASSERT_OK_AND_ASSIGN(const ReadId id, node.Read());
  const auto sent = node.SentOf<AppendRequest>(2);
  ASSERT_THAT(sent, SizeIs(1));
  node.Acknowledge(2, 1, sent[0].round.value() - 1);
  EXPECT_THAT(node.reads, IsEmpty());
  node.Acknowledge(2, 1, sent[0].round.value());
  EXPECT_THAT(node.reads, ElementsAre(ReadResult{id, true, LogIndex(1)}));
}

TEST(Leader, S12ANewLeaderReadsOnlyAfterItsNoOpIsCommitted) {
  TestNode node(1, Start(Voters({1, 2, 3}), 3, Terms({1, 2})));
  node.Elect({2});
  ASSERT_OK_AND_ASSIGN(const ReadId id, node.Read());
  node.Acknowledge(2, 2, 99);
  EXPECT_THAT(node.reads, IsEmpty());
  node.Acknowledge(2, 3, 99);
  EXPECT_THAT(node.reads, ElementsAre(ReadResult{id, true, LogIndex(3)}));
}

TEST(Leader, S11LosingLeadershipFailsReads) {
  TestNode node = MakeLeader();
  ASSERT_OK_AND_ASSIGN(const ReadId id, node.Read());
  node.Receive(2, 5, AppendResponse{});
  EXPECT_THAT(node.reads, ElementsAre(ReadResult{id, false, LogIndex(0)}));
}

TEST(Leader, ALoneVoterConfirmsReadsAtOnce) {
  TestNode node(1, Start(Voters({1})));
  node.Elect({});
  ASSERT_OK(node.Read());
  EXPECT_THAT(node.reads, SizeIs(1));
  EXPECT_TRUE(node.reads[0].confirmed);
}

// ---- Membership: thesis 4 ----

TEST(Leader, S17OneChangeAtATime) {
  TestNode node = MakeLeader();
  ASSERT_OK(node.Change({Kind::kAddLearner, V(4)}));
  EXPECT_THAT(node.Change({Kind::kAddLearner, V(5)}), HasCode(ErrorCode::kResourceExhausted));
  node.Acknowledge(2, 2);
  EXPECT_OK(node.Change({Kind::kAddLearner, V(5)}));
}

// The correction of 2015 to thesis 4.1.
TEST(Leader, S17NoChangeBeforeAnEntryOfTheOwnTermIsCommitted) {
  TestNode node(1, Start(Voters({1, 2, 3})));
  node.Elect({2});
  EXPECT_THAT(node.Change({Kind::kAddLearner, V(4)}), HasCode(ErrorCode::kResourceExhausted));
  node.Acknowledge(2, 1);
  EXPECT_OK(node.Change({Kind::kAddLearner, V(4)}));
}

TEST(Leader, ALearnerReceivesTheLogAndDoesNotCount) {
  TestNode node = MakeLeader();
  ASSERT_OK(node.Change({Kind::kAddLearner, V(4)}));
  EXPECT_THAT(node.SentOf<AppendRequest>(4), SizeIs(1));
  node.Acknowledge(4, 2);
  EXPECT_EQ(node->commit(), LogIndex(1));
}

TEST(Leader, ALearnerThatNeverAnsweredIsNotPromotedHoweverShortTheLog) {
  TestNode node = MakeLeader();
  ASSERT_OK(node.Change({Kind::kAddLearner, V(4)}));
  node.Acknowledge(2, 2);
  EXPECT_THAT(node.Change({Kind::kPromote, V(4)}), HasCode(ErrorCode::kResourceExhausted));
}

TEST(Leader, S17ALearnerIsPromotedWhenItHasCaughtUp) {
  Options options;
  options.promote_lag_max = 0;
  TestNode node = MakeLeader(options);
  ASSERT_OK(node.Change({Kind::kAddLearner, V(4)}));
  node.Acknowledge(2, 2);
  EXPECT_THAT(node.Change({Kind::kPromote, V(4)}), HasCode(ErrorCode::kResourceExhausted));
  node.Acknowledge(4, 2);
  ASSERT_OK(node.Change({Kind::kPromote, V(4)}));
  // Four voters now: three must have it, and it is in force before it is committed.
  node.Acknowledge(2, 3);
  EXPECT_EQ(node->commit(), LogIndex(2));
  node.Acknowledge(4, 3);
  EXPECT_EQ(node->commit(), LogIndex(3));
}

TEST(Leader, ARemovedLeaderServesUntilTheRemovalIsCommittedAndDoesNotCount_KAFKA17608) {
  TestNode node = MakeLeader();
  ASSERT_OK(node.Change({Kind::kRemove, V(1)}));
  node.Acknowledge(2, 2);
  EXPECT_EQ(node->role(), Role::kLeader);
  EXPECT_EQ(node->commit(), LogIndex(1));
  node.Sent();
  node.Acknowledge(3, 2);
  EXPECT_EQ(node->commit(), LogIndex(2));
  EXPECT_EQ(node->role(), Role::kFollower);
  EXPECT_EQ(node->next_deadline(), MonotonicTime::Never());
  // The others learn of the commit, and one of them is asked to take over.
  std::vector<Message> sent = node.Sent();
  EXPECT_THAT(sent, Contains(Message{V(1), V(2), Term(1), TimeoutNow{}}));
}

TEST(Leader, ARemovedVoterStillHearsOfItsRemoval) {
  TestNode node = MakeLeader();
  ASSERT_OK(node.Change({Kind::kRemove, V(3)}));
  node.Sent();
  node.Acknowledge(2, 2);
  const auto told = node.SentOf<AppendRequest>(3);
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].commit, LogIndex(2));
  EXPECT_FALSE(node->leadership()->peers().contains(V(3)));
}

// ---- Transfer: thesis 3.10 ----

TEST(Leader, ATransferWaitsForTheTargetAndTakesNoProposalsMeanwhile) {
  TestNode node = MakeLeader();
  ASSERT_OK(node.Propose("a"));
  ASSERT_OK(node->TransferLeadership(V(2), node.now()));
  node.Tick();
  EXPECT_THAT(node.Propose("b"), HasCode(ErrorCode::kNotController));
  EXPECT_THAT(node.SentOf<TimeoutNow>(2), IsEmpty());
  node.Acknowledge(2, 2);
  EXPECT_THAT(node.SentOf<TimeoutNow>(2), SizeIs(1));
  // It never arrives: the leader goes on.
  node.Advance(Options().election_timeout_max - absl::Milliseconds(10));
  node.Acknowledge(2, 2);
  node.Advance(absl::Milliseconds(10));
  node.Tick();
  EXPECT_EQ(node->role(), Role::kLeader);
  EXPECT_OK(node.Propose("b"));
}

TEST(Leader, TheTargetOfATransferStandsAtOnce) {
  TestNode target(2, Start(Voters({1, 2, 3}), 1));
  target.Receive(1, 1, AppendRequest{.round = Round(1)});
  target.Sent();
  target.Receive(1, 1, TimeoutNow{});
  EXPECT_EQ(target->role(), Role::kCandidate);
  EXPECT_TRUE(target.SentOf<VoteRequest>(3).at(0).leadership_transfer);
}

TEST(Leader, ATransferToANonVoterIsRefused) {
  TestNode node = MakeLeader();
  EXPECT_THAT(node->TransferLeadership(V(9), node.now()), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(node->TransferLeadership(V(1), node.now()), HasCode(ErrorCode::kInvalidRequest));
}

// S-36: the followers could go on committing without this disk for ever.
TEST(Leader, S36ALeaderWhoseDiskHangsHandsOver) {
  TestNode node = MakeLeader();
  node.HoldDisk();
  ASSERT_OK(node.Propose("a"));
  std::vector<TimeoutNow> told;
  for (int i = 0; i < 10 && told.empty(); ++i) {
    node.TickAtDeadline();
    node.Acknowledge(2, 2);
    node.Acknowledge(3, 2);
    told = node.SentOf<TimeoutNow>();
  }
  EXPECT_THAT(told, SizeIs(1));
  EXPECT_THAT(node.Propose("b"), HasCode(ErrorCode::kNotController));
}

// ---- Snapshots: paper 7 ----

// Commits up to 6 without voter 3, with `newest` of all but the last, and one before it.
void TakeSnapshots(TestNode* node, const SnapshotId& newest) {
  for (int64_t i = 2; i <= 6; ++i) {
    ASSERT_OK(node->Propose("a"));
    node->Acknowledge(2, i);
  }
  (*node)->SnapshotTaken(SnapshotId{Id(1, 3), 10, 7}, node->now());
  (*node)->SnapshotTaken(newest, node->now());
}

TEST(Leader, AFollowerBehindTheLogIsSentTheSnapshot) {
  Options options;
  options.snapshot_chunk_bytes = 6;
  TestNode node = MakeLeader(options);
  const SnapshotId id{Id(1, 5), 10, 7};
  ASSERT_NO_FATAL_FAILURE(TakeSnapshots(&node, id));
  EXPECT_EQ(node->log().start(), Id(1, 3));
  node.Sent();
  // Its disk was replaced by hand: it has nothing at all, which is below what it acknowledged.
  node.Receive(3, 1, AppendResponse{.refused = LogIndex(6), .round = Round(99)});
  EXPECT_THAT(node.lost_log, ElementsAre(V(3)));
  auto offers = node.SentOf<SnapshotOffer>(3);
  ASSERT_THAT(offers, SizeIs(1));
  EXPECT_EQ(offers[0].id, id);
  EXPECT_EQ(offers[0].voters.voters, Voters({1, 2, 3}).voters);
  node.Receive(3, 1, SnapshotResponse{id, 0, Round(1)});
  EXPECT_EQ(node.SentOf<SnapshotChunk>(3).at(0).size, 6u);
  node.Receive(3, 1, SnapshotResponse{id, 6, Round(1)});
  const auto chunks = node.SentOf<SnapshotChunk>(3);
  ASSERT_THAT(chunks, SizeIs(1));
  EXPECT_EQ(chunks[0].offset, 6u);
  EXPECT_EQ(chunks[0].size, 4u);
  node.Receive(3, 1, SnapshotResponse{id, 10, Round(1)});
  node.Acknowledge(3, 5);
  const auto appends = node.SentOf<AppendRequest>(3);
  ASSERT_THAT(appends, SizeIs(1));
  EXPECT_EQ(appends[0].previous, Id(1, 5));
}

// Each offer is answered, those too that only ask for a round.
TEST(Leader, APieceOfASnapshotIsNotSentAgainForEachAnswer) {
  Options options;
  options.snapshot_chunk_bytes = 6;
  TestNode node = MakeLeader(options);
  const SnapshotId id{Id(1, 5), 10, 7};
  ASSERT_NO_FATAL_FAILURE(TakeSnapshots(&node, id));
  node.Receive(3, 1, AppendResponse{.refused = LogIndex(6), .round = Round(99)});
  const std::vector<SnapshotOffer> first = node.SentOf<SnapshotOffer>(3);
  ASSERT_THAT(first, SizeIs(1));
  node.Receive(3, 1, SnapshotResponse{id, 0, first[0].round});
  node.Receive(3, 1, SnapshotResponse{id, 0, first[0].round});
  EXPECT_THAT(node.SentOf<SnapshotChunk>(3), SizeIs(1));
  ASSERT_OK(node.Read());
  const std::vector<SnapshotOffer> asked = node.SentOf<SnapshotOffer>(3);
  ASSERT_THAT(asked, SizeIs(1));
  node.Receive(3, 1, SnapshotResponse{id, 0, asked[0].round});
  EXPECT_THAT(node.SentOf<SnapshotChunk>(3), IsEmpty());
  // The piece was lost.
  node.TickAtDeadline();
  const std::vector<SnapshotOffer> again = node.SentOf<SnapshotOffer>(3);
  ASSERT_THAT(again, SizeIs(1));
  node.Receive(3, 1, SnapshotResponse{id, 0, again[0].round});
  EXPECT_THAT(node.SentOf<SnapshotChunk>(3), SizeIs(1));
}

// S-19: whoever forgot once may have promised anything.
TEST(Leader, S19AVoterThatLostItsLogIsNotCountedAnyMore) {
  TestNode node = MakeLeader();
  ASSERT_OK(node.Propose("a"));
  node.Receive(3, 1, AppendResponse{.refused = LogIndex(2), .round = Round(99)});
  EXPECT_THAT(node.lost_log, ElementsAre(V(3)));
  node.Acknowledge(3, 2);
  EXPECT_EQ(node->commit(), LogIndex(1));
  node.Acknowledge(2, 2);
  EXPECT_EQ(node->commit(), LogIndex(2));
}

}  // namespace
}  // namespace millrace::raft
