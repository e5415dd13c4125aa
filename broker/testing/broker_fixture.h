// BrokerFixture: a whole broker on a simulated disk, in virtual time, for tests: shards,
// directories and metadata that the test writes.
//
// Thread: the test's one.
#ifndef BROKER_TESTING_BROKER_FIXTURE_H_
#define BROKER_TESTING_BROKER_FIXTURE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/memory_budget.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "broker/broker.h"
#include "broker/testing/fake_replica_log.h"
#include "metadata/apply.h"
#include "metadata/delta.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"

namespace millrace::broker {

class BrokerFixture {
 public:
  static constexpr NodeId kSelf{1};

  explicit BrokerFixture(int shard_count = 1, std::vector<std::string> log_dirs = {"data"})
      : files(std::make_shared<sim::SimFileSystem>(1)),
        loop(1),
        clock(loop.time()),
        home(loop.MakeExecutor("home", &clock)),
        cold(loop.MakeExecutor("cold", &clock)) {
    for (int i = 0; i < shard_count; ++i) {
      shards.push_back(loop.MakeExecutor(absl::StrCat("shard", i), &clock));
    }
    options.node_id = kSelf;
    options.cluster_id = ClusterId(Uuid(1, 2));
    options.log_dirs = std::move(log_dirs);
    options.log_dir.reserve_bytes = 0;
  }
  ~BrokerFixture() { Crash(); }

  // --- Life ---
  void Construct() {
    BrokerDeps deps;
    deps.clock = &clock;
    deps.files = files.get();
    deps.random = &random;
    deps.metrics = &metrics;
    deps.budget = &budget;
    deps.controller = controller;
    deps.home = home.get();
    for (const auto& shard : shards) deps.shards.push_back(shard.get());
    deps.cold_reads_of = [this](const std::string& log_dir) -> Executor* {
      const auto own = cold_by_dir.find(log_dir);
      return own == cold_by_dir.end() ? cold.get() : own->second.get();
    };
    deps.make_disk_executor = [this](const std::string& name) {
      return loop.MakeExecutor(name, &clock);
    };
    broker = std::make_unique<Broker>(options, deps);
  }
  absl::Status OpenLogDirs() {
    std::optional<absl::Status> opened;
    home->RunNow([&] {
      broker->OpenLogDirs([&](absl::StatusOr<std::vector<OpenedLogDir>> dirs) {
        opened = dirs.status();
        if (dirs.ok()) found = *std::move(dirs);
      });
    });
    CHECK(loop.RunUntil([&] { return opened.has_value(); }, absl::Minutes(1)));
    return *opened;
  }
  // Construct, open, register as `epoch`, and publish the image with this broker in it.
  void Start(int64_t epoch = 10) {
    Construct();
    ASSERT_OK(OpenLogDirs());
    broker_epoch = BrokerEpoch(epoch);
    std::optional<absl::Status> registered;
    home->RunNow([&] {
      broker->Registered(broker_epoch, [&](absl::Status status) { registered = status; });
    });
    ASSERT_TRUE(loop.RunUntil([&] { return registered.has_value(); }, absl::Minutes(1)));
    ASSERT_OK(*registered);
    whole_image_next = true;
    Commit({Registration()}, broker_epoch.value());
    metadata::records::BrokerChangeRecord active;
    active.set_broker_id(kSelf.value());
    active.set_broker_epoch(epoch);
    active.set_state(metadata::StateToRecord(metadata::BrokerState::kActive));
    Commit({metadata::Encode(active)});
  }
  static rsm::Record Registration() {
    metadata::BrokerImage self;
    self.id = kSelf;
    self.incarnation = IncarnationId(Uuid(5, 5));
    self.feature_level_min = self.feature_level_max = 1;
    self.rack = "here";
    self.listeners = {{"PUBLIC", "localhost", 9092}};
    return metadata::Encode(metadata::RegistrationRecordOf(self));
  }
  // The process is gone; what is on the disk stays, as far as the page cache goes.
  void Crash() {
    for (const auto& shard : shards) shard->Shutdown();
    home->Shutdown();
    cold->Shutdown();
    for (const auto& [log_dir, own] : cold_by_dir) own->Shutdown();
    broker.reset();
    cold_by_dir.clear();
    shards.clear();
    for (int i = 0; i < 1; ++i) shards.push_back(loop.MakeExecutor("shard", &clock));
    home = loop.MakeExecutor("home", &clock);
    cold = loop.MakeExecutor("cold", &clock);
  }
  absl::Status Shutdown(absl::Duration drain = absl::Seconds(2)) {
    std::optional<absl::Status> done;
    home->RunNow([&] { broker->Shutdown(drain, [&](absl::Status status) { done = status; }); });
    CHECK(loop.RunUntil([&] { return done.has_value(); }, absl::Minutes(1)));
    broker.reset();
    return *done;
  }
  void Run(absl::Duration time = absl::Milliseconds(5)) { loop.RunFor(time); }

