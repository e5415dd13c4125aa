#include "raft/host/founding.h"

#include <map>
#include <memory>

#include "base/sim/sim_random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

MonotonicTime At(int64_t ms) { return MonotonicTime::FromNanos(ms * 1'000'000); }
VoterId Id(int32_t node, uint64_t directory) {
  return {NodeId(node), DirectoryId(Uuid(1, directory))};
}
std::string Address(int32_t node) { return "h" + std::to_string(node) + ":1"; }
std::vector<Peer> Nodes(std::vector<int32_t> nodes) {
  std::vector<Peer> peers;
  for (const int32_t node : nodes) peers.push_back({NodeId(node), Address(node)});
  return peers;
}
std::vector<Voter> Set(const std::vector<VoterId>& ids) {
  std::vector<Voter> voters;
  for (const VoterId& id : ids) voters.push_back({.id = id, .address = Address(id.node.value())});
  return voters;
}
FoundingState Says(const VoterId& self, FoundingPhase phase = FoundingPhase::kEmpty,
                   const std::vector<VoterId>& ids = {}) {
  FoundingState state{.self = self, .address = Address(self.node.value()), .phase = phase};
  state.voters = Set(ids);
  if (phase == FoundingPhase::kFounded) state.cluster_id = FoundingClusterId(state.voters);
  return state;
}

constexpr FoundingPhase kEmpty = FoundingPhase::kEmpty;
constexpr FoundingPhase kPrepared = FoundingPhase::kPrepared;
constexpr FoundingPhase kFounded = FoundingPhase::kFounded;

// Node 1 on directory 10, whose peers are spoken for by the test.
class FoundingTest : public ::testing::Test {
 protected:
  void Start(FoundingRecord record = {}, std::vector<int32_t> nodes = {1, 2, 3}) {
    founding_ = std::make_unique<Founding>(self_, Nodes(std::move(nodes)), std::move(record),
                                           FoundingOptions(), &random_, now_);
    Take();
  }
  // The newest Ready; questions are remembered by peer.
  const FoundingReady& Take() {
    ready_ = founding_->TakeReady();
    for (const FoundingQuestion& q : ready_.ask) rounds_[q.peer.value()] = q.round;
    EXPECT_TRUE(founding_->TakeReady().empty());
    return ready_;
  }
  // A peer answers the newest question it was asked.
  const FoundingReady& Answer(const FoundingState& theirs, int32_t asked = 0) {
    if (asked == 0) asked = theirs.self.node.value();
    founding_->OnAnswer(NodeId(asked), rounds_[asked], theirs, now_);
    return Take();
  }
  const FoundingReady& Persisted() {
    founding_->Persisted(now_);
    return Take();
  }
  const FoundingReady& Tick(int64_t ms) {
    now_ = now_ + absl::Milliseconds(ms);
    founding_->Tick(now_);
    return Take();
  }
  // All were heard as empty, and the promise is durable.
  void Promise() {
    Answer(Says(two_));
    Answer(Says(three_));
    ASSERT_TRUE(ready_.persist.has_value());
    Persisted();
  }

  const VoterId self_ = Id(1, 10);
  const VoterId two_ = Id(2, 20);
  const VoterId three_ = Id(3, 30);
  const std::vector<VoterId> all_ = {self_, two_, three_};
  MonotonicTime now_ = At(1000);
  sim::SimRandom random_{1};
  std::unique_ptr<Founding> founding_;
  FoundingReady ready_;
  std::map<int32_t, uint64_t> rounds_;
};

// ---- S-18: all must be there ----

TEST_F(FoundingTest, S18AsksAllOthersAtOnceAndPromisesOnlyWhenAllWereHeard) {
  Start();
  EXPECT_THAT(ready_.ask, SizeIs(2));
  EXPECT_FALSE(Answer(Says(two_)).persist.has_value());
  EXPECT_THAT(FoundingSilent(founding_->view()), ElementsAre(NodeId(3)));
  const FoundingReady& ready = Answer(Says(three_));
  ASSERT_TRUE(ready.persist.has_value());
  EXPECT_EQ(ready.persist->phase, kPrepared);
  EXPECT_EQ(ready.persist->voters, Set(all_));
}

TEST_F(FoundingTest, S18APromiseIsToldOnlyOnceItIsDurable) {
  Start();
  Answer(Says(two_));
  Answer(Says(three_));
  ASSERT_TRUE(ready_.persist.has_value());
  EXPECT_EQ(founding_->state().phase, kEmpty);
  Persisted();
  EXPECT_EQ(founding_->state(), Says(self_, kPrepared, all_));
  // The change is told at once, to all.
  EXPECT_THAT(ready_.ask, SizeIs(2));
}

