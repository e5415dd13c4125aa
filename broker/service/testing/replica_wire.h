// ReplicaWire: the two ends of replication streams over real gRPC on loopback, in a test's hands: a
// server with two queues whose intake belongs to the first, and a channel on a queue of its own.
//
// Thread: the test's; sinks are called on their queues and lock what they note.
#ifndef BROKER_SERVICE_TESTING_REPLICA_WIRE_H_
#define BROKER_SERVICE_TESTING_REPLICA_WIRE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/memory_budget.h"
#include "base/status_matchers.h"
#include "base/system_clock.h"
#include "broker/codec/testing/sample_replication.h"
#include "broker/service/grpc_repair_channel.h"
#include "broker/service/grpc_replica_channel.h"
#include "broker/service/replica_service.h"
#include "rpc/server.h"

namespace millrace::broker {

class ReplicaWire {
 public:
  struct Leader : LeaderSink {
    explicit Leader(ReplicaWire* wire) : wire(wire) {}
    void OnMessage(FollowerMessage message) override { messages.push_back(std::move(message)); }
    void OnWritable() override { ++writable; }
    void OnClosed() override { closed = true; }

    ReplicaWire* const wire;
    FollowerHello hello;
    std::shared_ptr<LeaderStream> stream;
    std::vector<FollowerMessage> messages;
    int writable = 0;
    bool closed = false;
  };
  struct Follower : FollowerSink {
    void OnHello(const LeaderHello& said) override { hello = said; }
    void OnMessage(ReceivedLeaderMessage message) override {
      messages.push_back(std::move(message));
    }
    void OnClosed(const absl::Status& why) override { closed = why; }

    std::optional<LeaderHello> hello;
    std::vector<ReceivedLeaderMessage> messages;
    std::optional<absl::Status> closed;
  };

  ReplicaWire() {
    rpc::ServerOptions options;
    options.listeners.push_back({.name = "INTERNAL", .host = "127.0.0.1", .port = 0});
    options.queue_count = 2;
    options.stream_write_bytes_max = 1 << 20;
    server_ = std::make_unique<rpc::Server>(ReplicaService::Configure(options), &clock_,
                                            rpc::ReadGate::Create(&inbound), &metrics_);
    service_ = std::make_unique<ReplicaService>(
        ReplicaIntake{.executor_of = [this](const FollowerHello&) { return shard(); },
                      .take_in =
                          [this](const FollowerHello& hello, std::shared_ptr<LeaderStream> stream) {
                            auto leader = std::make_shared<Leader>(this);
                            leader->hello = hello;
                            leader->stream = std::move(stream);
                            if (accepts) leader->stream->Accept({0, 2});
                            leaders.push_back(leader);
                            return leader;
                          },
                      .read_range =
                          [this](const RangeQuery& query, RangeDone done) {
                            shard()->Post([this, query, done = std::move(done)]() mutable {
                              queries.push_back(query);
                              std::move(done)(range);
                            });
                          }});
    service_->Register(server_.get());
    EXPECT_OK(server_->Start());
    client_ = std::make_unique<rpc::CompletionQueueExecutor>(&clock_, "follower");
    channel_ = std::make_unique<GrpcReplicaChannel>(
        std::vector<rpc::CompletionQueueExecutor*>{client_.get()});
    repairs_ = std::make_unique<GrpcRepairChannel>(
        std::vector<rpc::CompletionQueueExecutor*>{client_.get()});
  }
  ~ReplicaWire() {
    OnFollower([&] { streams.clear(); });
    StopServer();
    client_->Shutdown();
  }
  void StopServer() {
    if (server_ == nullptr) return;
    server_->Shutdown(absl::ZeroDuration());
    OnLeader([&] { leaders.clear(); });
    server_->StopQueues();
    server_.reset();
  }

  // Runs `call` there, and waits for it.
  void OnLeader(const std::function<void()>& call) { RunOn(server_->queue(0), call); }
  void OnFollower(const std::function<void()>& call) { RunOn(client_.get(), call); }
  // Asks there until it holds. False after 20 seconds.
  bool AwaitLeader(const std::function<bool()>& holds) { return Await(server_->queue(0), holds); }
  bool AwaitFollower(const std::function<bool()>& holds) { return Await(client_.get(), holds); }

  std::shared_ptr<Follower> Open(const std::string& address = "") {
    auto follower = std::make_shared<Follower>();
    OnFollower([&] {
      streams.push_back(channel_->Open(address.empty() ? this->address() : address,
                                       SampleFollowerHello(), client_.get(), follower));
    });
    return follower;
  }
  absl::StatusOr<Bytes> ReadRange(const RangeQuery& query, const std::string& address = "") {
    absl::StatusOr<Bytes> answer = absl::UnknownError("no answer");
    std::atomic<bool> answered{false};
    OnFollower([&] {
      repairs_->ReadRange(address.empty() ? this->address() : address, query, absl::Seconds(20),
                          client_.get(), [&](absl::StatusOr<Bytes> bytes) {
                            answer = std::move(bytes);
                            answered.store(true);
                            answered.notify_all();
                          });
    });
    answered.wait(false);
    return answer;
  }
  int port() const { return server_->listeners()[0].port; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port()); }
  Executor* shard() { return server_->queue(0); }

  // Of what comes in at the leader.
  MemoryBudget inbound{16 << 20};
  bool accepts = true;
  // What ReadRange is answered.
  absl::StatusOr<Bytes> range = Bytes();
  // On their queues.
  std::vector<std::shared_ptr<Leader>> leaders;
  std::vector<RangeQuery> queries;
  std::vector<std::unique_ptr<FollowerStream>> streams;

 private:
  static void RunOn(Executor* executor, const std::function<void()>& call) {
    std::atomic<bool> done{false};
    executor->Post([&] {
      call();
      done.store(true);
      done.notify_all();
    });
    done.wait(false);
  }
  bool Await(Executor* executor, const std::function<bool()>& holds) {
    const MonotonicTime end = clock_.Now() + absl::Seconds(20);
    bool is = false;
    while (!is && clock_.Now() < end) RunOn(executor, [&] { is = holds(); });
    return is;
  }

  SystemClock clock_;
  MetricRegistry metrics_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<ReplicaService> service_;
  std::unique_ptr<rpc::CompletionQueueExecutor> client_;
  std::unique_ptr<GrpcReplicaChannel> channel_;
  std::unique_ptr<GrpcRepairChannel> repairs_;
};

}  // namespace millrace::broker

#endif  // BROKER_SERVICE_TESTING_REPLICA_WIRE_H_
