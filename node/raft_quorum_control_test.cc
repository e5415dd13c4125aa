#include "node/raft_quorum_control.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "node/testing/controller_fixture.h"
#include "node/testing/willing_peers.h"
#include "node/voter_level.h"

namespace millrace::node {
namespace {

using controller::QuorumMember;
using ::testing::ElementsAre;
using ::testing::SizeIs;

// Nobody is there (what a learner that never answers looks like) but those that a test names, or
// names with the address where they are.
class ScriptedTransport final : public WillingPeers {
 public:
  using WillingPeers::WillingPeers;

  void SetPeers(std::vector<raft::Peer> peers) override { peers_ = std::move(peers); }

  std::set<NodeId> there;
  std::vector<raft::Peer> there_at;

 private:
  bool Hears(const raft::VoterId& voter) const override {
    return there.contains(voter.node) ||
           std::any_of(there_at.begin(), there_at.end(), [&](const raft::Peer& peer) {
             return peer.node == voter.node &&
                    std::find(peers_.begin(), peers_.end(), peer) != peers_.end();
           });
  }

  std::vector<raft::Peer> peers_;
};

// A lone voter, which others may be added to.
class RaftQuorumControlTest : public ControllerFixture {
 protected:
  void SetUp() override { Open("here:1", {}, &transport_); }
  void Lead() {
    control_.SetHost(host_.get());
    ControllerFixture::Lead();
  }
  controller::QuorumControl::Done Into(std::optional<absl::Status>* outcome) {
    return [outcome](absl::Status status) { *outcome = std::move(status); };
  }
  absl::Status Await(const std::optional<absl::Status>& outcome) {
    EXPECT_TRUE(loop_.RunUntil([&] { return outcome.has_value(); }, absl::Minutes(5)));
    return *outcome;
  }
  absl::StatusOr<controller::QuorumDescription> Describe() {
    std::optional<absl::StatusOr<controller::QuorumDescription>> described;
    control_.Describe([&](auto description) { described = std::move(description); });
    return *described;
  }

