// A test per rule of the Raft paper (extended version), named by the rule; figure 2 first, then the
// sections that it sums up. Rules of the thesis stand in election_test, leader_test and node_test.
#include <algorithm>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/node.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using testing::E;
using ::testing::ElementsAre;
using testing::Id;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::Start;
using testing::Terms;
using testing::TestNode;
using testing::V;
using testing::Voters;

AppendRequest Append(EntryId previous, std::vector<Entry> entries, int64_t commit = 0) {
  return AppendRequest{previous, std::move(entries), LogIndex(commit), Round(1)};
}
VoteRequest AskForVote(int64_t term, EntryId last) {
  return VoteRequest{.pre_vote = false, .campaign_term = Term(term), .last = last};
}

// ---- Figure 2, rules for all servers ----

TEST(PaperAllServers, AHigherTermIsTakenOverAndMakesAFollower) {
  TestNode node(1, Start(Voters({1, 2, 3}), 2));
  node.Elect({2});
  node.Receive(3, 9, AppendResponse{});
  EXPECT_EQ(node->role(), Role::kFollower);
  EXPECT_EQ(node->term(), Term(9));
  EXPECT_EQ(node->state().hard.voted_for, std::nullopt);
}

TEST(PaperAllServers, ARequestOfAnOldTermIsRefusedWithTheNewOne) {
  TestNode node(1, Start(Voters({1, 2, 3}), 5));
  node.Receive(2, 4, Append(Id(0, 0), {E(4, 1)}));
  auto sent = node.Sent();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].term, Term(5));
  EXPECT_FALSE(std::get<AppendResponse>(sent[0].body).accepted);
  EXPECT_THAT(node.LogTerms(), IsEmpty());

  node.Receive(2, 4, AskForVote(4, Id(4, 9)));
  sent = node.Sent();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].term, Term(5));
  EXPECT_FALSE(std::get<VoteResponse>(sent[0].body).granted);
}

TEST(PaperAllServers, TermAndVoteAreDurableBeforeTheAnswerLeaves) {
  TestNode node(1, Start(Voters({1, 2, 3})));
  node.HoldDisk();
  node.Receive(2, 3, AskForVote(3, Id(0, 0)));
  EXPECT_THAT(node.Sent(), IsEmpty());
  node.ReleaseDisk();
  EXPECT_THAT(node.SentOf<VoteResponse>(2), ElementsAre(VoteResponse{false, Term(3), true}));
  EXPECT_EQ(node.disk_hard_state.term, Term(3));
  EXPECT_EQ(node.disk_hard_state.voted_for, V(2));
}

TEST(PaperAllServers, CommittedEntriesAreAppliedOnceAndInOrder) {
  TestNode node(1, Start(Voters({1, 2, 3}), 1));
  node.Receive(2, 1, Append(Id(0, 0), {E(1, 1), E(1, 2), E(1, 3)}, 2));
  EXPECT_THAT(node.committed, ElementsAre(E(1, 1), E(1, 2)));
  node.Receive(2, 1, Append(Id(1, 3), {}, 3));
  node.Receive(2, 1, Append(Id(1, 3), {}, 3));
  EXPECT_THAT(node.committed, ElementsAre(E(1, 1), E(1, 2), E(1, 3)));
}

// ---- Figure 2, RequestVote, receiver; paper 5.2 and 5.4.1 ----

TEST(PaperRequestVote, OneVotePerTermFirstComeFirstServed) {
  TestNode node(1, Start(Voters({1, 2, 3})));
  node.Receive(2, 3, AskForVote(3, Id(0, 0)));
  node.Receive(3, 3, AskForVote(3, Id(0, 0)));
  auto sent = node.Sent();
  ASSERT_THAT(sent, SizeIs(2));
  EXPECT_TRUE(std::get<VoteResponse>(sent[0].body).granted);
  EXPECT_FALSE(std::get<VoteResponse>(sent[1].body).granted);
  // Asked again, the answer is the same: the first may have been lost.
  node.Receive(2, 3, AskForVote(3, Id(0, 0)));
  EXPECT_TRUE(node.SentOf<VoteResponse>(2).at(0).granted);
}

