// S-22: who is asked for what is missing, in which order, and what comes of their answers.

#include "broker/segment_mender.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/sim/sim_file_system.h"
#include "broker/testing/shard_fixture.h"
#include "record/batch_stamp.h"
#include "storage/segment_repair.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = MendOutcome::Kind;

// Answers by address.
class ScriptedPeers : public RepairChannel {
 public:
  using Answer = std::function<absl::StatusOr<Bytes>(const RangeQuery&)>;
  void ReadRange(const std::string& address, const RangeQuery& query, absl::Duration,
                 Executor* executor, RangeDone done) override {
    asked.push_back(address);
    last = query;
    executor->Post([answer = answers.at(address)(query), done = std::move(done)]() mutable {
      std::move(done)(std::move(answer));
    });
  }
  std::map<std::string, Answer> answers;
  std::vector<std::string> asked;
  RangeQuery last;
};

// Four batches of a segment, the second damaged; broker 1 repairs, 2 leads, 3 is in sync, 4 not.
class SegmentMenderTest : public ::testing::Test {
 protected:
  SegmentMenderTest() {
    MakeSegment();
    ShowImage();
    f_.executor->RunNow([&] {
      auto log = std::make_unique<FakeReplicaLog>(f_.executor.get());
      log->set_cold_reads(f_.cold.get());
      log_ = log.get();
      f_.shard->AddReplica(f_.Partition(0), "t", DirectoryId(), std::move(log), {});
    });
    log_->set_repair([this]() -> absl::StatusOr<std::shared_ptr<storage::SegmentRepair>> {
      storage::SegmentRepair::Options options;
      options.end_offset = Offset(4);
      return std::make_shared<storage::SegmentRepair>(&files_, segment_, options);
    });
    for (const int id : {2, 3, 4}) {
      peers_.answers[AddressOf(id)] = [this](const RangeQuery& query) { return Healthy(query); };
    }
  }
  ~SegmentMenderTest() override { f_.executor->Shutdown(); }

  // Broker 4 is told by an address of IPv6.
  static std::string HostOf(int id) { return absl::StrCat(id == 4 ? "::" : "host", id); }
  static std::string AddressOf(int id) { return id == 4 ? "[::4]:9093" : HostOf(id) + ":9093"; }
  void MakeSegment() {
    identity_->directory = "t-0";
    identity_->name = "t-0";
    segment_ = std::make_shared<storage::Segment>(identity_, Offset(0));
    std::string contents;
    for (int i = 0; i < 4; ++i) {
      const Bytes batch = MakeBatch(1, 50);
      Buffer buffer(batch.size());
      std::memcpy(buffer.data(), batch.data(), batch.size());
      record::StampBaseOffset(buffer.data(), Offset(i));
      batches_.push_back(std::move(buffer).Freeze().ToString());
      contents += batches_.back();
    }
    CHECK_OK(files_.CreateDirectory("t-0"));
    CHECK_OK(ReplaceFile(files_, segment_->Path(storage::kLogSuffix), contents));
    healthy_ = contents;
    files_.FlipBit(segment_->Path(storage::kLogSuffix), (batches_[0].size() + 70) * 8);
  }
  void ShowImage() {
    std::vector<rsm::Record> records;
    for (int id = 1; id <= 4; ++id) {
      metadata::BrokerImage broker;
      broker.id = NodeId(id);
      broker.incarnation = IncarnationId(Uuid(5, static_cast<uint64_t>(id)));
      broker.feature_level_min = broker.feature_level_max = 1;
      broker.listeners = {{"PUBLIC", "public", 9092}, {"INTERNAL", HostOf(id), 9093}};
      records.push_back(metadata::Encode(metadata::RegistrationRecordOf(broker)));
    }
    metadata::records::TopicRecord topic;
    topic.set_topic_id(f_.Partition(0).topic_id.ToBytes());
    topic.set_name("t");
    records.push_back(metadata::Encode(topic));
    metadata::PartitionImage partition;
    partition.replicas = {{NodeId(1), {}}, {NodeId(4), {}}, {NodeId(3), {}}, {NodeId(2), {}}};
    partition.isr = {NodeId(3), NodeId(2)};
    partition.leader = NodeId(2);
    partition.leader_epoch = LeaderEpoch(1);
    records.push_back(metadata::Encode(metadata::PartitionRecordOf(f_.Partition(0), partition)));
    metadata::Image image = metadata::Apply(metadata::Image(), LogIndex(1), records);
    for (int id = 1; id <= 4; ++id) Show(id, metadata::BrokerState::kActive, &image);
    Publish(std::move(image));
  }
  static void Show(int id, metadata::BrokerState state, metadata::Image* image) {
    metadata::records::BrokerChangeRecord change;
    change.set_broker_id(id);
    change.set_broker_epoch(image->FindBroker(NodeId(id))->epoch.value());
    change.set_state(metadata::StateToRecord(state));
    *image = metadata::Apply(*image, image->index() + 1, {metadata::Encode(change)});
  }
  void Publish(metadata::Image image) {
    auto shared = std::make_shared<const metadata::Image>(std::move(image));
    auto delta =
        std::make_shared<const metadata::Delta>(metadata::DeltaBetween(metadata::Image(), *shared));
    f_.executor->RunNow([&] { f_.shard->OnImage(shared, delta, true); });
  }
  absl::StatusOr<Bytes> Healthy(const RangeQuery& query) const {
    std::string bytes;
    for (int64_t i = query.from.value(); i < query.to.value(); ++i) {
      bytes += batches_[static_cast<size_t>(i)];
    }
    return Bytes::FromString(bytes);
  }
  void Refuses(int id, ErrorCode code) {
    peers_.answers[AddressOf(id)] = [code](const RangeQuery&) -> absl::StatusOr<Bytes> {
      return MakeError(code, "not here");
    };
  }
  MendOutcome Mend() {
    std::optional<MendOutcome> outcome;
    f_.executor->RunNow([&] {
      MendSegment(f_.shard, {NodeId(1), ClusterId(Uuid(1, 2)), channel_, "INTERNAL"},
                  f_.Partition(0), Offset(1), [&](const MendOutcome& said) { outcome = said; });
      EXPECT_FALSE(outcome.has_value()) << "from inside the call";
    });
    f_.loop.RunFor(absl::Seconds(5));
    EXPECT_TRUE(outcome.has_value());
    return outcome.value_or(MendOutcome());
  }
  std::string Contents() {
    return *ReadWholeFile(files_, segment_->Path(storage::kLogSuffix), 1 << 20);
  }
  bool CopyIsLeft() {
    return *files_.Exists(absl::StrCat(segment_->Path(storage::kLogSuffix), ".tmp"));
  }

