#include "controller/feature_commands.h"

#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "controller/testing/test_cluster.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::controller {
namespace {

constexpr int kMax = metadata::kFeatureLevelMax;

// Founded at level 1, with one controller of this program.
class FeatureCommandsTest : public ::testing::Test {
 protected:
  template <class Command>
  auto Run(const Command& command) {
    auto decision = Machine::Decide(state_, command, rsm::Now{});
    records_ = decision.records;
    if (!records_.empty()) state_ = Machine::Apply(state_, state_.image.index() + 1, records_);
    return decision.reply;
  }
  FeatureCommandsTest() : state_(MakeState({}, std::make_shared<const Settings>())) {
    EXPECT_OK(Run(FoundClusterCommand{ClusterId(Uuid(7, 7)), 1}));
  }

  void Register(int id, int level_min, int level_max) {
    auto request = TestCluster::Registration(id, 1, {{TestCluster::DirectoryOf(id)}});
    request.set_feature_level_min(level_min);
    request.set_feature_level_max(level_max);
    EXPECT_OK(Run(request));
  }
  auto Raise(int level, bool dry_run = false) {
    RaiseFeatureLevelCommand command{.request = {}, .controllers = controllers_};
    command.request.set_level(level);
    command.request.set_validate_only(dry_run);
    return Run(command);
  }

  State state_;
  std::vector<rsm::Record> records_;
  std::vector<ControllerFeatures> controllers_ = {{NodeId(1), 1, kMax, "0.1.0"}};
};

TEST_F(FeatureCommandsTest, RaisingIsOneRecord) {
  Register(101, 1, kMax);
  ASSERT_OK_AND_ASSIGN(const auto reply, Raise(2));
  EXPECT_EQ(reply.level_before(), 1);
  EXPECT_EQ(reply.level(), 2);
  EXPECT_EQ(records_.size(), 1u);
  EXPECT_EQ(state_.image.feature_level(), 2);
}

TEST_F(FeatureCommandsTest, NoLevelMeansTheHighestThatAllKnow) {
  Register(101, 1, kMax + 7);
  ASSERT_OK_AND_ASSIGN(const auto reply, Raise(0));
  EXPECT_EQ(reply.level(), kMax);
}

TEST_F(FeatureCommandsTest, ADryRunChangesNothing) {
  ASSERT_OK_AND_ASSIGN(const auto reply, Raise(2, /*dry_run=*/true));
  EXPECT_EQ(reply.level(), 2);
  EXPECT_TRUE(records_.empty());
  EXPECT_EQ(state_.image.feature_level(), 1);
}

TEST_F(FeatureCommandsTest, ABrokerThatDoesNotKnowTheLevelHoldsItBackEvenFenced) {
  Register(101, 1, kMax);
  Register(102, 1, 1);
  EXPECT_THAT(Raise(2), IsError(ErrorCode::kUnsupportedVersion, "broker 102 (levels 1 to 1)"));
  EXPECT_THAT(Raise(2, /*dry_run=*/true), HasCode(ErrorCode::kUnsupportedVersion));
  EXPECT_EQ(state_.image.feature_level(), 1);
  // It comes back with a newer program.
  auto newer = TestCluster::Registration(102, 2, {{TestCluster::DirectoryOf(102)}});
  EXPECT_OK(Run(newer));
  EXPECT_OK(Raise(2));
}

TEST_F(FeatureCommandsTest, AControllerThatWasNotHeardOfHoldsItBack) {
  controllers_.push_back({NodeId(3), 0, 0, ""});
  EXPECT_THAT(Raise(2), IsError(ErrorCode::kUnsupportedVersion, "controller 3 (not heard of"));
  ASSERT_OK_AND_ASSIGN(const auto reply, Raise(0));
  EXPECT_EQ(reply.level(), 1);
}

TEST_F(FeatureCommandsTest, ALevelOfTheFutureIsRefusedWithWhoDoesNotKnowIt) {
  EXPECT_THAT(Raise(kMax + 1), IsError(ErrorCode::kUnsupportedVersion, "controller 1 (levels"));
  controllers_[0].level_max = kMax + 1;
  EXPECT_THAT(Raise(kMax + 1), IsError(ErrorCode::kUnsupportedVersion, "the active controller"));
}

TEST_F(FeatureCommandsTest, TheLevelIsNeverLoweredAndTheSameChangesNothing) {
  EXPECT_OK(Raise(2));
  EXPECT_THAT(Raise(1), IsError(ErrorCode::kInvalidRequest, "never lowered"));
  ASSERT_OK_AND_ASSIGN(const auto reply, Raise(2));
  EXPECT_EQ(reply.level_before(), 2);
  EXPECT_TRUE(records_.empty());
}

TEST_F(FeatureCommandsTest, ABrokerThatDoesNotKnowTheClustersLevelIsRefusedWithBoth_KIP584) {
  EXPECT_OK(Raise(2));
  auto request = TestCluster::Registration(101, 1, {{TestCluster::DirectoryOf(101)}});
  request.set_feature_level_max(1);
  EXPECT_THAT(Run(request),
              IsError(ErrorCode::kUnsupportedVersion, "levels 1 to 1, the cluster is at 2"));
}

TEST_F(FeatureCommandsTest, DescriptionHasTheLevelAndWhatEachNodeKnows) {
  Register(101, 1, 1);
  controllers_.push_back({NodeId(2), 0, 0, ""});
  ASSERT_OK_AND_ASSIGN(const auto features, Run(DescribeFeaturesCommand{controllers_}));
  EXPECT_EQ(features.feature_level(), 1);
  EXPECT_EQ(features.level_supported(), 1);
  ASSERT_EQ(features.nodes_size(), 3);
  EXPECT_EQ(features.nodes(0).level_max(), kMax);
  EXPECT_EQ(features.nodes(0).version(), "0.1.0");
  EXPECT_FALSE(features.nodes(1).has_level_max());
  EXPECT_EQ(features.nodes(2).node_id(), 101);
  EXPECT_EQ(features.nodes(2).role(), v1::NODE_ROLE_BROKER);
}

}  // namespace
}  // namespace millrace::controller
