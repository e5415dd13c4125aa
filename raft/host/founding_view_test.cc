#include "raft/host/founding_view.h"

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

VoterId Id(int32_t node, uint64_t directory) {
  return {NodeId(node), DirectoryId(Uuid(1, directory))};
}
std::vector<Voter> Set(const std::vector<VoterId>& ids) {
  std::vector<Voter> voters;
  for (const VoterId& id : ids) voters.push_back({.id = id, .address = "h:1"});
  return voters;
}

// Node 1, which asks nodes 2 and 3.
class FoundingProblemsTest : public ::testing::Test {
 protected:
  FoundingProblemsTest() {
    view_.self = Id(1, 10);
    view_.peers = {{.peer = {NodeId(2), "b:2"}, .answer = {}},
                   {.peer = {NodeId(3), "c:3"}, .answer = {}}};
  }
  void Answer(size_t i, FoundingState state) {
    view_.peers[i].answer = std::move(state);
    view_.peers[i].fresh = true;
    view_.peers[i].answering = true;
  }
  static FoundingState Founded(const VoterId& self, const std::vector<VoterId>& ids) {
    return {.self = self,
            .address = "",
            .phase = FoundingPhase::kFounded,
            .voters = Set(ids),
            .cluster_id = FoundingClusterId(Set(ids))};
  }
  // The only problem.
  absl::Status Problem() {
    const std::vector<absl::Status> problems = FoundingProblems(view_);
    EXPECT_THAT(problems, SizeIs(1));
    return problems.empty() ? absl::OkStatus() : problems.front();
  }

  FoundingView view_;
};

TEST_F(FoundingProblemsTest, ThereIsNoneWhileOthersAreMerelyNotThere) {
  EXPECT_THAT(FoundingProblems(view_), IsEmpty());
  EXPECT_THAT(FoundingSilent(view_), ElementsAre(NodeId(2), NodeId(3)));
  Answer(0, {.self = Id(2, 20), .address = "", .voters = {}, .cluster_id = {}});
  EXPECT_THAT(FoundingProblems(view_), IsEmpty());
  EXPECT_THAT(FoundingSilent(view_), ElementsAre(NodeId(3)));
  EXPECT_THAT(view_.Nodes(), ElementsAre(NodeId(1), NodeId(2), NodeId(3)));
}

TEST_F(FoundingProblemsTest, AnotherNodeAtAConfiguredAddressIsNamed) {
  Answer(0, {.self = Id(5, 20), .address = "", .voters = {}, .cluster_id = {}});
  EXPECT_EQ(CodeOf(Problem()), ErrorCode::kInconsistentNodeId);
  EXPECT_EQ(DetailOf(Problem()).value, "2@b:2");
  EXPECT_THAT(std::string(Problem().message()), HasSubstr("node 5 answers there"));
  Answer(0, {.self = view_.self, .address = "", .voters = {}, .cluster_id = {}});
  EXPECT_THAT(std::string(Problem().message()), HasSubstr("this very process"));
}

TEST_F(FoundingProblemsTest, PeersOfDifferentClustersAreNamedWithTheirClusters) {
  Answer(0, Founded(Id(2, 20), {Id(1, 1), Id(2, 20)}));
  Answer(1, Founded(Id(3, 30), {Id(1, 2), Id(3, 30)}));
  EXPECT_EQ(CodeOf(Problem()), ErrorCode::kInconsistentClusterId);
  const std::string message(Problem().message());
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_THAT(message, HasSubstr(view_.peers[i].answer->cluster_id.ToString()));
    EXPECT_THAT(message, HasSubstr(view_.peers[i].peer.address));
  }
}

