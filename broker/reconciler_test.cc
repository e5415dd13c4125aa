#include "broker/reconciler.h"

#include <map>

#include "broker/controller_channel.h"
#include "broker/testing/broker_fixture.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

// Notes where replicas are said to lie; the metadata never shows it.
class NotingController final : public ControllerChannel {
 public:
  explicit NotingController(std::unique_ptr<sim::SimExecutor>* home) : home_(*home) {}

  void AlterPartition(internal::v1::AlterPartitionRequest,
                      Done<internal::v1::AlterPartitionResponse>) override {}
  void ReportLastCopies(internal::v1::ReportLastCopiesRequest,
                        Done<internal::v1::ReportLastCopiesResponse>) override {}
  void AssignReplicasToDirs(internal::v1::AssignReplicasToDirsRequest request,
                            Done<internal::v1::AssignReplicasToDirsResponse> done) override {
    for (const internal::v1::ReplicaDirectory& replica : request.replicas()) {
      assigned[replica.partition()] = DirectoryId::FromBytes(replica.directory_id()).value();
    }
    home_->Post([done = std::move(done)]() mutable {
      std::move(done)(internal::v1::AssignReplicasToDirsResponse());
    });
  }
  void AllocateProducerIds(internal::v1::AllocateProducerIdsRequest,
                           Done<internal::v1::AllocateProducerIdsResponse>) override {}

  // By partition.
  std::map<int, DirectoryId> assigned;

 private:
  // The running process's.
  std::unique_ptr<sim::SimExecutor>& home_;
};

