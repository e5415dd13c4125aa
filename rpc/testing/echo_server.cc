#include "rpc/testing/echo_server.h"

namespace millrace::rpc::testdata {
namespace {

constexpr char kPath[] = "/millrace.rpc.testdata.EchoService/";

class ChatHandler final : public StreamHandler {
 public:
  ChatHandler(std::shared_ptr<ServerStream> stream, Watched<int>* done)
      : stream_(std::move(stream)), done_(done) {}
  // Request and response have the same encoding.
  void OnMessage(Bytes message) override { stream_->Write({std::move(message)}); }
  void OnHalfClose() override { stream_->Finish(absl::OkStatus()); }
  void OnDone(bool) override {
    done_->Change([](int& n) { ++n; });
  }

 private:
  const std::shared_ptr<ServerStream> stream_;
  Watched<int>* const done_;
};

class CountHandler final : public StreamHandler {
 public:
  CountHandler(std::shared_ptr<ServerStream> stream, Watched<int>* done)
      : stream_(std::move(stream)), done_(done) {}
  void OnMessage(Bytes message) override {
    absl::StatusOr<EchoRequest> request = ParseMessage<EchoRequest>(message);
    if (!request.ok()) return stream_->Finish(request.status());
    for (size_t i = 0; i < request->text().size(); ++i) {
      stream_->Write(EchoText(request->text().substr(i)));
    }
    stream_->Finish(absl::OkStatus());
  }
  void OnHalfClose() override {}
  void OnDone(bool) override {
    done_->Change([](int& n) { ++n; });
  }

 private:
  const std::shared_ptr<ServerStream> stream_;
  Watched<int>* const done_;
};

}  // namespace

ServerOptions EchoServer::WithListener(ServerOptions options) {
  if (options.listeners.empty()) {
    options.listeners.push_back({.name = "PLAINTEXT", .host = "127.0.0.1", .port = 0});
  }
  return options;
}

EchoServer::EchoServer(ServerOptions options, std::shared_ptr<ReadGate> gate,
                       StreamHandlerFactory chat, AtGate chat_at_gate)
    : server_(WithListener(std::move(options)), &clock_, std::move(gate), &metrics_) {
  Register(std::move(chat), chat_at_gate);
  EXPECT_OK(server_.Start());
}

EchoServer::~EchoServer() {
  server_.Shutdown(absl::ZeroDuration());
  TakeHeld().clear();
  server_.StopQueues();
  client_.Shutdown();
}

void EchoServer::Register(StreamHandlerFactory chat, AtGate chat_at_gate) {
  server_.AddService(&service_, EchoService::service_full_name());
  if (chat == nullptr) {
    chat = [this](std::shared_ptr<ServerStream> stream) {
      return std::make_unique<ChatHandler>(std::move(stream), &streams_done_);
    };
  }
  for (int i = 0; i < server_.queue_count(); ++i) {
    CompletionQueueExecutor* queue = server_.queue(i);
    RegisterParsed<EchoRequest, EchoResponse>(
        &server_, queue, &service_, &Service::RequestEcho,
        [this](const CallContext& context, EchoRequest request, Reply<EchoResponse> reply) {
          last_context_.Change([&](CallContext& c) { c = context; });
          if (request.text() == "never") {
            reply.SetOnCancel([this] { cancelled_.Change([](int& n) { ++n; }); });
            const std::lock_guard<std::mutex> lock(mutex_);
            held_.push_back(std::move(reply));
            return held_changed_.notify_all();
          }
          if (request.text() == "drop") return;
          if (request.text() == "fail") {
            return reply(MakeError(ErrorCode::kNotLeaderOrFollower, "not here: try there",
                                   {.name = "topic",
                                    .value = "orders",
                                    .leader = LeaderHint{.leader = NodeId(3),
                                                         .leader_epoch = LeaderEpoch(7),
                                                         .address = "there:9092"}}));
          }
          EchoResponse response;
          response.set_text(request.text());
          reply(std::move(response));
        });
    RegisterUnary(&server_, queue, &service_, &Service::RequestRawEcho,
                  [](const CallContext&, Bytes request, Reply<BytesList> reply) {
                    reply(BytesList{std::move(request)});
                  });
    RegisterStream(&server_, queue, &service_, &Service::RequestChat, chat, chat_at_gate);
    RegisterServerStream(&server_, queue, &service_, &Service::RequestCount,
                         [this](std::shared_ptr<ServerStream> stream) {
                           return std::make_unique<CountHandler>(std::move(stream), &streams_done_);
                         });
  }
}

absl::StatusOr<std::string> EchoServer::Echo(const std::string& method, const std::string& text,
                                             ClientCallOptions options) {
  EchoRequest request;
  request.set_text(text);
  std::promise<absl::StatusOr<EchoResponse>> promise;
  auto answer = promise.get_future();
  StartUnaryTyped<EchoResponse>(&client_, Channel(), kPath + method, request, options,
                                [&promise](absl::StatusOr<EchoResponse> response) {
                                  promise.set_value(std::move(response));
                                });
  ASSIGN_OR_RETURN(EchoResponse response, answer.get());
  return response.text();
}

std::vector<Reply<EchoResponse>> EchoServer::TakeHeld() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(held_, {});
}

bool EchoServer::WaitForHeld(size_t count) {
  std::unique_lock<std::mutex> lock(mutex_);
  return held_changed_.wait_for(lock, kPatience, [&] { return held_.size() >= count; });
}

std::shared_ptr<ClientStream> OpenLogged(EchoServer* server, const std::string& method,
                                         Watched<StreamLog>* log, ClientCallOptions options,
                                         absl::string_view purpose) {
  return StartStream(
      server->client(), server->Channel(purpose), kPath + method, options,
      [log](std::shared_ptr<ClientStream>) { return std::make_unique<LoggingStreamHandler>(log); });
}

BytesList EchoText(const std::string& text) {
  EchoRequest request;
  request.set_text(text);
  return SerializeMessage(request);
}

}  // namespace millrace::rpc::testdata
