#include "node/service/grpc_controller_link.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/counters.h"
#include "base/status_matchers.h"
#include "base/system_clock.h"
#include "gmock/gmock.h"
#include "millrace/internal/v1/controller_service.grpc.pb.h"
#include "rpc/listen_socket.h"
#include "rpc/parsed_call.h"
#include "rpc/server.h"
#include "rpc/stream_call.h"

namespace millrace::node {
namespace {

using internal::v1::BrokerSessionRequest;
using internal::v1::BrokerSessionResponse;

// What another thread says once.
template <class T>
class Told {
 public:
  void Set(T value) {
    value_ = std::move(value);
    ready_.store(true);
    ready_.notify_all();
  }
  T Get() {
    ready_.wait(false);
    return *value_;
  }

 private:
  std::optional<T> value_;
  std::atomic<bool> ready_{false};
};

// The address of a port on which nobody listens any more.
std::string DeadAddress() {
  const auto sockets = rpc::Listen({.name = "x", .host = "127.0.0.1", .port = 0});
  return absl::StrCat("127.0.0.1:", sockets->front().address.port);
}

// Answers each request with its applied index, and ends a stream that wants to shut down.
class EchoSession final : public rpc::StreamHandler {
 public:
  explicit EchoSession(std::shared_ptr<rpc::ServerStream> stream) : stream_(std::move(stream)) {}
  void OnMessage(Bytes message) override {
    const auto request = rpc::ParseMessage<BrokerSessionRequest>(message);
    if (request->want_shutdown()) {
      return stream_->Finish(MakeError(
          ErrorCode::kNotController, "another",
          {.leader = LeaderHint{
               .leader = NodeId(2), .leader_epoch = LeaderEpoch(3), .address = "there:1"}}));
    }
    BrokerSessionResponse response;
    response.mutable_state()->set_committed_index(request->applied_index());
    stream_->Write(rpc::SerializeMessage(response));
  }
  void OnHalfClose() override {}
  void OnDone(bool) override {}

 private:
  const std::shared_ptr<rpc::ServerStream> stream_;
};

class GrpcControllerLinkTest : public ::testing::Test {
 protected:
  using V1 = internal::v1::ControllerService;
  using Service = V1::WithRawMethod_BrokerSession<V1::WithRawMethod_RegisterBroker<V1::Service>>;

  GrpcControllerLinkTest()
      : server_({.listeners = {{.name = "C", .host = "127.0.0.1", .port = 0}}}, &clock_, nullptr,
                &metrics_) {
    server_.AddService(&service_, V1::service_full_name());
    rpc::RegisterStream(&server_, server_.queue(0), &service_, &Service::RequestBrokerSession,
                        [](std::shared_ptr<rpc::ServerStream> stream) {
                          return std::make_unique<EchoSession>(std::move(stream));
                        });
    rpc::RegisterParsed<internal::v1::RegisterBrokerRequest, internal::v1::RegisterBrokerResponse>(
        &server_, server_.queue(0), &service_, &Service::RequestRegisterBroker,
        [](const rpc::CallContext&, const internal::v1::RegisterBrokerRequest& request,
           rpc::Reply<internal::v1::RegisterBrokerResponse> reply) {
          internal::v1::RegisterBrokerResponse response;
          response.set_broker_epoch(request.broker_id() + 1);
          reply(std::move(response));
        });
    EXPECT_OK(server_.Start());
    address_ = absl::StrCat("127.0.0.1:", server_.listeners()[0].port);
  }
  ~GrpcControllerLinkTest() override {
    Run([this] { stream_.reset(); });
    server_.Shutdown(absl::ZeroDuration());
    server_.StopQueues();
  }

  // On the link's queue, to the end.
  void Run(std::function<void()> step) {
    Told<bool> done;
    queue_.Post([&] {
      step();
      done.Set(true);
    });
    done.Get();
  }
  static BrokerSessionRequest Applied(int64_t index) {
    BrokerSessionRequest request;
    request.set_applied_index(index);
    return request;
  }

