// Elections as the thesis refines them: pre-vote, stickiness, unreachable leaders, damaged logs.
// The paper's own rules stand in paper_test.
#include "raft/election.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using testing::E;
using testing::Id;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::Start;
using testing::Terms;
using testing::TestNode;
using testing::V;
using testing::Voters;
using testing::VotersEntry;

VoteRequest PreVote(int64_t term, EntryId last = {}) {
  return VoteRequest{.pre_vote = true, .campaign_term = Term(term), .last = last};
}
VoteRequest Vote(int64_t term, EntryId last = {}, bool transfer = false) {
  return VoteRequest{false, Term(term), last, transfer};
}
AppendRequest Heartbeat() { return AppendRequest{.round = Round(1)}; }

TEST(Election, PreVoteChangesNobodysTermOrVote) {
  TestNode candidate(1, Start(Voters({1, 2, 3}), 4));
  candidate.TickAtDeadline();
  EXPECT_EQ(candidate->term(), Term(4));
  EXPECT_THAT(candidate.SentOf<VoteRequest>(), SizeIs(2));

  TestNode voter(2, Start(Voters({1, 2, 3}), 4));
  voter.Receive(1, 4, PreVote(5));
  EXPECT_EQ(voter->term(), Term(4));
  EXPECT_EQ(voter->state().hard.voted_for, std::nullopt);
  EXPECT_TRUE(voter.SentOf<VoteResponse>().at(0).granted);
}

TEST(Election, AVoterThatHearsItsLeaderRefusesWithoutTakingTheTerm) {
  TestNode voter(1, Start(Voters({1, 2, 3}), 4));
  voter.Receive(2, 4, Heartbeat());
  voter.Advance(absl::Milliseconds(799));
  voter.Sent();
  voter.Receive(3, 4, PreVote(5));
  EXPECT_FALSE(voter.SentOf<VoteResponse>().at(0).granted);
  voter.Receive(3, 9, Vote(9));
  EXPECT_THAT(voter.Sent(), IsEmpty());
  EXPECT_EQ(voter->term(), Term(4));
  // The leader was silent for too long.
  voter.Advance(absl::Milliseconds(1));
  voter.Receive(3, 4, PreVote(5));
  EXPECT_TRUE(voter.SentOf<VoteResponse>().at(0).granted);
}

TEST(Election, ALeaderWithAMajorityRefusesToo) {
  TestNode leader(1, Start(Voters({1, 2, 3})));
  leader.Elect({2});
  leader.Receive(3, 7, Vote(7, Id(9, 9)));
  EXPECT_EQ(leader->role(), Role::kLeader);
  EXPECT_EQ(leader->term(), Term(1));
}

TEST(Election, ATransferIsNoReasonToRefuse) {
  TestNode voter(1, Start(Voters({1, 2, 3}), 4));
  voter.Receive(2, 4, Heartbeat());
  voter.Sent();
  voter.Receive(3, 5, Vote(5, Id(0, 0), /*transfer=*/true));
  EXPECT_TRUE(voter.SentOf<VoteResponse>().at(0).granted);
}

TEST(Election, AnUnreachableLeaderIsReplacedSoon) {
  TestNode voter(1, Start(Voters({1, 2, 3}), 4));
  voter.Receive(2, 4, Heartbeat());
  voter.Unreachable(3);
  EXPECT_GE(voter->next_deadline() - voter.now(), Options().election_timeout_min);
  voter.Unreachable(2);
  EXPECT_GE(voter->next_deadline() - voter.now(), Options().unreachable_delay_min);
  EXPECT_LT(voter->next_deadline() - voter.now(), Options().unreachable_delay_max);
  // And it does not hold on to it when somebody else asks.
  voter.Sent();
  voter.Receive(3, 4, PreVote(5));
  EXPECT_TRUE(voter.SentOf<VoteResponse>().at(0).granted);
}

TEST(Election, ALeaderThatOnlyLookedGoneIsFollowedAgain) {
  TestNode voter(1, Start(Voters({1, 2, 3}), 4));
  voter.Receive(2, 4, Heartbeat());
  voter.Unreachable(2);
  voter.TickAtDeadline();
  EXPECT_EQ(voter->role(), Role::kPreCandidate);
  voter.Receive(2, 4, Heartbeat());
  EXPECT_EQ(voter->role(), Role::kFollower);
  EXPECT_EQ(voter->term(), Term(4));
}

