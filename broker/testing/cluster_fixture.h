// ClusterFixture: several whole brokers, each on its own simulated disk, joined by streams in
// memory, with a controller that commits what leaders propose and elects as the test says.
//
// Thread: the test's one.
#ifndef BROKER_TESTING_CLUSTER_FIXTURE_H_
#define BROKER_TESTING_CLUSTER_FIXTURE_H_

#include <algorithm>
#include <map>
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
#include "broker/controller_channel.h"
#include "broker/replication/testing/memory_replica_network.h"
#include "broker/testing/fake_replica_log.h"
#include "metadata/apply.h"
#include "metadata/delta.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::broker {

class ClusterFixture {
 public:
  // One machine and the broker on it.
  struct Member : ControllerChannel {
    Member(ClusterFixture* cluster, int id)
        : cluster(cluster),
          id(id),
          files(std::make_shared<sim::SimFileSystem>(static_cast<uint64_t>(id))),
          clock(cluster->loop.time()),
          random(static_cast<uint64_t>(id)) {}

    void AlterPartition(internal::v1::AlterPartitionRequest request,
                        Done<internal::v1::AlterPartitionResponse> done) override {
      ++cluster->alterations;
      if (cluster->controller_is_away) {
        return home->Post([done = std::move(done)]() mutable {
          std::move(done)(MakeError(ErrorCode::kNotController, "no controller"));
        });
      }
      home->Post([this, request = std::move(request), done = std::move(done)]() mutable {
        std::move(done)(cluster->Alter(request));
      });
    }
    void ReportLastCopies(internal::v1::ReportLastCopiesRequest,
                          Done<internal::v1::ReportLastCopiesResponse>) override {}
    void AssignReplicasToDirs(internal::v1::AssignReplicasToDirsRequest,
                              Done<internal::v1::AssignReplicasToDirsResponse>) override {}
    void AllocateProducerIds(internal::v1::AllocateProducerIdsRequest,
                             Done<internal::v1::AllocateProducerIdsResponse>) override {}

    ClusterFixture* const cluster;
    const int id;
    std::shared_ptr<sim::SimFileSystem> files;
    sim::SimClock clock;
    sim::SimRandom random;
    std::unique_ptr<MetricRegistry> metrics;
    std::unique_ptr<MemoryBudget> budget;
    std::unique_ptr<ReplicaChannel> channel;
    std::unique_ptr<RepairChannel> repairs;
    std::unique_ptr<sim::SimExecutor> home;
    std::unique_ptr<sim::SimExecutor> cold;
    std::vector<std::unique_ptr<sim::SimExecutor>> shards;
    std::unique_ptr<Broker> broker;
    BrokerEpoch epoch = kNoBrokerEpoch;
    // Learns nothing of the metadata from now on.
    bool is_deaf = false;
  };

  explicit ClusterFixture(int brokers = 3, int shard_count = 1,
                          std::vector<std::string> log_dirs = {"data"})
      : shard_count_(shard_count), log_dirs_(std::move(log_dirs)) {
    for (int id = 1; id <= brokers; ++id) members[id] = std::make_unique<Member>(this, id);
    for (int id = 1; id <= brokers; ++id) Start(id);
  }
  ~ClusterFixture() {
    for (const auto& [id, member] : members) Kill(id);
  }