  SystemClock clock_;
  MetricRegistry metrics_;
  Service service_;
  rpc::Server server_;
  std::string address_;
  rpc::CompletionQueueExecutor queue_{&clock_, "link"};
  GrpcControllerLink link_{&queue_};
  std::unique_ptr<ControllerLink::Stream> stream_;
};

TEST_F(GrpcControllerLinkTest, SessionBringsAnswersAndItsEndWithTheHint) {
  Told<int64_t> first;
  Told<absl::Status> ended;
  Run([&] {
    stream_ = link_.OpenSession(address_, Applied(5), absl::Seconds(1), [&](auto response) {
      if (!response.ok()) return ended.Set(response.status());
      if (response->state().committed_index() == 5) first.Set(5);
    });
  });
  EXPECT_EQ(first.Get(), 5);
  BrokerSessionRequest leave;
  leave.set_want_shutdown(true);
  Run([&] { stream_->Send(leave); });
  const absl::Status status = ended.Get();
  EXPECT_THAT(status, HasCode(ErrorCode::kNotController));
  EXPECT_EQ(DetailOf(status).leader->address, "there:1");
}

TEST_F(GrpcControllerLinkTest, StreamMayBeDestroyedByWhatItBrings) {
  Told<bool> done;
  Run([&] {
    stream_ = link_.OpenSession(address_, Applied(5), absl::Seconds(1), [&](auto) {
      stream_.reset();
      done.Set(true);
    });
  });
  done.Get();
  // Nothing comes after that.
  Run([&] { EXPECT_EQ(stream_, nullptr); });
}

TEST_F(GrpcControllerLinkTest, QuestionIsAnsweredOnTheQueue) {
  Told<int64_t> epoch;
  Run([&] {
    internal::v1::RegisterBrokerRequest request;
    request.set_broker_id(41);
    link_.RegisterBroker(address_, request, absl::Seconds(10), [&](auto response) {
      EXPECT_TRUE(queue_.IsCurrent());
      epoch.Set(response->broker_epoch());
    });
  });
  EXPECT_EQ(epoch.Get(), 42);
}

TEST_F(GrpcControllerLinkTest, UnreachableControllerIsAnErrorForBoth) {
  const std::string dead = DeadAddress();
  Told<absl::Status> ended;
  Told<absl::Status> refused;
  Run([&] {
    stream_ = link_.OpenSession(dead, Applied(0), absl::Seconds(1),
                                [&](auto response) { ended.Set(response.status()); });
    link_.AlterPartition(dead, {}, absl::Seconds(10),
                         [&](auto response) { refused.Set(response.status()); });
  });
  EXPECT_THAT(ended.Get(), HasCode(ErrorCode::kBrokerNotAvailable));
  EXPECT_THAT(refused.Get(), HasCode(ErrorCode::kBrokerNotAvailable));
}

// A client's port. BrokerSession takes it for one that is astray.
TEST_F(GrpcControllerLinkTest, AServerThatIsNoControllerIsAnUnsupportedVersion) {
  rpc::Server other({.listeners = {{.name = "C", .host = "127.0.0.1", .port = 0}}}, &clock_,
                    nullptr, &metrics_);
  ASSERT_OK(other.Start());
  Told<absl::Status> ended;
  Run([&] {
    stream_ =
        link_.OpenSession(absl::StrCat("127.0.0.1:", other.listeners()[0].port), Applied(0),
                          absl::Seconds(1), [&](auto response) { ended.Set(response.status()); });
  });
  EXPECT_THAT(ended.Get(), HasCode(ErrorCode::kUnsupportedVersion));
  Run([&] { stream_.reset(); });
  other.Shutdown(absl::ZeroDuration());
  other.StopQueues();
}

}  // namespace
}  // namespace millrace::node
