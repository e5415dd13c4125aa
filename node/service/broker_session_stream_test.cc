#include "node/service/broker_session_stream.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "base/log.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/message.h"

namespace millrace::node {
namespace {

using internal::v1::BrokerSessionRequest;
using internal::v1::BrokerSessionResponse;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// The server's end of a stream, without a client.
class FakeStream final : public rpc::ServerStream {
 public:
  explicit FakeStream(Executor* queue) { context_.executor = queue; }

  void Write(rpc::BytesList message) override {
    std::string& all = written.emplace_back();
    for (const Bytes& piece : message) all.append(piece.data(), piece.size());
  }
  bool writable() const override { return has_room; }
  void Finish(absl::Status status) override {
    if (!finished.has_value()) finished = std::move(status);
  }
  void PauseReading() override {}
  void ResumeReading() override {}
  const rpc::CallContext& context() const override { return context_; }
  void ShowCertificateOf(NodeId node) {
    context_.encrypted = true;
    context_.node = node;
  }

  std::vector<std::string> written;
  std::optional<absl::Status> finished;
  bool has_room = true;

 private:
  rpc::CallContext context_;
};

class BrokerSessionStreamTest : public ::testing::Test {
 protected:
  BrokerSessionStreamTest()
      : server_({}, {.clock = &clock_,
                     .executor = owner_.get(),
                     .leaders = &leaders_,
                     .metrics = &metrics_,
                     .carry_out = [](const controller::SessionDecision&, SessionDecided) {}}) {}

  void Lead() {
    owner_->RunNow([&] { server_.OnLed(Term(1)); });
  }
  std::unique_ptr<rpc::StreamHandler> Open() {
    return ServeBrokerSession(&server_, owner_.get(), &authorizer_, &refusals_, stream_);
  }
  void Say(rpc::StreamHandler* handler) {
    BrokerSessionRequest request;
    request.set_broker_id(5);
    handler->OnMessage(rpc::SerializeMessage(request).at(0));
    Run();
  }
  void Run() { loop_.RunFor(absl::ZeroDuration()); }
  int Observers() {
    size_t count = 0;
    owner_->RunNow([&] { count = server_.Observers().size(); });
    return static_cast<int>(count);
  }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  std::unique_ptr<sim::SimExecutor> owner_ = loop_.MakeExecutor("owner", &clock_);
  std::unique_ptr<sim::SimExecutor> queue_ = loop_.MakeExecutor("queue", &clock_);
  MetricRegistry metrics_;
  controller::LeaderWatch leaders_;
  metadata::AllowAllAuthorizer authorizer_;
  rpc::RefusalLog refusals_{&clock_, "node", "refused a session"};
  std::shared_ptr<FakeStream> stream_ = std::make_shared<FakeStream>(queue_.get());
  BrokerSessionServer server_;
};

TEST_F(BrokerSessionStreamTest, RequestsReachTheServerInOrderAndAnswersComeBack) {
  Lead();
  const auto handler = Open();
  // Before the server has heard of the stream.
  Say(handler.get());
  ASSERT_THAT(stream_->written, SizeIs(1));
  BrokerSessionResponse response;
  ASSERT_TRUE(response.ParseFromString(stream_->written[0]));
  EXPECT_EQ(response.state().controller_term(), 1);
  EXPECT_EQ(Observers(), 1);
}

TEST_F(BrokerSessionStreamTest, WhileTheStreamHasNoRoomNothingMoreIsSent) {
  Lead();
  stream_->has_room = false;
  const auto handler = Open();
  Say(handler.get());
  Say(handler.get());
  EXPECT_THAT(stream_->written, SizeIs(1));
  stream_->has_room = true;
  handler->OnWritable();
  Run();
  EXPECT_THAT(stream_->written, SizeIs(2));
}

TEST_F(BrokerSessionStreamTest, TheEndOfTheStreamIsToldFromEitherSide) {
  Lead();
  const auto handler = Open();
  Say(handler.get());
  handler->OnHalfClose();
  EXPECT_OK(*stream_->finished);
  handler->OnDone(false);
  Run();
  EXPECT_EQ(Observers(), 0);

  stream_ = std::make_shared<FakeStream>(queue_.get());
  const auto second = Open();
  Say(second.get());
  owner_->RunNow([&] { server_.OnLostLeadership(); });
  EXPECT_THAT(*stream_->finished, HasCode(ErrorCode::kNotController));
}

TEST_F(BrokerSessionStreamTest, AMessageThatIsNoneEndsTheStream) {
  Lead();
  const auto handler = Open();
  handler->OnMessage(Bytes::FromString("\xff\xff"));
  EXPECT_THAT(*stream_->finished, HasCode(ErrorCode::kInvalidRequest));
}

// A broker with another one's certificate tries again and again.
TEST_F(BrokerSessionStreamTest, ABrokerThatIsNotWhoItSaysIsRefusedWithoutALineEachTime) {
  Lead();
  const LogCapture log;
  for (int i = 0; i < 10; ++i) {
    stream_ = std::make_shared<FakeStream>(queue_.get());
    stream_->ShowCertificateOf(NodeId(6));
    const auto handler = Open();
    Say(handler.get());
    EXPECT_THAT(*stream_->finished, IsError(ErrorCode::kAuthorizationFailed, "node 5"));
    handler->OnDone(true);
  }
  EXPECT_THAT(log.lines(), ElementsAre(HasSubstr("refused a session")));
}

TEST_F(BrokerSessionStreamTest, AStreamThatHasGoneTakesNothingMore) {
  Lead();
  {
    const auto handler = Open();
    Say(handler.get());
    stream_->written.clear();
    handler->OnMessage(rpc::SerializeMessage(BrokerSessionRequest()).at(0));
    handler->OnDone(true);
  }
  const std::weak_ptr<FakeStream> gone = stream_;
  stream_.reset();
  EXPECT_TRUE(gone.expired());
  Run();
  EXPECT_EQ(Observers(), 0);
}

}  // namespace
}  // namespace millrace::node