TEST_F(FoundingProblemsTest, ListsOfVotersThatDifferAreNamedOnBothSides) {
  Answer(0, {.self = Id(2, 20),
             .address = "",
             .phase = FoundingPhase::kPrepared,
             .voters = Set({Id(1, 10), Id(2, 20)}),
             .cluster_id = {}});
  EXPECT_EQ(CodeOf(Problem()), ErrorCode::kInvalidConfig);
  EXPECT_EQ(DetailOf(Problem()).name, "controller.quorum.voters");
  EXPECT_THAT(std::string(Problem().message()),
              HasSubstr("nodes 1 and 2, but this node (1) one of nodes 1, 2 and 3"));
}

TEST_F(FoundingProblemsTest, SomebodyWhoAsksAndIsNotInTheListIsNamed) {
  view_.strangers[Id(4, 40)] = {
      .state = {.self = Id(4, 40), .address = "d:4", .voters = {}, .cluster_id = {}}, .last = {}};
  EXPECT_EQ(CodeOf(Problem()), ErrorCode::kInvalidConfig);
  EXPECT_EQ(DetailOf(Problem()).value, "4@d:4");
}

TEST_F(FoundingProblemsTest, ASecondProcessWithTheSameNodeIdIsNamed) {
  view_.strangers[Id(1, 11)] = {
      .state = {.self = Id(1, 11), .address = "a:9", .voters = {}, .cluster_id = {}}, .last = {}};
  EXPECT_EQ(CodeOf(Problem()), ErrorCode::kInconsistentNodeId);
  EXPECT_THAT(std::string(Problem().message()), HasSubstr("node 1 at a:9"));
}

TEST_F(FoundingProblemsTest, S19ADirectoryThatForgotItsPromiseIsRefused) {
  Answer(0, Founded(Id(2, 20), {Id(1, 10), Id(2, 20)}));
  EXPECT_EQ(CodeOf(Problem()), ErrorCode::kInvalidDirectory);
  EXPECT_THAT(std::string(Problem().message()), HasSubstr("restored or copied"));
  view_.record = {.phase = FoundingPhase::kPrepared,
                  .voters = Set({Id(1, 10), Id(2, 21)}),
                  .replaced = {Set({Id(1, 10), Id(2, 20)})}};
  EXPECT_THAT(std::string(Problem().message()), HasSubstr("put back"));
}

TEST_F(FoundingProblemsTest, ACopiedDirectoryIsNamed) {
  Answer(0, {.self = Id(2, 20), .address = "", .voters = {}, .cluster_id = {}});
  Answer(1, {.self = Id(3, 20), .address = "", .voters = {}, .cluster_id = {}});
  EXPECT_EQ(CodeOf(Problem()), ErrorCode::kInvalidDirectory);
  EXPECT_THAT(std::string(Problem().message()), HasSubstr("nodes 2 and 3"));
}

TEST_F(FoundingProblemsTest, AClusterIdThatIsNotThatOfItsVotersIsNamed) {
  FoundingState state = Founded(Id(2, 20), {Id(2, 20)});
  state.cluster_id = ClusterId(Uuid(9, 9));
  Answer(0, state);
  EXPECT_EQ(CodeOf(Problem()), ErrorCode::kCorruptMessage);
}

TEST_F(FoundingProblemsTest, APeerThatCountsOnAnotherDirectoryOfThisNodeIsNamed) {
  Answer(0, {.self = Id(2, 20),
             .address = "",
             .phase = FoundingPhase::kPrepared,
             .voters = Set({Id(1, 11), Id(2, 20), Id(3, 30)}),
             .cluster_id = {}});
  EXPECT_EQ(CodeOf(Problem()), ErrorCode::kInconsistentNodeId);
  EXPECT_EQ(DetailOf(Problem()).name, "node.id");
  EXPECT_THAT(std::string(Problem().message()), HasSubstr(Id(1, 11).directory.ToString()));
}

TEST_F(FoundingProblemsTest, OnceFoundedThereAreNone) {
  Answer(0, {.self = Id(5, 20), .address = "", .voters = {}, .cluster_id = {}});
  view_.record.phase = FoundingPhase::kFounded;
  EXPECT_THAT(FoundingProblems(view_), IsEmpty());
}

}  // namespace
}  // namespace millrace::raft
