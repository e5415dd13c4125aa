#include "controller/machine.h"

#include <map>
#include <optional>
#include <set>
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
    leaving_ = kNoNode;
    proposed_.reset();
    switch (Draw(18)) {
      case 0:
        leaving_ = NodeId(broker);
        cluster_.Register(broker, ++incarnation_, Draw(3) == 0);
        incarnations_[broker] = incarnation_;
        break;
      case 1:
      case 2:
        if (known) cluster_.Activate(broker);
        break;
      case 3:
        leaving_ = NodeId(broker);
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
        leaving_ = NodeId(broker);
        if (known) Stop(broker);
        break;
      case 8:
      case 9:
        Propose(topic);
        break;
      case 10:
        leaving_ = NodeId(broker);
        if (known) FailDisk(broker);
        break;
      case 11:
        EXPECT_OK(cluster_.Run(BalanceLeadersCommand{.elections_max = Draw(3) + 1}));
        break;
      case 12:
        Elect(topic);
        break;
      case 13:
        Reassign(topic);
        break;
      case 14:
        if (known) Cordon(broker);
        break;
      case 15:
        if (known) MarkSlow(broker);
        break;
      case 16:
        Grow(topic);
        break;
      case 17:
        // A process that registers again as it is.
        if (known && incarnations_.contains(broker)) {
          cluster_.Register(broker, incarnations_.at(broker));
        }
        break;
    }
    CheckPartitions();
  }

  const TestCluster& cluster() const { return cluster_; }
  // Seats in in-sync sets that ended.
  int left() const { return left_; }

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
    proposed_ = {{topic->id, index}, {}};
    proposal->set_partition(index.value());
    proposal->set_leader_epoch(before.leader_epoch.value() - (Draw(8) == 0 ? 1 : 0));
    proposal->set_partition_epoch(before.partition_epoch.value() - (Draw(8) == 0 ? 1 : 0));
    for (const metadata::ReplicaImage& replica : before.replicas) {
      if (Draw(3) == 0 && replica.broker != before.leader) continue;
      const metadata::BrokerImage* broker = cluster_.image().FindBroker(replica.broker);
      auto* member = proposal->add_new_isr();
      proposed_->members.insert(replica.broker);
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
  void Elect(const std::string& topic) {
    v1::ElectLeadersRequest request;
    request.set_type(Draw(3) == 0 ? v1::ELECTION_TYPE_UNCLEAN : v1::ELECTION_TYPE_PREFERRED);
    request.add_topics()->set_name(topic);
    EXPECT_OK(cluster_.Run(request));
  }
  // To brokers drawn, or taken back; refused where it cannot be.
  void Reassign(const std::string& topic) {
    AlterReassignmentsCommand command;
    auto* wanted = command.request.add_reassignments();
    wanted->set_topic(topic);
    wanted->set_partition(Draw(2));
    const int first = Draw(4);
    for (int i = 0, count = Draw(4); i < count; ++i) wanted->add_replicas((first + i) % 4 + 1);
    EXPECT_OK(cluster_.Run(command));
  }
  void Cordon(int broker) {
    v1::CordonBrokerRequest request;
    request.set_broker_id(broker);
    request.set_cordoned(Draw(2) == 0);
    EXPECT_OK(cluster_.Run(request));
  }
  void MarkSlow(int broker) {
    MarkSlowDirectoriesCommand command{NodeId(broker),
                                       cluster_.image().FindBroker(NodeId(broker))->epoch};
    if (Draw(2) == 0) command.directories.insert(TestCluster::DirectoryOf(broker));
    EXPECT_OK(cluster_.Run(command));
  }
  void Grow(const std::string& name) {
    const metadata::TopicImage* topic = cluster_.image().FindTopic(name);
    if (topic == nullptr || topic->partition_count() > 6) return;
    CreatePartitionsCommand command;
    auto* wanted = command.request.add_topics();
    wanted->set_name(name);
    wanted->set_total_count(topic->partition_count() + 1);
    command.placement_seed = random_.Next();
    EXPECT_OK(cluster_.Run(command));
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
    alteration->set_operation(Draw(3) == 0 ? v1::CONFIG_OPERATION_DELETE
                                           : v1::CONFIG_OPERATION_SET);
    if (const int key = Draw(3); key == 2) {
      alteration->set_name("durability");
      alteration->set_value(Draw(2) == 0 ? "durable" : "replicated");
    } else {
      alteration->set_name(key == 0 ? "retention.ms" : "min.insync.replicas");
      alteration->set_value(std::to_string(Draw(3) + 1));
    }
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
    for (const NodeId member : before->isr) {
      EXPECT_TRUE(partition.InIsr(member) || MayLeave(member, id, partition))
          << "S-30: " << member << " is taken out without a reason";
      left_ += partition.InIsr(member) ? 0 : 1;
    }
    EXPECT_EQ(partition.partition_epoch, before->partition_epoch + 1);
    // S-01: a leader change is a new epoch, and epochs never fall.
    EXPECT_GE(partition.leader_epoch, before->leader_epoch);
    if (partition.leader != before->leader) {
      EXPECT_GT(partition.leader_epoch, before->leader_epoch);
    }
  }

  // S-30: what ends a seat in the in-sync set, and nothing else does: its broker's suspicion,
  // fencing, shutdown or loss of directory; its leader's word (lag, damage); that it is no replica
  // any more.
  bool MayLeave(NodeId member, const TopicPartition& id, const PartitionImage& now) const {
    if (member == leaving_ || !now.IsReplica(member)) return true;
    return proposed_.has_value() && proposed_->partition == id &&
           !proposed_->members.contains(member);
  }

  struct Proposed {
    TopicPartition partition;
    std::set<NodeId> members;
  };

  TestCluster cluster_;
  sim::SimRandom random_;
  int incarnation_ = 0;
  std::map<int, int> incarnations_;
  // Of the last command: the broker that it takes out of all sets, the proposal that it is.
  NodeId leaving_ = kNoNode;
  std::optional<Proposed> proposed_;
  int left_ = 0;
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

TEST(MachineTest, S30_AMemberLeavesTheInSyncSetForTheReasonsThereAreAndNoOther) {
  int left = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    RandomRun run(seed);
    for (int i = 0; i < 200; ++i) run.Step();
    left += run.left();
  }
  EXPECT_GT(left, 1000);
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
