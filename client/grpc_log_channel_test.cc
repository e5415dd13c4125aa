#include "client/grpc_log_channel.h"

#include <functional>

#include "base/status_matchers.h"
#include "base/system_clock.h"
#include "client/fake_log_server.h"
#include "rpc/testing/slow_link.h"
#include "rpc/wakeup.h"

namespace millrace::client {
namespace {

// Writes down what it hears, on the strand, and lets the test wait for it.
class Heard final : public LogChannelEvents {
 public:
  void OnTopics(const api::WatchTopicsResponse& topics) override {
    Note([&] { pushes.push_back(topics); });
  }
  void OnWatchDown(const absl::Status& why) override {
    Note([&] { watch_failures.push_back(why); });
  }
  void OnWatchRefused(const absl::Status& why) override {
    Note([&] { refusals.push_back(why); });
  }
  void OnProduceUp(NodeId) override {
    Note([&] { ++ups; });
  }
  void OnProduceDown(NodeId, const absl::Status& why) override {
    Note([&] { downs.push_back(why); });
  }
  void OnProduced(NodeId, const api::ProduceStreamResponse& response) override {
    Note([&] { produced.push_back(response); });
  }

  std::vector<api::WatchTopicsResponse> pushes;
  std::vector<absl::Status> watch_failures;
  std::vector<absl::Status> refusals;
  std::vector<absl::Status> downs;
  std::vector<api::ProduceStreamResponse> produced;
  int ups = 0;
  rpc::Wakeup noted;

 private:
  template <class F>
  void Note(F f) {
    f();
    noted.Signal();
  }
};

class GrpcLogChannelTest : public testing::Test {
 protected:
  ~GrpcLogChannelTest() override { executor_.Shutdown(); }

  void Open(std::vector<std::string> servers, bool through_bootstrap = false) {
    channel_ = std::make_unique<GrpcLogChannel>(
        GrpcLogChannel::Options{.bootstrap_servers = std::move(servers),
                                .backoff_min = absl::Milliseconds(1),
                                .backoff_max = absl::Milliseconds(5),
                                .produce_through_bootstrap = through_bootstrap},
        &executor_, &heard_);
  }
  // On the strand, to its end.
  void Run(std::function<void()> task) {
    rpc::Wakeup done;
    executor_.Post([&] {
      task();
      done.Signal();
    });
    ASSERT_TRUE(done.WaitFor(absl::Seconds(20)));
  }
  // Whether the condition, which is asked on the strand, came true in time.
  bool Await(const std::function<bool()>& condition) {
    bool reached = false;
    while (true) {
      Run([&] { reached = condition(); });
      if (reached || !heard_.noted.WaitFor(absl::Seconds(20))) return reached;
    }
  }