  // --- Life ---
  void Start(int id) {
    Member& member = *members.at(id);
    Construct(&member);
    std::optional<absl::Status> opened;
    member.home->RunNow([&] {
      member.broker->OpenLogDirs(
          [&](const absl::StatusOr<std::vector<OpenedLogDir>>& dirs) { opened = dirs.status(); });
    });
    CHECK(loop.RunUntil([&] { return opened.has_value(); }, absl::Minutes(1)));
    ASSERT_OK(*opened);
    metadata::BrokerImage self;
    self.id = NodeId(id);
    self.incarnation = IncarnationId(Uuid(5, static_cast<uint64_t>(image->index().value() + 1)));
    self.feature_level_min = self.feature_level_max = 1;
    self.rack = RackOf(id);
    self.listeners = {{"PUBLIC", "public", 9092}, {"INTERNAL", absl::StrCat("host", id), 9093}};
    Commit({metadata::Encode(metadata::RegistrationRecordOf(self))});
    member.epoch = image->FindBroker(NodeId(id))->epoch;
    std::optional<absl::Status> registered;
    member.home->RunNow([&] {
      member.broker->Registered(member.epoch, [&](absl::Status status) { registered = status; });
    });
    CHECK(loop.RunUntil([&] { return registered.has_value(); }, absl::Minutes(1)));
    ASSERT_OK(*registered);
    metadata::records::BrokerChangeRecord active;
    active.set_broker_id(id);
    active.set_broker_epoch(member.epoch.value());
    active.set_state(metadata::StateToRecord(metadata::BrokerState::kActive));
    // A new broker sees the whole image first.
    Publish(&member, std::make_shared<const metadata::Delta>(
                         metadata::DeltaBetween(metadata::Image(), *image)));
    Commit({metadata::Encode(active)});
  }
  // The process is gone; what it wrote is in the page cache.
  void Kill(int id) {
    Member& member = *members.at(id);
    if (member.broker == nullptr) return;
    network.StopListening(AddressOf(id));
    network.BreakStreamsOf(NodeId(id));
    for (const auto& shard : member.shards) shard->Shutdown();
    member.home->Shutdown();
    member.cold->Shutdown();
    member.broker.reset();
    // Executors outlive what posts to them.
    for (auto& shard : member.shards) gone_.push_back(std::move(shard));
    gone_.push_back(std::move(member.home));
    gone_.push_back(std::move(member.cold));
    member.shards.clear();
  }
  void Wipe(int id) {
    members.at(id)->files = std::make_shared<sim::SimFileSystem>(100 + static_cast<uint64_t>(id));
  }
  void Run(absl::Duration time = absl::Milliseconds(20)) { loop.RunFor(time); }
  [[nodiscard]] bool RunUntil(absl::FunctionRef<bool()> done,
                              absl::Duration bound = absl::Seconds(30)) {
    return loop.RunUntil(done, bound);
  }

  // --- Metadata ---
  void Commit(const std::vector<rsm::Record>& records) {
    auto next = std::make_shared<const metadata::Image>(
        metadata::Apply(*image, image->index() + 1, records));
    auto delta = std::make_shared<const metadata::Delta>(metadata::DeltaOf(*image, *next, records));
    image = next;
    for (const auto& [id, member] : members) Publish(member.get(), delta);
  }
  static TopicPartition Id(int partition = 0) {
    return {TopicId(Uuid(100, 1)), PartitionIndex(partition)};
  }
  // Topic "t", held by `replicas`, led by the first, all in sync.
  void CreateTopic(int partitions = 1, const ConfigValues& configs = {},
                   std::vector<int> replicas = {1, 2, 3}) {
    metadata::records::TopicRecord made;
    made.set_topic_id(Id().topic_id.ToBytes());
    made.set_name("t");
    std::vector<rsm::Record> records = {metadata::Encode(made)};
    for (int i = 0; i < partitions; ++i) {
      metadata::PartitionImage partition;
      for (const int replica : replicas) {
        partition.replicas.push_back({NodeId(replica), {}});
        partition.isr.push_back(NodeId(replica));
      }
      partition.leader = NodeId(replicas.front());
      partition.leader_epoch = LeaderEpoch(1);
      partition.partition_epoch = PartitionEpoch(1);
      records.push_back(metadata::Encode(metadata::PartitionRecordOf(Id(i), partition)));
    }
    for (const auto& [key, value] : configs) {
      records.push_back(metadata::Encode(
          metadata::ConfigRecordOf(metadata::ConfigOwner::Topic(Id().topic_id), key, &value)));
    }
    Commit(records);
    Run(absl::Milliseconds(200));
  }
  const metadata::PartitionImage& Partition(int partition = 0) const {
    return *image->FindPartition(Id(partition));
  }
  std::vector<int> Isr(int partition = 0) const {
    std::vector<int> ids;
    for (const NodeId id : Partition(partition).isr) ids.push_back(id.value());
    return ids;
  }
  // A new leader epoch; `isr` is the new in-sync set, in the order of the replicas.
  void Elect(int leader, std::vector<int> isr, int partition = 0) {
    const metadata::PartitionImage before = Partition(partition);
    metadata::PartitionImage after = before;
    after.leader = NodeId(leader);
    after.isr.clear();
    for (const int id : isr) after.isr.push_back(NodeId(id));
    ++after.leader_epoch;
    ++after.partition_epoch;
    Commit({metadata::Encode(metadata::PartitionChangeOf(Id(partition), before, after))});
    Run();
  }

