#include "node/service/admin_forwarder.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/counters.h"
#include "base/status_matchers.h"
#include "base/system_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/service/admin_grpc.h"
#include "node/service/routed_method.h"
#include "rpc/server.h"
#include "rpc/status_mapping.h"
#include "rpc/testing/slow_link.h"

namespace millrace::node {
namespace {

using Held = std::vector<rpc::Reply<v1::RemoveControllerResponse>>;

// A node whose controller answers as the test says. DescribeQuorum reads, and answers with the
// node's own id; TransferControllerLeadership changes. RemoveController is held back for ever once
// it is decided.
class TestNode {
 public:
  using Decide = std::function<absl::Status(const rpc::CallContext&)>;

  TestNode(int id, Decide decide, const AdminForwarderOptions& options = {})
      : server_({.listeners = {{.name = "CONTROLLER", .host = "127.0.0.1", .port = 0}}}, &clock_,
                nullptr, &metrics_),
        forwarder_(options, NodeId(id), server_.queue(0)) {
    server_.AddService(&service_, v1::AdminService::service_full_name());
    const RoutedMethods methods{.service = v1::AdminService::service_full_name(),
                                .server = &server_,
                                .queue = server_.queue(0),
                                .forwarder = &forwarder_};
    RegisterRouted<v1::DescribeQuorumRequest, v1::DescribeQuorumResponse>(
        methods, &service_, &AdminGrpc::RequestDescribeQuorum, "DescribeQuorum", Access::kRead,
        [this, id, decide](const rpc::CallContext& context, const v1::DescribeQuorumRequest&,
                           rpc::Reply<v1::DescribeQuorumResponse> reply) {
          Asked();
          if (absl::Status status = decide(context); !status.ok()) return reply(status);
          v1::DescribeQuorumResponse response;
          response.set_leader_id(id);
          reply(std::move(response));
        });
    using Transfer = v1::TransferControllerLeadershipResponse;
    RegisterRouted<v1::TransferControllerLeadershipRequest, Transfer>(
        methods, &service_, &AdminGrpc::RequestTransferControllerLeadership,
        "TransferControllerLeadership", Access::kChange,
        [this, decide](const rpc::CallContext& context,
                       const v1::TransferControllerLeadershipRequest&, rpc::Reply<Transfer> reply) {
          Asked();
          if (absl::Status status = decide(context); !status.ok()) return reply(status);
          reply(Transfer());
        });
    RegisterRouted<v1::RemoveControllerRequest, v1::RemoveControllerResponse>(
        methods, &service_, &AdminGrpc::RequestRemoveController, "RemoveController",
        Access::kChange,
        [this, decide](const rpc::CallContext& context, const v1::RemoveControllerRequest&,
                       rpc::Reply<v1::RemoveControllerResponse> reply) {
          Asked();
          if (absl::Status status = decide(context); !status.ok()) return reply(status);
          held_.push_back(std::move(reply));
        });
    EXPECT_OK(server_.Start());
    stub_ = v1::AdminService::NewStub(
        grpc::CreateChannel(address(), grpc::InsecureChannelCredentials()));
  }
  ~TestNode() { Stop(); }

  void Stop() {
    server_.Shutdown(absl::ZeroDuration());
    server_.StopQueues();
  }

  int port() const { return server_.listeners().front().port; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port()); }
  LeaderHint AsLeader(int term) const {
    return {.leader = NodeId(9), .leader_epoch = LeaderEpoch(term), .address = address()};
  }
  AdminForwarder& forwarder() { return forwarder_; }
  int asked() const { return asked_.load(); }
  void WaitUntilAsked(int times) {
    for (int seen = asked_.load(); seen < times; seen = asked_.load()) asked_.wait(seen);
  }

  absl::StatusOr<int> Describe() {
    grpc::ClientContext context;
    v1::DescribeQuorumResponse response;
    const grpc::Status status = stub_->DescribeQuorum(&context, {}, &response);
    if (!status.ok()) return rpc::FromGrpcStatus(status);
    return response.leader_id();
  }
  absl::Status Transfer() {
    grpc::ClientContext context;
    v1::TransferControllerLeadershipResponse response;
    return rpc::FromGrpcStatus(stub_->TransferControllerLeadership(&context, {}, &response));
  }

