// LogServiceTest: LogService over real gRPC on loopback, in front of a real broker on a real disk,
// with one topic "t" of two partitions; the parameter is the number of shards.
//
// Thread: the test's; the server has its own.
#ifndef BROKER_SERVICE_TESTING_LOG_SERVICE_FIXTURE_H_
#define BROKER_SERVICE_TESTING_LOG_SERVICE_FIXTURE_H_

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <atomic>
#include <cstdlib>
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
#include "broker/service/log_service.h"
#include "metadata/apply.h"
#include "metadata/delta.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"
#include "rpc/status_mapping.h"

namespace millrace::broker {

inline const TopicId kTopic(Uuid(4, 4));

// A value that another thread gives.
template <class T>
class Promise {
 public:
  void Set(T value) {
    value_ = std::move(value);
    ready_.store(true);
    ready_.notify_all();
  }
  T Wait() {
    ready_.wait(false);
    return *value_;
  }

 private:
  std::optional<T> value_;
  std::atomic<bool> ready_{false};
};

class LogServiceTest : public ::testing::TestWithParam<int> {
 protected:
  explicit LogServiceTest(rpc::ServerOptions options = {}) {
    options.listeners.push_back({.name = "PUBLIC", .host = "127.0.0.1", .port = 0});
    options.queue_count = GetParam();
    server_ = std::make_unique<rpc::Server>(options, &clock_, rpc::ReadGate::Create(&inbound_),
                                            &metrics_);
    StartBroker();
    service_ = std::make_unique<LogService>(broker_.get());
    service_->Register(server_.get());
    EXPECT_OK(server_->Start());
    stub_ = v1::LogService::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->listeners()[0].port),
                            grpc::InsecureChannelCredentials()));
  }
  ~LogServiceTest() override {
    server_->Shutdown(absl::Seconds(1));
    Promise<absl::Status> stopped;
    home_.Post([&] {
      broker_->Shutdown(absl::Seconds(1), [&](absl::Status status) { stopped.Set(status); });
    });
    EXPECT_OK(stopped.Wait());
    server_->StopQueues();
    cold_.Shutdown();
    home_.Shutdown();
    broker_.reset();
    EXPECT_OK(RemoveTree(files_, path_));
  }

  void StartBroker() {
    path_ = absl::StrCat(std::getenv("TEST_TMPDIR"), "/log_service_",
                         ::testing::UnitTest::GetInstance()->random_seed(), "_", random_.Next());
    BrokerOptions options;
    options.node_id = NodeId(1);
    options.cluster_id = ClusterId(Uuid(1, 1));
    options.log_dirs = {path_};
    options.log_dir.reserve_bytes = 0;
    BrokerDeps deps;
    deps.clock = &clock_;
    deps.files = &files_;
    deps.random = &random_;
    deps.metrics = &metrics_;
    deps.budget = &budget_;
    deps.home = &home_;
    for (int i = 0; i < server_->queue_count(); ++i) deps.shards.push_back(server_->queue(i));
    deps.cold_reads_of = [this](const std::string&) { return &cold_; };
    deps.make_disk_executor = [](const std::string& name) {
      return std::make_unique<ThreadExecutor>(name);
    };
    broker_ = std::make_unique<Broker>(options, deps);
    Promise<absl::Status> ready;
    home_.Post([&] {
      broker_->OpenLogDirs([&](absl::StatusOr<std::vector<OpenedLogDir>> opened) {
        if (!opened.ok()) return ready.Set(opened.status());
        broker_->Registered(BrokerEpoch(1), [&](absl::Status status) { ready.Set(status); });
      });
    });
    ASSERT_OK(ready.Wait());
    Commit({Registration()});
    Commit(TopicRecords("t", 2));
    // On every shard: a call may come in at any of them.
    Promise<bool> followed;
    home_.Post([&] { broker_->AwaitMetadata(image_->index(), [&] { followed.Set(true); }); });
    followed.Wait();
  }

  static rsm::Record Registration() {
    metadata::BrokerImage self;
    self.id = NodeId(1);
    self.incarnation = IncarnationId(Uuid(5, 5));
    self.feature_level_min = self.feature_level_max = 1;
    self.listeners = {{"PUBLIC", "localhost", 9092}};
    return metadata::Encode(metadata::RegistrationRecordOf(self));
  }
  static std::vector<rsm::Record> TopicRecords(const std::string& name, int partitions) {
    metadata::records::TopicRecord topic;
    topic.set_topic_id(kTopic.ToBytes());
    topic.set_name(name);
    std::vector<rsm::Record> records = {metadata::Encode(topic)};
    for (int i = 0; i < partitions; ++i) {
      metadata::PartitionImage partition;
      partition.replicas = {{NodeId(1), {}}};
      partition.isr = {NodeId(1)};
      partition.leader = NodeId(1);
      partition.leader_epoch = LeaderEpoch(1);
      records.push_back(
          metadata::Encode(metadata::PartitionRecordOf({kTopic, PartitionIndex(i)}, partition)));
    }
    return records;
  }
  void Commit(const std::vector<rsm::Record>& records) {
    auto next = std::make_shared<const metadata::Image>(
        metadata::Apply(*image_, image_->index() + 1, records));
    auto delta =
        std::make_shared<const metadata::Delta>(metadata::DeltaOf(*image_, *next, records));
    image_ = next;
    home_.Post([this, next, delta] { broker_->OnMetadata({next, delta}); });
  }

  std::string Batch(Slice value) {
    record::BatchBuilder builder({});
    builder.Add(clock_.WallNow().ms, absl::nullopt, value);
    return builder.Build().ToString();
  }
  // Waits until the partitions are open: the first calls may come too early.
  v1::ProduceResponse Produce(const v1::ProduceRequest& request) {
    while (true) {
      grpc::ClientContext context;
      v1::ProduceResponse response;
      const grpc::Status status = stub_->Produce(&context, request, &response);
      EXPECT_TRUE(status.ok()) << status.error_message();
      if (!status.ok() || (response.partitions(0).code() != v1::ERROR_CODE_NOT_LEADER_OR_FOLLOWER &&
                           response.partitions(0).code() != v1::ERROR_CODE_BROKER_NOT_AVAILABLE)) {
        return response;
      }
    }
  }
  v1::FetchResponse Fetch(const v1::FetchRequest& request) {
    grpc::ClientContext context;
    v1::FetchResponse response;
    const grpc::Status status = stub_->Fetch(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  SystemClock clock_;
  SystemRandom random_;
  PosixFileSystem files_;
  MetricRegistry metrics_;
  MemoryBudget budget_{64 << 20};
  MemoryBudget inbound_{64 << 20};
  ThreadExecutor home_{"home"};
  ThreadExecutor cold_{"cold"};
  std::string path_;
  std::shared_ptr<const metadata::Image> image_ = std::make_shared<const metadata::Image>();
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<LogService> service_;
  std::unique_ptr<v1::LogService::Stub> stub_;
};

}  // namespace millrace::broker

#endif  // BROKER_SERVICE_TESTING_LOG_SERVICE_FIXTURE_H_
