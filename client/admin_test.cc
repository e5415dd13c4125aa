#include "client/admin.h"

#include <atomic>
#include <functional>

#include "base/counters.h"
#include "base/status_matchers.h"
#include "base/system_clock.h"
#include "base/thread_executor.h"
#include "client/fake_log_server.h"
#include "millrace/v1/admin_service.grpc.pb.h"
#include "record/batch_builder.h"
#include "rpc/listen_socket.h"
#include "rpc/server.h"
#include "rpc/testing/slow_link.h"
#include "rpc/unary_call.h"

namespace millrace::client {
namespace {

using testing::HasSubstr;

// A server that answers ListTopics as the test says, and nothing else.
class FakeAdminServer {
 public:
  using Decide = std::function<absl::StatusOr<v1::ListTopicsResponse>(int call)>;

  // `starts`: serves at once. Else who connects is kept waiting until Serve.
  explicit FakeAdminServer(Decide decide, bool starts = true)
      : server_({.listeners = {{.name = "A", .host = "127.0.0.1", .port = 0}}}, &clock_, nullptr,
                &metrics_) {
    server_.AddService(&service_, v1::AdminService::service_full_name());
    rpc::RegisterUnary(
        &server_, server_.queue(0), &service_, &v1::AdminService::AsyncService::RequestListTopics,
        [this, decide](const rpc::CallContext&, v1::ListTopicsRequest,
                       rpc::Reply<v1::ListTopicsResponse> reply) { reply(decide(++calls_)); });
    // Held back for ever: a server that hangs, unless the test says otherwise.
    rpc::RegisterUnary(&server_, server_.queue(0), &service_,
                       &v1::AdminService::AsyncService::RequestDescribeCluster,
                       [this](const rpc::CallContext&, v1::DescribeClusterRequest,
                              rpc::Reply<v1::DescribeClusterResponse> reply) {
                         ++calls_;
                         if (describes_) return reply(v1::DescribeClusterResponse());
                         held_.push_back(std::move(reply));
                       });
    rpc::RegisterUnary(&server_, server_.queue(0), &service_,
                       &v1::AdminService::AsyncService::RequestRemoveController,
                       [this](const rpc::CallContext&, v1::RemoveControllerRequest,
                              rpc::Reply<v1::RemoveControllerResponse> reply) {
                         lost_.push_back(std::move(reply));
                         ++calls_;
                         calls_.notify_all();
                       });
    rpc::RegisterUnary(&server_, server_.queue(0), &service_,
                       &v1::AdminService::AsyncService::RequestCreateTopics,
                       [this](const rpc::CallContext&, v1::CreateTopicsRequest request,
                              rpc::Reply<v1::CreateTopicsResponse> reply) {
                         created_.push_back(std::move(request));
                         reply(on_create_(static_cast<int>(created_.size())));
                       });
    // Of the first call nobody knows what became.
    rpc::RegisterUnary(&server_, server_.queue(0), &service_,
                       &v1::AdminService::AsyncService::RequestRaiseFeatureLevel,
                       [this](const rpc::CallContext&, v1::RaiseFeatureLevelRequest,
                              rpc::Reply<v1::RaiseFeatureLevelResponse> reply) {
                         if (++calls_ > 1) return reply(v1::RaiseFeatureLevelResponse());
                         reply(MakeError(ErrorCode::kOutcomeUnknown, "leadership was lost"));
                       });
    // So here.
    rpc::RegisterUnary(&server_, server_.queue(0), &service_,
                       &v1::AdminService::AsyncService::RequestElectLeaders,
                       [this](const rpc::CallContext&, v1::ElectLeadersRequest,
                              rpc::Reply<v1::ElectLeadersResponse> reply) {
                         if (++calls_ > 1) return reply(v1::ElectLeadersResponse());
                         reply(MakeError(ErrorCode::kOutcomeUnknown, "leadership was lost"));
                       });
    EXPECT_OK(server_.Bind());
    if (starts) Serve();
  }
  ~FakeAdminServer() { Stop(); }

  void Serve() { EXPECT_OK(server_.Start()); }

  void Stop() {
    server_.Shutdown(absl::ZeroDuration());
    server_.StopQueues();
  }

  int port() const { return server_.listeners().front().port; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port()); }
  int calls() const { return calls_; }
  using Create = std::function<absl::StatusOr<v1::CreateTopicsResponse>(int call)>;
  // Before the first call.
  void OnCreate(Create create) { on_create_ = std::move(create); }
  // Before the first call.
  void Describe() { describes_ = true; }
  // REQUIRES: no call is under way.
  const std::vector<v1::CreateTopicsRequest>& created() const { return created_; }
  void WaitForCall() { calls_.wait(0); }