  ScriptedTransport transport_{owner_.get()};
  RaftQuorumControl control_{owner_.get(), &clock_, &leaders_};
};

TEST_F(RaftQuorumControlTest, BeforeThereIsAHostNothingIsKnown) {
  EXPECT_THAT(Describe().status(), HasCode(ErrorCode::kNotController));
  std::optional<absl::Status> outcome;
  control_.RemoveVoter(NodeId(1), dir_->directory_id(), Into(&outcome));
  EXPECT_THAT(Await(outcome), HasCode(ErrorCode::kNotController));
}

TEST_F(RaftQuorumControlTest, ALoneVoterDescribesItself) {
  Lead();
  ASSERT_OK_AND_ASSIGN(const auto description, Describe());
  EXPECT_EQ(description.leader, NodeId(1));
  EXPECT_EQ(description.commit, description.log_end);
  ASSERT_THAT(description.members, SizeIs(1));
  EXPECT_EQ(description.members[0].state, "leader");
  EXPECT_EQ(description.members[0].address, "here:1");
  EXPECT_EQ(description.members[0].last_contact_ms, 0);
}

TEST_F(RaftQuorumControlTest, TheLastVoterIsNotRemoved) {
  Lead();
  std::optional<absl::Status> outcome;
  control_.RemoveVoter(NodeId(1), dir_->directory_id(), Into(&outcome));
  EXPECT_THAT(Await(outcome), HasCode(ErrorCode::kInvalidRequest));
}

TEST_F(RaftQuorumControlTest, ALearnerThatNeverAnswersStaysOneAndIsNamed) {
  Lead();
  std::optional<absl::Status> outcome;
  control_.AddVoter(NodeId(2), DirectoryId(Uuid(2, 2)), "gone:1", Into(&outcome));
  EXPECT_THAT(Await(outcome), IsError(ErrorCode::kRequestTimedOut, "node 2 did not catch up"));
  ASSERT_OK_AND_ASSIGN(const auto description, Describe());
  ASSERT_THAT(description.members, SizeIs(2));
  EXPECT_EQ(description.members[1].role, QuorumMember::Role::kLearner);
  EXPECT_EQ(description.members[1].last_contact_ms, std::nullopt);
  // It counts for nothing, and may be taken away again.
  std::optional<absl::Status> removed;
  control_.RemoveVoter(NodeId(2), DirectoryId(Uuid(2, 2)), Into(&removed));
  EXPECT_OK(Await(removed));
}

TEST_F(RaftQuorumControlTest, ALearnerAddedAtAWrongAddressIsMendedByAddingItAtTheRightOne) {
  const DirectoryId directory(Uuid(2, 2));
  transport_.there_at = {{NodeId(2), "two:1"}};
  Lead();
  std::optional<absl::Status> mistyped;
  control_.AddVoter(NodeId(2), directory, "tow:1", Into(&mistyped));
  EXPECT_THAT(Await(mistyped), IsError(ErrorCode::kRequestTimedOut, "stays a learner at tow:1"));
  std::optional<absl::Status> corrected;
  control_.AddVoter(NodeId(2), directory, "two:1", Into(&corrected));
  EXPECT_OK(Await(corrected));
  ASSERT_OK_AND_ASSIGN(const auto description, Describe());
  ASSERT_THAT(description.members, SizeIs(2));
  EXPECT_EQ(description.members[1].role, QuorumMember::Role::kVoter);
  EXPECT_EQ(description.members[1].address, "two:1");
}

TEST_F(RaftQuorumControlTest, AControllerWhoseProgramDoesNotKnowTheClustersLevelIsNotAdded) {
  transport_.there = {NodeId(2)};
  Lead();
  const raft::ProgramFeatures said{.level_min = 1, .level_max = 4};
  control_.SetMayVote(
      [&](const raft::VoterId& id) { return CheckKnowsLevel(id, &said, /*level=*/5); });
  std::optional<absl::Status> outcome;
  control_.AddVoter(NodeId(2), DirectoryId(Uuid(2, 2)), "two:1", Into(&outcome));
  EXPECT_THAT(Await(outcome), IsError(ErrorCode::kUnsupportedVersion,
                                      "knows feature levels 1 to 4, and the cluster is at 5"));
  ASSERT_OK_AND_ASSIGN(const auto description, Describe());
  EXPECT_THAT(description.members, SizeIs(1)) << "nothing was changed";
}

// What it acknowledges shows that it has the log, and not that it can apply it.
TEST_F(RaftQuorumControlTest, ALearnerThatSaysLateWhatItKnowsVotesOnlyIfThatIsEnough) {
  const DirectoryId directory(Uuid(2, 2));
  transport_.there = {NodeId(2)};
  Lead();
  std::optional<raft::ProgramFeatures> said;
  control_.SetMayVote([&](const raft::VoterId& id) {
    return CheckKnowsLevel(id, said.has_value() ? &*said : nullptr, /*level=*/5);
  });
  std::optional<absl::Status> outcome;
  control_.AddVoter(NodeId(2), directory, "two:1", Into(&outcome));
  loop_.RunFor(absl::Seconds(5));
  EXPECT_EQ(outcome, std::nullopt) << "it has the log, and has not said what it knows";
  said = raft::ProgramFeatures{.level_min = 1, .level_max = 4};
  EXPECT_THAT(Await(outcome), HasCode(ErrorCode::kUnsupportedVersion));
  ASSERT_OK_AND_ASSIGN(const auto description, Describe());
  ASSERT_THAT(description.members, SizeIs(2));
  EXPECT_EQ(description.members[1].role, QuorumMember::Role::kLearner);
  // It was started again with another program.
  said->level_max = 5;
  std::optional<absl::Status> again;
  control_.AddVoter(NodeId(2), directory, "two:1", Into(&again));
  EXPECT_OK(Await(again));
}

TEST_F(RaftQuorumControlTest, LeadershipGoesToVotersOnly) {
  Lead();
  std::optional<absl::Status> outcome;
  control_.TransferLeadership(NodeId(7), Into(&outcome));
  EXPECT_THAT(Await(outcome), IsError(ErrorCode::kInvalidRequest, "node 7 is not a voter"));
  std::optional<absl::Status> to_itself;
  control_.TransferLeadership(NodeId(1), Into(&to_itself));
  EXPECT_OK(Await(to_itself));
}

TEST_F(RaftQuorumControlTest, ALoneLeaderHasNobodyToHandOverTo) {
  Lead();
  std::optional<absl::Status> outcome;
  control_.HandOver(Into(&outcome));
  EXPECT_OK(Await(outcome));
}

class RaftQuorumOfThreeTest : public RaftQuorumControlTest {
 protected:
  void SetUp() override { Open("here:1", {{Id(2), "two:1"}, {Id(3), "three:1"}}, &transport_); }
};

TEST_F(RaftQuorumOfThreeTest, LeadershipIsHandedOverToOneThatAnswers) {
  transport_.there = {NodeId(2), NodeId(3)};
  Lead();
  transport_.there = {NodeId(2)};
  loop_.RunFor(absl::Seconds(3));
  std::optional<absl::Status> outcome;
  control_.HandOver(Into(&outcome));
  ASSERT_TRUE(loop_.RunUntil([&] { return outcome.has_value(); }, absl::Minutes(5)));
  EXPECT_THAT(transport_.asked_to_lead, ElementsAre(Id(2))) << "3 has as much, and is gone";
}

TEST_F(RaftQuorumControlTest, WhoeverFollowsBesideTheVotersIsAnObserver) {
  Lead();
  // The broker of the voter's own process is told as the voter alone.
  control_.SetObservers([] {
    return std::vector<QuorumMember>{{.node = NodeId(1), .role = QuorumMember::Role::kObserver},
                                     {.node = NodeId(7), .role = QuorumMember::Role::kObserver}};
  });
  ASSERT_OK_AND_ASSIGN(const controller::QuorumDescription description, Describe());
  ASSERT_THAT(description.members, SizeIs(2));
  EXPECT_EQ(description.members[0].role, QuorumMember::Role::kVoter);
  EXPECT_EQ(description.members[1].node, NodeId(7));
}

}  // namespace
}  // namespace millrace::node
