#include "raft/service/inbound_stream.h"

#include <string>
#include <utility>

#include "base/sim/sim_executor.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/codec/hello_codec.h"
#include "raft/codec/testing/sample_messages.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The server's end of a stream, without a client.
class FakeStream final : public rpc::ServerStream {
 public:
  explicit FakeStream(Executor* queue) { context_.executor = queue; }

  void Write(rpc::BytesList message) override { written.push_back(Join(message)); }
  bool writable() const override { return true; }
  void Finish(absl::Status status) override {
    if (!finished.has_value()) finished = std::move(status);
  }
  void PauseReading() override { paused = true; }
  void ResumeReading() override { paused = false; }
  const rpc::CallContext& context() const override { return context_; }

  std::vector<std::string> written;
  std::optional<absl::Status> finished;
  bool paused = false;

 private:
  rpc::CallContext context_;
};

class RecordingSink final : public InboundSink {
 public:
  void OnOpened(const std::shared_ptr<InboundStream>& stream, const Hello& hello) override {
    events.push_back(absl::StrCat("opened by ", hello.from.node.value()));
    stream->Answer(hello);
  }
  void OnMessages(const std::shared_ptr<InboundStream>&, const std::vector<Message>& messages,
                  int64_t) override {
    for (const Message& message : messages) events.push_back(Describe(message));
  }
  void OnMalformed(const std::shared_ptr<InboundStream>&, const absl::Status& why) override {
    events.push_back(absl::StrCat("malformed: ", ErrorCodeName(CodeOf(why))));
  }
  void OnEnded(const std::shared_ptr<InboundStream>&) override { events.push_back("ended"); }

  std::vector<std::string> events;
};

class InboundStreamTest : public ::testing::Test {
 protected:
  static constexpr int64_t kWaitingMax = 1000;

  InboundStreamTest() { handler_ = ServeReplicate({owner_.get(), sink_, kWaitingMax}, stream_); }

  static Bytes Greeting() {
    Hello hello;
    hello.cluster_id = ClusterId(Uuid(7, 7));
    hello.from = {NodeId(2), DirectoryId(Uuid(2, 2))};
    hello.to = NodeId(1);
    return Bytes::FromString(EncodeHelloRequest(hello));
  }
  static Bytes Timeout() { return Bytes::FromString(Encode({MessageOf(TimeoutNow{})})); }

  sim::SimLoop loop_{1};
  std::unique_ptr<sim::SimExecutor> owner_ = loop_.MakeExecutor("owner");
  std::unique_ptr<sim::SimExecutor> queue_ = loop_.MakeExecutor("queue");
  std::shared_ptr<RecordingSink> sink_ = std::make_shared<RecordingSink>();
  std::shared_ptr<FakeStream> stream_ = std::make_shared<FakeStream>(queue_.get());
  std::unique_ptr<rpc::StreamHandler> handler_;
};

TEST_F(InboundStreamTest, TellsTheOwnerEverythingInOrderOnItsExecutor) {
  handler_->OnMessage(Greeting());
  handler_->OnMessage(Timeout());
  handler_->OnDone(false);
  EXPECT_THAT(sink_->events, IsEmpty());
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(sink_->events,
              ElementsAre("opened by 2", Describe(MessageOf(TimeoutNow{})), "ended"));
  EXPECT_EQ(stream_->written.size(), 1u);
}

TEST_F(InboundStreamTest, OnTheOwnersOwnExecutorItTellsAtOnce) {
  owner_->RunNow([&] {
    handler_->OnMessage(Greeting());
    handler_->OnMessage(Timeout());
    EXPECT_EQ(sink_->events.size(), 2u);
  });
}

TEST_F(InboundStreamTest, IsNotReadWhileTooMuchWaitsForTheOwner) {
  handler_->OnMessage(Greeting());
  int64_t waiting = 0;
  size_t messages = 0;
  while (waiting <= kWaitingMax) {
    EXPECT_FALSE(stream_->paused);
    handler_->OnMessage(Timeout());
    waiting += static_cast<int64_t>(Timeout().size());
    ++messages;
  }
  EXPECT_TRUE(stream_->paused);
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_FALSE(stream_->paused);
  EXPECT_EQ(sink_->events.size(), messages + 1);
}

TEST_F(InboundStreamTest, WhatCannotBeReadEndsTheStreamAndIsTold) {
  handler_->OnMessage(Greeting());
  handler_->OnMessage(Bytes::FromString("garbage"));
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_EQ(CodeOf(*stream_->finished), ErrorCode::kCorruptMessage);
  EXPECT_THAT(sink_->events, ElementsAre("opened by 2", "malformed: CORRUPT_MESSAGE"));
}

TEST_F(InboundStreamTest, BeginsWithOneHelloAlone) {
  handler_->OnMessage(Timeout());
  EXPECT_THAT(stream_->finished->message(), HasSubstr("no hello"));
}

TEST_F(InboundStreamTest, AStreamThatOutlivesTheTransportIsFinished) {
  sink_.reset();
  handler_->OnMessage(Greeting());
  handler_->OnMessage(Timeout());
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_EQ(CodeOf(*stream_->finished), ErrorCode::kShuttingDown);
}

TEST_F(InboundStreamTest, AnsweringAStreamThatHasEndedDoesNothing) {
  InboundStream inbound(stream_, kWaitingMax);
  handler_.reset();
  stream_.reset();
  inbound.Answer(Hello());
  inbound.Finish(absl::OkStatus());
  EXPECT_TRUE(inbound.Waits(2 * kWaitingMax));
  inbound.Taken(2 * kWaitingMax);
}

}  // namespace
}  // namespace millrace::raft