  // --- Calls ---
  void SendProduce(const Bytes& batch, std::optional<api::ProducePartitionResult>* out,
                   int partition = 0, absl::Duration timeout = absl::Seconds(30)) {
    Broker* const broker = members.at(Partition(partition).leader.value())->broker.get();
    api::ProduceRequest request;
    request.acks = api::Acks::kAll;
    request.timeout = timeout;
    request.partitions.push_back({.name = {"t", {}, PartitionIndex(partition)}});
    request.partitions[0].batches = batch;
    members.at(Partition(partition).leader.value())->shards[0]->RunNow([&] {
      broker->Produce(std::move(request), {"PUBLIC", {}}, [out](api::ProduceResponse response) {
        *out = std::move(response.partitions.at(0));
      });
    });
  }
  api::ProducePartitionResult Produce(const Bytes& batch, int partition = 0) {
    std::optional<api::ProducePartitionResult> result;
    SendProduce(batch, &result, partition);
    CHECK(RunUntil([&] { return result.has_value(); }, absl::Minutes(2)));
    return *result;
  }
  // Until the leader takes it: right after an election it may not be ready.
  api::ProducePartitionResult ProduceUntilTaken(const Bytes& batch, int partition = 0) {
    for (int i = 0; i < 100; ++i) {
      api::ProducePartitionResult result = Produce(batch, partition);
      if (result.outcome.ok()) return result;
      Run(absl::Milliseconds(50));
    }
    return {};
  }
  ReplicaState StateOf(int id, int partition = 0) {
    Member& member = *members.at(id);
    std::optional<std::vector<LogDirDescription>> dirs;
    member.home->RunNow([&] {
      member.broker->DescribeLogDirs(
          [&](std::vector<LogDirDescription> found) { dirs = std::move(found); });
    });
    CHECK(RunUntil([&] { return dirs.has_value(); }));
    for (const ReplicaState& state : dirs->front().replicas) {
      if (state.topic_partition == Id(partition)) return state;
    }
    return {};
  }
  // The bytes of the partition's first segment as far as they are batches.
  std::string LogOf(int id, int partition = 0) {
    const int64_t size = StateOf(id, partition).size_bytes;
    const absl::StatusOr<std::string> bytes =
        ReadWholeFile(*members.at(id)->files,
                      absl::StrCat("data/t-", partition, "/00000000000000000000.log"), 64 << 20);
    return bytes.ok() ? bytes->substr(0, static_cast<size_t>(size)) : std::string();
  }
  bool LogsAreEqual(std::vector<int> ids = {1, 2, 3}, int partition = 0) {
    const std::string first = LogOf(ids[0], partition);
    return !first.empty() && std::all_of(ids.begin(), ids.end(),
                                         [&](int id) { return LogOf(id, partition) == first; });
  }
  bool HighWatermarkIs(int64_t offset, std::vector<int> ids = {1, 2, 3}, int partition = 0) {
    return std::all_of(ids.begin(), ids.end(), [&](int id) {
      return StateOf(id, partition).high_watermark == Offset(offset);
    });
  }
  static std::string RackOf(int id) { return absl::StrCat("rack", id); }
  static std::string AddressOf(int id) { return absl::StrCat("host", id, ":9093"); }

  sim::SimLoop loop{1};
  MemoryReplicaNetwork network;
  std::shared_ptr<const metadata::Image> image = std::make_shared<const metadata::Image>();
  std::map<int, std::unique_ptr<Member>> members;
  bool controller_is_away = false;
  int alterations = 0;

