#include "raft/quorum.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;
using testing::V;
using testing::Voters;

TEST(Quorum, AMajorityIsMoreThanHalf) {
  EXPECT_EQ(MajorityOf(1), 1u);
  EXPECT_EQ(MajorityOf(2), 2u);
  EXPECT_EQ(MajorityOf(3), 2u);
  EXPECT_EQ(MajorityOf(4), 3u);
  EXPECT_EQ(MajorityOf(5), 3u);
}

// Any majority of n voters and any of n + 1 share a voter: what makes one change at a time safe.
TEST(Quorum, MajoritiesOfSetsThatDifferByOneMeet) {
  for (size_t n = 1; n < 20; ++n) EXPECT_GT(MajorityOf(n) + MajorityOf(n + 1), n + 1);
}

TEST(Quorum, WhatAMajorityHasReachedIsTheMedianFromBelow) {
  EXPECT_EQ(ReachedByMajority<int>({7}), 7);
  EXPECT_EQ(ReachedByMajority<int>({7, 3}), 3);
  EXPECT_EQ(ReachedByMajority<int>({7, 3, 5}), 5);
  EXPECT_EQ(ReachedByMajority<int>({9, 9, 3, 1}), 3);
  EXPECT_EQ(ReachedByMajority<int>({9, 0, 9, 0, 4}), 4);
}

TEST(Quorum, LearnersDoNotCount) {
  const VoterSet set = Voters({1, 2, 3}, {4});
  EXPECT_THAT(CountedVoters(set), ElementsAre(V(1), V(2), V(3)));
  EXPECT_FALSE(IsCountedVoter(set, V(4)));
  EXPECT_EQ(CountVotes(set, {{V(1), true}, {V(4), true}}), VoteOutcome::kPending);
}

TEST(Quorum, AnElectionIsWonLostOrOpen) {
  const VoterSet set = Voters({1, 2, 3});
  EXPECT_EQ(CountVotes(set, {{V(1), true}}), VoteOutcome::kPending);
  EXPECT_EQ(CountVotes(set, {{V(1), true}, {V(2), false}}), VoteOutcome::kPending);
  EXPECT_EQ(CountVotes(set, {{V(1), true}, {V(3), true}}), VoteOutcome::kWon);
  EXPECT_EQ(CountVotes(set, {{V(2), false}, {V(3), false}}), VoteOutcome::kLost);
  EXPECT_EQ(CountVotes(VoterSet(), {}), VoteOutcome::kLost);
}

// S-17: a node on a wiped disk is another voter.
TEST(Quorum, AVoteFromAnotherDirectoryOfAVotersNodeDoesNotCount) {
  const VoterSet set = Voters({1, 2, 3});
  EXPECT_EQ(CountVotes(set, {{V(1), true}, {V(2, /*directory=*/9), true}}), VoteOutcome::kPending);
}

}  // namespace
}  // namespace millrace::raft