TEST(PaperRequestVote, TheVoteIsRememberedAcrossARestart) {
  InitialState initial = Start(Voters({1, 2, 3}), 3);
  initial.hard_state.voted_for = V(2);
  TestNode node(1, initial);
  node.Receive(3, 3, AskForVote(3, Id(0, 0)));
  EXPECT_FALSE(node.SentOf<VoteResponse>(3).at(0).granted);
}

TEST(PaperRequestVote, OnlyALogThatIsAtLeastAsUpToDateIsVotedFor) {
  const struct {
    EntryId candidate;
    bool granted;
  } cases[] = {
      {Id(2, 9), false},  // Longer, and of an older term.
      {Id(3, 2), false},  // Same term, and shorter.
      {Id(3, 3), true},   // Equal.
      {Id(3, 4), true},   // Longer.
      {Id(4, 1), true},   // Shorter, and of a newer term.
  };
  for (const auto& c : cases) {
    TestNode node(1, Start(Voters({1, 2, 3}), 4, Terms({1, 3, 3})));
    node.Receive(2, 6, AskForVote(6, c.candidate));
    EXPECT_EQ(node.SentOf<VoteResponse>(2).at(0).granted, c.granted) << c.candidate;
  }
}

// ---- Figure 2, AppendEntries, receiver; paper 5.3 ----

TEST(PaperAppendEntries, RefusedUnlessTheEntryBeforeMatches) {
  const struct {
    EntryId previous;
    bool accepted;
  } cases[] = {
      {Id(0, 0), true},  {Id(1, 1), true},  {Id(2, 2), true},
      {Id(1, 2), false}, {Id(3, 3), false}, {Id(2, 7), false},
  };
  for (const auto& c : cases) {
    TestNode node(1, Start(Voters({1, 2, 3}), 3, Terms({1, 2})));
    node.Receive(2, 3, Append(c.previous, {}));
    const auto answers = node.SentOf<AppendResponse>(2);
    ASSERT_THAT(answers, SizeIs(1));
    EXPECT_EQ(answers[0].accepted, c.accepted) << c.previous;
    EXPECT_EQ(answers[0].match, c.accepted ? c.previous.index : LogIndex());
  }
}

TEST(PaperAppendEntries, AConflictingEntryAndAllAfterItAreReplaced) {
  TestNode node(1, Start(Voters({1, 2, 3}), 3, Terms({1, 1, 2, 2, 2})));
  node.Receive(2, 3, Append(Id(1, 2), {E(3, 3)}));
  EXPECT_THAT(node.LogTerms(), ElementsAre(1, 1, 3));
  // The write overwrites too: the first entry of the Ready is the first that changed.
  EXPECT_EQ(node.taken.back().entries.empty() ? LogIndex() : node.taken.back().entries[0].index,
            LogIndex(3));
}

TEST(PaperAppendEntries, ALateRequestDoesNotCutWhatMatches) {
  TestNode node(1, Start(Voters({1, 2, 3}), 1));
  node.Receive(2, 1, Append(Id(0, 0), {E(1, 1), E(1, 2), E(1, 3)}));
  node.Sent();
  node.Receive(2, 1, Append(Id(0, 0), {E(1, 1)}));
  EXPECT_THAT(node.LogTerms(), ElementsAre(1, 1, 1));
  // It acknowledges what that request proved, not the end of the log.
  EXPECT_EQ(node.SentOf<AppendResponse>(2).at(0).match, LogIndex(1));
}

