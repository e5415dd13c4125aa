// Produce streams whose partitions are led by other brokers: what is passed on, and in which order.
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "broker/forward_channel.h"
#include "broker/produce_stream.h"
#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The streams to other brokers, which say what the test wants them to.
struct Elsewhere {
  struct Stream {
    std::string address;
    std::weak_ptr<ForwardSink> sink;
    std::vector<api::ProduceStreamRequest> sent = {};
    bool ended = false;
  };
  std::vector<std::unique_ptr<Stream>> streams;
};

class FakeStream final : public ForwardStream {
 public:
  explicit FakeStream(Elsewhere::Stream* stream) : stream_(stream) {}
  ~FakeStream() override { stream_->ended = true; }
  void Send(const api::ProduceStreamRequest& request) override { stream_->sent.push_back(request); }

 private:
  Elsewhere::Stream* const stream_;
};

class FakeChannel final : public ForwardChannel {
 public:
  explicit FakeChannel(Elsewhere* elsewhere) : elsewhere_(elsewhere) {}
  void Produce(const std::string&, const api::ProduceRequest&, absl::Duration,
               Done<api::ProduceResponse>) override {}
  Task Fetch(const std::string&, const api::FetchRequest&, absl::Duration,
             Done<api::FetchResponse>) override {
    return [] {};
  }
  void ListOffsets(const std::string&, const api::ListOffsetsRequest&, absl::Duration,
                   Done<api::ListOffsetsResponse>) override {}
  void DeleteRecords(const std::string&, const api::DeleteRecordsRequest&, absl::Duration,
                     Done<api::DeleteRecordsResponse>) override {}
  void OffsetForLeaderEpoch(const std::string&, const api::OffsetForLeaderEpochRequest&,
                            absl::Duration, Done<api::OffsetForLeaderEpochResponse>) override {}
  std::unique_ptr<ForwardStream> OpenProduceStream(const std::string& address,
                                                   std::weak_ptr<ForwardSink> sink) override {
    elsewhere_->streams.push_back(
        std::make_unique<Elsewhere::Stream>(Elsewhere::Stream{address, std::move(sink)}));
    return std::make_unique<FakeStream>(elsewhere_->streams.back().get());
  }

 private:
  Elsewhere* const elsewhere_;
};

// Partition 0 of "t" is led here, 1 and 2 by broker 2.
class ProduceStreamForwardTest : public testing::TestWithParam<int> {
 protected:
  static constexpr NodeId kOther{2};
  static constexpr NodeId kThird{3};

  ProduceStreamForwardTest() : f_(GetParam()) {
    f_.Start();
    for (const NodeId id : {kOther, kThird}) {
      metadata::BrokerImage other;
      other.id = id;
      other.incarnation = IncarnationId(Uuid(6, static_cast<uint64_t>(id.value())));
      other.feature_level_min = other.feature_level_max = 1;
      const std::string host = absl::StrCat("b", id.value());
      other.listeners = {{"PUBLIC", host, 9092}, {"INTERNAL", host, 9093}};
      f_.Commit({metadata::Encode(metadata::RegistrationRecordOf(other))});
    }
    f_.CreateTopic("t", 3);
    Lead(1, kOther, 7);
    Lead(2, kOther, 7);
    f_.broker->ForwardCalls("INTERNAL",
                            [this](int) { return std::make_unique<FakeChannel>(&elsewhere_); });
    Open();
  }
  ~ProduceStreamForwardTest() override {
    f_.OnShard([&] { stream_.reset(); });
  }