TEST_F(FoundingTest, S18IsFoundedWhenAllPromisedTheVerySameSetAndThatIsDurable) {
  Start();
  Promise();
  EXPECT_FALSE(Answer(Says(two_, kPrepared, all_)).persist.has_value());
  const FoundingReady& ready = Answer(Says(three_, kPrepared, all_));
  ASSERT_TRUE(ready.persist.has_value());
  EXPECT_EQ(ready.persist->phase, kFounded);
  EXPECT_FALSE(founding_->result().has_value());
  Persisted();
  ASSERT_TRUE(founding_->result().has_value());
  EXPECT_FALSE(founding_->result()->joined());
  EXPECT_EQ(founding_->result()->voters, Set(all_));
  EXPECT_EQ(founding_->result()->cluster_id, FoundingClusterId(Set(all_)));
  EXPECT_EQ(founding_->next_deadline(), MonotonicTime::Never());
}

TEST_F(FoundingTest, S18APromiseOfAnotherSetDoesNotCount) {
  Start();
  Promise();
  Answer(Says(two_, kPrepared, all_));
  EXPECT_FALSE(Answer(Says(three_, kPrepared, {Id(1, 11), two_, three_})).persist.has_value());
  EXPECT_FALSE(Answer(Says(three_, kEmpty)).persist.has_value());
}

TEST_F(FoundingTest, S18WhatWasHeardBeforeTheOwnPromiseWasDurableDoesNotCount) {
  Start();
  Answer(Says(two_, kPrepared, all_));
  Answer(Says(three_, kPrepared, all_));
  ASSERT_TRUE(ready_.persist.has_value());
  EXPECT_EQ(ready_.persist->phase, kPrepared);
  EXPECT_FALSE(Persisted().persist.has_value());
  EXPECT_THAT(ready_.ask, SizeIs(2));
}

TEST_F(FoundingTest, S18AnAnswerToAnOlderQuestionDoesNotCount) {
  Start();
  const uint64_t old_round = rounds_[2];
  Promise();
  Answer(Says(three_, kPrepared, all_));
  founding_->OnAnswer(NodeId(2), old_round, Says(two_, kPrepared, all_), now_);
  EXPECT_FALSE(Take().persist.has_value());
}

TEST_F(FoundingTest, S18WhatIsSaidUnaskedIsOnlyAReasonToAsk) {
  Start();
  Promise();
  Answer(Says(three_, kPrepared, all_));
  Answer(Says(two_));
  founding_->OnQuestion(Says(two_, kPrepared, all_), now_);
  EXPECT_FALSE(Take().persist.has_value());
  ASSERT_THAT(ready_.ask, SizeIs(1));
  EXPECT_EQ(ready_.ask[0].peer, NodeId(2));
  // Nothing new: nothing is asked.
  Answer(Says(two_, kPrepared, all_));
  founding_->OnQuestion(Says(two_, kPrepared, all_), now_);
  EXPECT_THAT(Take().ask, IsEmpty());
}

TEST_F(FoundingTest, S18APromiseIsReplacedWhenAPeerComesWithANewDirectory) {
  Start();
  Promise();
  Answer(Says(two_, kPrepared, all_));
  const FoundingReady& ready = Answer(Says(Id(3, 31)));
  ASSERT_TRUE(ready.persist.has_value());
  EXPECT_EQ(ready.persist->voters, Set({self_, two_, Id(3, 31)}));
  EXPECT_THAT(ready.persist->replaced, ElementsAre(Set(all_)));
}

TEST_F(FoundingTest, S18WhatIsFoundedIsFinal) {
  Start();
  Promise();
  Answer(Says(two_, kPrepared, all_));
  Answer(Says(three_, kPrepared, all_));
  Persisted();
  founding_->OnQuestion(Says(Id(3, 31)), now_);
  founding_->OnAnswer(NodeId(3), rounds_[3], Says(Id(3, 31)), now_);
  EXPECT_TRUE(Take().empty());
  EXPECT_EQ(founding_->state(), Says(self_, kFounded, all_));
}

TEST_F(FoundingTest, ALoneVoterFoundsItsClusterByItself) {
  Start({}, {1});
  EXPECT_EQ(ready_.persist->phase, kPrepared);
  EXPECT_EQ(Persisted().persist->phase, kFounded);
  Persisted();
  EXPECT_EQ(founding_->result()->voters, Set({self_}));
}

