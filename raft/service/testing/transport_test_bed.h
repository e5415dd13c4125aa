// TestVoter: a transport, its service and its server on loopback, with an owner that records what
// it hears. Run(f) does something on the owner's executor, Await waits for a state there.
//
// Thread: the test's; each voter has its owner's and its queue's.
#ifndef RAFT_SERVICE_TESTING_TRANSPORT_TEST_BED_H_
#define RAFT_SERVICE_TESTING_TRANSPORT_TEST_BED_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "base/system_clock.h"
#include "base/system_random.h"
#include "base/thread_executor.h"
#include "gtest/gtest.h"
#include "raft/codec/testing/sample_messages.h"
#include "raft/service/grpc_transport.h"
#include "raft/service/raft_service.h"
#include "rpc/listen_socket.h"
#include "rpc/server.h"
#include "rpc/wakeup.h"

namespace millrace::raft {

inline const ClusterId kTestCluster(Uuid(7, 7));

struct TestVoterOptions {
  int32_t node = 1;
  uint64_t directory = 1;
  int64_t start_counter = 1;
  uint64_t nonce = 1;
  // Zero: not founded yet.
  ClusterId cluster = kTestCluster;
  // 0: any free one.
  int port = 0;
  // The transport lives on its server's queue instead of on a strand of its own.
  bool owner_is_queue = false;
  std::function<void(TransportOptions*)> adjust = [](TransportOptions*) {};
};

class TestVoter final : public TransportReceiver {
 public:
  explicit TestVoter(const TestVoterOptions& options) : options_(options) {
    rpc::ServerOptions listen;
    listen.listeners.push_back({.name = "CONTROLLER", .host = "127.0.0.1", .port = options.port});
    server_ = std::make_unique<rpc::Server>(RaftService::Configure(listen), &clock_,
                                            /*gate=*/nullptr, &metrics_);
    EXPECT_OK(server_->Bind());
    if (!options.owner_is_queue) strand_ = std::make_unique<ThreadExecutor>("owner");
    owner_ = strand_ != nullptr ? static_cast<Executor*>(strand_.get()) : server_->queue(0);
    TransportOptions transport;
    transport.self = id();
    transport.address = address();
    transport.process = {options.start_counter, Uuid(options.node, options.nonce)};
    options.adjust(&transport);
    transport_ =
        GrpcTransport::Create(transport, {owner_, server_->queue(0), &clock_, &random_, &metrics_});
    service_ = std::make_unique<RaftService>(owner_, transport_);
    service_->Register(server_.get());
    Run([&](GrpcTransport& it) {
      it.SetReceiver(this);
      if (!options.cluster.is_zero()) it.SetClusterId(options.cluster);
    });
    EXPECT_OK(server_->Start());
  }
  ~TestVoter() override {
    Run([&](GrpcTransport&) { transport_.reset(); });
    server_->Shutdown(absl::ZeroDuration());
    server_->StopQueues();
  }

  VoterId id() const {
    return {NodeId(options_.node), DirectoryId(Uuid(options_.node, options_.directory))};
  }
  int port() const { return server_->listeners().front().port; }
  std::string address() const { return rpc::HostPort("127.0.0.1", port()); }
  Peer peer() const { return {id().node, address()}; }
  rpc::Server& server() { return *server_; }
  const Clock& clock() const { return clock_; }

  // Runs `f` on the owner's executor and waits for it.
  template <class F>
  void Run(F f) {
    rpc::Wakeup done;
    owner_->Post([&] {
      f(*transport_);
      done.Signal();
    });
    while (!done.WaitFor(absl::Seconds(1))) {
    }
  }
  template <class T, class F>
  T Get(F f) {
    std::optional<T> value;
    Run([&](GrpcTransport& it) { value = f(it); });
    return *std::move(value);
  }