TEST(PaperAppendEntries, CommitIsTheLowerOfTheLeadersAndTheLastNewEntry) {
  TestNode node(1, Start(Voters({1, 2, 3}), 2, Terms({1, 1, 1})));
  node.Receive(2, 2, Append(Id(1, 1), {}, 3));
  EXPECT_EQ(node->commit(), LogIndex(1));
  node.Receive(2, 2, Append(Id(1, 1), {E(2, 2)}, 1));
  EXPECT_EQ(node->commit(), LogIndex(1));
  node.Receive(2, 2, Append(Id(2, 2), {}, 9));
  EXPECT_EQ(node->commit(), LogIndex(2));
}

TEST(PaperAppendEntries, EntriesAreDurableBeforeTheyAreAcknowledged) {
  TestNode node(1, Start(Voters({1, 2, 3}), 1));
  node.HoldDisk();
  node.Receive(2, 1, Append(Id(0, 0), {E(1, 1)}));
  EXPECT_THAT(node.Sent(), IsEmpty());
  node.ReleaseDisk();
  EXPECT_EQ(node.SentOf<AppendResponse>(2).at(0).match, LogIndex(1));
}

// ---- Figure 2, rules for followers and candidates; paper 5.2 ----

TEST(PaperFollowers, WithoutALeaderAnElectionBeginsAfterTheTimeout) {
  TestNode node(1, Start(Voters({1, 2, 3}), 1));
  const Options options;
  const absl::Duration timeout = node->next_deadline() - node.now();
  EXPECT_GE(timeout, options.election_timeout_min);
  EXPECT_LT(timeout, options.election_timeout_max);
  node.TickAtDeadline();
  EXPECT_EQ(node->role(), Role::kPreCandidate);
}

TEST(PaperFollowers, HeartbeatsPreventAnElection) {
  TestNode node(1, Start(Voters({1, 2, 3}), 1));
  for (int i = 0; i < 50; ++i) {
    node.Advance(absl::Milliseconds(700));
    node.Receive(2, 1, Append(Id(0, 0), {}));
    node.Tick();
    ASSERT_EQ(node->role(), Role::kFollower);
  }
  EXPECT_EQ(node->leader(), V(2));
}

TEST(PaperFollowers, GrantingAVoteResetsTheTimer) {
  TestNode node(1, Start(Voters({1, 2, 3}), 1));
  const MonotonicTime before = node->next_deadline();
  node.Advance(absl::Milliseconds(700));
  node.Receive(2, 2, AskForVote(2, Id(0, 0)));
  EXPECT_GE(node->next_deadline() - node.now(), Options().election_timeout_min);
  EXPECT_GT(node->next_deadline(), before);
}

TEST(PaperCandidates, RaisesTheTermVotesForItselfAndAsksAllOthers) {
  TestNode node(1, Start(Voters({1, 2, 3}), 4, Terms({1, 4})));
  node.TickAtDeadline();
  node.Sent();
  node.Receive(2, 4, VoteResponse{true, Term(5), true});
  EXPECT_EQ(node->role(), Role::kCandidate);
  EXPECT_EQ(node->term(), Term(5));
  EXPECT_EQ(node.disk_hard_state.voted_for, V(1));
  EXPECT_THAT(node.SentOf<VoteRequest>(),
              ElementsAre(AskForVote(5, Id(4, 2)), AskForVote(5, Id(4, 2))));
}

TEST(PaperCandidates, AMajorityOfVotesMakesALeader) {
  TestNode node(1, Start(Voters({1, 2, 3, 4, 5})));
  node.TickAtDeadline();
  for (int peer : {2, 3}) node.Receive(peer, 0, VoteResponse{true, Term(1), true});
  ASSERT_EQ(node->role(), Role::kCandidate);
  node.Receive(2, 1, VoteResponse{false, Term(1), true});
  node.Receive(2, 1, VoteResponse{false, Term(1), true});  // Twice is once.
  EXPECT_EQ(node->role(), Role::kCandidate);
  node.Receive(4, 1, VoteResponse{false, Term(1), true});
  EXPECT_EQ(node->role(), Role::kLeader);
}

