#include "raft/service/raft_service.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "millrace/internal/v1/raft_service.pb.h"
#include "raft/codec/hello_codec.h"
#include "raft/service/testing/transport_test_bed.h"
#include "rpc/channel_pool.h"
#include "rpc/client_call.h"

namespace millrace::raft {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kReplicate[] = "/millrace.internal.v1.RaftService/Replicate";
constexpr char kExchangeFounding[] = "/millrace.internal.v1.RaftService/ExchangeFounding";

// A peer made by hand, in front of a voter.
class RaftServiceTest : public ::testing::Test, public rpc::ClientStreamHandler {
 protected:
  RaftServiceTest() : voter_(TestVoterOptions{}) {
    channel_ = rpc::ChannelPool(rpc::ChannelOptions{}).Get("test", voter_.address());
  }
  ~RaftServiceTest() override { client_.Shutdown(); }

  static VoterId Self() { return {NodeId(2), DirectoryId(Uuid(2, 2))}; }
  Hello Greeting() const {
    Hello hello;
    hello.cluster_id = kTestCluster;
    hello.from = Self();
    hello.address = "127.0.0.1:1";
    hello.process = {1, Uuid(1, 1)};
    hello.to = voter_.id().node;
    return hello;
  }
  std::string Heartbeat() const {
    Message message = voter_.Numbered(voter_.id(), 5);
    message.from = Self();
    return Encode({message});
  }

  // Forwards to the fixture, which outlives the stream.
  class Forward final : public rpc::ClientStreamHandler {
   public:
    explicit Forward(RaftServiceTest* test) : test_(test) {}
    void OnMessage(Bytes message) override { test_->OnMessage(std::move(message)); }
    void OnDone(absl::Status status) override { test_->OnDone(std::move(status)); }

   private:
    RaftServiceTest* const test_;
  };
  std::shared_ptr<rpc::ClientStream> Open(const std::vector<std::string>& requests) {
    auto stream = rpc::StartStream(&client_, channel_, kReplicate, {.timeout = absl::Seconds(60)},
                                   [this](const auto&) { return std::make_unique<Forward>(this); });
    for (const std::string& request : requests) stream->Write({Bytes::Copy(request)});
    return stream;
  }
  void OnMessage(Bytes message) override {
    answers_.push_back(DecodeHelloResponse(message));
    heard_.Signal();
  }
  void OnDone(absl::Status status) override {
    status_ = std::move(status);
    done_.Signal();
  }
  absl::Status Status() {
    EXPECT_TRUE(done_.WaitFor(absl::Seconds(30)));
    return status_;
  }

  TestVoter voter_;
  SystemClock clock_;
  rpc::CompletionQueueExecutor client_{&clock_, "client"};
  std::shared_ptr<grpc::Channel> channel_;
  rpc::Wakeup heard_;
  rpc::Wakeup done_;
  std::vector<absl::StatusOr<Hello>> answers_;
  absl::Status status_;
};

TEST_F(RaftServiceTest, AHelloIsAnsweredAndMessagesArrive) {
  auto stream = Open({EncodeHelloRequest(Greeting()), Heartbeat()});
  ASSERT_TRUE(voter_.AwaitReceived(1));
  ASSERT_TRUE(heard_.WaitFor(absl::Seconds(30)));
  ASSERT_OK(answers_.front().status());
  EXPECT_EQ(answers_.front()->from, voter_.id());
  EXPECT_EQ(answers_.front()->to, Self().node);
  EXPECT_EQ(answers_.front()->cluster_id, kTestCluster);
  stream->WritesDone();
  EXPECT_OK(Status());
}

TEST_F(RaftServiceTest, AStreamWithoutAHelloIsRefused) {
  Open({Heartbeat()});
  const absl::Status status = Status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kCorruptMessage);
  EXPECT_THAT(status.message(), HasSubstr("no hello"));
  EXPECT_THAT(voter_.received(), IsEmpty());
}

TEST_F(RaftServiceTest, AHelloStandsAloneAndOnce) {
  Open({EncodeHelloRequest(Greeting()) + Heartbeat()});
  EXPECT_THAT(Status().message(), HasSubstr("messages beside the hello"));
  Open({EncodeHelloRequest(Greeting()), EncodeHelloRequest(Greeting())});
  EXPECT_THAT(Status().message(), HasSubstr("a second hello"));
  EXPECT_THAT(voter_.received(), IsEmpty());
}

TEST_F(RaftServiceTest, BytesThatAreNoMessageEndTheStream) {
  Open({EncodeHelloRequest(Greeting()), Heartbeat() + "garbage"});
  EXPECT_EQ(CodeOf(Status()), ErrorCode::kCorruptMessage);
  EXPECT_THAT(voter_.received(), IsEmpty());
}

TEST_F(RaftServiceTest, ARefusalSaysWhy) {
  Hello stranger = Greeting();
  stranger.cluster_id = ClusterId(Uuid(9, 9));
  Open({EncodeHelloRequest(stranger), Heartbeat()});
  const absl::Status status = Status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kInconsistentClusterId);
  EXPECT_EQ(DetailOf(status).value, Uuid(9, 9).ToString());
  EXPECT_THAT(voter_.received(), IsEmpty());
}

TEST_F(RaftServiceTest, ASecondStreamOfAVoterTakesThePlaceOfTheFirst) {
  Open({EncodeHelloRequest(Greeting()), Heartbeat()});
  ASSERT_TRUE(voter_.AwaitReceived(1));
  auto second = Open({EncodeHelloRequest(Greeting()), Heartbeat()});
  EXPECT_EQ(CodeOf(Status()), ErrorCode::kCancelled);
  EXPECT_TRUE(voter_.AwaitReceived(2));
  second->WritesDone();
  EXPECT_OK(Status());
}

TEST_F(RaftServiceTest, AMessageOverTheLimitEndsTheStream) {
  Open({EncodeHelloRequest(Greeting()), std::string(17 << 20, 'x')});
  EXPECT_EQ(CodeOf(Status()), ErrorCode::kMessageTooLarge);
}

TEST_F(RaftServiceTest, AFoundingStateThatDoesNotFitIsRefused) {
  absl::Status status;
  rpc::StartUnaryTyped<internal::v1::ExchangeFoundingResponse>(
      &client_, channel_, kExchangeFounding, internal::v1::ExchangeFoundingRequest(), {},
      [&](absl::StatusOr<internal::v1::ExchangeFoundingResponse> response) {
        status = response.status();
        heard_.Signal();
      });
  ASSERT_TRUE(heard_.WaitFor(absl::Seconds(30)));
  EXPECT_EQ(CodeOf(status), ErrorCode::kUnsupportedVersion);
}

TEST(RaftServiceConfigureTest, AllowsWhatTheTransportsOfPeersDo) {
  const rpc::ServerOptions options = RaftService::Configure({});
  EXPECT_LT(options.client_ping_interval_min, TransportOptions().keepalive_time);
  EXPECT_GE(options.receive_message_bytes_max, static_cast<int64_t>(kRequestBytesMax));
  EXPECT_FALSE(options.adapts_windows);
  EXPECT_EQ(
      RaftService::Configure({.receive_message_bytes_max = 64 << 20}).receive_message_bytes_max,
      64 << 20);
}

}  // namespace
}  // namespace millrace::raft
