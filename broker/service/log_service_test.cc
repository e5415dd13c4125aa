// LogService over real gRPC on loopback, in front of a real broker on a real disk.
#include "broker/service/log_service.h"

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
#include "metadata/apply.h"
#include "metadata/delta.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"
#include "rpc/status_mapping.h"

namespace millrace::broker {
namespace {

const TopicId kTopic(Uuid(4, 4));

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
  LogServiceTest() {
    rpc::ServerOptions options;
    options.listeners.push_back({.name = "PUBLIC", .host = "127.0.0.1", .port = 0});
    options.queue_count = GetParam();
    server_ = std::make_unique<rpc::Server>(options, &clock_, nullptr, &metrics_);
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
    deps.cold_reads = &cold_;
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

  static std::string Batch(Slice value) {
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

  static SystemClock clock_;
  SystemRandom random_;
  PosixFileSystem files_;
  MetricRegistry metrics_;
  MemoryBudget budget_{64 << 20};
  ThreadExecutor home_{"home"};
  ThreadExecutor cold_{"cold"};
  std::string path_;
  std::shared_ptr<const metadata::Image> image_ = std::make_shared<const metadata::Image>();
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<LogService> service_;
  std::unique_ptr<v1::LogService::Stub> stub_;
};

SystemClock LogServiceTest::clock_;

TEST_P(LogServiceTest, PlainRecordsGoInAndComeOut) {
  v1::ProduceRequest produce;
  v1::ProducePartition* partition = produce.add_partitions();
  partition->set_topic("t");
  v1::Record* record = partition->add_records();
  record->set_key("k");
  record->set_value("v");
  partition->add_records()->set_value("w");
  const v1::ProduceResponse produced = Produce(produce);
  ASSERT_EQ(produced.partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED)
      << produced.partitions(0).message();
  EXPECT_EQ(produced.partitions(0).level(), v1::DURABILITY_LEVEL_DURABLE);

  v1::FetchRequest fetch;
  fetch.add_partitions()->set_topic("t");
  fetch.mutable_partitions(0)->set_offset(1);
  const v1::FetchResponse fetched = Fetch(fetch);
  ASSERT_EQ(fetched.partitions(0).records_size(), 1);
  EXPECT_EQ(fetched.partitions(0).records(0).value(), "w");
  EXPECT_EQ(fetched.partitions(0).records(0).offset(), 1);
  EXPECT_FALSE(fetched.partitions(0).records(0).has_key());
  EXPECT_GT(fetched.partitions(0).records(0).timestamp_ms(), 0);
}

TEST_P(LogServiceTest, BatchesComeBackAsTheyWereSent) {
  v1::ProduceRequest produce;
  produce.add_partitions()->set_topic("t");
  const std::string batch = Batch(std::string(100000, 'x'));
  produce.mutable_partitions(0)->set_batches(batch);
  ASSERT_EQ(Produce(produce).partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED);
  v1::FetchRequest fetch;
  fetch.add_partitions()->set_topic("t");
  fetch.set_format(v1::RECORD_FORMAT_BATCHES);
  const std::string stored = Fetch(fetch).partitions(0).batches();
  ASSERT_EQ(stored.size(), batch.size());
  EXPECT_EQ(stored.substr(16), batch.substr(16)) << "all that the checksum covers, and the magic";
}

TEST_P(LogServiceTest, ErrorsArePerPartition) {
  v1::ProduceRequest produce;
  for (const char* topic : {"t", "nope"}) {
    produce.add_partitions()->set_topic(topic);
    produce.mutable_partitions(produce.partitions_size() - 1)->set_batches(Batch("x"));
  }
  produce.add_partitions()->set_topic("t");
  produce.mutable_partitions(2)->set_batches("garbage");
  const v1::ProduceResponse response = Produce(produce);
  EXPECT_EQ(response.partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED);
  EXPECT_EQ(response.partitions(1).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  EXPECT_EQ(response.partitions(2).code(), v1::ERROR_CODE_CORRUPT_MESSAGE);
}

TEST_P(LogServiceTest, AnUnservedMethodSaysSo) {
  grpc::ClientContext context;
  v1::OffsetForLeaderEpochResponse response;
  const grpc::Status status = stub_->OffsetForLeaderEpoch(&context, {}, &response);
  EXPECT_THAT(rpc::FromGrpcStatus(status),
              IsError(ErrorCode::kUnsupportedVersion, "OffsetForLeaderEpoch"));
}

TEST_P(LogServiceTest, AMalformedTypedRequestIsRefusedWithItsField) {
  grpc::ClientContext context;
  v1::ListOffsetsRequest request;
  request.add_partitions()->set_topic_id("short");
  v1::ListOffsetsResponse response;
  const grpc::Status status = stub_->ListOffsets(&context, request, &response);
  EXPECT_THAT(rpc::FromGrpcStatus(status), IsError(ErrorCode::kInvalidRequest, "16 bytes"));
}

TEST_P(LogServiceTest, AProduceStreamAnswersAllAndEndsWithItsClient) {
  v1::ProduceRequest first;
  first.add_partitions()->set_topic("t");
  first.mutable_partitions(0)->set_batches(Batch("first"));
  Produce(first);
  grpc::ClientContext context;
  auto stream = stub_->ProduceStream(&context);
  for (uint64_t n = 1; n <= 100; ++n) {
    v1::ProduceStreamRequest request;
    request.set_request_number(n);
    v1::ProducePartition* partition = request.mutable_request()->add_partitions();
    partition->set_topic("t");
    partition->set_partition(static_cast<int>(n % 2));
    partition->set_batches(Batch(absl::StrCat("value ", n)));
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  uint64_t last[2] = {0, 0};
  int answers = 0;
  v1::ProduceStreamResponse response;
  while (stream->Read(&response)) {
    for (const v1::ProducePartitionResult& result : response.partitions()) {
      ++answers;
      EXPECT_EQ(result.code(), v1::ERROR_CODE_UNSPECIFIED) << result.message();
      EXPECT_LT(last[result.partition()], response.request_number());
      last[result.partition()] = response.request_number();
    }
  }
  EXPECT_EQ(answers, 100);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_P(LogServiceTest, AFetchStreamPushesWhatComes) {
  v1::ProduceRequest produce;
  produce.add_partitions()->set_topic("t");
  produce.mutable_partitions(0)->set_batches(Batch("one"));
  Produce(produce);
  grpc::ClientContext context;
  auto stream = stub_->FetchStream(&context);
  v1::FetchStreamRequest open;
  open.add_assign()->set_topic("t");
  open.set_credit_bytes(1 << 20);
  open.set_assignment_number(3);
  ASSERT_TRUE(stream->Write(open));
  v1::FetchStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.assignment_number(), 3u);
  EXPECT_EQ(response.partitions(0).records(0).value(), "one");
  produce.mutable_partitions(0)->set_batches(Batch("two"));
  Produce(produce);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.partitions(0).records(0).value(), "two");
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_P(LogServiceTest, AWatchTellsTheLeaders) {
  grpc::ClientContext context;
  v1::WatchTopicsRequest request;
  request.add_topics("t");
  request.set_metadata_index(2);
  auto stream = stub_->WatchTopics(&context, request);
  v1::WatchTopicsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.metadata_index(), 2);
  ASSERT_EQ(response.topics_size(), 1);
  EXPECT_EQ(response.topics(0).partitions_size(), 2);
  EXPECT_EQ(response.topics(0).partitions(1).leader_id(), 1);
  EXPECT_EQ(response.topics(0).topic_id(), kTopic.ToBytes());
  context.TryCancel();
}

TEST_P(LogServiceTest, AVanishedLongPollCostsNobodyAnything) {
  v1::ProduceRequest produce;
  produce.add_partitions()->set_topic("t");
  produce.mutable_partitions(0)->set_batches(Batch("x"));
  Produce(produce);
  v1::FetchRequest fetch;
  fetch.add_partitions()->set_topic("t");
  fetch.mutable_partitions(0)->set_offset(1);
  fetch.set_max_wait_ms(60000);
  grpc::ClientContext context;
  context.set_deadline(gpr_time_from_millis(50, GPR_TIMESPAN));
  v1::FetchResponse response;
  EXPECT_EQ(stub_->Fetch(&context, fetch, &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(Produce(produce).partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED);
}

INSTANTIATE_TEST_SUITE_P(Shards, LogServiceTest, ::testing::Values(1, 2));

}  // namespace
}  // namespace millrace::broker
