#include "rpc/stream_call.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

using testdata::EchoServer;
using testdata::EchoText;
using testdata::OpenLogged;
using testdata::StreamLog;
using testdata::Watched;
using testing::ElementsAre;

// What a test's own server-side handler has seen.
struct Seen {
  std::shared_ptr<ServerStream> stream;
  std::vector<Bytes> messages;
  int writable = 0;
  bool half_closed = false;
  bool done = false;
  bool cancelled = false;
};

class SeenHandler final : public StreamHandler {
 public:
  explicit SeenHandler(Watched<Seen>* seen) : seen_(seen) {}
  void OnMessage(Bytes message) override {
    seen_->Change([&](Seen& s) { s.messages.push_back(std::move(message)); });
  }
  void OnHalfClose() override {
    seen_->Change([](Seen& s) { s.half_closed = true; });
  }
  void OnWritable() override {
    seen_->Change([](Seen& s) { ++s.writable; });
  }
  void OnDone(bool cancelled) override {
    seen_->Change([&](Seen& s) {
      s.done = true;
      s.cancelled = cancelled;
      s.stream.reset();
    });
  }

 private:
  Watched<Seen>* const seen_;
};

StreamHandlerFactory See(Watched<Seen>* seen) {
  return [seen](std::shared_ptr<ServerStream> stream) {
    seen->Change([&](Seen& s) { s.stream = std::move(stream); });
    return std::make_unique<SeenHandler>(seen);
  };
}

TEST(StreamCall, EchoesInOrder) {
  Watched<StreamLog> log;
  EchoServer server;
  auto stream = OpenLogged(&server, "Chat", &log);
  for (int i = 0; i < 1000; ++i) stream->Write(EchoText(std::to_string(i)));
  stream->WritesDone();
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  const StreamLog end = log.Get();
  EXPECT_OK(end.status);
  ASSERT_EQ(end.texts.size(), 1000u);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(end.texts[i], std::to_string(i));
  EXPECT_TRUE(server.streams_done().Wait([](int n) { return n == 1; }));
}

TEST(StreamCall, ServerStreamAnswersOneRequestWithMany) {
  Watched<StreamLog> log;
  EchoServer server;
  auto stream = OpenLogged(&server, "Count", &log);
  stream->Write(EchoText("abc"));
  stream->WritesDone();
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  EXPECT_OK(log.Get().status);
  EXPECT_THAT(log.Get().texts, ElementsAre("abc", "bc", "c"));
}

TEST(StreamCall, FinishComesAfterWhatWasWritten) {
  Watched<Seen> seen;
  Watched<StreamLog> log;
  EchoServer server({}, nullptr, See(&seen));
  auto stream = OpenLogged(&server, "Chat", &log);
  ASSERT_TRUE(seen.Wait([](const Seen& s) { return s.stream != nullptr; }));
  {
    // From a thread that is not the stream's.
    const auto server_side = seen.Get().stream;
    for (int i = 0; i < 100; ++i) server_side->Write(EchoText("x"));
    server_side->Finish(MakeError(ErrorCode::kStreamOrderBroken, "start again"));
    server_side->Write(EchoText("too late"));
    server_side->Finish(absl::OkStatus());
  }
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  EXPECT_EQ(log.Get().texts.size(), 100u);
  EXPECT_THAT(log.Get().status, IsError(ErrorCode::kStreamOrderBroken, "start again"));
  EXPECT_TRUE(seen.Wait([](const Seen& s) { return s.done && !s.cancelled; }));
}

TEST(StreamCall, VanishedClientEndsTheHandlerOnce) {
  Watched<Seen> seen;
  Watched<StreamLog> log;
  EchoServer server({}, nullptr, See(&seen));
  auto stream = OpenLogged(&server, "Chat", &log);
  stream->Write(EchoText("x"));
  ASSERT_TRUE(seen.Wait([](const Seen& s) { return s.messages.size() == 1; }));
  stream->Cancel();
  EXPECT_TRUE(seen.Wait([](const Seen& s) { return s.done && s.cancelled; }));
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  EXPECT_THAT(log.Get().status, HasCode(ErrorCode::kCancelled));
}

