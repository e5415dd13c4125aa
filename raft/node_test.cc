// The contract of Node and Ready that a host relies on.
#include "raft/node.h"

#include "base/status_matchers.h"
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

absl::Status CreateStatus(InitialState initial, Options options = {}) {
  sim::SimRandom random(1);
  return Node::Create(options, V(1), std::move(initial), &random, MonotonicTime()).status();
}

TEST(Node, RefusesAStateThatContradictsItself) {
  EXPECT_OK(CreateStatus(Start(Voters({1}), 3, Terms({1, 3}))));
  EXPECT_THAT(CreateStatus(Start(Voters({1}), 3, Terms({3, 1}))), HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(CreateStatus(Start(Voters({1}), 2, Terms({1, 3}))), HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(CreateStatus(Start(Voters({1}), 2, {E(1, 2)})), HasCode(ErrorCode::kCorruptLog));
  Options options;
  options.reads_max = 0;
  EXPECT_THAT(CreateStatus(Start(Voters({1})), options), HasCode(ErrorCode::kInvalidConfig));
}

TEST(Node, ANodeThatDoesNotLeadSaysWhoDoes) {
  VoterSet set = Voters({1, 2, 3});
  set.voters[1].address = "b:1";
  TestNode node(1, Start(set, 1));
  EXPECT_THAT(node.Propose("a"), HasCode(ErrorCode::kNotController));
  node.Receive(2, 1, AppendRequest{.round = Round(1)});
  const auto refused = node.Propose("a");
  ASSERT_THAT(refused, HasCode(ErrorCode::kNotController));
  EXPECT_EQ(DetailOf(refused.status()).leader->leader, NodeId(2));
  EXPECT_EQ(DetailOf(refused.status()).leader->address, "b:1");
  EXPECT_THAT(node.Read(), HasCode(ErrorCode::kNotController));
}

TEST(Node, NothingToDoIsAnEmptyReady) {
  TestNode node(1, Start(Voters({1, 2, 3}), 1));
  EXPECT_TRUE(node->TakeReady().empty());
  node->Tick(node.now());
  EXPECT_TRUE(node->TakeReady().empty());
}

TEST(Node, ReadysAreNumberedWithoutAGap) {
  TestNode node(1, Start(Voters({1, 2, 3}), 1));
  node.Receive(2, 1, AppendRequest{Id(0, 0), {E(1, 1)}, LogIndex(1), Round(1)});
  node.Receive(2, 1, AppendRequest{Id(1, 1), {E(1, 2)}, LogIndex(2), Round(1)});
  for (size_t i = 0; i < node.taken.size(); ++i) EXPECT_EQ(node.taken[i].seq, ReadySeq(i + 1));
}

// S-10, its trace, seen from outside.
TEST(Node, S10AnEntryOverwrittenOnItsWayIsAcknowledgedOnlyByItsOwnWrite) {
  TestNode node(1, Start(Voters({1, 2, 3}), 2, Terms({1, 1})));
  node.HoldDisk();
  node.Receive(2, 2, AppendRequest{Id(1, 2), {E(2, 3)}, LogIndex(2), Round(1)});
  node.Receive(3, 3, AppendRequest{Id(1, 2), {E(3, 3)}, LogIndex(3), Round(1)});
  node.PersistOne();
  EXPECT_EQ(node->log().stable(), LogIndex(2));
  EXPECT_EQ(node->commit(), LogIndex(3));
  EXPECT_THAT(node.committed, SizeIs(2));
  node.ReleaseDisk();
  ASSERT_THAT(node.committed, SizeIs(3));
  EXPECT_EQ(node.committed[2], E(3, 3));
}

// A state machine never runs ahead of its own log.
TEST(Node, S10WhatIsCommittedIsHandedOverOnceItIsDurableHere) {
  TestNode node(1, Start(Voters({1, 2, 3}), 1));
  node.HoldDisk();
  node.Receive(2, 1, AppendRequest{Id(0, 0), {E(1, 1)}, LogIndex(1), Round(1)});
  EXPECT_THAT(node.committed, IsEmpty());
  // Nor is it acknowledged.
  EXPECT_THAT(node.Sent(), IsEmpty());
  node.ReleaseDisk();
  EXPECT_THAT(node.committed, SizeIs(1));
  EXPECT_EQ(node.SentOf<AppendResponse>(2).at(0).match, LogIndex(1));
}

TEST(Node, WhatTheMachineHoldsAtTheStartIsCommittedAndNotHandedOverAgain) {
  InitialState initial = Start(Voters({1, 2, 3}), 1, Terms({1, 1, 1}));
  initial.hard_state.commit = LogIndex(1);
  initial.applied = LogIndex(2);
  TestNode node(1, initial);
  EXPECT_EQ(node->applied(), LogIndex(2));
  EXPECT_EQ(node->commit(), LogIndex(2));
  EXPECT_THAT(node.committed, IsEmpty());
  node.Receive(2, 1, AppendRequest{Id(1, 3), {}, LogIndex(3), Round(1)});
  ASSERT_THAT(node.committed, SizeIs(1));
  EXPECT_EQ(node.committed[0].index, LogIndex(3));
}

TEST(Node, TheCommitIndexAloneIsNotWritten) {
  TestNode node(1, Start(Voters({1, 2, 3}), 1));
  node.Receive(2, 1, AppendRequest{Id(0, 0), {E(1, 1)}, LogIndex(0), Round(1)});
  node.taken.clear();
  node.Receive(2, 1, AppendRequest{Id(1, 1), {}, LogIndex(1), Round(1)});
  for (const Ready& ready : node.taken) EXPECT_FALSE(ready.NeedsPersist());
  node.Receive(2, 1, AppendRequest{Id(1, 1), {E(1, 2)}, LogIndex(1), Round(1)});
  EXPECT_EQ(node.disk_hard_state.commit, LogIndex(1));
}

// A crash may leave the hard state of a Ready without its entries: here with 3:2 where 2:2 was
// committed.
TEST(Node, TheCommitIndexIsNotWrittenAheadOfTheLogThatItSpeaksOf) {
  TestNode node(1, Start(Voters({1, 2, 3}), 3, {E(2, 1), E(3, 2)}));
  node.HoldDisk();
  node.Receive(2, 4, AppendRequest{Id(2, 1), {E(2, 2), E(4, 3)}, LogIndex(3), Round(1)});
  EXPECT_EQ(node->commit(), LogIndex(3));
  for (const Ready& ready : node.taken) {
    if (ready.hard_state.has_value()) {
      EXPECT_LE(ready.hard_state->commit, LogIndex(1));
    }
  }
  node.ReleaseDisk();
  EXPECT_EQ(node.disk_hard_state.commit, LogIndex(1));
  // It goes along with the next write.
  node.Receive(2, 4, AppendRequest{Id(4, 3), {E(4, 4)}, LogIndex(3), Round(2)});
  EXPECT_EQ(node.disk_hard_state.commit, LogIndex(3));
}

TEST(Node, RoleChangesAreToldOnce) {
  TestNode node(1, Start(Voters({1, 2, 3})));
  node.Elect({2});
  std::vector<RoleState> roles;
  for (const Ready& ready : node.taken) {
    if (ready.role.has_value()) roles.push_back(*ready.role);
  }
  ASSERT_THAT(roles, SizeIs(3));
  EXPECT_EQ(roles[0].role, Role::kPreCandidate);
  EXPECT_EQ(roles[1].role, Role::kCandidate);
  EXPECT_EQ(roles[2], (RoleState{Role::kLeader, Term(1), V(1)}));
}

// S-17: what was meant for the voter on the old disk is not this one's.
TEST(Node, S17MessagesForAnotherDirectoryAreDropped) {
  TestNode node(1, Start(Voters({1, 2, 3}), 1));
  node->Step(
      Message{V(2), V(1, /*directory=*/2), Term(5), VoteRequest{false, Term(5), Id(9, 9), false}},
      node.now());
  node.Tick();
  EXPECT_THAT(node.Sent(), IsEmpty());
  EXPECT_EQ(node->term(), Term(1));
}

TEST(Node, CommittedEntriesAreHandedOverInBoundedPieces) {
  Options options;
  options.committed_bytes_max = 1;
  TestNode node(1, Start(Voters({1, 2, 3}), 1), options);
  node.Receive(2, 1, AppendRequest{Id(0, 0), Terms({1, 1, 1}), LogIndex(3), Round(1)});
  EXPECT_THAT(node.committed, SizeIs(3));
  for (const Ready& ready : node.taken) EXPECT_LE(ready.committed.size(), 1u);
}

}  // namespace
}  // namespace millrace::raft