  void Open() {
    f_.OnShard([&] {
      stream_ = f_.broker->OpenProduceStream(
          f_.caller, [&](const api::ProduceStreamResponse& response) { Take(response); });
    });
  }
  // All replicas are everywhere, so that only who leads changes.
  void Lead(int partition, NodeId leader, int epoch) {
    const TopicPartition id{BrokerFixture::IdOf(1), PartitionIndex(partition)};
    const metadata::PartitionImage before = *f_.image->FindPartition(id);
    metadata::PartitionImage after = before;
    after.leader = leader;
    after.leader_epoch = LeaderEpoch(epoch);
    ++after.partition_epoch;
    f_.Commit({metadata::Encode(metadata::PartitionChangeOf(id, before, after))});
    f_.Run(absl::Milliseconds(50));
  }
  void Send(uint64_t number, int partition, uint32_t restart = 0, bool forward = true,
            Bytes batch = MakeBatch()) {
    api::ProduceStreamRequest request;
    request.request_number = number;
    request.forward = forward;
    request.request.partitions.push_back({.name = {"t", {}, PartitionIndex(partition)}});
    request.request.partitions[0].batches = std::move(batch);
    request.request.partitions[0].restart = restart;
    f_.OnShard([&] { stream_->Handle(std::move(request)); });
  }
  void Take(const api::ProduceStreamResponse& response) {
    for (const api::ProducePartitionResult& result : response.partitions) {
      answered_.push_back(response.request_number);
      results_[response.request_number] = result;
    }
  }
  ErrorCode CodeOfAnswer(uint64_t number) {
    const auto found = results_.find(number);
    EXPECT_NE(found, results_.end()) << number << " is not answered";
    return found == results_.end() ? ErrorCode::kNone : found->second.outcome.code;
  }
  Elsewhere::Stream& There(size_t i) { return *elsewhere_.streams.at(i); }
  // Answers the nth batch of a stream.
  void Answer(size_t stream, size_t n, int64_t offset, ErrorCode code = ErrorCode::kNone) {
    api::ProduceStreamResponse response;
    response.request_number = There(stream).sent.at(n).request_number;
    api::ProducePartitionResult& result = response.partitions.emplace_back();
    result.base_offset = Offset(offset);
    result.outcome.code = code;
    f_.OnShard([&] {
      if (const auto sink = There(stream).sink.lock()) sink->OnAnswered(response);
    });
  }
  void Close(size_t stream, ErrorCode code) {
    f_.OnShard([&] {
      if (const auto sink = There(stream).sink.lock()) sink->OnClosed(MakeError(code, "closed"));
    });
  }

  BrokerFixture f_;
  Elsewhere elsewhere_;
  std::unique_ptr<ProduceStream> stream_;
  std::vector<uint64_t> answered_;
  std::map<uint64_t, api::ProducePartitionResult> results_;
};

TEST_P(ProduceStreamForwardTest, EachPartitionHasOneOrderedStreamToItsLeader_S23) {
  Send(1, 1);
  Send(2, 2);
  Send(3, 1);
  Send(4, 0);
  ASSERT_THAT(elsewhere_.streams, SizeIs(2));
  EXPECT_EQ(There(0).address, "b2:9093");
  EXPECT_THAT(There(0).sent, SizeIs(2));
  EXPECT_THAT(There(1).sent, SizeIs(1));
  EXPECT_EQ(There(0).sent[0].request.partitions[0].name.topic_id, BrokerFixture::IdOf(1));
  f_.Run(absl::Milliseconds(50));
  EXPECT_THAT(answered_, ElementsAre(4)) << "what is led here does not wait for others";
  Answer(1, 0, 5);
  Answer(0, 0, 40);
  Answer(0, 1, 41);
  f_.Run(absl::Milliseconds(5));
  EXPECT_THAT(answered_, ElementsAre(4, 2, 1, 3));
  EXPECT_EQ(results_[3].base_offset, Offset(41));
  ASSERT_TRUE(results_[3].outcome.leader.has_value());
  EXPECT_EQ(results_[3].outcome.leader->leader, kOther);
  EXPECT_EQ(results_[3].outcome.leader->address, "b2:9092")
      << "by the listener that the client came in by";
  EXPECT_EQ(stream_->outstanding(), 0);
}

