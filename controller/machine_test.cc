#include "controller/machine.h"

#include <string>

#include "base/sim/sim_random.h"
#include "controller/testing/test_cluster.h"
#include "metadata/delta.h"
#include "metadata/record_types.h"

namespace millrace::controller {
namespace {

using metadata::PartitionImage;

// Commands drawn from a seed.
class RandomRun {
 public:
  explicit RandomRun(uint64_t seed) : random_(seed) {}

  void Step() {
    const int broker = Draw(4) + 1;
    const bool known = cluster_.image().FindBroker(NodeId(broker)) != nullptr;
    const std::string topic = "t" + std::to_string(Draw(8));
    switch (Draw(12)) {
      case 0:
        cluster_.Register(broker, ++incarnation_, Draw(3) == 0);
        break;
      case 1:
      case 2:
        if (known) cluster_.Activate(broker);
        break;
      case 3:
        if (known) cluster_.Fence(broker);
        break;
      case 4:
        Create(topic);
        break;
      case 5:
        Delete(topic);
        break;
      case 6:
        Alter(topic);
        break;
      case 7:
        if (known) Stop(broker);
        break;
      case 8:
      case 9:
        Propose(topic);
        break;
      case 10:
        if (known) FailDisk(broker);
        break;
      case 11:
        EXPECT_OK(cluster_.Run(BalanceLeadersCommand{.elections_max = Draw(3) + 1}));
        break;
    }
    CheckPartitions();
  }

  const TestCluster& cluster() const { return cluster_; }

 private:
  int Draw(int bound) { return static_cast<int>(random_.Below(static_cast<uint64_t>(bound))); }

  void Create(const std::string& topic) {
    CreateTopicsCommand command = cluster_.Creation(topic, Draw(4) + 1, 0);
    if (Draw(2) == 0) {
      auto* config = command.request.mutable_topics(0)->add_configs();
      config->set_name("durability");
      config->set_value("replicated");
    }
    command.placement_seed = random_.Next();
    EXPECT_OK(cluster_.Run(command));
  }
  // The leader of a partition wants some of its replicas in sync; now and then it is out of date.
  void Propose(const std::string& name) {
    const metadata::TopicImage* topic = cluster_.image().FindTopic(name);
    if (topic == nullptr) return;
    const PartitionIndex index(Draw(topic->partition_count()));
    const PartitionImage before = *topic->FindPartition(index);
    if (before.leader == kNoNode) return;
    internal::v1::AlterPartitionRequest request;
    request.set_broker_id(before.leader.value());
    request.set_broker_epoch(cluster_.image().FindBroker(before.leader)->epoch.value());
    auto* proposals = request.add_topics();
    proposals->set_topic_id(topic->id.ToBytes());
    auto* proposal = proposals->add_partitions();
    proposal->set_partition(index.value());
    proposal->set_leader_epoch(before.leader_epoch.value() - (Draw(8) == 0 ? 1 : 0));
    proposal->set_partition_epoch(before.partition_epoch.value() - (Draw(8) == 0 ? 1 : 0));
    for (const metadata::ReplicaImage& replica : before.replicas) {
      if (Draw(3) == 0 && replica.broker != before.leader) continue;
      const metadata::BrokerImage* broker = cluster_.image().FindBroker(replica.broker);
      auto* member = proposal->add_new_isr();
      member->set_broker_id(replica.broker.value());
      member->set_broker_epoch(broker->epoch.value() - (Draw(8) == 0 ? 1 : 0));
    }
    const auto reply = cluster_.Run(request);
    ASSERT_OK(reply);
    const auto& result = reply->topics(0).partitions(0);
    const PartitionImage& after = *cluster_.image().FindPartition({topic->id, index});
    EXPECT_EQ(result.state().partition_epoch(), after.partition_epoch.value());
    EXPECT_EQ(result.state().isr_size(), static_cast<int>(after.isr.size()));
    if (result.code() != 0) {
      EXPECT_EQ(after, before);
    }
  }
  void FailDisk(int broker) {
    EXPECT_OK(
        cluster_.Run(FailDirectoriesCommand{NodeId(broker),
                                            cluster_.image().FindBroker(NodeId(broker))->epoch,
                                            {TestCluster::DirectoryOf(broker)}}));
  }
  void Stop(int broker) { EXPECT_OK(cluster_.Heartbeat(broker, false, /*shutdown=*/true)); }
  void Delete(const std::string& topic) {
    v1::DeleteTopicsRequest request;
    request.add_names(topic);
    EXPECT_OK(cluster_.Run(request));
  }
  void Alter(const std::string& topic) {
    v1::IncrementalAlterConfigsRequest request;
    auto* resource = request.add_resources();
    resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
    resource->mutable_resource()->set_name(topic);
    auto* alteration = resource->add_alterations();
    alteration->set_name(Draw(2) == 0 ? "retention.ms" : "min.insync.replicas");
    alteration->set_operation(Draw(3) == 0 ? v1::CONFIG_OPERATION_DELETE
                                           : v1::CONFIG_OPERATION_SET);
    alteration->set_value(std::to_string(Draw(3) + 1));
    EXPECT_OK(cluster_.Run(request));
  }

