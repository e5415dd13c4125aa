#include "node/session_decisions.h"

#include <optional>
#include <utility>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/testing/controller_fixture.h"

namespace millrace::node {
namespace {

using controller::SessionDecision;
using metadata::BrokerState;
using Kind = SessionDecision::Kind;

const DirectoryId kDirectory(Uuid(5, 5));

// A lone controller that leads, with broker 7 registered.
class SessionDecisionsTest : public ControllerFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Open());
    ASSERT_NO_FATAL_FAILURE(Lead());
    ASSERT_OK(Ask(controller::FoundClusterCommand{ClusterId(Uuid(1, 1))}));
    internal::v1::RegisterBrokerRequest request;
    request.set_broker_id(7);
    request.set_incarnation_id(IncarnationId(Uuid(7, 7)).ToBytes());
    request.add_log_dirs()->set_directory_id(kDirectory.ToBytes());
    auto* listener = request.add_listeners();
    listener->set_name("PLAINTEXT");
    listener->set_host("localhost");
    listener->set_port(9);
    request.set_feature_level_min(metadata::kFeatureLevelMin);
    request.set_feature_level_max(metadata::kFeatureLevelMax);
    ASSERT_OK(Ask(request));
  }

  template <class Request>
  absl::Status Ask(const Request& request) {
    std::optional<absl::Status> outcome;
    owner_->RunNow(
        [&] { host_->Submit(request, [&](auto reply, LogIndex) { outcome = reply.status(); }); });
    EXPECT_TRUE(loop_.RunUntil([&] { return outcome.has_value(); }, absl::Seconds(10)));
    return *outcome;
  }
  const metadata::BrokerImage& Broker() const {
    return *host_->committed_image().FindBroker(NodeId(7));
  }
  // Returns may_stop.
  absl::StatusOr<bool> Do(Kind kind) {
    SessionDecision decision{.kind = kind,
                             .broker = NodeId(7),
                             .epoch = Broker().epoch,
                             .applied = host_->committed_index(),
                             .directories = {kDirectory}};
    std::optional<absl::StatusOr<bool>> outcome;
    owner_->RunNow([&] {
      CarryOut(host_.get(), decision, [&](const absl::Status& status, bool may_stop) {
        outcome = status.ok() ? absl::StatusOr<bool>(may_stop) : status;
      });
    });
    EXPECT_TRUE(loop_.RunUntil([&] { return outcome.has_value(); }, absl::Seconds(10)));
    return *outcome;
  }
};

TEST_F(SessionDecisionsTest, EachDecisionIsACommandAndItsOutcomeComesBack) {
  EXPECT_EQ(Broker().state, BrokerState::kFenced);
  ASSERT_OK_AND_ASSIGN(bool may_stop, Do(Kind::kActivate));
  EXPECT_EQ(Broker().state, BrokerState::kActive);
  EXPECT_FALSE(may_stop);
  ASSERT_OK(Do(Kind::kSlowDirectories));
  EXPECT_TRUE(Broker().log_dirs[0].slow);
  ASSERT_OK(Do(Kind::kFailDirectories));
  EXPECT_TRUE(Broker().log_dirs[0].failed);
  ASSERT_OK_AND_ASSIGN(may_stop, Do(Kind::kShutDown));
  EXPECT_TRUE(may_stop);
  EXPECT_EQ(Broker().state, BrokerState::kShuttingDown);
  ASSERT_OK(Do(Kind::kFence));
  EXPECT_EQ(Broker().state, BrokerState::kFenced);
}

TEST_F(SessionDecisionsTest, WhatTheControllerRefusesIsTold) {
  SessionDecision decision{
      .kind = Kind::kFence, .broker = NodeId(7), .epoch = BrokerEpoch(1), .applied = LogIndex(1)};
  std::optional<absl::Status> outcome;
  owner_->RunNow([&] {
    CarryOut(host_.get(), decision, [&](const absl::Status& status, bool) { outcome = status; });
  });
  EXPECT_TRUE(loop_.RunUntil([&] { return outcome.has_value(); }, absl::Seconds(10)));
  EXPECT_THAT(*outcome, HasCode(ErrorCode::kStaleBrokerEpoch));
}

}  // namespace
}  // namespace millrace::node