TEST_P(ProduceStreamForwardTest, OnlyWhoAsksForItInTheFirstMessageIsPassedOn) {
  Send(1, 1, 0, /*forward=*/false);
  Send(2, 1, 1, /*forward=*/true);
  f_.Run(absl::Milliseconds(50));
  EXPECT_THAT(elsewhere_.streams, IsEmpty());
  EXPECT_EQ(CodeOfAnswer(1), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(CodeOfAnswer(2), ErrorCode::kNotLeaderOrFollower);
}

TEST_P(ProduceStreamForwardTest, WhatCameFromAnotherBrokerIsNotPassedOnAgain_S23) {
  f_.caller.forwarded = true;
  Open();
  Send(1, 1);
  f_.Run(absl::Milliseconds(50));
  EXPECT_THAT(elsewhere_.streams, IsEmpty());
  EXPECT_EQ(CodeOfAnswer(1), ErrorCode::kNotLeaderOrFollower);
}

TEST_P(ProduceStreamForwardTest, AfterARefusalThereNothingIsPassedOnUntilRestarted_S23) {
  Send(1, 1);
  Send(2, 1);
  Answer(0, 0, -1, ErrorCode::kNotEnoughReplicas);
  Send(3, 1);
  EXPECT_THAT(There(0).sent, SizeIs(2)) << "the third is fenced here";
  Answer(0, 1, -1, ErrorCode::kStreamOrderBroken);
  f_.Run(absl::Milliseconds(5));
  EXPECT_THAT(answered_, ElementsAre(1, 2, 3)) << "in order, the failed ones too";
  EXPECT_EQ(CodeOfAnswer(3), ErrorCode::kStreamOrderBroken);
  Send(4, 1, 1);
  ASSERT_THAT(There(0).sent, SizeIs(3)) << "over the same stream";
  EXPECT_EQ(There(0).sent[2].request.partitions[0].restart, 1u);
}

TEST_P(ProduceStreamForwardTest, ALostStreamIsAnUnknownOutcomeAndIsNotSentAgain_S23) {
  Send(1, 1);
  Send(2, 1);
  Close(0, ErrorCode::kOutcomeUnknown);
  f_.Run(absl::Milliseconds(5));
  EXPECT_EQ(CodeOfAnswer(1), ErrorCode::kOutcomeUnknown);
  EXPECT_EQ(CodeOfAnswer(2), ErrorCode::kOutcomeUnknown);
  Send(3, 1);
  EXPECT_EQ(CodeOfAnswer(3), ErrorCode::kStreamOrderBroken);
  EXPECT_THAT(elsewhere_.streams, SizeIs(1));
  Send(4, 1, 1);
  ASSERT_THAT(elsewhere_.streams, SizeIs(2));
  EXPECT_THAT(There(1).sent, SizeIs(1));
}

TEST_P(ProduceStreamForwardTest, ANewLeaderIsUsedOnlyWhenAllBeforeIsAnswered_S23) {
  Send(1, 1);
  Lead(1, kThird, 8);
  Send(2, 1);
  ASSERT_THAT(elsewhere_.streams, SizeIs(1)) << "the first might still be refused there";
  EXPECT_THAT(There(0).sent, SizeIs(2));
  Answer(0, 0, 40);
  Answer(0, 1, 41);
  Send(3, 1);
  ASSERT_THAT(elsewhere_.streams, SizeIs(2));
  EXPECT_EQ(There(1).address, "b3:9093");
  EXPECT_TRUE(There(0).ended);
}

TEST_P(ProduceStreamForwardTest, WhatWasRefusedHereIsNotOvertakenElsewhere_S23) {
  // Led here until now, and refused here: the next one must not go to the new leader before it.
  Send(1, 0, 0, true, Bytes::Copy("not a batch"));
  f_.Run(absl::Milliseconds(50));
  EXPECT_EQ(CodeOfAnswer(1), ErrorCode::kCorruptMessage);
  Lead(0, kOther, 8);
  Send(2, 0);
  f_.Run(absl::Milliseconds(50));
  EXPECT_THAT(elsewhere_.streams, IsEmpty());
  EXPECT_EQ(CodeOfAnswer(2), ErrorCode::kStreamOrderBroken);
  Send(3, 0, 1);
  ASSERT_THAT(elsewhere_.streams, SizeIs(1));
  EXPECT_THAT(There(0).sent, SizeIs(1));
}

TEST_P(ProduceStreamForwardTest, WhatIsLedHereNowIsAppendedHereOnceAllIsAnswered_S23) {
  Send(1, 1);
  Lead(1, BrokerFixture::kSelf, 8);
  Send(2, 1);
  EXPECT_THAT(There(0).sent, SizeIs(2));
  Answer(0, 0, -1, ErrorCode::kNotLeaderOrFollower);
  Answer(0, 1, -1, ErrorCode::kStreamOrderBroken);
  Send(3, 1, 1);
  f_.Run(absl::Milliseconds(50));
  EXPECT_EQ(CodeOfAnswer(3), ErrorCode::kNone);
  EXPECT_EQ(results_[3].base_offset, Offset(0));
}

TEST_P(ProduceStreamForwardTest, ADeposedLeaderThatIsSilentIsNotWaitedForUntilTheDeadline) {
  Send(1, 1);
  Lead(1, kThird, 8);
  f_.Run(absl::Seconds(1));
  EXPECT_THAT(answered_, IsEmpty());
  f_.Run(absl::Seconds(2));
  EXPECT_EQ(CodeOfAnswer(1), ErrorCode::kOutcomeUnknown);
  ASSERT_TRUE(results_[1].outcome.leader == std::nullopt) << "who led is no hint any more";
}

TEST_P(ProduceStreamForwardTest, ASilentLeaderIsAnUnknownOutcomeAfterTheTimeout) {
  Send(1, 1);
  f_.Run(absl::Seconds(40));
  EXPECT_EQ(CodeOfAnswer(1), ErrorCode::kOutcomeUnknown);
}

TEST_P(ProduceStreamForwardTest, ALeaderOutOfReachIsARefusal) {
  Send(1, 1);
  Close(0, ErrorCode::kBrokerNotAvailable);
  EXPECT_EQ(CodeOfAnswer(1), ErrorCode::kBrokerNotAvailable);
}

TEST_P(ProduceStreamForwardTest, AClientOfWhichMuchWaitsElsewhereIsNotReadFrom) {
  const Bytes large = Bytes::Copy(std::string(3 << 20, 'x'));
  Send(1, 1, 0, true, large);
  EXPECT_TRUE(stream_->may_read());
  Send(2, 1, 0, true, large);
  EXPECT_FALSE(stream_->may_read());
  Answer(0, 0, 40);
  EXPECT_TRUE(stream_->may_read());
}

TEST_P(ProduceStreamForwardTest, BeyondTheBudgetOfAllABatchIsRefusedAndBreaksItsOrder_S37) {
  const Bytes huge = Bytes::Copy(std::string(33 << 20, 'x'));
  Send(1, 1, 0, true, huge);
  Send(2, 1);
  Send(3, 2);
  EXPECT_THAT(There(0).sent, SizeIs(1)) << "one that is too large goes alone";
  f_.Run(absl::Milliseconds(5));
  EXPECT_EQ(CodeOfAnswer(3), ErrorCode::kResourceExhausted);
  ASSERT_TRUE(results_[3].outcome.leader.has_value()) << "where there is room for it";
  Answer(0, 0, 40);
  f_.Run(absl::Milliseconds(5));
  EXPECT_EQ(CodeOfAnswer(2), ErrorCode::kResourceExhausted);
  Send(4, 1);
  EXPECT_EQ(CodeOfAnswer(4), ErrorCode::kStreamOrderBroken);
  Send(5, 1, 1);
  EXPECT_THAT(There(0).sent, SizeIs(2));
}

TEST_P(ProduceStreamForwardTest, WhenTheClientLeavesItsStreamsEnd) {
  Send(1, 1);
  f_.OnShard([&] { stream_.reset(); });
  EXPECT_TRUE(There(0).ended);
  Answer(0, 0, 40);
  f_.Run(absl::Seconds(40));
  EXPECT_THAT(answered_, IsEmpty());
}

TEST_P(ProduceStreamForwardTest, APartitionThatIsGoneIsToldBehindWhatWasSentBefore_S23) {
  Send(1, 1);
  f_.RemoveTopic();
  Send(2, 1);
  Send(3, 2);
  f_.Run(absl::Milliseconds(50));
  EXPECT_THAT(answered_, ElementsAre(3)) << "of another partition nothing is under way";
  Answer(0, 0, 40);
  f_.Run(absl::Milliseconds(50));
  EXPECT_THAT(answered_, ElementsAre(3, 1, 2));
  EXPECT_EQ(CodeOfAnswer(1), ErrorCode::kNone);
  EXPECT_EQ(CodeOfAnswer(2), ErrorCode::kUnknownTopicOrPartition);
}

INSTANTIATE_TEST_SUITE_P(Shards, ProduceStreamForwardTest, ::testing::Values(1, 3));

}  // namespace
}  // namespace millrace::broker
