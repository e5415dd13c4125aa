// Three brokers with real disks, threads and gRPC on loopback, one process: batches arrive on all
// of them, leadership moves, an empty follower catches up.
#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/posix_file_system.h"
#include "base/status_matchers.h"
#include "base/system_clock.h"
#include "base/system_random.h"
#include "base/thread_executor.h"
#include "broker/broker.h"
#include "broker/service/grpc_replica_channel.h"
#include "broker/service/replica_service.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/apply.h"
#include "metadata/delta.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"
#include "record/batch_builder.h"
#include "rpc/server.h"

namespace millrace::broker {
namespace {

const TopicId kTopic(Uuid(4, 4));
const TopicPartition kPartition{kTopic, PartitionIndex(0)};

// Runs `start` there with a callback, and waits for what it is given.
template <class T>
T Await(Executor* executor, std::function<void(std::function<void(T)>)> start) {
  std::optional<T> value;
  std::atomic<bool> ready{false};
  executor->Post([&] {
    start([&](T given) {
      value = std::move(given);
      ready.store(true);
      ready.notify_all();
    });
  });
  ready.wait(false);
  return *std::move(value);
}

// One broker with all that it stands on.
class Member {
 public:
  Member(int id, std::string path) : id_(id), path_(std::move(path)) {
    rpc::ServerOptions options;
    options.listeners.push_back({.name = "INTERNAL", .host = "127.0.0.1", .port = 0});
    options.queue_count = 2;
    server_ = std::make_unique<rpc::Server>(ReplicaService::Configure(options), &clock_, nullptr,
                                            &metrics_);
    std::vector<rpc::CompletionQueueExecutor*> queues;
    BrokerDeps deps;
    for (int i = 0; i < server_->queue_count(); ++i) {
      deps.shards.push_back(server_->queue(i));
      queues.push_back(server_->queue(i));
    }
    channel_ = std::make_unique<GrpcReplicaChannel>(queues);
    BrokerOptions broker;
    broker.node_id = NodeId(id);
    broker.cluster_id = ClusterId(Uuid(1, 1));
    broker.log_dirs = {path_};
    broker.log_dir.reserve_bytes = 0;
    broker.inter_broker_listener = "INTERNAL";
    deps.clock = &clock_;
    deps.files = &files_;
    deps.random = &random_;
    deps.metrics = &metrics_;
    deps.budget = &budget_;
    deps.home = &home_;
    deps.cold_reads_of = [this](const std::string&) { return &cold_; };
    deps.make_disk_executor = [](const std::string& name) {
      return std::make_unique<ThreadExecutor>(name);
    };
    deps.replica_channel = channel_.get();
    broker_ = std::make_unique<Broker>(broker, deps);
    service_ = std::make_unique<ReplicaService>(broker_->replica_intake());
    service_->Register(server_.get());
    EXPECT_OK(server_->Start());
    EXPECT_OK(Await<absl::Status>(&home_, [&](auto done) {
      broker_->OpenLogDirs([done](auto opened) { done(opened.status()); });
    }));
  }
  ~Member() {
    const absl::Status stopped = Await<absl::Status>(&home_, [&](auto done) {
      broker_->Shutdown(absl::ZeroDuration(), [done](absl::Status status) { done(status); });
    });
    EXPECT_OK(stopped);
    server_->Shutdown(absl::ZeroDuration());
    server_->StopQueues();
    cold_.Shutdown();
    home_.Shutdown();
    broker_.reset();
    EXPECT_OK(RemoveTree(files_, path_));
  }

  metadata::BrokerImage Registration() const {
    metadata::BrokerImage self;
    self.id = NodeId(id_);
    self.incarnation = IncarnationId(Uuid(5, static_cast<uint64_t>(id_)));
    self.feature_level_min = self.feature_level_max = 1;
    self.listeners = {
        {"INTERNAL", "127.0.0.1", static_cast<uint16_t>(server_->listeners()[0].port)}};
    return self;
  }
  void Registered(BrokerEpoch epoch) {
    EXPECT_OK(Await<absl::Status>(&home_, [&](auto done) {
      broker_->Registered(epoch, [done](absl::Status status) { done(status); });
    }));
  }
  void Publish(metadata::Update update) {
    home_.Post([this, update = std::move(update)] { broker_->OnMetadata(update); });
  }
  api::ProducePartitionResult Produce(const Bytes& batch) {
    return Await<api::ProducePartitionResult>(server_->queue(0), [&](auto done) {
      api::ProduceRequest request;
      request.acks = api::Acks::kAll;
      request.timeout = absl::Seconds(20);
      request.partitions.emplace_back().name = {"t", {}, PartitionIndex(0)};
      request.partitions[0].batches = batch;
      broker_->Produce(std::move(request), {"INTERNAL", {}},
                       [done](api::ProduceResponse response) { done(response.partitions.at(0)); });
    });
  }
  ReplicaState State() {
    const auto dirs = Await<std::vector<LogDirDescription>>(
        &home_, [&](auto done) { broker_->DescribeLogDirs(done); });
    return dirs[0].replicas.empty() ? ReplicaState() : dirs[0].replicas[0];
  }
  std::string Log() {
    const auto size = static_cast<size_t>(State().size_bytes);
    const absl::StatusOr<std::string> bytes =
        ReadWholeFile(files_, absl::StrCat(path_, "/t-0/00000000000000000000.log"), 256 << 20);
    return bytes.ok() ? bytes->substr(0, size) : std::string();
  }
  // Until `holds` of the replica; false after 20 seconds.
  bool AwaitState(const std::function<bool(const ReplicaState&)>& holds) {
    const MonotonicTime end = clock_.Now() + absl::Seconds(20);
    while (!holds(State())) {
      if (clock_.Now() > end) return false;
    }
    return true;
  }

