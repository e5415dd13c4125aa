#include "client/producer_strand.h"

#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/status.h"
#include "base/status_matchers.h"

namespace millrace::client {
namespace {

// Keeps what it is asked for.
class FakeChannel final : public LogChannel {
 public:
  void Watch(std::vector<std::string> topics) override { watched = std::move(topics); }
  void Suspect(const std::string& address) override { suspected.push_back(address); }
  void ChangeWatch() override { ++watches_changed; }
  void OpenProduce(NodeId, const std::string& address) override { opened.push_back(address); }
  void SendProduce(NodeId, const api::ProduceStreamRequest& request) override {
    sent.push_back(request);
  }
  void CloseProduce(NodeId) override {}
  void OpenFetch(NodeId, const std::string&) override {}
  void SendFetch(NodeId, const api::FetchStreamRequest&) override {}
  void CloseFetch(NodeId) override {}
  void ListOffsets(const std::string&, const api::ListOffsetsRequest&, absl::Duration,
                   ListOffsetsCallback) override {}
  void OffsetForLeaderEpoch(const std::string&, const api::OffsetForLeaderEpochRequest&,
                            absl::Duration, EpochEndsCallback) override {}
  void InitProducerId(const std::string& address, const std::string&, absl::Duration,
                      ProducerIdCallback done) override {
    asked_for_id.push_back(address);
    answer_with_id = std::move(done);
  }

  std::vector<std::string> asked_for_id;
  ProducerIdCallback answer_with_id;
  std::vector<std::string> watched;
  std::vector<std::string> suspected;
  int watches_changed = 0;
  std::vector<std::string> opened;
  std::vector<api::ProduceStreamRequest> sent;
};

class ProducerStrandTest : public testing::Test {
 protected:
  ProducerStrandTest() {
    strand_.SetChannel(&channel_);
    executor_->RunNow([&] {
      strand_.WatchTopic("t");
      strand_.AddPartition(&partition_);
    });
  }