TEST_F(FoundingTest, ARestartGoesOnWhereTheDirectoryIs) {
  Start({.phase = kPrepared, .voters = Set(all_)});
  EXPECT_EQ(founding_->state().phase, kPrepared);
  Answer(Says(two_, kPrepared, all_));
  EXPECT_EQ(Answer(Says(three_, kPrepared, all_)).persist->phase, kFounded);
  Start({.phase = kFounded, .voters = Set(all_), .cluster_id = FoundingClusterId(Set(all_))});
  EXPECT_TRUE(ready_.empty());
  EXPECT_EQ(founding_->result()->voters, Set(all_));
}

// ---- S-18: a cluster that is there ----

TEST_F(FoundingTest, S18AFoundedPeerWithThisPromiseMakesItFounded) {
  Start();
  Promise();
  const FoundingReady& ready = Answer(Says(two_, kFounded, all_));
  ASSERT_TRUE(ready.persist.has_value());
  EXPECT_EQ(ready.persist->voters, Set(all_));
  EXPECT_EQ(ready.persist->cluster_id, FoundingClusterId(Set(all_)));
}

TEST_F(FoundingTest, S17AnEmptyDirectoryJoinsTheClusterAsANewcomer) {
  Start();
  const FoundingReady& ready = Answer(Says(two_, kFounded, {Id(1, 9), two_, three_}));
  ASSERT_TRUE(ready.persist.has_value());
  EXPECT_EQ(ready.persist->phase, kFounded);
  EXPECT_THAT(ready.persist->voters, IsEmpty());
  Persisted();
  EXPECT_TRUE(founding_->result()->joined());
}

TEST_F(FoundingTest, S17APromiseDoesNotKeepANewDirectoryFromJoining) {
  Start();
  Promise();
  const FoundingReady& ready = Answer(Says(two_, kFounded, {Id(1, 9), two_, three_}));
  ASSERT_TRUE(ready.persist.has_value());
  EXPECT_THAT(ready.persist->voters, IsEmpty());
}

TEST_F(FoundingTest, S17ACloneOrARestoredDirectoryIsNotAVoterThatPromised) {
  Start();
  EXPECT_FALSE(Answer(Says(two_, kFounded, all_)).persist.has_value());
  EXPECT_FALSE(Answer(Says(three_, kFounded, all_)).persist.has_value());
}

TEST_F(FoundingTest, S18AReplacedPromiseThatWasFoundedAfterAllIsKept) {
  const std::vector<VoterId> later = {self_, two_, Id(3, 31)};
  Start({.phase = kPrepared, .voters = Set(later), .replaced = {Set(all_)}});
  const FoundingReady& ready = Answer(Says(two_, kFounded, all_));
  ASSERT_TRUE(ready.persist.has_value());
  EXPECT_EQ(ready.persist->voters, Set(all_));
}

// Node 3 founded with directory 30, was given 31, and has 30 again: its later promises may have
// founded another cluster.
TEST_F(FoundingTest, S18AReplacedPromiseIsNotKeptOnTheWordOfADirectoryThatWasPutBack) {
  const std::vector<VoterId> later = {self_, two_, Id(3, 31)};
  Start({.phase = kPrepared, .voters = Set(later), .replaced = {Set(all_)}});
  EXPECT_FALSE(Answer(Says(three_, kFounded, all_)).persist.has_value());
  EXPECT_FALSE(Answer(Says(two_, kPrepared, later)).persist.has_value());
}

TEST_F(FoundingTest, PeersOfDifferentClustersAreNotFollowed) {
  Start();
  const std::vector<VoterId> others = {Id(1, 9), two_, three_};
  founding_->OnAnswer(NodeId(2), rounds_[2], Says(two_, kFounded, others), now_);
  ASSERT_TRUE(Take().persist.has_value());
  // The same, but both are heard before a decision: the second one while a promise is written.
  Start({.phase = kPrepared, .voters = Set(all_)});
  FoundingState odd = Says(two_, kFounded, others);
  odd.cluster_id = ClusterId(Uuid(5, 5));
  EXPECT_FALSE(Answer(odd).persist.has_value());
  EXPECT_FALSE(Answer(Says(three_, kFounded, others)).persist.has_value());
}

TEST_F(FoundingTest, AnAnswerFromAnotherNodeThanConfiguredIsNotUsed) {
  Start();
  Answer(Says(three_));
  EXPECT_FALSE(Answer(Says(Id(4, 20)), 2).persist.has_value());
  EXPECT_FALSE(Answer(Says(self_), 2).persist.has_value());
}

TEST_F(FoundingTest, ACopiedDirectoryIsNotPromisedTo) {
  Start();
  Answer(Says(two_));
  EXPECT_FALSE(Answer(Says({NodeId(3), two_.directory})).persist.has_value());
}

// ---- When peers are asked ----