  ShardFixture f_;
  sim::SimFileSystem files_;
  const std::shared_ptr<storage::LogFilesIdentity> identity_ =
      std::make_shared<storage::LogFilesIdentity>();
  std::shared_ptr<storage::Segment> segment_;
  std::vector<std::string> batches_;
  std::string healthy_;
  ScriptedPeers peers_;
  RepairChannel* channel_ = &peers_;
  FakeReplicaLog* log_ = nullptr;
};

TEST_F(SegmentMenderTest, TheLeaderIsAskedFirst_S22) {
  const MendOutcome outcome = Mend();
  EXPECT_EQ(outcome.kind, Kind::kWhole) << outcome.why;
  EXPECT_EQ(outcome.ranges, 1);
  EXPECT_EQ(outcome.source, NodeId(2));
  EXPECT_THAT(peers_.asked, ElementsAre(AddressOf(2)));
  EXPECT_EQ(peers_.last.from, Offset(1));
  EXPECT_EQ(peers_.last.broker, NodeId(1));
  EXPECT_EQ(Contents(), healthy_);
  EXPECT_FALSE(CopyIsLeft());
}

TEST_F(SegmentMenderTest, WhatIsNotCommittedIsCutInsteadAtTheDamagedBatch_S22) {
  // It led, alone and then with another, who did not take what is damaged; now 2 leads.
  const auto show = [&](int epoch, int leader, metadata::BrokerList isr) {
    metadata::PartitionImage partition = *f_.shard->image()->FindPartition(f_.Partition(0));
    partition.leader = NodeId(leader);
    partition.leader_epoch = LeaderEpoch(epoch);
    partition.partition_epoch = PartitionEpoch(epoch);
    partition.isr = std::move(isr);
    Publish(metadata::Apply(
        *f_.shard->image(), f_.shard->image()->index() + 1,
        {metadata::Encode(metadata::PartitionRecordOf(f_.Partition(0), partition))}));
  };
  std::vector<ProduceReply> replies;
  show(2, 1, {NodeId(1)});
  f_.Produce(0, MakeBatch(1, 50), &replies);
  f_.loop.RunFor(absl::Milliseconds(10));
  ASSERT_THAT(replies, ::testing::SizeIs(1));
  show(3, 1, {NodeId(1), NodeId(3)});
  for (int i = 0; i < 3; ++i) f_.Produce(0, MakeBatch(1, 50), &replies);
  f_.loop.RunFor(absl::Milliseconds(10));
  ASSERT_EQ(log_->end_offset(), Offset(4));
  f_.executor->RunNow([&] { f_.shard->SetDamaged(f_.Partition(0), true); });
  // A leader repairs what it can, and cuts nothing.
  for (const int id : {2, 3, 4}) Refuses(id, ErrorCode::kOffsetNotAvailable);
  EXPECT_EQ(Mend().kind, Kind::kLater);
  EXPECT_EQ(log_->end_offset(), Offset(4));
  peers_.asked.clear();
  show(4, 2, {NodeId(2), NodeId(3)});
  const MendOutcome outcome = Mend();
  EXPECT_EQ(outcome.kind, Kind::kVoid);
  EXPECT_THAT(std::string(outcome.why.message()), ::testing::HasSubstr("cut at offset 1"));
  EXPECT_EQ(log_->end_offset(), Offset(1));
  EXPECT_THAT(peers_.asked, IsEmpty());
  EXPECT_FALSE(CopyIsLeft());
}

