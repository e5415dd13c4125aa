// EchoServer: a Server of the test service on a free local port, with a client side, for tests.
//
// Echo and RawEcho answer with the request's text; "fail" answers an error with all details,
// "never" is not answered until the test takes it from `held`. Chat echoes each message; Count
// answers as many messages as its request's text has characters.
//
// Thread: one owner; what handlers record is guarded.
#ifndef RPC_TESTING_ECHO_SERVER_H_
#define RPC_TESTING_ECHO_SERVER_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/counters.h"
#include "base/status_matchers.h"
#include "echo.grpc.pb.h"
#include "rpc/channel_pool.h"
#include "rpc/client_call.h"
#include "rpc/parsed_call.h"
#include "rpc/server.h"
#include "rpc/stream_call.h"
#include "rpc/unary_call.h"

namespace millrace::rpc::testdata {

class SteadyClock final : public Clock {
 public:
  MonotonicTime Now() const override {
    return MonotonicTime::FromNanos(std::chrono::steady_clock::now().time_since_epoch().count());
  }
  WallTime WallNow() const override { return WallTime{}; }
};

// Longer than anything in these tests takes; a test that waits so long has failed.
constexpr std::chrono::seconds kPatience{20};

// State shared between a test and the threads it watches: Wait until a condition on it holds.
template <class T>
class Watched {
 public:
  void Change(const std::function<void(T&)>& change) {
    const std::lock_guard<std::mutex> lock(mutex_);
    change(value_);
    changed_.notify_all();
  }
  // Whether the condition came true in time.
  bool Wait(const std::function<bool(const T&)>& condition) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return condition(value_); });
  }
  T Get() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return value_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  T value_{};
};

class EchoServer {
 public:
  using Service = EchoService::WithRawMethod_Echo<EchoService::WithRawMethod_RawEcho<
      EchoService::WithRawMethod_Chat<EchoService::WithRawMethod_Count<EchoService::Service>>>>;

  // `chat`: serves Chat instead of the echo.
  explicit EchoServer(ServerOptions options = {}, std::shared_ptr<ReadGate> gate = nullptr,
                      StreamHandlerFactory chat = nullptr, AtGate chat_at_gate = AtGate::kWaits);
  ~EchoServer();

  Server& server() { return server_; }
  MetricRegistry& metrics() { return metrics_; }
  const Clock& clock() const { return clock_; }
  std::string address() const { return HostPort("127.0.0.1", server_.listeners().front().port); }
  CompletionQueueExecutor* client() { return &client_; }

  // A connection of its own for each purpose.
  std::shared_ptr<grpc::Channel> Channel(absl::string_view purpose = "test") {
    return channels_->Get(purpose, address());
  }
  // All channels from now on are made with these; null: plaintext.
  void ConnectWith(std::shared_ptr<grpc::ChannelCredentials> credentials) {
    channels_ =
        std::make_unique<ChannelPool>(ChannelOptions{.credentials = std::move(credentials)});
  }

  // Calls and waits. `method`: "Echo" or "RawEcho".
  absl::StatusOr<std::string> Echo(const std::string& method, const std::string& text,
                                   ClientCallOptions options = {});

  // Replies of "never" calls, in order.
  std::vector<Reply<EchoResponse>> TakeHeld();
  bool WaitForHeld(size_t count);
  // Calls that saw their cancellation.
  Watched<int>& cancelled() { return cancelled_; }
  // Streams whose handler has heard OnDone.
  Watched<int>& streams_done() { return streams_done_; }
  Watched<CallContext>& last_context() { return last_context_; }

 private:
  static ServerOptions WithListener(ServerOptions options);
  void Register(StreamHandlerFactory chat, AtGate chat_at_gate);

  const SteadyClock clock_;
  MetricRegistry metrics_;
  Service service_;
  Server server_;
  CompletionQueueExecutor client_{&clock_, "client"};
  std::unique_ptr<ChannelPool> channels_ = std::make_unique<ChannelPool>(ChannelOptions{});
  Watched<int> cancelled_;
  Watched<int> streams_done_;
  Watched<CallContext> last_context_;
  std::mutex mutex_;
  std::condition_variable held_changed_;
  std::vector<Reply<EchoResponse>> held_;
};

// Collects what a client stream hears.
struct StreamLog {
  std::vector<std::string> texts;
  int writable = 0;
  bool done = false;
  absl::Status status;
};

class LoggingStreamHandler final : public ClientStreamHandler {
 public:
  explicit LoggingStreamHandler(Watched<StreamLog>* log) : log_(log) {}
  void OnMessage(Bytes message) override {
    EchoResponse response;
    response.ParseFromArray(message.data(), static_cast<int>(message.size()));
    log_->Change([&](StreamLog& log) { log.texts.push_back(response.text()); });
  }
  void OnWritable() override {
    log_->Change([](StreamLog& log) { ++log.writable; });
  }
  void OnDone(absl::Status status) override {
    log_->Change([&](StreamLog& log) {
      log.done = true;
      log.status = std::move(status);
    });
  }

 private:
  Watched<StreamLog>* const log_;
};

// A stream of EchoService that logs what it hears. `log` outlives the server, on whose queue the
// stream ends.
std::shared_ptr<ClientStream> OpenLogged(EchoServer* server, const std::string& method,
                                         Watched<StreamLog>* log,
                                         ClientCallOptions options = {.timeout = absl::Seconds(60)},
                                         absl::string_view purpose = "test");

BytesList EchoText(const std::string& text);

}  // namespace millrace::rpc::testdata

#endif  // RPC_TESTING_ECHO_SERVER_H_