 private:
  void Asked() {
    ++asked_;
    asked_.notify_all();
  }

  const SystemClock clock_{};
  MetricRegistry metrics_;
  AdminGrpc service_;
  std::atomic<int> asked_{0};
  Held held_;
  rpc::Server server_;
  AdminForwarder forwarder_;
  std::unique_ptr<v1::AdminService::StubInterface> stub_;
};

// A call under way while the test does something else.
class PendingRemove {
 public:
  explicit PendingRemove(const TestNode& node)
      : stub_(v1::AdminService::NewStub(
            grpc::CreateChannel(node.address(), grpc::InsecureChannelCredentials()))),
        call_(stub_->AsyncRemoveController(&context_, {}, &queue_)) {
    call_->Finish(&response_, &status_, this);
  }
  ~PendingRemove() { queue_.Shutdown(); }

  void Cancel() { context_.TryCancel(); }
  absl::Status Wait() {
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue_.Next(&tag, &ok));
    return rpc::FromGrpcStatus(status_);
  }

 private:
  grpc::CompletionQueue queue_;
  grpc::ClientContext context_;
  v1::RemoveControllerResponse response_;
  grpc::Status status_;
  std::unique_ptr<v1::AdminService::Stub> stub_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::RemoveControllerResponse>> call_;
};

TestNode::Decide Leads() {
  return [](const rpc::CallContext&) { return absl::OkStatus(); };
}
TestNode::Decide Refuses(const LeaderHint& hint = {}) {
  return [hint](const rpc::CallContext&) {
    return MakeError(ErrorCode::kNotController, "another leads", {.leader = hint});
  };
}

// An address on which nobody listens.
std::string DeadAddress() {
  TestNode node(8, Leads());
  return node.address();
}

TEST(AdminForwarder, S40AnyNodeAnswersWhoeverLeads) {
  std::atomic<bool> marked{false};
  TestNode leader(2, [&](const rpc::CallContext& context) {
    marked = context.forwarded;
    return absl::OkStatus();
  });
  TestNode follower(1, Refuses(leader.AsLeader(3)));
  const absl::StatusOr<int> answer = follower.Describe();
  ASSERT_OK(answer);
  EXPECT_EQ(*answer, 2);
  EXPECT_TRUE(marked);
  EXPECT_OK(leader.Describe());
  EXPECT_FALSE(marked);
  EXPECT_EQ(follower.asked(), 1);
}

// KIP-601.
TEST(AdminForwarder, AConnectionThatTakesLongToBeMadeIsGivenTheTime) {
  TestNode leader(2, Leads());
  const rpc::testdata::SlowLink link(leader.port(), absl::Milliseconds(1200));
  TestNode follower(
      1, Refuses({.leader = NodeId(9), .leader_epoch = LeaderEpoch(3), .address = link.address()}));
  absl::StatusOr<int> answer = absl::UnknownError("not asked");
  for (int i = 0; i < 10 && !answer.ok(); ++i) answer = follower.Describe();
  ASSERT_OK(answer.status());
  EXPECT_EQ(*answer, 2);
}

TEST(AdminForwarder, TheLeadersErrorArrivesUnchanged) {
  TestNode leader(2, [](const rpc::CallContext&) {
    return MakeError(ErrorCode::kInvalidConfig, "no such key", {.name = "key", .value = "7"});
  });
  TestNode follower(1, Refuses(leader.AsLeader(3)));
  const absl::Status direct = leader.Transfer();
  const absl::Status forwarded = follower.Transfer();
  EXPECT_EQ(forwarded.message(), direct.message());
  EXPECT_THAT(forwarded, HasCode(ErrorCode::kInvalidConfig));
  EXPECT_EQ(DetailOf(forwarded), DetailOf(direct));
}

TEST(AdminForwarder, S40TwoNodesThatNameEachOtherAnswerAfterOneHop) {
  LeaderHint to_first;
  TestNode second(2, [&](const rpc::CallContext&) {
    return MakeError(ErrorCode::kNotController, "second refuses", {.leader = to_first});
  });
  TestNode first(1, Refuses(second.AsLeader(3)));
  to_first = first.AsLeader(4);
  EXPECT_THAT(first.Transfer(), IsError(ErrorCode::kNotController, "second refuses"));
  EXPECT_EQ(first.asked(), 1);
  EXPECT_EQ(second.asked(), 1);
}