TEST(PaperCandidates, AnAppendOfTheSameTermMakesAFollower) {
  TestNode node(1, Start(Voters({1, 2, 3})));
  node.TickAtDeadline();
  node.Receive(2, 0, VoteResponse{true, Term(1), true});
  ASSERT_EQ(node->role(), Role::kCandidate);
  node.Receive(3, 1, Append(Id(0, 0), {}));
  EXPECT_EQ(node->role(), Role::kFollower);
  EXPECT_EQ(node->leader(), V(3));
  EXPECT_EQ(node->state().hard.voted_for, V(1));
}

TEST(PaperCandidates, ASplitVoteIsTriedAgainInAHigherTerm) {
  TestNode node(1, Start(Voters({1, 2, 3})));
  node.TickAtDeadline();
  node.Receive(2, 0, VoteResponse{true, Term(1), true});
  node.Receive(2, 1, VoteResponse{false, Term(1), false});
  node.TickAtDeadline();
  EXPECT_EQ(node->role(), Role::kPreCandidate);
  node.Receive(2, 1, VoteResponse{true, Term(2), true});
  EXPECT_EQ(node->role(), Role::kCandidate);
  EXPECT_EQ(node->term(), Term(2));
}

TEST(PaperCandidates, TimeoutsAreDrawnAtRandom_KAFKA18345) {
  std::vector<int64_t> timeouts;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    TestNode node(1, Start(Voters({1, 2, 3})), Options(), seed);
    timeouts.push_back(node->next_deadline().nanos());
  }
  std::sort(timeouts.begin(), timeouts.end());
  EXPECT_EQ(std::unique(timeouts.begin(), timeouts.end()), timeouts.end());
}

// ---- Figure 2, rules for leaders; paper 5.3, 5.4.2, 8 ----

TEST(PaperLeaders, TellsEverybodyAtOnceAndThenByHeartbeats) {
  TestNode node(1, Start(Voters({1, 2, 3})));
  node.Elect({2});
  EXPECT_THAT(node.SentOf<AppendRequest>(), SizeIs(2));
  node.TickAtDeadline();
  EXPECT_LE(node.now() - MonotonicTime(), absl::Seconds(60));
  EXPECT_THAT(node.SentOf<AppendRequest>(), SizeIs(2));
}

TEST(PaperLeaders, BeginsItsTermWithANoOp) {
  TestNode node(1, Start(Voters({1, 2, 3})));
  node.Elect({2});
  ASSERT_EQ(node->log().last(), Id(1, 1));
  EXPECT_EQ(node->log().At(LogIndex(1)).type, EntryType::kNoOp);
}

TEST(PaperLeaders, ACommandIsAppendedAndAnsweredAfterItsCommit) {
  TestNode node(1, Start(Voters({1, 2, 3})));
  node.Elect({2});
  node.Acknowledge(2, 1);
  node.committed.clear();
  ASSERT_OK_AND_ASSIGN(const EntryId id, node.Propose("a"));
  EXPECT_EQ(id, Id(1, 2));
  EXPECT_THAT(node.committed, IsEmpty());
  node.Acknowledge(3, 2);
  ASSERT_THAT(node.committed, SizeIs(1));
  EXPECT_EQ(node.committed[0].id(), id);
}

TEST(PaperLeaders, NeverChangesItsOwnLog) {
  TestNode node(1, Start(Voters({1, 2, 3})));
  node.Elect({2});
  ASSERT_OK(node.Propose("a"));
  // Of its own term, from somebody who cannot be the leader.
  node.Receive(3, 1, Append(Id(0, 0), {E(1, 1, "other")}));
  EXPECT_EQ(node->role(), Role::kLeader);
  EXPECT_EQ(node->log().At(LogIndex(1)).type, EntryType::kNoOp);
  EXPECT_EQ(node->log().last(), Id(1, 2));
}