 private:
  void Construct(Member* member) {
    member->metrics = std::make_unique<MetricRegistry>();
    member->budget = std::make_unique<MemoryBudget>(64 << 20);
    member->channel = network.MakeChannel();
    member->repairs = network.MakeRepairChannel();
    const auto make = [&](const std::string& name) {
      return loop.MakeExecutor(absl::StrCat(name, "@", member->id), &member->clock);
    };
    member->home = make("home");
    member->cold = make("cold");
    for (int i = 0; i < shard_count_; ++i) member->shards.push_back(make(absl::StrCat("shard", i)));
    BrokerOptions options;
    options.node_id = NodeId(member->id);
    options.cluster_id = ClusterId(Uuid(1, 2));
    options.log_dirs = log_dirs_;
    options.log_dir.reserve_bytes = 0;
    options.inter_broker_listener = "INTERNAL";
    BrokerDeps deps;
    deps.clock = &member->clock;
    deps.files = member->files.get();
    deps.random = &member->random;
    deps.metrics = member->metrics.get();
    deps.budget = member->budget.get();
    deps.home = member->home.get();
    for (const auto& shard : member->shards) deps.shards.push_back(shard.get());
    deps.cold_reads_of = [cold = member->cold.get()](const std::string&) { return cold; };
    deps.make_disk_executor = make;
    deps.replica_channel = member->channel.get();
    deps.repair_channel = member->repairs.get();
    deps.controller = member;
    member->broker = std::make_unique<Broker>(options, deps);
    network.Listen(AddressOf(member->id), member->broker->replica_intake());
  }
  void Publish(Member* member, std::shared_ptr<const metadata::Delta> delta) {
    if (member->broker == nullptr || member->is_deaf) return;
    member->home->Post(
        [broker = member->broker.get(), update = metadata::Update{image, std::move(delta)}] {
          broker->OnMetadata(update);
        });
  }
  // What a controller does with proposals: compare-and-set on the partition epoch; whoever leaves
  // itself out leads no more.
  internal::v1::AlterPartitionResponse Alter(const internal::v1::AlterPartitionRequest& request) {
    internal::v1::AlterPartitionResponse response;
    std::vector<rsm::Record> records;
    for (const auto& topic : request.topics()) {
      auto& result = *response.add_topics();
      result.set_topic_id(topic.topic_id());
      for (const auto& proposal : topic.partitions()) {
        auto& one = *result.add_partitions();
        one.set_partition(proposal.partition());
        const TopicPartition id{*TopicId::FromBytes(topic.topic_id()),
                                PartitionIndex(proposal.partition())};
        metadata::PartitionImage partition = *image->FindPartition(id);
        if (proposal.partition_epoch() == partition.partition_epoch.value() &&
            proposal.leader_epoch() == partition.leader_epoch.value()) {
          metadata::PartitionImage after = partition;
          after.isr.clear();
          for (const metadata::ReplicaImage& replica : partition.replicas) {
            for (const auto& member : proposal.new_isr()) {
              if (member.broker_id() == replica.broker.value()) after.isr.push_back(replica.broker);
            }
          }
          ++after.partition_epoch;
          if (!after.InIsr(after.leader)) {
            after.leader = after.isr.front();
            ++after.leader_epoch;
          }
          records.push_back(metadata::Encode(metadata::PartitionChangeOf(id, partition, after)));
          partition = after;
        } else {
          one.set_code(static_cast<decltype(one.code())>(ErrorCode::kFencedLeaderEpoch));
        }
        auto& state = *one.mutable_state();
        state.set_leader(partition.leader.value());
        state.set_leader_epoch(partition.leader_epoch.value());
        state.set_partition_epoch(partition.partition_epoch.value());
        for (const NodeId member : partition.isr) state.add_isr(member.value());
      }
    }
    if (!records.empty()) Commit(records);
    return response;
  }

  const int shard_count_;
  const std::vector<std::string> log_dirs_;
  std::vector<std::unique_ptr<sim::SimExecutor>> gone_;
};

}  // namespace millrace::broker

#endif  // BROKER_TESTING_CLUSTER_FIXTURE_H_