TEST_F(SegmentMenderTest, ThenThoseInSyncThenAnyOther_S22) {
  Refuses(2, ErrorCode::kCorruptLog);
  // What does not fit is as good as nothing.
  peers_.answers[AddressOf(3)] = [this](const RangeQuery&) -> absl::StatusOr<Bytes> {
    return Bytes::FromString(batches_[2]);
  };
  const MendOutcome outcome = Mend();
  EXPECT_EQ(outcome.kind, Kind::kWhole) << outcome.why;
  EXPECT_EQ(outcome.source, NodeId(4));
  EXPECT_THAT(peers_.asked, ElementsAre(AddressOf(2), AddressOf(3), AddressOf(4)));
  EXPECT_EQ(Contents(), healthy_);
}

TEST_F(SegmentMenderTest, OneMayGiveAPartAndAnotherTheRest) {
  int answers = 0;
  peers_.answers[AddressOf(2)] = [&](const RangeQuery& query) -> absl::StatusOr<Bytes> {
    if (++answers > 1) return MakeError(ErrorCode::kBrokerNotAvailable, "gone");
    return Bytes::FromString(batches_[static_cast<size_t>(query.from.value())]);
  };
  EXPECT_EQ(Mend().kind, Kind::kWhole);
  EXPECT_THAT(peers_.asked, ElementsAre(AddressOf(2), AddressOf(2), AddressOf(3)));
  EXPECT_EQ(Contents(), healthy_);
}

TEST_F(SegmentMenderTest, WhatAllOthersLackNobodyHas) {
  Refuses(2, ErrorCode::kCorruptLog);
  Refuses(3, ErrorCode::kOffsetOutOfRange);
  Refuses(4, ErrorCode::kCorruptLog);
  const std::string damaged = Contents();
  EXPECT_EQ(Mend().kind, Kind::kNobodyHasIt);
  EXPECT_EQ(Contents(), damaged);
  EXPECT_FALSE(CopyIsLeft());
}

TEST_F(SegmentMenderTest, WhoeverCannotAnswerNowMayHaveItLater) {
  Refuses(2, ErrorCode::kCorruptLog);
  Refuses(3, ErrorCode::kOffsetNotAvailable);
  Refuses(4, ErrorCode::kCorruptLog);
  EXPECT_EQ(Mend().kind, Kind::kLater);
  EXPECT_FALSE(CopyIsLeft());
  Refuses(3, ErrorCode::kCorruptLog);
  metadata::Image image = *f_.shard->image();
  Show(4, metadata::BrokerState::kFenced, &image);
  Publish(std::move(image));
  EXPECT_EQ(Mend().kind, Kind::kLater) << "one of them is away";
  channel_ = nullptr;
  EXPECT_EQ(Mend().kind, Kind::kLater);
}

TEST_F(SegmentMenderTest, ASegmentThatIsWholeNeedsNobody) {
  files_.FlipBit(segment_->Path(storage::kLogSuffix), (batches_[0].size() + 70) * 8);
  const MendOutcome outcome = Mend();
  EXPECT_EQ(outcome.kind, Kind::kWhole);
  EXPECT_EQ(outcome.ranges, 0);
  EXPECT_THAT(peers_.asked, IsEmpty());
  EXPECT_FALSE(CopyIsLeft());
}

TEST_F(SegmentMenderTest, WhatIsGoneIsVoidAndWhatIsNotWrittenComesLater_S22) {
  log_->set_repair([] { return MakeError(ErrorCode::kOffsetOutOfRange, "deleted"); });
  EXPECT_EQ(Mend().kind, Kind::kVoid);
  log_->set_repair([] { return MakeError(ErrorCode::kOffsetNotAvailable, "not written"); });
  EXPECT_EQ(Mend().kind, Kind::kLater);
  f_.executor->RunNow([&] {
    f_.shard->RemoveReplica(f_.Partition(0), MakeError(ErrorCode::kUnknownTopicOrPartition, "x"));
  });
  EXPECT_EQ(Mend().kind, Kind::kVoid);
}

TEST_F(SegmentMenderTest, ALogThatIsCutMeanwhileIsVoid_S22) {
  peers_.answers[AddressOf(2)] = [this](const RangeQuery& query) {
    ++identity_->truncations;
    return Healthy(query);
  };
  const std::string damaged = Contents();
  EXPECT_EQ(Mend().kind, Kind::kVoid);
  EXPECT_EQ(Contents(), damaged);
}

TEST_F(SegmentMenderTest, AFullDiskIsTriedAgainLater) {
  files_.SetCapacity(files_.used_bytes());
  EXPECT_EQ(Mend().kind, Kind::kLater);
  files_.SetCapacity(1 << 20);
  EXPECT_EQ(Mend().kind, Kind::kWhole);
}

}  // namespace
}  // namespace millrace::broker