TEST_F(FoundingTest, APeerIsAskedAgainAfterAnIntervalWithJitter) {
  Start();
  Answer(Says(two_));
  Answer(Says(three_));
  Persisted();
  std::vector<absl::Duration> intervals;
  for (int i = 0; i < 20; ++i) {
    Answer(Says(two_));
    founding_->OnNoAnswer(NodeId(3), rounds_[3], now_);
    const absl::Duration wait = founding_->next_deadline() - now_;
    EXPECT_GE(wait, absl::Milliseconds(100));
    EXPECT_LE(wait, absl::Milliseconds(200));
    intervals.push_back(wait);
    EXPECT_THAT(Tick(200).ask, SizeIs(2));
  }
  EXPECT_NE(intervals.front(), intervals.back());
}

TEST_F(FoundingTest, AQuestionWithoutAnAnswerIsGivenUpAndAskedAgain) {
  Start();
  Answer(Says(two_));
  const uint64_t unanswered = rounds_[3];
  Tick(999);
  EXPECT_EQ(rounds_[3], unanswered);
  Tick(1);
  EXPECT_GT(rounds_[3], unanswered);
  EXPECT_THAT(FoundingSilent(founding_->view()), ElementsAre(NodeId(3)));
  // The late answer to the old one is not used.
  founding_->OnAnswer(NodeId(3), unanswered, Says(three_), now_);
  EXPECT_FALSE(Take().persist.has_value());
}

TEST_F(FoundingTest, WhatWasSaidWhileAQuestionWasUnderWayIsAskedAboutWhenItsAnswerIsOlder) {
  Start();
  Promise();
  founding_->OnQuestion(Says(two_, kPrepared, all_), now_);
  EXPECT_THAT(Take().ask, IsEmpty());
  // The answer passed the change on its way.
  EXPECT_THAT(Answer(Says(two_)).ask, SizeIs(1));
  EXPECT_THAT(Answer(Says(two_, kPrepared, all_)).ask, IsEmpty());
}

TEST_F(FoundingTest, AStrangerIsNamedWhileItAsksAndForgottenAfterwards) {
  Start();
  founding_->OnQuestion(Says(Id(4, 40)), now_);
  founding_->OnQuestion(Says(Id(1, 11)), now_);
  EXPECT_THAT(FoundingProblems(founding_->view()), SizeIs(2));
  for (int i = 0; i < 60; ++i) Tick(100);
  EXPECT_THAT(FoundingProblems(founding_->view()), IsEmpty());
}

TEST_F(FoundingTest, StrangersAreBounded) {
  Start();
  for (int32_t node = 10; node < 1000; ++node) founding_->OnQuestion(Says(Id(node, 1)), now_);
  EXPECT_LE(founding_->view().strangers.size(), 8u);
}

TEST_F(FoundingTest, OneRecordIsPersistedAtATime) {
  Start();
  Answer(Says(two_));
  Answer(Says(three_));
  ASSERT_TRUE(ready_.persist.has_value());
  Tick(300);
  EXPECT_FALSE(Answer(Says(Id(3, 31))).persist.has_value());
  Persisted();
  Answer(Says(two_));
  EXPECT_EQ(Answer(Says(Id(3, 31))).persist->voters, Set({self_, two_, Id(3, 31)}));
}

TEST_F(FoundingTest, RememberedPromisesAreBounded) {
  Start();
  for (uint64_t directory = 100; directory < 150; ++directory) {
    Answer(Says(two_));
    if (Answer(Says(Id(3, directory))).persist.has_value()) Persisted();
    Tick(300);
  }
  EXPECT_EQ(founding_->view().record.replaced.size(), kReplacedPromisesMax);
  EXPECT_EQ(founding_->view().record.replaced.back()[2].id, Id(3, 148));
}

// A quorum that was recovered: one that was given up may still answer.
TEST_F(FoundingTest, S20TheNewestGenerationIsJoinedWhoeverElseAnswers) {
  Start();
  FoundingState lost = Says(two_, kFounded, {self_, two_, three_});
  FoundingState recovered = Says(three_, kFounded, {self_, two_, three_});
  recovered.voters.clear();
  recovered.generation = 1;
  recovered.cluster_id = lost.cluster_id;
  founding_->OnAnswer(NodeId(3), rounds_[3], recovered, now_);
  founding_->OnAnswer(NodeId(2), rounds_[2], lost, now_);
  Take();
  ASSERT_TRUE(ready_.persist.has_value());
  EXPECT_THAT(ready_.persist->voters, IsEmpty());
  Persisted();
  EXPECT_EQ(founding_->result()->generation, 1);
  EXPECT_EQ(founding_->state().generation, 1);
}

}  // namespace
}  // namespace millrace::raft