// A broker with the directories a and b, and partitions of topic 1 that it holds with broker 2.
struct DirectoriesFixture : BrokerFixture {
  explicit DirectoriesFixture(std::vector<std::string> log_dirs = {"a", "b"})
      : BrokerFixture(1, std::move(log_dirs)) {
    controller = &noting;
  }
  // What is found at the next start.
  void Restart(std::vector<std::string> log_dirs) {
    Crash();
    options.log_dirs = std::move(log_dirs);
    noting.assigned.clear();
    Start(next_epoch += 20);
  }
  // As Restart, with "b" on a disk that fails.
  void RestartWithoutB(std::vector<std::string> log_dirs) {
    files->SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
      if (call.path.substr(0, 1) != "b") return std::nullopt;
      return sim::SimFault::kIoError;
    });
    Restart(std::move(log_dirs));
  }
  DirectoryId IdOfDir(size_t i) const { return found.at(i).state.directory_id; }
  // Where a copy of partition 0 is, as the next start would find it: paths.
  std::vector<std::string> PathsOfCopies(const std::string& suffix = "") const {
    std::vector<std::string> paths;
    for (const OpenedLogDir& dir : found) {
      const std::string aside = absl::StrCat(dir.path, "/t-0.", IdOf(1).ToString(), suffix);
      const std::string path = suffix.empty() ? dir.path + "/t-0" : aside;
      if (files->Exists(path).value()) paths.push_back(path);
    }
    return paths;
  }
  metadata::PartitionImage Partition() const {
    return *image->FindPartition({IdOf(1), PartitionIndex(0)});
  }
  void Change(const metadata::PartitionImage& to) {
    metadata::PartitionImage after = to;
    after.partition_epoch = Partition().partition_epoch + 1;
    const std::vector<rsm::Record> records = {metadata::Encode(
        metadata::PartitionChangeOf({IdOf(1), PartitionIndex(0)}, Partition(), after))};
    if (!at_once) {
      Commit(records);
      return Run(absl::Milliseconds(50));
    }
    auto next = std::make_shared<const metadata::Image>(
        metadata::Apply(*image, image->index() + 1, records));
    auto delta = std::make_shared<const metadata::Delta>(metadata::DeltaOf(*image, *next, records));
    image = next;
    home->RunNow([&] { broker->OnMetadata({next, delta}); });
  }
  // Broker 1 holds a replica with `directory`, which 2 leads; in sync are those named.
  void Follow(DirectoryId directory, std::initializer_list<int> in_sync) {
    metadata::PartitionImage after = Partition();
    after.replicas = {{NodeId(2), DirectoryId(Uuid(8, 8))}, {kSelf, directory}};
    after.isr.clear();
    for (const int id : in_sync) after.isr.push_back(NodeId(id));
    after.leader = in_sync.size() == 0 ? kNoNode : NodeId(*in_sync.begin());
    ++after.leader_epoch;
    Change(after);
  }
  void Unassign() {
    metadata::PartitionImage after = Partition();
    after.replicas = {{NodeId(2), DirectoryId(Uuid(8, 8))}};
    after.isr = {NodeId(2)};
    after.leader = NodeId(2);
    ++after.leader_epoch;
    Change(after);
  }
  // An image comes whole in which broker 2 alone holds the partition: the controllers have been
  // recovered from before it came here, and count from far above.
  void UnassignWhole() {
    metadata::PartitionImage after = Partition();
    after.replicas = {{NodeId(2), DirectoryId(Uuid(8, 8))}};
    after.isr = {NodeId(2)};
    after.leader = NodeId(2);
    ++after.leader_epoch;
    ++after.partition_epoch;
    const auto next = std::make_shared<const metadata::Image>(
        metadata::Apply(*image, image->index() + 1'000'000'000,
                        {metadata::Encode(metadata::PartitionChangeOf({IdOf(1), PartitionIndex(0)},
                                                                      Partition(), after))}));
    const auto delta =
        std::make_shared<const metadata::Delta>(metadata::DeltaBetween(*image, *next));
    image = next;
    home->RunNow([&] { broker->OnMetadata({next, delta}); });
    if (!at_once) Run(absl::Milliseconds(50));
  }
  // While no broker runs that could see it.
  void UnassignUnseen() {
    Crash();
    metadata::PartitionImage after = Partition();
    after.replicas = {{NodeId(2), DirectoryId(Uuid(8, 8))}};
    after.isr = {NodeId(2)};
    after.leader = NodeId(2);
    after.partition_epoch = Partition().partition_epoch + 1;
    image = std::make_shared<const metadata::Image>(
        metadata::Apply(*image, image->index() + 1,
                        {metadata::Encode(metadata::PartitionChangeOf({IdOf(1), PartitionIndex(0)},
                                                                      Partition(), after))}));
    Start(next_epoch += 20);
    Run(absl::Milliseconds(50));
  }
  // An image comes that lacks the topic, and no record that removes it: the controllers have been
  // recovered from before it was made.
  void LoseFromMetadata() {
    metadata::records::TopicRemovedRecord removed;
    removed.set_topic_id(IdOf(1).ToBytes());
    const auto next = std::make_shared<const metadata::Image>(
        metadata::Apply(*image, image->index() + 1, {metadata::Encode(removed)}));
    const auto delta =
        std::make_shared<const metadata::Delta>(metadata::DeltaBetween(*image, *next));
    image = next;
    home->RunNow([&] { broker->OnMetadata({next, delta}); });
    Run(absl::Milliseconds(50));
  }
  bool Serves() { return Produce("t", MakeBatch()).outcome.code != ErrorCode::kStorageError; }

  NotingController noting{&home};
  int64_t next_epoch = 100;
  // Nothing runs between changes.
  bool at_once = false;
};

// With records in partition 0 of topic t.
struct FilledFixture : DirectoriesFixture {
  FilledFixture() {
    Start();
    CreateTopic("t");
    Produce("t", MakeBatch(5));
  }
};

TEST(ReconcilerTest, ConfigsTakeEffectWithoutARestart) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  EXPECT_TRUE(f.Produce("t", MakeBatch(1, 5000)).outcome.ok());
  f.Commit({BrokerFixture::TopicConfig(1, "max.message.bytes", "1000")});
  EXPECT_EQ(f.Produce("t", MakeBatch(1, 5000)).outcome.code, ErrorCode::kMessageTooLarge);
}