  // What holds for every partition after every entry.
  void CheckPartitions() {
    const metadata::Image& image = cluster_.image();
    image.ForEachTopic([&](const metadata::TopicImage& topic) {
      topic.ForEachPartition([&](PartitionIndex index, const PartitionImage& partition) {
        CheckPartition({topic.id, index}, partition);
      });
    });
    last_ = image;
  }
  void CheckPartition(const TopicPartition& id, const PartitionImage& partition) {
    for (const NodeId member : partition.isr) {
      EXPECT_TRUE(partition.IsReplica(member));
      EXPECT_FALSE(partition.InElr(member));
      // KIP-841, KIP-858.
      const metadata::BrokerImage& broker = *cluster_.image().FindBroker(member);
      EXPECT_NE(broker.state, metadata::BrokerState::kFenced);
      EXPECT_TRUE(broker.HasWorkingLogDir(partition.DirectoryOf(member)));
    }
    if (partition.leader != kNoNode) {
      EXPECT_TRUE(partition.InIsr(partition.leader));
    } else {
      EXPECT_TRUE(partition.isr.empty());
    }
    const PartitionImage* before = last_.FindPartition(id);
    if (before == nullptr || *before == partition) return;
    EXPECT_EQ(partition.partition_epoch, before->partition_epoch + 1);
    // S-01: a leader change is a new epoch, and epochs never fall.
    EXPECT_GE(partition.leader_epoch, before->leader_epoch);
    if (partition.leader != before->leader) {
      EXPECT_GT(partition.leader_epoch, before->leader_epoch);
    }
  }

  TestCluster cluster_;
  sim::SimRandom random_;
  int incarnation_ = 0;
  metadata::Image last_;
};

TEST(MachineTest, RandomCommandsReplayToTheSameImageAndTheSameDeltas) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    RandomRun run(seed);
    for (int i = 0; i < 200; ++i) run.Step();
    State replayed;
    for (size_t i = 0; i < run.cluster().log().size(); ++i) {
      const auto& records = run.cluster().log()[i];
      const State before = replayed;
      replayed = Machine::Apply(before, LogIndex(i + 1), records);
      // What the records say has changed holds all that differs.
      const auto said = metadata::DeltaOf(before.image, replayed.image, records);
      const auto found = metadata::DeltaBetween(before.image, replayed.image);
      for (const TopicPartition& id : found.partitions_changed) {
        EXPECT_TRUE(said.partitions_changed.contains(id));
      }
      EXPECT_EQ(said.topics_removed, found.topics_absent);
      EXPECT_EQ(said.topics_created, found.topics_created);
    }
    EXPECT_EQ(replayed.image, run.cluster().image());
    EXPECT_EQ(replayed.replicas_per_broker, run.cluster().state().replicas_per_broker);
  }
}

TEST(MachineTest, NothingIsDecidedBeforeFounding) {
  State state;
  EXPECT_THAT(Machine::Decide(state, v1::ListTopicsRequest(), rsm::Now{}).reply,
              HasCode(ErrorCode::kNotController));
  EXPECT_THAT(Machine::Decide(state, CreateTopicsCommand(), rsm::Now{}).reply,
              HasCode(ErrorCode::kNotController));
  EXPECT_OK(Machine::Decide(state, FoundClusterCommand{ClusterId(Uuid(1, 1))}, rsm::Now{}).reply);
}

TEST(MachineTest, RecordOfANewerFeatureLevelIsRefusedByName) {
  rsm::Record record = metadata::Encode(metadata::records::NoOpRecord());
  EXPECT_OK(Machine::CheckRecord(record));
  record.version = 1;
  EXPECT_THAT(Machine::CheckRecord(record), IsError(ErrorCode::kUnsupportedVersion, "NoOp"));
}

}  // namespace
}  // namespace millrace::controller