 private:
  const SystemClock clock_;
  MetricRegistry metrics_;
  v1::AdminService::AsyncService service_;
  std::atomic<int> calls_{0};
  Create on_create_;
  bool describes_ = false;
  std::vector<v1::CreateTopicsRequest> created_;
  rpc::Server server_;
  // Their calls end on the server's queue.
  std::vector<rpc::Reply<v1::DescribeClusterResponse>> held_;
  std::vector<rpc::Reply<v1::RemoveControllerResponse>> lost_;
};

absl::StatusOr<v1::ListTopicsResponse> OneTopic(int) {
  v1::ListTopicsResponse response;
  response.add_topics()->set_name("orders");
  return response;
}

TEST(Admin, RefusesMalformedAddresses) {
  EXPECT_THAT(Admin::Create({"localhost"}, absl::Seconds(1)),
              IsError(ErrorCode::kInvalidConfig, "has no port"));
}

TEST(Admin, ReturnsTheAnswer) {
  FakeAdminServer server(OneTopic);
  ASSERT_OK_AND_ASSIGN(auto admin, Admin::Create({server.address()}, absl::Seconds(20)));
  ASSERT_OK_AND_ASSIGN(const auto response, admin->ListTopics({}));
  ASSERT_EQ(response.topics_size(), 1);
  EXPECT_EQ(response.topics(0).name(), "orders");
}

TEST(Admin, TriesTheNextServerWhenOneCannotBeReached) {
  FakeAdminServer server(OneTopic);
  ASSERT_OK_AND_ASSIGN(auto admin,
                       Admin::Create({"127.0.0.1:1", server.address()}, absl::Seconds(20)));
  EXPECT_OK(admin->ListTopics({}));
  EXPECT_OK(admin->ListTopics({}));
}

TEST(Admin, NamesTheAddressesTriedWhenNobodyIsThere) {
  ASSERT_OK_AND_ASSIGN(auto admin,
                       Admin::Create({"127.0.0.1:1", "127.0.0.1:2"}, absl::Seconds(20)));
  const absl::Status status = admin->ListTopics({}).status();
  EXPECT_THAT(status, HasCode(ErrorCode::kBrokerNotAvailable));
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(HasSubstr("127.0.0.1:1 ("), HasSubstr("127.0.0.1:2 ("),
                             HasSubstr("millrace server")));
}

TEST(Admin, OneThatIsSilentDoesNotKeepTheOthersWaiting) {
  FakeAdminServer silent(OneTopic, /*starts=*/false);
  FakeAdminServer server(OneTopic);
  ASSERT_OK_AND_ASSIGN(auto admin,
                       Admin::Create({silent.address(), server.address()}, absl::Seconds(60)));
  const SystemClock clock;
  const MonotonicTime began = clock.Now();
  EXPECT_OK(admin->ListTopics({}));
  EXPECT_LT(clock.Now() - began, absl::Seconds(10));
}

// KIP-601: a connection that takes long to be made is waited for in the end.
TEST(Admin, AServerThatIsFarAwayIsGivenTheTime) {
  FakeAdminServer silent(OneTopic, /*starts=*/false);
  FakeAdminServer far(OneTopic, /*starts=*/false);
  const SystemClock clock;
  ThreadExecutor later("later");
  later.PostAt(clock.Now() + absl::Milliseconds(2500), [&] { far.Serve(); });
  ASSERT_OK_AND_ASSIGN(auto admin,
                       Admin::Create({silent.address(), far.address()}, absl::Seconds(60)));
  EXPECT_OK(admin->ListTopics({}));
}

TEST(Admin, AServerThatIsFarAwayIsFoundAgainAfterACallThatReachedNobody) {
  FakeAdminServer far(OneTopic, /*starts=*/false);
  const rpc::testdata::SlowLink one(far.port(), absl::Milliseconds(700));
  const rpc::testdata::SlowLink other(far.port(), absl::Milliseconds(700));
  ASSERT_OK_AND_ASSIGN(auto admin,
                       Admin::Create({one.address(), other.address()}, absl::Seconds(6)));
  EXPECT_THAT(admin->ListTopics({}), HasCode(ErrorCode::kBrokerNotAvailable));
  far.Serve();
  EXPECT_OK(admin->ListTopics({}));
}

TEST(Admin, TheOnlyServerIsWaitedFor) {
  FakeAdminServer far(OneTopic, /*starts=*/false);
  const SystemClock clock;
  ThreadExecutor later("later");
  later.PostAt(clock.Now() + absl::Milliseconds(1500), [&] { far.Serve(); });
  ASSERT_OK_AND_ASSIGN(auto admin, Admin::Create({far.address()}, absl::Seconds(60)));
  EXPECT_OK(admin->ListTopics({}));
}