TEST(ReconcilerTest, HowLongAProducerIsRememberedCanBeChangedForAllBrokers) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  const auto batch = [](int32_t sequence) {
    record::BatchBuilder::Options options;
    options.producer_id = ProducerId(7);
    options.producer_epoch = ProducerEpoch(0);
    options.base_sequence = sequence;
    return MakeBatch(1, 10, 1'767'225'600'000, options);
  };
  EXPECT_TRUE(f.Produce("t", batch(0)).outcome.ok());
  f.Run(absl::Hours(1));
  EXPECT_EQ(f.Produce("t", batch(5)).outcome.code, ErrorCode::kOutOfOrderSequenceNumber);
  const std::string ten_minutes = "600000";
  f.Commit({metadata::Encode(metadata::ConfigRecordOf(metadata::ConfigOwner::AllBrokers(),
                                                      "producer.id.expiration.ms", &ten_minutes))});
  f.Run(absl::Hours(1));
  // One that is not known may begin anywhere.
  EXPECT_TRUE(f.Produce("t", batch(5)).outcome.ok());
}

TEST(ReconcilerTest, ADeletedTopicIsGoneFromDiskAndItsNameCanBeUsedAgain) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  f.Produce("t", MakeBatch(5));
  f.RemoveTopic();
  f.CreateTopic("t", 1, 2);
  f.Run(absl::Seconds(1));
  const api::ProducePartitionResult result = f.Produce("t", MakeBatch(1));
  EXPECT_TRUE(result.outcome.ok()) << result.outcome.message;
  EXPECT_EQ(result.base_offset, Offset(0)) << "nothing of the old topic is left";
}

TEST(ReconcilerTest, NewReplicasGoWhereThereAreFewest) {
  DirectoriesFixture f({"a", "b", "c"});
  f.Start();
  f.CreateTopic("t", 6);
  f.Run(absl::Seconds(1));
  EXPECT_THAT(f.noting.assigned, SizeIs(6));
  std::map<DirectoryId, int> counts;
  for (const auto& [partition, directory] : f.noting.assigned) ++counts[directory];
  EXPECT_THAT(counts, SizeIs(3));
  for (const auto& [directory, count] : counts) EXPECT_EQ(count, 2);
}

TEST(ReconcilerTest, ALeadershipOfAnotherRegistrationIsNotTakenUp_S01) {
  BrokerFixture f;
  f.Start(10);
  f.CreateTopic("t");
  // The metadata goes on to another incarnation of this broker: this one is fenced.
  f.Commit({BrokerFixture::Registration()});
  f.CreateTopic("u", 1, 2);
  EXPECT_EQ(f.Produce("u", MakeBatch()).outcome.code, ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(f.Produce("t", MakeBatch()).outcome.code, ErrorCode::kNotLeaderOrFollower);
}

TEST(ReconcilerTest, APartitionOfADirectoryThatIsGoneIsNotMadeAnewElsewhere_S05) {
  BrokerFixture f(1, {"a", "b"});
  f.Start();
  f.CreateTopic("t");
  metadata::PartitionImage lost = f.Led(1);
  lost.replicas[0].directory = DirectoryId(Uuid(9, 9));
  f.Commit({metadata::Encode(
      metadata::PartitionRecordOf({BrokerFixture::IdOf(1), PartitionIndex(1)}, lost))});
  f.Run(absl::Milliseconds(50));
  EXPECT_EQ(f.Produce("t", MakeBatch(1), 1).outcome.code, ErrorCode::kStorageError);
  EXPECT_TRUE(f.Produce("t", MakeBatch()).outcome.ok());
}

TEST(ReconcilerTest, ATopicMadeAgainWhileTheBrokerWasAwayDoesNotMeetTheOldOnesRecords) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  f.Produce("t", MakeBatch(5));
  // The topic is removed and made again between two runs: no delta names the old one.
  metadata::records::TopicRemovedRecord removed;
  removed.set_topic_id(BrokerFixture::IdOf(1).ToBytes());
  f.Crash();
  f.image = std::make_shared<const metadata::Image>(
      metadata::Apply(*f.image, f.image->index() + 1, {metadata::Encode(removed)}));
  metadata::records::TopicRecord made;
  made.set_topic_id(BrokerFixture::IdOf(2).ToBytes());
  made.set_name("t");
  f.broker_epoch = BrokerEpoch(40);
  f.image = std::make_shared<const metadata::Image>(metadata::Apply(
      *f.image, LogIndex(30),
      {metadata::Encode(made), metadata::Encode(metadata::PartitionRecordOf(
                                   {BrokerFixture::IdOf(2), PartitionIndex(0)}, f.Led(1)))}));
  f.Start(40);
  f.Run(absl::Seconds(1));
  const api::ProducePartitionResult result = f.Produce("t", MakeBatch(1));
  EXPECT_TRUE(result.outcome.ok()) << result.outcome.message;
  EXPECT_EQ(result.base_offset, Offset(0)) << "nothing of the old topic is left";
}