  // Adds a record that counts 100 bytes.
  void Add() {
    shared_.records.fetch_add(1);
    shared_.memory.fetch_add(100);
    const RecordSlot::Record record{.timestamp_ms = 1,
                                    .key = absl::nullopt,
                                    .value = Slice("value"),
                                    .headers = {},
                                    .bytes_max = 100};
    const RecordSlot::Added added = partition_.slot.Add(
        record, [&](const DeliveryReport& report) { reports_.push_back(report); }, 10'000,
        clock_.Now());
    if (added.began) partition_.batches.fetch_add(1);
    if (added.notify) {
      executor_->RunNow([&] { strand_.RecordsAdded(&partition_, added.full); });
    }
  }
  void Push(const std::string& address) {
    api::WatchTopicsResponse push;
    push.topics.push_back({.topic = "t",
                           .topic_id = TopicId(Uuid(1, 1)),
                           .partitions = {{.partition = PartitionIndex(0),
                                           .leader_id = NodeId(1),
                                           .leader_epoch = LeaderEpoch(1)}}});
    if (!address.empty()) push.brokers.push_back({NodeId(1), address, ""});
    executor_->RunNow([&] { strand_.OnTopics(push); });
  }
  void Answer(Offset base_offset) {
    api::ProduceStreamResponse response;
    response.request_number = channel_.sent.back().request_number;
    response.partitions.push_back({.name = channel_.sent.back().request.partitions[0].name,
                                   .outcome = {},
                                   .base_offset = base_offset});
    executor_->RunNow([&] { strand_.OnProduced(NodeId(1), response); });
  }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  std::unique_ptr<sim::SimExecutor> executor_ = loop_.MakeExecutor("strand", &clock_);
  ProducerShared shared_;
  FakeChannel channel_;
  ProducerPartition partition_{"t", TopicId(Uuid(1, 1)), PartitionIndex(0),
                               record::Compression::kNone};
  std::vector<DeliveryReport> reports_;
  ProducerStrand strand_{{}, executor_.get(), &clock_, &shared_};
};

TEST_F(ProducerStrandTest, EachRecordHearsOfItsOffsetAndItsMemoryIsFree) {
  Push("host:1");
  Add();
  Add();
  EXPECT_THAT(channel_.opened, testing::ElementsAre("host:1"));
  executor_->RunNow([&] { strand_.OnProduceUp(NodeId(1)); });
  ASSERT_EQ(channel_.sent.size(), 1u);
  Answer(Offset(40));
  ASSERT_EQ(reports_.size(), 2u);
  EXPECT_EQ(reports_[0].offset, Offset(40));
  EXPECT_EQ(reports_[1].offset, Offset(41));
  EXPECT_EQ(shared_.records.load(), 0);
  EXPECT_EQ(shared_.memory.load(), 0);
}

TEST_F(ProducerStrandTest, ABatchCountsAsLoadUntilItsFateIsTold) {
  Push("host:1");
  executor_->RunNow([&] { strand_.OnProduceUp(NodeId(1)); });
  Add();
  EXPECT_EQ(partition_.batches.load(), 1);
  Answer(Offset(0));
  EXPECT_EQ(partition_.batches.load(), 0);
}

TEST_F(ProducerStrandTest, ALeaderWithoutAnAddressIsAskedForAgain) {
  Push("");
  Add();
  EXPECT_THAT(channel_.opened, testing::IsEmpty());
  Push("host:1");
  loop_.RunFor(absl::Seconds(1));
  EXPECT_THAT(channel_.opened, testing::ElementsAre("host:1"));
}

TEST_F(ProducerStrandTest, RecordsOfATopicThatWasMadeAgainFailWheneverTheyCome) {
  Push("host:1");
  Add();
  api::WatchTopicsResponse push;
  push.topics.push_back({.topic = "t", .topic_id = TopicId(Uuid(2, 2)), .partitions = {}});
  executor_->RunNow([&] { strand_.OnTopics(push); });
  Add();
  ASSERT_EQ(reports_.size(), 2u);
  EXPECT_THAT(reports_[0].status, HasCode(ErrorCode::kUnknownTopicId));
  EXPECT_THAT(reports_[1].status, HasCode(ErrorCode::kUnknownTopicId));
  // A caller may still have chosen from the table before.
  ProducerPartition late("t", TopicId(Uuid(1, 1)), PartitionIndex(1), record::Compression::kNone);
  executor_->RunNow([&] { strand_.AddPartition(&late); });
  const RecordSlot::Record record{
      .timestamp_ms = 1, .key = absl::nullopt, .value = Slice("v"), .headers = {}, .bytes_max = 9};
  late.slot.Add(
      record, [&](const DeliveryReport& report) { reports_.push_back(report); }, 100, clock_.Now());
  executor_->RunNow([&] { strand_.RecordsAdded(&late, false); });
  ASSERT_EQ(reports_.size(), 3u);
  EXPECT_THAT(reports_[2].status, HasCode(ErrorCode::kUnknownTopicId));
}

TEST_F(ProducerStrandTest, AServerThatDoesNotAnswerIsNotReliedOnForNews) {
  Push("host:1");
  Add();
  executor_->RunNow([&] { strand_.OnProduceUp(NodeId(1)); });
  EXPECT_THAT(channel_.suspected, testing::IsEmpty());
  loop_.RunFor(absl::Seconds(2));
  EXPECT_THAT(channel_.suspected, testing::ElementsAre("host:1"));
}

TEST_F(ProducerStrandTest, WhereALeaderIsLostLeadersAreWatchedElsewhereUnlessSomethingIsPushed) {
  Push("host:1");
  const auto lose = [&] {
    const absl::Status why = MakeError(ErrorCode::kBrokerNotAvailable, "gone");
    executor_->RunNow([&] { strand_.OnProduceDown(NodeId(1), why); });
  };
  lose();
  Push("host:1");
  loop_.RunFor(absl::Seconds(2));
  EXPECT_EQ(channel_.watches_changed, 0);
  lose();
  loop_.RunFor(absl::Seconds(2));
  EXPECT_EQ(channel_.watches_changed, 1);
}

TEST_F(ProducerStrandTest, FailAllTellsEveryRecord) {
  Add();
  Add();
  executor_->RunNow([&] { strand_.FailAll(MakeError(ErrorCode::kCancelled, "closed")); });
  ASSERT_EQ(reports_.size(), 2u);
  EXPECT_EQ(reports_[1].offset, kNoOffset);
  EXPECT_THAT(reports_[1].status, HasCode(ErrorCode::kCancelled));
}

TEST_F(ProducerStrandTest, AnIdempotentOneAsksTheLeaderForItsIdBeforeItSends) {
  ProducerStrand idempotent({.idempotent = true}, executor_.get(), &clock_, &shared_);
  idempotent.SetChannel(&channel_);
  ProducerPartition partition("t", TopicId(Uuid(1, 1)), PartitionIndex(0),
                              record::Compression::kNone);
  const RecordSlot::Record record{.timestamp_ms = 1,
                                  .key = absl::nullopt,
                                  .value = Slice("value"),
                                  .headers = {},
                                  .bytes_max = 100};
  partition.slot.Add(
      record, [](const DeliveryReport&) {}, 10'000, clock_.Now());
  executor_->RunNow([&] {
    idempotent.WatchTopic("t");
    idempotent.AddPartition(&partition);
    idempotent.RecordsAdded(&partition, /*full=*/false);
    api::WatchTopicsResponse push;
    push.topics.push_back({.topic = "t",
                           .topic_id = TopicId(Uuid(1, 1)),
                           .partitions = {{.partition = PartitionIndex(0),
                                           .leader_id = NodeId(1),
                                           .leader_epoch = LeaderEpoch(1)}}});
    push.brokers.push_back({NodeId(1), "host:1", ""});
    idempotent.OnTopics(push);
    idempotent.OnProduceUp(NodeId(1));
  });
  EXPECT_THAT(channel_.asked_for_id, testing::ElementsAre("host:1"));
  EXPECT_THAT(channel_.sent, testing::IsEmpty());
  executor_->RunNow([&] {
    std::move(channel_.answer_with_id)(api::ProducerIdentity{ProducerId(5), ProducerEpoch(0)});
  });
  EXPECT_EQ(channel_.sent.size(), 1u);
}

}  // namespace
}  // namespace millrace::client