 private:
  const int id_;
  const std::string path_;
  SystemClock clock_;
  SystemRandom random_;
  PosixFileSystem files_;
  MetricRegistry metrics_;
  MemoryBudget budget_{64 << 20};
  ThreadExecutor home_{"home"};
  ThreadExecutor cold_{"cold"};
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<GrpcReplicaChannel> channel_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<ReplicaService> service_;
};

class ReplicationOverGrpcTest : public ::testing::Test {
 protected:
  void Start(int id) {
    members_[id] = std::make_unique<Member>(
        id, absl::StrCat(std::getenv("TEST_TMPDIR"), "/broker", id, "_", random_.Next()));
    Commit({metadata::Encode(metadata::RegistrationRecordOf(members_[id]->Registration()))});
    members_[id]->Registered(image_->FindBroker(NodeId(id))->epoch);
    metadata::records::BrokerChangeRecord active;
    active.set_broker_id(id);
    active.set_broker_epoch(image_->FindBroker(NodeId(id))->epoch.value());
    active.set_state(metadata::StateToRecord(metadata::BrokerState::kActive));
    Commit({metadata::Encode(active)});
  }
  void Commit(const std::vector<rsm::Record>& records) {
    image_ = std::make_shared<const metadata::Image>(
        metadata::Apply(*image_, image_->index() + 1, records));
    // The whole of it, since one of them may be new.
    const auto delta =
        std::make_shared<const metadata::Delta>(metadata::DeltaBetween(metadata::Image(), *image_));
    for (const auto& [id, member] : members_) member->Publish({image_, delta});
  }
  void CreateTopic(std::vector<int> isr) {
    metadata::records::TopicRecord topic;
    topic.set_topic_id(kTopic.ToBytes());
    topic.set_name("t");
    metadata::PartitionImage partition;
    for (const int id : {1, 2, 3}) partition.replicas.push_back({NodeId(id), {}});
    for (const int id : isr) partition.isr.push_back(NodeId(id));
    partition.leader = NodeId(1);
    partition.leader_epoch = LeaderEpoch(1);
    partition.partition_epoch = PartitionEpoch(1);
    Commit({metadata::Encode(topic),
            metadata::Encode(metadata::PartitionRecordOf(kPartition, partition))});
  }
  void Elect(int leader) {
    const metadata::PartitionImage before = *image_->FindPartition(kPartition);
    metadata::PartitionImage after = before;
    after.leader = NodeId(leader);
    ++after.leader_epoch;
    ++after.partition_epoch;
    Commit({metadata::Encode(metadata::PartitionChangeOf(kPartition, before, after))});
  }
  static Bytes Batch(size_t bytes) {
    record::BatchBuilder builder({});
    builder.Add(1'767'225'600'000, absl::nullopt, std::string(bytes, 'v'));
    return Bytes::Copy(builder.Build().slice());
  }
  // Until the leader takes it.
  void Produce(int leader, const Bytes& batch) {
    api::ProducePartitionResult result;
    const MonotonicTime end = clock_.Now() + absl::Seconds(20);
    do {
      result = members_[leader]->Produce(batch);
    } while (!result.outcome.ok() && clock_.Now() < end);
    EXPECT_TRUE(result.outcome.ok()) << result.outcome.message;
  }
  void ExpectEqualLogs() {
    const Offset end = members_[1]->State().end_offset;
    for (const auto& [id, member] : members_) {
      EXPECT_TRUE(member->AwaitState([&](const ReplicaState& state) {
        return state.end_offset == end && state.high_watermark == end;
      })) << id;
      EXPECT_EQ(member->Log(), members_[1]->Log()) << id;
    }
  }

  SystemClock clock_;
  SystemRandom random_;
  std::shared_ptr<const metadata::Image> image_ = std::make_shared<const metadata::Image>();
  std::map<int, std::unique_ptr<Member>> members_;
};

TEST_F(ReplicationOverGrpcTest, AcknowledgedBatchesAreOnAllThreeAndLeadershipMoves) {
  for (const int id : {1, 2, 3}) Start(id);
  CreateTopic({1, 2, 3});
  for (int i = 0; i < 50; ++i) Produce(1, Batch(1000));
  ExpectEqualLogs();
  Elect(2);
  for (int i = 0; i < 50; ++i) Produce(2, Batch(1000));
  ExpectEqualLogs();
}

TEST_F(ReplicationOverGrpcTest, AnEmptyFollowerCatchesUpBeyondItsWindow) {
  for (const int id : {1, 2}) Start(id);
  CreateTopic({1, 2});
  for (int i = 0; i < 60; ++i) Produce(1, Batch(500'000));
  Start(3);
  EXPECT_TRUE(members_[3]->AwaitState([&](const ReplicaState& state) {
    return state.end_offset == members_[1]->State().end_offset;
  }));
  ExpectEqualLogs();
}

}  // namespace
}  // namespace millrace::broker
