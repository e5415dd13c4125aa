#include "node/raft_quorum_control.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "node/voter_level.h"

namespace millrace::node {
namespace {

using controller::QuorumMember;
using ::testing::ElementsAre;
using ::testing::SizeIs;

// Nobody is there (what a learner that never answers looks like) but those that a test names, where
// it names them: voters who agree to everything.
class ScriptedTransport final : public raft::Transport {
 public:
  explicit ScriptedTransport(Executor* executor) : executor_(executor) {}
  void SetReceiver(raft::TransportReceiver* receiver) override { receiver_ = receiver; }
  void SetPeers(std::vector<raft::Peer> peers) override { peers_ = std::move(peers); }
  void Send(std::vector<raft::Message> messages) override {
    for (const raft::Message& message : messages) {
      if (there.contains(message.to.node) || IsThereAt(message.to.node)) Answer(message);
    }
  }

  std::set<NodeId> there;
  // Who is found only where these say.
  std::vector<raft::Peer> there_at;
  // Who was asked to take over.
  std::set<NodeId> asked;

 private:
  bool IsThereAt(NodeId node) const {
    return std::any_of(there_at.begin(), there_at.end(), [&](const raft::Peer& peer) {
      return peer.node == node && std::find(peers_.begin(), peers_.end(), peer) != peers_.end();
    });
  }
  void Answer(const raft::Message& message) {
    raft::Message answer{message.to, message.from, message.term, {}};
    if (const auto* vote = std::get_if<raft::VoteRequest>(&message.body)) {
      answer.body = raft::VoteResponse{vote->pre_vote, vote->campaign_term, true};
    } else if (const auto* append = std::get_if<raft::AppendRequest>(&message.body)) {
      answer.body = raft::AppendResponse{
          .accepted = true,
          .match = append->previous.index + static_cast<int64_t>(append->entries.size()),
          .round = append->round};
    } else {
      if (std::holds_alternative<raft::TimeoutNow>(message.body)) asked.insert(message.to.node);
      return;
    }
    executor_->Post([this, answer] {
      if (receiver_ != nullptr) receiver_->OnMessage(answer);
    });
  }

  Executor* const executor_;
  raft::TransportReceiver* receiver_ = nullptr;
  std::vector<raft::Peer> peers_;
};

// A lone voter, which others may be added to.
class RaftQuorumControlTest : public ::testing::Test {
 protected:
  void SetUp() override { Open({}); }
  void Open(std::vector<raft::Voter> others) {
    ASSERT_OK_AND_ASSIGN(dir_, MetadataDir::Open(&files_, "m", NodeId(1), &random_));
    self_ = {NodeId(1), dir_->directory_id()};
    QuorumPlace place;
    place.founders.voters = {raft::Voter{self_, "here:1"}};
    for (raft::Voter& other : others) place.founders.voters.push_back(std::move(other));
    place.transport = &transport_;
    ASSERT_OK_AND_ASSIGN(
        host_, ControllerHost::Open(*dir_, NodeId(1), std::make_shared<controller::Settings>(),
                                    std::move(place),
                                    {.files = &files_,
                                     .clock = &clock_,
                                     .random = &random_,
                                     .metrics = &metrics_,
                                     .owner = owner_.get(),
                                     .disk = disk_.get(),
                                     .image_disk = disk_.get(),
                                     .leaders = &leaders_,
                                     .election_random = std::make_unique<sim::SimRandom>(3)}));
  }
  void TearDown() override {
    host_.reset();
    owner_->Shutdown();
    disk_->Shutdown();
  }
  void Lead() {
    bool led = false;
    host_->Start([&] { led = true; }, [](const absl::Status&) {});
    control_.SetHost(host_.get());
    ASSERT_TRUE(loop_.RunUntil([&] { return led; }, absl::Seconds(10)));
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

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  sim::SimRandom random_{1};
  sim::SimFileSystem files_;
  MetricRegistry metrics_;
  std::unique_ptr<sim::SimExecutor> owner_ = loop_.MakeExecutor("owner", &clock_);
  std::unique_ptr<sim::SimExecutor> disk_ = loop_.MakeExecutor("disk", &clock_);
  ScriptedTransport transport_{owner_.get()};
  controller::LeaderWatch leaders_;
  RaftQuorumControl control_{owner_.get(), &clock_, &leaders_};
  std::unique_ptr<MetadataDir> dir_;
  raft::VoterId self_;
  std::unique_ptr<ControllerHost> host_;
};

TEST_F(RaftQuorumControlTest, BeforeThereIsAHostNothingIsKnown) {
  EXPECT_THAT(Describe().status(), HasCode(ErrorCode::kNotController));
  std::optional<absl::Status> outcome;
  control_.RemoveVoter(NodeId(1), self_.directory, Into(&outcome));
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
  control_.RemoveVoter(NodeId(1), self_.directory, Into(&outcome));
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
  void SetUp() override {
    Open({{{NodeId(2), DirectoryId(Uuid(2, 2))}, "two:1"},
          {{NodeId(3), DirectoryId(Uuid(3, 3))}, "three:1"}});
  }
};

TEST_F(RaftQuorumOfThreeTest, LeadershipIsHandedOverToOneThatAnswers) {
  transport_.there = {NodeId(2), NodeId(3)};
  Lead();
  transport_.there = {NodeId(2)};
  loop_.RunFor(absl::Seconds(3));
  std::optional<absl::Status> outcome;
  control_.HandOver(Into(&outcome));
  ASSERT_TRUE(loop_.RunUntil([&] { return outcome.has_value(); }, absl::Minutes(5)));
  EXPECT_THAT(transport_.asked, ElementsAre(NodeId(2))) << "3 has as much, and is gone";
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
