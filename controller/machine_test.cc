#include "controller/machine.h"

#include <random>
#include <string>

#include "controller/test_cluster.h"
#include "metadata/image_store.h"
#include "metadata/record_types.h"
#include "storage/fake_kv_store.h"

namespace millrace::controller {
namespace {

using metadata::PartitionImage;

// Commands drawn from a seed against a cluster that follows every entry into an image store.
class RandomRun {
 public:
  explicit RandomRun(uint32_t seed) : random_(seed) { CatchUp(); }

  void Step() {
    const int broker = Draw(4) + 1;
    const bool known = cluster_.image().FindBroker(NodeId(broker)) != nullptr;
    const std::string topic = "t" + std::to_string(Draw(8));
    switch (Draw(8)) {
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
    }
    CheckPartitions();
    CatchUp();
  }

  const TestCluster& cluster() const { return cluster_; }
  storage::FakeKvStore* store() { return &store_; }

 private:
  int Draw(int bound) { return static_cast<int>(random_() % bound); }

  void Create(const std::string& topic) {
    CreateTopicsCommand command = cluster_.Creation(topic, Draw(4) + 1, 0);
    if (Draw(2) == 0) {
      auto* config = command.request.mutable_topics(0)->add_configs();
      config->set_name("durability");
      config->set_value("replicated");
    }
    command.placement_seed = random_();
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
    alteration->set_name(Draw(2) == 0 ? "retention.ms" : "min.insync.replicas");
    alteration->set_operation(Draw(3) == 0 ? v1::CONFIG_OPERATION_DELETE
                                           : v1::CONFIG_OPERATION_SET);
    alteration->set_value(std::to_string(Draw(3) + 1));
    EXPECT_OK(cluster_.Run(request));
  }

  // Saves the entries since the last call; the log of a test has no gaps.
  void CatchUp() {
    while (saved_.image.index() < cluster_.index()) {
      const LogIndex next = saved_.image.index() + 1;
      const auto& records = cluster_.log()[next.value() - 1];
      const State after = Machine::Apply(saved_, next, records);
      const metadata::Delta delta = metadata::DeltaOf(saved_.image, after.image, records);
      ASSERT_OK(metadata::ImageStore(&store_).Save(after.image, delta, {next, Term(1), 0}));
      saved_ = after;
    }
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
      // KIP-841.
      EXPECT_NE(cluster_.image().FindBroker(member)->state, metadata::BrokerState::kFenced);
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
  std::mt19937 random_;
  int incarnation_ = 0;
  storage::FakeKvStore store_;
  State saved_;
  metadata::Image last_;
};

TEST(MachineTest, RandomCommandsReplayToTheSameImageAndTheStoreHoldsIt) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    RandomRun run(seed);
    for (int i = 0; i < 200; ++i) run.Step();
    // From scratch.
    State replayed;
    for (size_t i = 0; i < run.cluster().log().size(); ++i) {
      replayed = Machine::Apply(replayed, LogIndex(i + 1), run.cluster().log()[i]);
    }
    EXPECT_EQ(replayed.image, run.cluster().image());
    // From the store.
    metadata::ImageStore store(run.store());
    ASSERT_OK_AND_ASSIGN(const std::optional<metadata::StoredImage> loaded,
                         store.Load([](const metadata::LogPosition&) { return true; }));
    ASSERT_TRUE(loaded.has_value());
    EXPECT_EQ(loaded->image, replayed.image);
    EXPECT_EQ(loaded->position.index, run.cluster().index());
  }
}

TEST(MachineTest, StoreThatLostItsLatestBatchesIsAnEarlierImageOfTheSameLog) {
  RandomRun run(42);
  for (int i = 0; i < 100; ++i) run.Step();
  run.store()->LoseLatest(5);
  metadata::ImageStore store(run.store());
  ASSERT_OK_AND_ASSIGN(std::optional<metadata::StoredImage> loaded,
                       store.Load([](const metadata::LogPosition&) { return true; }));
  ASSERT_TRUE(loaded.has_value());
  State state = MakeState(loaded->image, std::make_shared<const Settings>());
  EXPECT_EQ(loaded->position.index, run.cluster().index() - 5);
  for (int64_t i = loaded->position.index.value(); i < run.cluster().index().value(); ++i) {
    state = Machine::Apply(state, LogIndex(i + 1), run.cluster().log()[i]);
  }
  EXPECT_EQ(state.image, run.cluster().image());
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
