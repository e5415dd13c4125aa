#include "raft/invariants.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using testing::E;
using ::testing::HasSubstr;
using testing::Id;
using ::testing::IsEmpty;
using testing::Start;
using testing::Terms;
using testing::TestNode;
using testing::V;
using testing::Voters;

TEST(Invariants, ElectionSafetyIsOneLeaderPerTerm) {
  Invariants invariants;
  TestNode one(1, Start(Voters({1, 2, 3})));
  TestNode two(2, Start(Voters({1, 2, 3})));
  one.Elect({3});
  invariants.OnEvent(one.node());
  EXPECT_THAT(invariants.violation(), IsEmpty());
  two.Elect({3});
  invariants.OnEvent(two.node());
  EXPECT_THAT(invariants.violation(), HasSubstr("election safety"));
}

TEST(Invariants, LeaderCompletenessIsHavingWhatEarlierTermsCommitted) {
  Invariants invariants;
  TestNode one(1, Start(Voters({1, 2, 3})));
  one.Elect({2});
  one.Acknowledge(2, 1);
  invariants.OnEvent(one.node());
  TestNode three(3, Start(Voters({1, 2, 3}), 1));
  three.Elect({2});
  invariants.OnEvent(three.node());
  EXPECT_THAT(invariants.violation(), HasSubstr("leader completeness"));
}

TEST(Invariants, OneVotePerTerm) {
  Invariants invariants;
  const VoteResponse yes{false, Term(3), true};
  invariants.OnSend(Message{V(1), V(2), Term(3), yes});
  invariants.OnSend(Message{V(1), V(2), Term(3), yes});
  invariants.OnSend(Message{V(1), V(3), Term(3), VoteResponse{true, Term(3), true}});
  EXPECT_THAT(invariants.violation(), IsEmpty());
  invariants.OnSend(Message{V(1), V(3), Term(3), yes});
  EXPECT_THAT(invariants.violation(), HasSubstr("one vote per term"));
}

TEST(Invariants, StateMachineSafetyIsOneEntryAndOneStatePerIndex) {
  Invariants invariants;
  invariants.OnApplied(LogIndex(5), 77);
  invariants.OnApplied(LogIndex(5), 77);
  EXPECT_THAT(invariants.violation(), IsEmpty());
  invariants.OnApplied(LogIndex(5), 78);
  EXPECT_THAT(invariants.violation(), HasSubstr("states differ"));
}

TEST(Invariants, LogMatchingIsOneContentAndOnePredecessorPerEntry) {
  Invariants invariants;
  TestNode one(1, Start(Voters({1, 2, 3}), 2));
  TestNode two(2, Start(Voters({1, 2, 3}), 2));
  invariants.OnStart(one.node());
  invariants.OnStart(two.node());
  one.Receive(3, 2, AppendRequest{Id(0, 0), {E(2, 1, "a")}, LogIndex(0), Round(1)});
  invariants.OnReady(one.node(), one.taken.back());
  EXPECT_THAT(invariants.violation(), IsEmpty());
  two.Receive(3, 2, AppendRequest{Id(0, 0), {E(2, 1, "b")}, LogIndex(0), Round(1)});
  for (const Ready& ready : one.taken) invariants.OnReady(one.node(), ready);
  for (const Ready& ready : two.taken) invariants.OnReady(two.node(), ready);
  EXPECT_THAT(invariants.violation(), HasSubstr("log matching"));
}

}  // namespace
}  // namespace millrace::raft