TEST(StreamCall, DeadlineEndsTheStream) {
  Watched<Seen> seen;
  Watched<StreamLog> log;
  EchoServer server({}, nullptr, See(&seen));
  auto stream = OpenLogged(&server, "Chat", &log, {.timeout = absl::Milliseconds(30)});
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  EXPECT_THAT(log.Get().status, HasCode(ErrorCode::kRequestTimedOut));
}

TEST(StreamCall, SlowReaderMakesTheStreamUnwritableAndLaterWritable) {
  Watched<Seen> seen;
  Watched<StreamLog> log;
  EchoServer server({.stream_write_bytes_max = 100'000}, nullptr, See(&seen));
  auto stream = OpenLogged(&server, "Chat", &log);
  ASSERT_TRUE(seen.Wait([](const Seen& s) { return s.stream != nullptr; }));
  std::promise<void> paused;
  server.client()->Post([&] {
    stream->PauseReading();
    paused.set_value();
  });
  paused.get_future().get();
  const auto server_side = seen.Get().stream;
  const BytesList message = EchoText(std::string(50'000, 'x'));
  // The transport takes some; then the queue fills up. Bounded, so that a failure ends too.
  int written = 0;
  while (server_side->writable() && written < 10'000) {
    server_side->Write(message);
    ++written;
    std::promise<void> turn;
    server.server().queue(0)->Post([&] { turn.set_value(); });
    turn.get_future().get();
  }
  ASSERT_FALSE(server_side->writable());
  server.client()->Post([&] { stream->ResumeReading(); });
  EXPECT_TRUE(seen.Wait([](const Seen& s) { return s.writable > 0; }));
  EXPECT_TRUE(
      log.Wait([&](const StreamLog& l) { return static_cast<int>(l.texts.size()) == written; }));
}

TEST(StreamCall, PausedHandlerStopsTheClient) {
  Watched<Seen> seen;
  Watched<StreamLog> log;
  EchoServer server({}, nullptr, [&](std::shared_ptr<ServerStream> stream) {
    stream->PauseReading();
    return See(&seen)(stream);
  });
  auto stream = OpenLogged(&server, "Chat", &log,
                           {.timeout = absl::Seconds(60), .stream_write_bytes_max = 100'000});
  // Flow control reaches back: the client's own queue fills up.
  const BytesList message = EchoText(std::string(50'000, 'x'));
  int written = 0;
  while (stream->writable() && written < 10'000) {
    stream->Write(message);
    ++written;
    std::promise<void> turn;
    server.client()->Post([&] { turn.set_value(); });
    turn.get_future().get();
  }
  ASSERT_FALSE(stream->writable());
  EXPECT_TRUE(seen.Get().messages.empty());
  ASSERT_TRUE(seen.Wait([](const Seen& s) { return s.stream != nullptr; }));
  server.server().queue(0)->Post([&] { seen.Get().stream->ResumeReading(); });
  EXPECT_TRUE(
      seen.Wait([&](const Seen& s) { return static_cast<int>(s.messages.size()) == written; }));
  EXPECT_TRUE(log.Wait([](const StreamLog& l) { return l.writable > 0; }));
}

TEST(StreamCall, BigMessageArrivesWhole) {
  Watched<StreamLog> log;
  EchoServer server;
  auto stream = OpenLogged(&server, "Chat", &log);
  std::string big(10 << 20, 'x');
  for (size_t i = 0; i < big.size(); i += 997) big[i] = static_cast<char>('a' + i % 26);
  stream->Write(EchoText(big));
  stream->WritesDone();
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  EXPECT_TRUE(log.Get().texts.size() == 1 && log.Get().texts[0] == big);
}

TEST(StreamCall, ManyStreamsOverManyQueues) {
  EchoServer server({.queue_count = 3});
  constexpr int kStreams = 60;
  std::vector<Watched<StreamLog>> logs(kStreams);
  std::vector<std::shared_ptr<ClientStream>> streams;
  for (int i = 0; i < kStreams; ++i) {
    streams.push_back(OpenLogged(&server, "Chat", &logs[i], {}, std::to_string(i % 7)));
    for (int m = 0; m < 50; ++m) streams.back()->Write(EchoText(std::to_string(m)));
    streams.back()->WritesDone();
  }
  for (Watched<StreamLog>& log : logs) {
    ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
    EXPECT_OK(log.Get().status);
    EXPECT_EQ(log.Get().texts.size(), 50u);
  }
}

}  // namespace
}  // namespace millrace::rpc