TEST(AdminForwarder, ARequestThatWaitsIsWokenByTheElection) {
  TestNode leader(2, Leads());
  LeaderHint elected;
  AdminForwarder* forwarder = nullptr;
  TestNode follower(1, [&](const rpc::CallContext&) {
    // Posted behind the refusal, which so begins to wait first.
    forwarder->SetLeader(elected);
    return MakeError(ErrorCode::kNotController, "no leader");
  });
  forwarder = &follower.forwarder();
  elected = leader.AsLeader(3);
  const absl::StatusOr<int> answer = follower.Describe();
  ASSERT_OK(answer);
  EXPECT_EQ(*answer, 2);
}

TEST(AdminForwarder, ALeaderThatIsGoneIsReplacedByTheNext) {
  TestNode next(2, [](const rpc::CallContext&) {
    return MakeError(ErrorCode::kInvalidRequest, "heard by the next");
  });
  const LeaderHint dead = {
      .leader = NodeId(7), .leader_epoch = LeaderEpoch(3), .address = DeadAddress()};
  TestNode follower(
      1, Refuses(dead),
      {.route = {.leader_wait_max = absl::Seconds(30), .retry_after = absl::Milliseconds(5)}});
  PendingRemove call(follower);
  follower.WaitUntilAsked(1);
  follower.forwarder().SetLeader(next.AsLeader(4));
  EXPECT_THAT(call.Wait(), IsError(ErrorCode::kInvalidRequest, "heard by the next"));
  EXPECT_EQ(next.asked(), 1);
}

TEST(AdminForwarder, WithoutALeaderTheAnswerIsNotControllerInTime) {
  TestNode follower(1, Refuses(), {.route = {.leader_wait_max = absl::Milliseconds(50)}});
  EXPECT_THAT(follower.Transfer(), IsError(ErrorCode::kNotController, "no controller leads"));
}

TEST(AdminForwarder, S23AChangeThatIsLostWithTheLeaderHasAnUnknownOutcome) {
  TestNode leader(2, Leads());
  TestNode next(3, Leads());
  TestNode follower(1, Refuses(leader.AsLeader(3)));
  PendingRemove call(follower);
  leader.WaitUntilAsked(1);
  leader.Stop();
  EXPECT_THAT(call.Wait(), HasCode(ErrorCode::kOutcomeUnknown));
  EXPECT_EQ(next.asked(), 0);
}

TEST(AdminForwarder, AChangeAtAReplacedLeaderIsNotAwaitedForLong) {
  TestNode leader(2, Leads());
  TestNode next(3, Leads());
  TestNode follower(1, Refuses(leader.AsLeader(3)),
                    {.route = {.replaced_leader_grace = absl::Milliseconds(5)}});
  PendingRemove call(follower);
  leader.WaitUntilAsked(1);
  LeaderHint elected = next.AsLeader(4);
  elected.leader = NodeId(3);
  follower.forwarder().SetLeader(elected);
  EXPECT_THAT(call.Wait(), HasCode(ErrorCode::kOutcomeUnknown));
  EXPECT_EQ(next.asked(), 0);
}

TEST(AdminForwarder, RequestsBeyondTheBoundAreRefused) {
  TestNode node(1, Leads(), {.calls_max = 0});
  EXPECT_THAT(node.Describe(), HasCode(ErrorCode::kResourceExhausted));
}

TEST(AdminForwarder, ACallerThatGoesWhileItsRequestWaitsIsForgotten) {
  std::atomic<bool> founded{false};
  TestNode node(1,
                [&](const rpc::CallContext&) {
                  return founded ? absl::OkStatus()
                                 : MakeError(ErrorCode::kNotController, "not yet");
                },
                {.route = {.leader_wait_max = absl::Minutes(5)}, .calls_max = 1});
  PendingRemove call(node);
  node.WaitUntilAsked(1);
  call.Cancel();
  EXPECT_THAT(call.Wait(), HasCode(ErrorCode::kCancelled));
  founded = true;
  // The server hears of it a little later; then there is room again.
  absl::StatusOr<int> second = node.Describe();
  while (CodeOf(second.status()) == ErrorCode::kResourceExhausted) second = node.Describe();
  EXPECT_OK(second);
}

}  // namespace
}  // namespace millrace::node