TEST(ReconcilerTest, AReplicaWhoseDirectoryIsLostIsMadeAnewWhereOthersHaveWhatItHad_S05) {
  DirectoriesFixture f;
  f.Start();
  f.CreateTopic("t");
  const DirectoryId lost(Uuid(9, 9));
  // While it has a seat, what is in that directory may be what counts; nor may the last copy go.
  f.Follow(lost, {2, 1});
  f.Restart({"c", "d"});
  EXPECT_FALSE(f.Serves());
  f.Follow(lost, {});
  EXPECT_FALSE(f.Serves());
  EXPECT_THAT(f.noting.assigned, IsEmpty());
  f.Follow(lost, {2});
  EXPECT_TRUE(f.Serves());
  EXPECT_THAT(f.noting.assigned, SizeIs(1));
  EXPECT_NE(f.noting.assigned[0], lost);
}

TEST(ReconcilerTest, NothingIsMadeAnewWhileADirectoryIsMissing_S05) {
  DirectoriesFixture f;
  f.Start();
  f.CreateTopic("t");
  f.Follow(DirectoryId(Uuid(9, 9)), {2});
  f.RestartWithoutB({"c", "b"});
  EXPECT_FALSE(f.Serves());
  EXPECT_THAT(f.noting.assigned, IsEmpty());
}

TEST(ReconcilerTest, AnEarlierCopyIsNotWhatASeatElsewhereVouchesFor_S05) {
  DirectoriesFixture f;
  f.Start();
  f.CreateTopic("t");
  const DirectoryId here = f.noting.assigned.at(0);
  const DirectoryId away(Uuid(9, 9));
  f.Follow(away, {2, 1});
  f.RestartWithoutB({"a", "b"});
  EXPECT_FALSE(f.Serves());
  EXPECT_THAT(f.noting.assigned, IsEmpty());
  // It has lost that seat, and begins with what it has.
  f.Follow(away, {2});
  f.Run(absl::Seconds(10));
  EXPECT_THAT(f.noting.assigned, ElementsAre(Pair(0, here)));
}

TEST(ReconcilerTest, WhereAReplicaLiesIsToldWhenTheMetadataSaysSomethingElse) {
  DirectoriesFixture f;
  f.Start();
  f.CreateTopic("t");
  const DirectoryId here = f.noting.assigned.at(0);
  f.Follow(here, {2, 1});
  f.noting.assigned.clear();
  f.Restart({"a", "b"});
  EXPECT_THAT(f.noting.assigned, IsEmpty());
  f.Follow(DirectoryId(Uuid(9, 9)), {2});
  f.Run(absl::Seconds(10));
  EXPECT_THAT(f.noting.assigned, ElementsAre(Pair(0, here)));
}

TEST(ReconcilerTest, AStrayReplicaIsTakenBackWhenItIsAssignedHereAgain_S20) {
  FilledFixture f;
  const std::vector<std::string> before = f.PathsOfCopies();
  ASSERT_THAT(before, SizeIs(1));
  f.UnassignUnseen();
  EXPECT_THAT(f.PathsOfCopies(), IsEmpty());
  EXPECT_THAT(f.PathsOfCopies("-stray"), SizeIs(1));
  // Wherever it is placed now.
  const DirectoryId other = f.IdOfDir(before[0] == "a/t-0" ? 1 : 0);
  f.noting.assigned.clear();
  f.Follow(other, {2});
  EXPECT_EQ(f.PathsOfCopies(), before);
  EXPECT_THAT(f.noting.assigned, SizeIs(1));
  EXPECT_NE(f.noting.assigned[0], other);
  // As it was.
  f.Follow(f.noting.assigned[0], {1, 2});
  EXPECT_EQ(f.Produce("t", MakeBatch(1), 0, api::Acks::kLeader).base_offset, Offset(5));
}

