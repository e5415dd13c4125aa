#include "rpc/health_service.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using testdata::EchoServer;
using testdata::Watched;
using testing::ElementsAre;

absl::StatusOr<HealthCheckResponse::ServingStatus> Check(EchoServer& server,
                                                         const std::string& service) {
  HealthCheckRequest request;
  request.set_service(service);
  std::promise<absl::StatusOr<HealthCheckResponse>> done;
  StartUnaryTyped<HealthCheckResponse>(
      server.client(), server.Channel(), "/grpc.health.v1.Health/Check", request, {},
      [&](absl::StatusOr<HealthCheckResponse> response) { done.set_value(std::move(response)); });
  ASSIGN_OR_RETURN(HealthCheckResponse response, done.get_future().get());
  return response.status();
}

TEST(HealthService, SaysWhatItWasTold) {
  EchoServer server;
  EXPECT_EQ(*Check(server, ""), HealthCheckResponse::NOT_SERVING);
  server.server().SetServing(true);
  EXPECT_EQ(*Check(server, ""), HealthCheckResponse::SERVING);
  EXPECT_EQ(*Check(server, "millrace.rpc.testdata.EchoService"), HealthCheckResponse::SERVING);
  server.server().SetServing(false);
  EXPECT_EQ(*Check(server, ""), HealthCheckResponse::NOT_SERVING);
}

TEST(HealthService, DoesNotKnowWhatIsNotServed) {
  EchoServer server;
  EXPECT_THAT(Check(server, "no.such.Service").status(),
              IsError(ErrorCode::kUnknownServerError, "no.such.Service"));
}

// An orchestrator would else kill a process for a disk that hangs.
TEST(HealthService, S37_AnswersWhileProducersWaitForMemory) {
  MemoryBudget budget(1 << 20);
  EchoServer server({}, ReadGate::Create(&budget));
  server.server().SetServing(true);
  const Reservation hung = budget.ReserveAlways(budget.limit_bytes());
  EXPECT_EQ(*Check(server, ""), HealthCheckResponse::SERVING);
}

class WatchHandler final : public ClientStreamHandler {
 public:
  explicit WatchHandler(Watched<std::vector<int>>* seen) : seen_(seen) {}
  void OnMessage(Bytes message) override {
    const auto response = ParseMessage<HealthCheckResponse>(message);
    seen_->Change([&](std::vector<int>& s) { s.push_back(response->status()); });
  }
  void OnDone(absl::Status) override {
    seen_->Change([](std::vector<int>& s) { s.push_back(-1); });
  }

 private:
  Watched<std::vector<int>>* const seen_;
};

TEST(HealthService, WatchTellsEachChangeAndEndsWithTheServer) {
  EchoServer server;
  Watched<std::vector<int>> seen;
  StartStream(server.client(), server.Channel(), "/grpc.health.v1.Health/Watch",
              {.timeout = absl::InfiniteDuration()}, [&](std::shared_ptr<ClientStream> stream) {
                stream->Write(SerializeMessage(HealthCheckRequest()));
                stream->WritesDone();
                return std::make_unique<WatchHandler>(&seen);
              });
  ASSERT_TRUE(seen.Wait([](const std::vector<int>& s) { return s.size() == 1; }));
  server.server().SetServing(true);
  server.server().SetServing(true);
  ASSERT_TRUE(seen.Wait([](const std::vector<int>& s) { return s.size() == 2; }));
  server.server().Shutdown(absl::Seconds(5));
  ASSERT_TRUE(seen.Wait([](const std::vector<int>& s) { return s.back() == -1; }));
  EXPECT_THAT(seen.Get(),
              ElementsAre(HealthCheckResponse::NOT_SERVING, HealthCheckResponse::SERVING,
                          HealthCheckResponse::NOT_SERVING, -1));
}

}  // namespace
}  // namespace millrace::rpc