TEST(Admin, TriesAgainWhileThereIsNoController) {
  FakeAdminServer server([](int call) -> absl::StatusOr<v1::ListTopicsResponse> {
    if (call < 3) return MakeError(ErrorCode::kNotController, "no controller is elected yet");
    return OneTopic(call);
  });
  ASSERT_OK_AND_ASSIGN(auto admin, Admin::Create({server.address()}, absl::Seconds(20)));
  EXPECT_OK(admin->ListTopics({}));
  EXPECT_EQ(server.calls(), 3);
}

TEST(Admin, PassesOnWhatTheServerDecides) {
  FakeAdminServer server([](int) -> absl::StatusOr<v1::ListTopicsResponse> {
    return MakeError(ErrorCode::kAuthorizationFailed, "not you");
  });
  ASSERT_OK_AND_ASSIGN(auto admin, Admin::Create({server.address()}, absl::Seconds(20)));
  EXPECT_THAT(admin->ListTopics({}), IsError(ErrorCode::kAuthorizationFailed, "not you"));
  EXPECT_EQ(server.calls(), 1);
}

TEST(Admin, AQuestionThatOneServerDoesNotAnswerIsPutToTheNext) {
  FakeAdminServer hangs(OneTopic);
  FakeAdminServer answers(OneTopic);
  answers.Describe();
  ASSERT_OK_AND_ASSIGN(auto admin,
                       Admin::Create({hangs.address(), answers.address()}, absl::Seconds(4)));
  EXPECT_OK(admin->DescribeCluster({}));
  EXPECT_EQ(hangs.calls(), 1);
  // The next one begins with whom answered.
  EXPECT_OK(admin->DescribeCluster({}));
  EXPECT_EQ(hangs.calls(), 1);
  EXPECT_EQ(answers.calls(), 2);
}

TEST(Admin, S23AChangeThatWasLostWithItsServerIsNotSentToTheNext) {
  FakeAdminServer first(OneTopic);
  FakeAdminServer second(OneTopic);
  ASSERT_OK_AND_ASSIGN(auto admin,
                       Admin::Create({first.address(), second.address()}, absl::Seconds(20)));
  ThreadExecutor killer("killer");
  killer.Post([&] {
    first.WaitForCall();
    first.Stop();
  });
  EXPECT_THAT(admin->RemoveController({}),
              IsError(ErrorCode::kOutcomeUnknown, "describe before trying again"));
  killer.Shutdown();
  EXPECT_EQ(second.calls(), 0);
  EXPECT_OK(admin->ListTopics({}));
}

v1::CreateTopicsRequest OneCreation() {
  v1::CreateTopicsRequest request;
  request.add_topics()->set_name("orders");
  return request;
}

absl::StatusOr<v1::CreateTopicsResponse> Created(int) {
  v1::CreateTopicsResponse response;
  response.add_topics()->set_name("orders");
  return response;
}

absl::Status Unknown() { return MakeError(ErrorCode::kOutcomeUnknown, "leadership was lost"); }

TEST(Admin, S39_ChangeOfUnknownOutcomeIsSentAgainUnderItsId) {
  FakeAdminServer first(OneTopic);
  FakeAdminServer second(OneTopic);
  first.OnCreate([](int) { return Unknown(); });
  second.OnCreate([](int call) { return call == 1 ? Unknown() : Created(call); });
  ASSERT_OK_AND_ASSIGN(auto admin,
                       Admin::Create({first.address(), second.address()}, absl::Seconds(20)));
  EXPECT_OK(admin->CreateTopics(OneCreation()));
  ASSERT_EQ(second.created().size(), 2u);
  const v1::RequestId& id = first.created().front().request_id();
  EXPECT_EQ(id.client_id().size(), 16u);
  EXPECT_EQ(id.sequence(), 1);
  EXPECT_FALSE(id.retry());
  const v1::RequestId& again = second.created().back().request_id();
  EXPECT_EQ(again.client_id(), id.client_id());
  EXPECT_EQ(again.sequence(), 1);
  EXPECT_TRUE(again.retry());
  // The next change is another request.
  EXPECT_OK(admin->CreateTopics(OneCreation()));
  EXPECT_EQ(second.created().back().request_id().client_id(), id.client_id());
  EXPECT_EQ(second.created().back().request_id().sequence(), 2);
}

TEST(Admin, WhatChangesNothingMoreTheSecondTimeIsSentAgainAsItIs) {
  FakeAdminServer server(OneTopic);
  ASSERT_OK_AND_ASSIGN(auto admin, Admin::Create({server.address()}, absl::Seconds(20)));
  EXPECT_OK(admin->RaiseFeatureLevel({}));
  EXPECT_EQ(server.calls(), 2);
}