  // --- Metadata ---
  // One committed entry; the next index if none is said.
  void Commit(const std::vector<rsm::Record>& records, int64_t index = 0) {
    const LogIndex at = index == 0 ? image->index() + 1 : LogIndex(index);
    auto next = std::make_shared<const metadata::Image>(metadata::Apply(*image, at, records));
    const bool whole = std::exchange(whole_image_next, false);
    auto delta = std::make_shared<const metadata::Delta>(
        whole ? metadata::DeltaBetween(metadata::Image(), *next)
              : metadata::DeltaOf(*image, *next, records));
    image = next;
    home->RunNow([&] { broker->OnMetadata({next, delta}); });
    Run();
  }
  static TopicId IdOf(int topic) { return TopicId(Uuid(100, static_cast<uint64_t>(topic))); }
  void CreateTopic(const std::string& name, int partitions = 1, int topic = 1,
                   const ConfigValues& configs = {}) {
    std::vector<rsm::Record> records;
    metadata::records::TopicRecord made;
    made.set_topic_id(IdOf(topic).ToBytes());
    made.set_name(name);
    records.push_back(metadata::Encode(made));
    for (int i = 0; i < partitions; ++i) {
      records.push_back(
          metadata::Encode(metadata::PartitionRecordOf({IdOf(topic), PartitionIndex(i)}, Led(1))));
    }
    for (const auto& [key, value] : configs) records.push_back(TopicConfig(topic, key, value));
    Commit(records);
    Run(absl::Milliseconds(50));
  }
  static rsm::Record TopicConfig(int topic, const std::string& key, const std::string& value) {
    return metadata::Encode(
        metadata::ConfigRecordOf(metadata::ConfigOwner::Topic(IdOf(topic)), key, &value));
  }
  void RemoveTopic(int topic = 1) {
    metadata::records::TopicRemovedRecord removed;
    removed.set_topic_id(IdOf(topic).ToBytes());
    Commit({metadata::Encode(removed)});
  }
  // The next leader epoch of a partition.
  void Elect(int partition, int epoch, int topic = 1) {
    const TopicPartition id{IdOf(topic), PartitionIndex(partition)};
    const metadata::PartitionImage before = *image->FindPartition(id);
    metadata::PartitionImage after = before;
    after.leader = kSelf;
    after.leader_epoch = LeaderEpoch(epoch);
    ++after.partition_epoch;
    Commit({metadata::Encode(metadata::PartitionChangeOf(id, before, after))});
    Run(absl::Milliseconds(50));
  }
  metadata::PartitionImage Led(int epoch) {
    metadata::PartitionImage partition;
    partition.replicas = {{kSelf, {}}};
    partition.isr = {kSelf};
    partition.leader = kSelf;
    partition.leader_epoch = LeaderEpoch(epoch);
    partition.partition_epoch = PartitionEpoch(epoch);
    return partition;
  }

  // --- Calls, from shard 0 ---
  template <class F>
  void OnShard(F call) {
    shards[0]->RunNow([&] { call(); });
  }
  void SendProduce(api::ProduceRequest request, std::optional<api::ProduceResponse>* out) {
    OnShard([&] {
      broker->Produce(std::move(request), caller,
                      [out](api::ProduceResponse response) { *out = std::move(response); });
    });
  }
  api::ProducePartitionResult Produce(const std::string& topic, const Bytes& batch,
                                      int partition = 0, api::Acks acks = api::Acks::kAll) {
    api::ProduceRequest request;
    request.acks = acks;
    request.partitions.push_back({.name = {topic, {}, PartitionIndex(partition)}});
    request.partitions[0].batches = batch;
    std::optional<api::ProduceResponse> response;
    SendProduce(std::move(request), &response);
    CHECK(loop.RunUntil([&] { return response.has_value(); }, absl::Minutes(10)));
    return response->partitions.at(0);
  }
  void SendFetch(api::FetchRequest request, std::optional<api::FetchResponse>* out) {
    OnShard([&] {
      broker->Fetch(std::move(request), caller,
                    [out](api::FetchResponse response) { *out = std::move(response); });
    });
  }
  api::FetchResponse Fetch(api::FetchRequest request) {
    std::optional<api::FetchResponse> response;
    SendFetch(std::move(request), &response);
    CHECK(loop.RunUntil([&] { return response.has_value(); }, absl::Minutes(10)));
    return *std::move(response);
  }
  static api::FetchRequest FetchOf(const std::string& topic, int64_t offset, int partition = 0) {
    api::FetchRequest request;
    request.partitions.push_back({.name = {topic, {}, PartitionIndex(partition)}});
    request.partitions[0].offset = Offset(offset);
    return request;
  }

  std::shared_ptr<sim::SimFileSystem> files;
  sim::SimLoop loop;
  sim::SimClock clock;
  sim::SimRandom random{7};
  MetricRegistry metrics;
  MemoryBudget budget{64 << 20};
  std::unique_ptr<sim::SimExecutor> home;
  std::unique_ptr<sim::SimExecutor> cold;
  // Of directories that have one of their own.
  std::map<std::string, std::unique_ptr<sim::SimExecutor>> cold_by_dir;
  std::vector<std::unique_ptr<sim::SimExecutor>> shards;
  BrokerOptions options;
  ControllerChannel* controller = nullptr;
  Caller caller{"PUBLIC", {}};
  std::vector<OpenedLogDir> found;
  BrokerEpoch broker_epoch;
  bool whole_image_next = false;
  std::shared_ptr<const metadata::Image> image = std::make_shared<const metadata::Image>();
  std::unique_ptr<Broker> broker;
};

}  // namespace millrace::broker

#endif  // BROKER_TESTING_BROKER_FIXTURE_H_