TEST(Election, CampaignsThatFailAreGivenMoreTime) {
  TestNode voter(1, Start(Voters({1, 2, 3}), 4));
  voter.TickAtDeadline();
  const absl::Duration first = voter->next_deadline() - voter.now();
  for (int i = 0; i < 6; ++i) voter.TickAtDeadline();
  const absl::Duration later = voter->next_deadline() - voter.now();
  EXPECT_LT(first, Options().campaign_timeout_max);
  EXPECT_GE(later, Options().election_timeout_min);
  EXPECT_LT(later, Options().election_timeout_max);
}

TEST(Election, ALoneVoterLeadsAtOnceAndOnlyWhenItsVoteIsDurable) {
  TestNode voter(1, Start(Voters({1}), 4));
  EXPECT_EQ(voter->next_deadline(), voter.now());
  voter.HoldDisk();
  voter.Tick();
  EXPECT_EQ(voter->role(), Role::kCandidate);
  voter.ReleaseDisk();
  EXPECT_EQ(voter->role(), Role::kLeader);
  EXPECT_EQ(voter->commit(), LogIndex(1));
}

// S-10: the own vote counts from its word of being durable.
TEST(Election, S10TheOwnVoteCountsWhenItIsDurable) {
  TestNode node(1, Start(Voters({1, 2, 3})));
  node.TickAtDeadline();
  node.HoldDisk();
  node.Receive(2, 0, VoteResponse{true, Term(1), true});
  node.Receive(2, 1, VoteResponse{false, Term(1), true});
  EXPECT_EQ(node->role(), Role::kCandidate);
  node.ReleaseDisk();
  EXPECT_EQ(node->role(), Role::kLeader);
}

TEST(Election, ALearnerNeverStands) {
  TestNode learner(4, Start(Voters({1, 2, 3}, {4}), 1));
  EXPECT_EQ(learner->next_deadline(), MonotonicTime::Never());
  TestNode stranger(5, Start(VoterSet(), 1));
  EXPECT_EQ(stranger->next_deadline(), MonotonicTime::Never());
}

// Thesis 4.2.2: the only one that holds the new configuration may be the one it leaves out.
TEST(Election, ARemovedVoterStandsWhileItsRemovalMayNotBeCommitted) {
  InitialState initial = Start(Voters({1, 2}), 1, {VotersEntry(1, 1, Voters({2}))});
  TestNode removed(1, initial);
  EXPECT_NE(removed->next_deadline(), MonotonicTime::Never());
  removed.TickAtDeadline();
  removed.Receive(2, 1, VoteResponse{true, Term(2), true});
  EXPECT_EQ(removed->role(), Role::kCandidate);
  removed.Receive(2, 2, VoteResponse{false, Term(2), true});
  EXPECT_EQ(removed->role(), Role::kLeader);

  initial.hard_state.commit = LogIndex(1);
  TestNode gone(1, initial);
  EXPECT_EQ(gone->next_deadline(), MonotonicTime::Never());
}

// S-35: the log lost entries that this voter may have acknowledged.
TEST(Election, S35AVoterWithADamagedLogFollowsAndDoesNotVoteUntilRepaired) {
  InitialState initial = Start(Voters({1, 2, 3}), 4, Terms({1, 1}));
  initial.damaged_in = Term(4);
  TestNode voter(1, initial);
  EXPECT_EQ(voter->next_deadline(), MonotonicTime::Never());
  voter.Receive(2, 5, Vote(5, Id(4, 9)));
  EXPECT_FALSE(voter.SentOf<VoteResponse>().at(0).granted);
  // Entries of the term that was in force when it was damaged prove nothing ...
  voter.Receive(3, 6, AppendRequest{Id(1, 2), {E(4, 3)}, LogIndex(0), Round(1)});
  EXPECT_FALSE(voter->may_vote());
  // ... an entry of a later one does: its leader had all that was committed before.
  voter.Receive(3, 6, AppendRequest{Id(4, 3), {E(6, 4)}, LogIndex(0), Round(1)});
  EXPECT_TRUE(voter->may_vote());
  EXPECT_NE(voter->next_deadline(), MonotonicTime::Never());
}

}  // namespace
}  // namespace millrace::raft