TEST(Admin, AnUncleanElectionIsNotRepeatedSinceTheSecondAnswerWouldHideWhatTheFirstLost) {
  FakeAdminServer server(OneTopic);
  ASSERT_OK_AND_ASSIGN(auto admin, Admin::Create({server.address()}, absl::Seconds(20)));
  v1::ElectLeadersRequest request;
  request.set_type(v1::ELECTION_TYPE_UNCLEAN);
  EXPECT_THAT(admin->ElectLeaders(request),
              IsError(ErrorCode::kOutcomeUnknown, "describe before trying again"));
  EXPECT_EQ(server.calls(), 1);

  FakeAdminServer other(OneTopic);
  ASSERT_OK_AND_ASSIGN(admin, Admin::Create({other.address()}, absl::Seconds(20)));
  request.set_type(v1::ELECTION_TYPE_PREFERRED);
  EXPECT_OK(admin->ElectLeaders(request));
  EXPECT_EQ(other.calls(), 2);
}

TEST(Admin, S39_RefusalAfterAnUnknownOutcomeDoesNotMakeItKnown) {
  FakeAdminServer server(OneTopic);
  server.OnCreate([](int call) -> absl::StatusOr<v1::CreateTopicsResponse> {
    if (call == 1) return Unknown();
    return MakeError(ErrorCode::kNotController, "no controller is elected yet");
  });
  ASSERT_OK_AND_ASSIGN(auto admin, Admin::Create({server.address()}, absl::Milliseconds(500)));
  EXPECT_THAT(admin->CreateTopics(OneCreation()), HasCode(ErrorCode::kOutcomeUnknown));
  EXPECT_GT(server.created().size(), 1u);
}

TEST(Admin, S39_ForgottenRequestIsNotAskedForAgain) {
  FakeAdminServer server(OneTopic);
  server.OnCreate(
      [](int) { return MakeError(ErrorCode::kOutcomeUnknown, "too old", {.name = "request_id"}); });
  ASSERT_OK_AND_ASSIGN(auto admin, Admin::Create({server.address()}, absl::Seconds(20)));
  EXPECT_THAT(admin->CreateTopics(OneCreation()), IsError(ErrorCode::kOutcomeUnknown, "too old"));
  EXPECT_EQ(server.created().size(), 1u);
}

TEST(Admin, S39_CallersOwnIdIsKeptAndADryRunHasNone) {
  FakeAdminServer server(OneTopic);
  server.OnCreate(Created);
  ASSERT_OK_AND_ASSIGN(auto admin, Admin::Create({server.address()}, absl::Seconds(20)));
  v1::CreateTopicsRequest request = OneCreation();
  request.mutable_request_id()->set_client_id(std::string(16, 'x'));
  request.mutable_request_id()->set_sequence(44);
  EXPECT_OK(admin->CreateTopics(request));
  EXPECT_EQ(server.created().back().request_id().client_id(), std::string(16, 'x'));
  EXPECT_EQ(server.created().back().request_id().sequence(), 44);
  request = OneCreation();
  request.set_validate_only(true);
  EXPECT_OK(admin->CreateTopics(request));
  EXPECT_FALSE(server.created().back().has_request_id());
}

TEST(Admin, DeletesRecordsAtTheLogService) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  record::BatchBuilder builder({});
  builder.Add(1, absl::nullopt, Slice("old"));
  server.Append("t", 0, builder.Build());
  ASSERT_OK_AND_ASSIGN(auto admin, Admin::Create({server.address()}, absl::Seconds(20)));
  v1::DeleteRecordsRequest request;
  v1::DeleteRecordsPartition* partition = request.add_partitions();
  partition->set_topic("t");
  partition->set_before_offset(-1);
  ASSERT_OK_AND_ASSIGN(const auto response, admin->DeleteRecords(request));
  ASSERT_EQ(response.partitions_size(), 1);
  EXPECT_EQ(response.partitions(0).log_start_offset(), 1);
  EXPECT_THAT(server.Values("t", 0), testing::IsEmpty());
}

TEST(Admin, TellsWhichServerDidNotAnswerInTime) {
  FakeAdminServer server(OneTopic);
  ASSERT_OK_AND_ASSIGN(auto admin, Admin::Create({server.address()}, absl::Milliseconds(50)));
  EXPECT_THAT(admin->DescribeCluster({}), IsError(ErrorCode::kRequestTimedOut, server.address()));
  FakeAdminServer other(OneTopic);
  ASSERT_OK_AND_ASSIGN(admin, Admin::Create({server.address(), other.address()}, absl::Seconds(2)));
  EXPECT_THAT(admin->DescribeCluster({}), IsError(ErrorCode::kRequestTimedOut, other.address()));
  EXPECT_EQ(other.calls(), 1);
}

}  // namespace
}  // namespace millrace::client