TEST(ReconcilerTest, AReplicaThatComesBackWhileItOpensKeepsWhatItHas) {
  FilledFixture f;
  const DirectoryId here = f.noting.assigned.at(0);
  f.UnassignUnseen();
  f.at_once = true;
  f.Follow(here, {2});
  f.Unassign();
  f.Follow(here, {2});
  f.at_once = false;
  f.Run(absl::Seconds(1));
  f.Follow(here, {1, 2});
  EXPECT_EQ(f.Produce("t", MakeBatch(1), 0, api::Acks::kLeader).base_offset, Offset(5));
}

TEST(ReconcilerTest, WhatIsAbsentFromTheMetadataIsSetAsideAndNotDeleted_S20) {
  FilledFixture f;
  ASSERT_THAT(f.PathsOfCopies(), SizeIs(1));
  f.LoseFromMetadata();
  f.Run(absl::Minutes(10));
  EXPECT_THAT(f.PathsOfCopies(), IsEmpty());
  EXPECT_THAT(f.PathsOfCopies("-stray"), SizeIs(1));
}

TEST(ReconcilerTest, WhatAWholeImagePlacesElsewhereIsSetAsideAndNotDeleted_S20) {
  FilledFixture f;
  const DirectoryId here = f.noting.assigned.at(0);
  f.Follow(here, {2, 1});
  f.UnassignWhole();
  f.Run(absl::Minutes(10));
  EXPECT_THAT(f.PathsOfCopies(), IsEmpty());
  EXPECT_THAT(f.PathsOfCopies("-stray"), SizeIs(1));
  f.Follow(here, {2});
  f.Follow(here, {1, 2});
  EXPECT_EQ(f.Produce("t", MakeBatch(1), 0, api::Acks::kLeader).base_offset, Offset(5));
}

TEST(ReconcilerTest, AReplicaWhoseTopicIsDeletedWhileItIsSetAsideGoes) {
  FilledFixture f;
  f.Follow(f.noting.assigned.at(0), {2, 1});
  f.at_once = true;
  f.UnassignWhole();
  f.RemoveTopic();
  f.Run(absl::Seconds(1));
  EXPECT_THAT(f.PathsOfCopies(), IsEmpty());
  EXPECT_THAT(f.PathsOfCopies("-stray"), IsEmpty());
}

// Nothing says so but that it is elsewhere.
TEST(ReconcilerTest, AChangeOfAPartitionThatIsBeingSetAsideDeletesNothing_S20) {
  FilledFixture f;
  f.Follow(f.noting.assigned.at(0), {2, 1});
  f.at_once = true;
  f.UnassignWhole();
  metadata::PartitionImage after = f.Partition();
  ++after.leader_epoch;
  f.Change(after);
  f.Run(absl::Seconds(1));
  EXPECT_THAT(f.PathsOfCopies(), IsEmpty());
  EXPECT_THAT(f.PathsOfCopies("-stray"), SizeIs(1));
}

TEST(ReconcilerTest, WhatARecordTakesFromThisBrokerIsDeleted) {
  FilledFixture f;
  f.Follow(f.noting.assigned.at(0), {2, 1});
  f.Unassign();
  f.Run(absl::Seconds(1));
  EXPECT_THAT(f.PathsOfCopies(), IsEmpty());
  EXPECT_THAT(f.PathsOfCopies("-stray"), IsEmpty());
}

TEST(ReconcilerTest, AStrayReplicaGoesOnlyWithARecordThatDeletesItsTopic_S20) {
  FilledFixture f;
  f.UnassignUnseen();
  f.Restart({"a", "b"});
  f.Run(absl::Minutes(10));
  EXPECT_THAT(f.PathsOfCopies("-stray"), SizeIs(1));
  f.RemoveTopic();
  f.Run(absl::Seconds(1));
  EXPECT_THAT(f.PathsOfCopies("-stray"), IsEmpty());
}

}  // namespace
}  // namespace millrace::broker