  // Whether the condition, asked on the owner's executor, came true in time.
  bool Await(const std::function<bool(GrpcTransport&)>& condition) {
    const MonotonicTime deadline = clock_.Now() + absl::Seconds(30);
    while (!Get<bool>(condition)) {
      if (clock_.Now() >= deadline) return false;
      (void)heard_.WaitFor(absl::Milliseconds(5));
    }
    return true;
  }
  bool AwaitConnected(const TestVoter& peer) {
    return Await([&](GrpcTransport& it) { return it.IsConnected(peer.id().node); });
  }
  bool AwaitReceived(size_t count) {
    return Await([&](GrpcTransport&) { return received_.size() >= count; });
  }
  bool AwaitUnreachable(size_t count) {
    return Await([&](GrpcTransport&) { return unreachable_.size() >= count; });
  }

  void SetPeers(std::vector<Peer> peers) {
    Run([&](GrpcTransport& it) { it.SetPeers(std::move(peers)); });
  }
  // A heartbeat that carries a number.
  Message Numbered(const VoterId& to, int64_t number, size_t payload = 0) const {
    Message message;
    message.from = id();
    message.to = to;
    message.term = Term(1);
    AppendRequest append;
    append.commit = LogIndex(number);
    if (payload > 0) {
      append.entries.push_back(EntryOf(1, 1, EntryType::kPayload, std::string(payload, 'p')));
    }
    message.body = std::move(append);
    return message;
  }
  void Send(const VoterId& to, int64_t number, size_t payload = 0) {
    Run([&](GrpcTransport& it) { it.Send({Numbered(to, number, payload)}); });
  }
  // Sends again and again until the condition holds, asked on the test's thread; false if it does
  // not in time.
  bool SendUntil(const VoterId& to, int64_t number, const std::function<bool()>& condition) {
    const MonotonicTime deadline = clock_.Now() + absl::Seconds(30);
    while (!condition()) {
      if (clock_.Now() >= deadline) return false;
      Send(to, number);
      (void)heard_.WaitFor(absl::Milliseconds(5));
    }
    return true;
  }
  bool SendUntilReceived(TestVoter* to, int64_t number) {
    const size_t before = to->received().size();
    return SendUntil(to->id(), number, [&] { return to->received().size() > before; });
  }

  std::vector<Message> received() {
    return Get<std::vector<Message>>([&](GrpcTransport&) { return received_; });
  }
  std::vector<int64_t> numbers() {
    std::vector<int64_t> numbers;
    for (const Message& message : received()) {
      numbers.push_back(std::get<AppendRequest>(message.body).commit.value());
    }
    return numbers;
  }
  std::vector<NodeId> unreachable() {
    return Get<std::vector<NodeId>>([&](GrpcTransport&) { return unreachable_; });
  }
  // For Await.
  bool superseded_is_ok() const { return superseded_.ok(); }
  // Not OK once it heard that the quorum was recovered without it.
  absl::Status superseded() {
    return Get<absl::Status>([&](GrpcTransport&) { return superseded_; });
  }
  // The sum over all peers.
  double Metric(const std::string& name) const {
    double sum = 0;
    for (const MetricSample& sample : metrics_.Collect()) {
      if (sample.name == name) sum += sample.value;
    }
    return sum;
  }

  void OnMessage(const Message& message) override {
    EXPECT_TRUE(owner_->IsCurrent());
    received_.push_back(message);
    heard_.Signal();
  }
  void OnSuperseded(const absl::Status& why) override {
    EXPECT_TRUE(owner_->IsCurrent());
    superseded_ = why;
    heard_.Signal();
  }
  void OnUnreachable(NodeId peer) override {
    EXPECT_TRUE(owner_->IsCurrent());
    unreachable_.push_back(peer);
    heard_.Signal();
  }

 private:
  const TestVoterOptions options_;
  SystemClock clock_;
  SystemRandom random_;
  MetricRegistry metrics_;
  rpc::Wakeup heard_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<ThreadExecutor> strand_;
  Executor* owner_ = nullptr;
  std::shared_ptr<GrpcTransport> transport_;
  std::unique_ptr<RaftService> service_;
  // Owner's.
  std::vector<Message> received_;
  std::vector<NodeId> unreachable_;
  absl::Status superseded_;
};

}  // namespace millrace::raft

#endif  // RAFT_SERVICE_TESTING_TRANSPORT_TEST_BED_H_
