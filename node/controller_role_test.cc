#include "node/controller_role.h"

#include <memory>
#include <optional>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/testing/sim_env.h"

namespace millrace::node {
namespace {

class ControllerRoleTest : public ::testing::Test {
 protected:
  ~ControllerRoleTest() override { role_.reset(); }

  absl::Status Start() {
    quorum_ = std::make_unique<RaftQuorumControl>(sim_.env.controller, sim_.env.clock, &leaders_);
    role_ = std::make_unique<ControllerRole>(ParseNodeConfig({}, "d").value(), sim_.env, nullptr,
                                             nullptr, &leaders_, quorum_.get());
    RETURN_IF_ERROR(role_->Open());
    std::optional<absl::Status> started;
    sim_.On([&] { role_->Start([&](absl::Status status) { started = status; }); });
    EXPECT_TRUE(sim_.Until([&] { return started.has_value(); }));
    return *started;
  }
  void End() {
    role_.reset();
    ASSERT_TRUE(sim_.loop.RunUntilIdle());
  }

  SimEnv sim_;
  controller::LeaderWatch leaders_;
  std::unique_ptr<RaftQuorumControl> quorum_;
  std::unique_ptr<ControllerRole> role_;
};

TEST_F(ControllerRoleTest, AloneItFoundsItsClusterOnce) {
  ASSERT_TRUE(Start().ok());
  EXPECT_TRUE(role_->led());
  EXPECT_EQ(role_->start_count(), 1);
  const ClusterId cluster = role_->host()->committed_image().cluster_id();
  EXPECT_FALSE(cluster.is_zero());
  End();
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(role_->start_count(), 2);
  EXPECT_EQ(role_->host()->committed_image().cluster_id(), cluster);
}

TEST_F(ControllerRoleTest, LostLogIsNotANewCluster) {
  ASSERT_TRUE(Start().ok());
  End();
  ASSERT_TRUE(RemoveTree(sim_.files, "d/metadata/wal").ok());
  EXPECT_EQ(CodeOf(Start()), ErrorCode::kInvalidDirectory);
}

TEST_F(ControllerRoleTest, DirectoryOfAnotherProcessIsRefusedAtTheOpening) {
  ASSERT_TRUE(Start().ok());
  ControllerRole second(ParseNodeConfig({}, "d").value(), sim_.env, nullptr, nullptr, &leaders_,
                        quorum_.get());
  EXPECT_EQ(CodeOf(second.Open()), ErrorCode::kDirectoryLocked);
}

}  // namespace
}  // namespace millrace::node