TEST(PaperLeaders, SendsFromNextIndexAndStepsBackWhenRefused) {
  TestNode node(1, Start(Voters({1, 2, 3}), 3, Terms({1, 2, 3})));
  node.Elect({2});
  auto sent = node.SentOf<AppendRequest>(3);
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].previous, Id(3, 3));
  // The follower holds (1,1) and (1,2).
  node.Receive(
      3, 4,
      AppendResponse{
          .refused = LogIndex(3), .hint = Id(1, 2), .last = LogIndex(2), .round = Round(1)});
  sent = node.SentOf<AppendRequest>(3);
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].previous, Id(1, 1));
  EXPECT_THAT(sent[0].entries, SizeIs(3));
}

TEST(PaperLeaders, OneRefusalSkipsAWholeConflictingTerm) {
  TestNode node(1, Start(Voters({1, 2, 3}), 4, Terms({1, 2, 2, 2, 2, 2})));
  node.Receive(2, 5, Append(Id(4, 5), {E(4, 6)}));
  const auto answers = node.SentOf<AppendResponse>(2);
  EXPECT_EQ(answers.at(0).hint, Id(2, 5));
  node.Receive(2, 5, Append(Id(1, 5), {E(4, 6)}));
  EXPECT_EQ(node.SentOf<AppendResponse>(2).at(0).hint, Id(1, 1));
}

// Figure 8: (c) entry 2 of term 2 is on a majority and still not committed; (d) or (e) follows.
TEST(PaperLeaders, Figure8AnOldTermsEntryIsNotCommittedByCounting) {
  TestNode node(1, Start(Voters({1, 2, 3, 4, 5}), 3, Terms({1, 2})));
  node.Elect({2, 3});
  for (int peer : {2, 3}) node.Acknowledge(peer, 2);
  EXPECT_EQ(node->commit(), LogIndex(0));
  // The no-op of its own term commits it too.
  for (int peer : {2, 3}) node.Acknowledge(peer, 3);
  EXPECT_EQ(node->commit(), LogIndex(3));
  EXPECT_THAT(node.committed, SizeIs(3));
}

TEST(PaperLeaders, FollowersLearnTheCommitIndex) {
  TestNode node(1, Start(Voters({1, 2, 3})));
  node.Elect({2});
  node.Sent();
  node.Acknowledge(2, 1);
  const auto sent = node.SentOf<AppendRequest>(2);
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].commit, LogIndex(1));
}

// Figure 7: whatever the follower's log is, it becomes the leader's.
TEST(PaperLogMatching, Figure7EveryFollowerBecomesEqual) {
  const std::vector<std::vector<Entry>> followers = {
      Terms({1, 1, 1, 4, 4, 5, 5, 6, 6}),           // (a)
      Terms({1, 1, 1, 4}),                          // (b)
      Terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6}),     // (c)
      Terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}),  // (d)
      Terms({1, 1, 1, 4, 4, 4, 4}),                 // (e)
      Terms({1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3}),     // (f)
  };
  for (size_t i = 0; i < followers.size(); ++i) {
    TestNode leader(1, Start(Voters({1, 2, 3}), 7, Terms({1, 1, 1, 4, 4, 5, 5, 6, 6, 6})));
    TestNode follower(2, Start(Voters({1, 2, 3}), 7, followers[i]));
    leader.Elect({3});
    for (int trips = 0; trips < 8; ++trips) {
      for (const Message& m : leader.Sent()) {
        if (m.to == V(2)) follower.Receive(1, m.term.value(), m.body);
      }
      for (const Message& m : follower.Sent()) leader.Receive(2, m.term.value(), m.body);
    }
    EXPECT_EQ(follower.LogTerms(), leader.LogTerms()) << "follower " << i;
    EXPECT_EQ(leader->commit(), LogIndex(11)) << "follower " << i;
  }
}

}  // namespace
}  // namespace millrace::raft