  const SystemClock clock_{};
  Heard heard_;
  rpc::CompletionQueueExecutor executor_{&clock_, "test"};
  std::unique_ptr<GrpcLogChannel> channel_;
};

TEST_F(GrpcLogChannelTest, WatchGoesOnWithAnotherServerAndIsKeptUp) {
  auto server = std::make_unique<FakeLogServer>();
  const int port = server->port();
  server->CreateTopic("t", 3);
  Open({"127.0.0.1:1", server->address()});
  Run([&] { channel_->Watch({"t"}); });
  ASSERT_TRUE(Await([&] { return !heard_.pushes.empty(); }));
  EXPECT_EQ(heard_.pushes[0].topics.at(0).partitions.size(), 3u);
  EXPECT_THAT(heard_.watch_failures.at(0), IsError(ErrorCode::kBrokerNotAvailable, "127.0.0.1:1"));

  server.reset();
  size_t pushes = 0;
  Run([&] { pushes = heard_.pushes.size(); });
  server = std::make_unique<FakeLogServer>(port);
  EXPECT_TRUE(Await([&] { return heard_.pushes.size() > pushes; }));
}

TEST_F(GrpcLogChannelTest, ThatEveryServerRefusesIsToldOnceTheLastOneHas) {
  FakeLogServer one;
  FakeLogServer other;
  one.RefuseWatches(ErrorCode::kAuthorizationFailed);
  other.RefuseWatches(ErrorCode::kAuthorizationFailed);
  Open({one.address(), other.address()});
  Run([&] { channel_->Watch({"t"}); });
  ASSERT_TRUE(Await([&] { return !heard_.refusals.empty(); }));
  EXPECT_THAT(heard_.refusals[0], IsError(ErrorCode::kAuthorizationFailed, other.address()));
}

TEST_F(GrpcLogChannelTest, AServerThatTakesWhatAnotherRefusesIsWatched) {
  FakeLogServer refusing;
  FakeLogServer taking;
  refusing.RefuseWatches(ErrorCode::kAuthorizationFailed);
  Open({refusing.address(), taking.address()});
  Run([&] { channel_->Watch({"t"}); });
  ASSERT_TRUE(Await([&] { return !heard_.pushes.empty(); }));
  EXPECT_THAT(heard_.watch_failures, testing::SizeIs(1));
  EXPECT_THAT(heard_.refusals, testing::IsEmpty());
}

TEST_F(GrpcLogChannelTest, ReplacingTheWatchIsNoFailure) {
  FakeLogServer server;
  Open({server.address()});
  Run([&] { channel_->Watch({"a"}); });
  Run([&] { channel_->Watch({"a", "b"}); });
  ASSERT_TRUE(
      Await([&] { return !heard_.pushes.empty() && heard_.pushes.back().topics.size() == 2; }));
  EXPECT_THAT(heard_.watch_failures, testing::IsEmpty());
}

TEST_F(GrpcLogChannelTest, ASuspectedServerIsWatchedNoLongerAndAnotherOneGoesOnBeing) {
  FakeLogServer one;
  FakeLogServer other;
  one.CreateTopic("t", 1);
  other.CreateTopic("t", 2);
  Open({one.address(), other.address()});
  Run([&] { channel_->Watch({"t"}); });
  const auto told = [&](size_t partitions) {
    return Await([&] {
      return !heard_.pushes.empty() &&
             heard_.pushes.back().topics.at(0).partitions.size() == partitions;
    });
  };
  ASSERT_TRUE(told(1));
  Run([&] { channel_->Suspect(other.address()); });
  one.CreateTopic("t", 3);
  ASSERT_TRUE(told(3));
  Run([&] { channel_->Suspect(one.address()); });
  EXPECT_TRUE(told(2));
  EXPECT_THAT(heard_.watch_failures, testing::IsEmpty());
}

TEST_F(GrpcLogChannelTest, AWatchThatTellsNoNewsIsChangedIfThereIsAnotherServer) {
  FakeLogServer one;
  FakeLogServer other;
  one.CreateTopic("t", 1);
  other.CreateTopic("t", 2);
  Open({one.address(), other.address()});
  Run([&] { channel_->Watch({"t"}); });
  ASSERT_TRUE(Await([&] { return !heard_.pushes.empty(); }));
  EXPECT_EQ(heard_.pushes.back().topics.at(0).partitions.size(), 1u);
  Run([&] { channel_->ChangeWatch(); });
  EXPECT_TRUE(Await([&] { return heard_.pushes.back().topics.at(0).partitions.size() == 2; }));
  EXPECT_THAT(heard_.watch_failures, testing::IsEmpty());
}

TEST_F(GrpcLogChannelTest, AProduceStreamIsUpOnlyIfTheBrokerIsThere) {
  FakeLogServer server;
  Open({server.address()});
  Run([&] { channel_->OpenProduce(NodeId(1), "127.0.0.1:1"); });
  ASSERT_TRUE(Await([&] { return heard_.downs.size() == 1; }));
  EXPECT_EQ(heard_.ups, 0);
  EXPECT_THAT(heard_.downs[0], IsError(ErrorCode::kBrokerNotAvailable, "127.0.0.1:1"));

  Run([&] { channel_->OpenProduce(NodeId(1), server.address()); });
  ASSERT_TRUE(Await([&] { return heard_.ups == 1; }));
  Run([&] { channel_->CloseProduce(NodeId(1)); });
  EXPECT_TRUE(Await([&] { return heard_.downs.size() == 2; }));
}

TEST_F(GrpcLogChannelTest, WhereOnlyBootstrapServersAreReachedOneOfThemPassesBatchesOn) {
  FakeLogServer server;
  Open({"127.0.0.1:1", server.address()}, /*through_bootstrap=*/true);
  const std::string leader = "127.0.0.1:2";
  Run([&] { channel_->OpenProduce(NodeId(7), leader); });
  ASSERT_TRUE(Await([&] { return heard_.downs.size() == 1; }));
  EXPECT_THAT(heard_.downs[0], IsError(ErrorCode::kBrokerNotAvailable, "127.0.0.1:1"));
  Run([&] { channel_->OpenProduce(NodeId(7), leader); });
  ASSERT_TRUE(Await([&] { return heard_.ups == 1; })) << "the next one in turn";
  api::ProduceStreamRequest request{.request_number = 5};
  request.request.partitions.push_back(
      {.name = {.topic = "unknown", .partition = PartitionIndex(0)}});
  Run([&] { channel_->SendProduce(NodeId(7), request); });
  EXPECT_TRUE(Await(
      [&] { return !heard_.produced.empty() && heard_.produced.back().request_number == 5; }));
  EXPECT_EQ(server.forwarding_streams(), 1);
}

TEST_F(GrpcLogChannelTest, LookupsAreAnsweredOrFail) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  Open({server.address()});
  const api::ListOffsetsRequest request{
      .partitions = {{.name = {.topic = "t", .partition = PartitionIndex(0)},
                      .position = api::OffsetPosition::kLatest}}};
  std::vector<absl::StatusOr<api::ListOffsetsResponse>> answers;
  const auto ask = [&](const std::string& address) {
    Run([&] {
      channel_->ListOffsets(address, request, absl::Seconds(20), [&](auto answer) {
        answers.push_back(std::move(answer));
        heard_.noted.Signal();
      });
    });
  };
  ask(server.address());
  ASSERT_TRUE(Await([&] { return answers.size() == 1; }));
  ASSERT_OK(answers[0]);
  EXPECT_EQ(answers[0]->partitions.at(0).offset, Offset(0));
  ask("127.0.0.1:1");
  ASSERT_TRUE(Await([&] { return answers.size() == 2; }));
  EXPECT_THAT(answers[1], HasCode(ErrorCode::kBrokerNotAvailable));
}

// KIP-601. Each of them opens again, as the cores do.
TEST_F(GrpcLogChannelTest, ConnectionsThatTakeLongToBeMadeAreGivenTheTime) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  const rpc::testdata::SlowLink link(server.port(), absl::Milliseconds(1200));
  Open({link.address()});
  Run([&] { channel_->Watch({"t"}); });
  EXPECT_TRUE(Await([&] { return !heard_.pushes.empty(); }));
  size_t downs = 0;
  Run([&] { channel_->OpenProduce(NodeId(1), link.address()); });
  EXPECT_TRUE(Await([&] {
    if (heard_.downs.size() > downs) {
      downs = heard_.downs.size();
      channel_->OpenProduce(NodeId(1), link.address());
    }
    return heard_.ups > 0;
  }));
}

}  // namespace
}  // namespace millrace::client
