// ShardFixture: one shard with replicas over logs in memory, in virtual time, for tests.
//
// Thread: the test's one.
#ifndef BROKER_TESTING_SHARD_FIXTURE_H_
#define BROKER_TESTING_SHARD_FIXTURE_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/status_matchers.h"
#include "broker/shard.h"
#include "broker/testing/fake_replica_log.h"
#include "metadata/apply.h"
#include "metadata/delta.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"

namespace millrace::broker {

class ShardFixture {
 public:
  static constexpr NodeId kSelf{1};

  ShardFixture()
      : loop(1),
        clock(loop.time()),
        executor(loop.MakeExecutor("shard", &clock)),
        cold(loop.MakeExecutor("cold", &clock)) {
    Shard::Deps deps;
    deps.self = kSelf;
    deps.executor = executor.get();
    deps.clock = &clock;
    deps.metrics = &metrics;
    deps.fetch_memory = FetchMemory::Create(&budget);
    deps.housekeeping_interval = absl::Seconds(10);
    deps.metrics_partitions_max = 2;
    shard = Shard::Create(deps);
  }
  ~ShardFixture() {
    executor->Shutdown();
    cold->Shutdown();
  }

  static TopicPartition Partition(int index) {
    return {TopicId(Uuid(9, 9)), PartitionIndex(index)};
  }
  // Opens `count` replicas, which this broker leads in epoch 1.
  void Lead(int count) {
    std::vector<rsm::Record> records;
    metadata::records::TopicRecord topic;
    topic.set_topic_id(TopicId(Uuid(9, 9)).ToBytes());
    topic.set_name("t");
    records.push_back(metadata::Encode(topic));
    for (int i = 0; i < count; ++i) {
      metadata::PartitionImage partition;
      partition.replicas = {{kSelf, {}}};
      partition.isr = {kSelf};
      partition.leader = kSelf;
      partition.leader_epoch = LeaderEpoch(1);
      records.push_back(metadata::Encode(metadata::PartitionRecordOf(Partition(i), partition)));
    }
    auto image = std::make_shared<const metadata::Image>(
        metadata::Apply(metadata::Image(), LogIndex(1), records));
    auto delta = std::make_shared<const metadata::Delta>(
        metadata::DeltaOf(metadata::Image(), *image, records));
    executor->RunNow([&] {
      shard->OnImage(image, delta, true);
      for (int i = 0; i < count; ++i) {
        auto log = std::make_unique<FakeReplicaLog>(executor.get());
        log->set_cold_reads(cold.get());
        logs[i] = log.get();
        shard->AddReplica(Partition(i), "t", DirectoryId(), std::move(log), {});
      }
    });
  }
  void Produce(int partition, const Bytes& batch, std::vector<ProduceReply>* replies) {
    ShardProduce produce;
    produce.topic_partition = Partition(partition);
    produce.event.batches = batch;
    produce.event.deadline = clock.Now() + absl::Seconds(30);
    executor->RunNow([&] {
      shard->Produce(std::move(produce),
                     [replies](ProduceReply reply) { replies->push_back(std::move(reply)); });
    });
  }

  sim::SimLoop loop;
  sim::SimClock clock;
  MetricRegistry metrics;
  MemoryBudget budget{10 << 20};
  std::unique_ptr<sim::SimExecutor> executor;
  std::unique_ptr<sim::SimExecutor> cold;
  std::shared_ptr<Shard> shard;
  std::map<int, FakeReplicaLog*> logs;
};

}  // namespace millrace::broker

#endif  // BROKER_TESTING_SHARD_FIXTURE_H_
