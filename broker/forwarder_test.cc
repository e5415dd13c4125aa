#include "broker/forwarder.h"

#include <algorithm>

#include "base/status.h"
#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// Another broker, which keeps what it is asked until the test answers.
struct Elsewhere {
  template <class Request, class Response>
  struct Call {
    std::string address;
    Request request;
    absl::Duration timeout;
    ForwardChannel::Done<Response> done;
  };
  std::vector<Call<api::ProduceRequest, api::ProduceResponse>> produces;
  std::vector<Call<api::FetchRequest, api::FetchResponse>> fetches;
  // Where fetches were ended early.
  std::vector<std::string> ended_fetches;
  std::vector<Call<api::ListOffsetsRequest, api::ListOffsetsResponse>> offsets;
  std::vector<Call<api::DeleteRecordsRequest, api::DeleteRecordsResponse>> deletes;
  std::vector<Call<api::OffsetForLeaderEpochRequest, api::OffsetForLeaderEpochResponse>> epochs;
};

class FakeChannel final : public ForwardChannel {
 public:
  explicit FakeChannel(Elsewhere* elsewhere) : elsewhere_(elsewhere) {}
  void Produce(const std::string& address, const api::ProduceRequest& request,
               absl::Duration timeout, Done<api::ProduceResponse> done) override {
    elsewhere_->produces.push_back({address, request, timeout, std::move(done)});
  }
  Task Fetch(const std::string& address, const api::FetchRequest& request, absl::Duration timeout,
             Done<api::FetchResponse> done) override {
    elsewhere_->fetches.push_back({address, request, timeout, std::move(done)});
    return [this, address] { elsewhere_->ended_fetches.push_back(address); };
  }
  void ListOffsets(const std::string& address, const api::ListOffsetsRequest& request,
                   absl::Duration timeout, Done<api::ListOffsetsResponse> done) override {
    elsewhere_->offsets.push_back({address, request, timeout, std::move(done)});
  }
  void DeleteRecords(const std::string& address, const api::DeleteRecordsRequest& request,
                     absl::Duration timeout, Done<api::DeleteRecordsResponse> done) override {
    elsewhere_->deletes.push_back({address, request, timeout, std::move(done)});
  }
  void OffsetForLeaderEpoch(const std::string& address,
                            const api::OffsetForLeaderEpochRequest& request, absl::Duration timeout,
                            Done<api::OffsetForLeaderEpochResponse> done) override {
    elsewhere_->epochs.push_back({address, request, timeout, std::move(done)});
  }
  std::unique_ptr<ForwardStream> OpenProduceStream(const std::string&,
                                                   std::weak_ptr<ForwardSink>) override {
    return nullptr;
  }

 private:
  Elsewhere* const elsewhere_;
};

// Partition 0 of "t" is led here, 1 by broker 2, 2 by nobody.
class ForwarderTest : public testing::Test {
 protected:
  static constexpr NodeId kOther{2};

  ForwarderTest() {
    f_.Start();
    Register("public", "internal");
    f_.CreateTopic("t");
    std::vector<rsm::Record> records;
    for (const auto& [index, leader] : {std::pair(1, kOther), std::pair(2, kNoNode)}) {
      metadata::PartitionImage partition = f_.Led(7);
      partition.replicas = {{kOther, {}}};
      partition.isr = {kOther};
      partition.leader = leader;
      records.push_back(metadata::Encode(
          metadata::PartitionRecordOf({BrokerFixture::IdOf(1), PartitionIndex(index)}, partition)));
    }
    f_.Commit(records);
    f_.Run(absl::Milliseconds(50));
    f_.broker->ForwardCalls("INTERNAL",
                            [this](int) { return std::make_unique<FakeChannel>(&elsewhere_); });
  }

  // The other broker: a run of its own each time.
  void Register(const std::string& public_host, const std::string& internal_host) {
    metadata::BrokerImage other;
    other.id = kOther;
    other.incarnation = IncarnationId(Uuid(6, ++runs_));
    other.feature_level_min = other.feature_level_max = 1;
    other.listeners = {{"PUBLIC", public_host, 9092}, {"INTERNAL", internal_host, 9093}};
    f_.Commit({metadata::Encode(metadata::RegistrationRecordOf(other))});
  }
  static api::ProduceRequest ProduceTo(std::vector<int> partitions) {
    api::ProduceRequest request;
    for (const int partition : partitions) {
      request.partitions.push_back({.name = {"t", {}, PartitionIndex(partition)}});
      request.partitions.back().batches = MakeBatch(2);
    }
    return request;
  }
  void AnswerProduce(int64_t base_offset) {
    api::ProduceResponse response;
    for (const api::ProducePartition& asked : elsewhere_.produces.front().request.partitions) {
      response.partitions.push_back({.name = asked.name, .base_offset = Offset(base_offset)});
      response.partitions.back().name.topic_id = BrokerFixture::IdOf(1);
    }
    f_.OnShard([&] { std::move(elsewhere_.produces.front().done)(response); });
    elsewhere_.produces.erase(elsewhere_.produces.begin());
  }
  static api::FetchRequest FetchFrom(std::vector<int> partitions, absl::Duration wait) {
    api::FetchRequest request;
    request.max_wait = wait;
    for (const int partition : partitions) {
      request.partitions.push_back({.name = {"t", {}, PartitionIndex(partition)}});
      request.partitions.back().offset = Offset(0);
    }
    return request;
  }
  void AnswerFetch(const std::string& bytes, const absl::Status& outcome = absl::OkStatus()) {
    api::FetchResponse response;
    for (const api::FetchPartition& asked : elsewhere_.fetches.front().request.partitions) {
      response.partitions.push_back({.name = asked.name});
      response.partitions.back().name.topic_id = BrokerFixture::IdOf(1);
      response.partitions.back().outcome = api::PartitionOutcome::Of(outcome);
      if (!bytes.empty()) response.partitions.back().batches.push_back(Bytes::Copy(bytes));
    }
    f_.OnShard([&] { std::move(elsewhere_.fetches.front().done)(response); });
    elsewhere_.fetches.erase(elsewhere_.fetches.begin());
  }

  double ParkedFetches() const {
    for (const MetricSample& metric : f_.metrics.Collect()) {
      if (metric.name == "millrace_broker_parked_fetches") return metric.value;
    }
    return -1;
  }

  uint64_t runs_ = 0;
  BrokerFixture f_;
  Elsewhere elsewhere_;
};

TEST_F(ForwarderTest, AProduceIsSplitByLeaderAndItsAnswerNamesTheLeader_KIP951) {
  std::optional<api::ProduceResponse> response;
  f_.SendProduce(ProduceTo({1, 0, 1}), &response);
  f_.Run(absl::Milliseconds(50));
  EXPECT_FALSE(response.has_value());
  ASSERT_THAT(elsewhere_.produces, SizeIs(1));
  EXPECT_EQ(elsewhere_.produces[0].address, "internal:9093");
  EXPECT_THAT(elsewhere_.produces[0].request.partitions, SizeIs(2));
  AnswerProduce(40);
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->partitions[0].base_offset, Offset(40));
  EXPECT_EQ(response->partitions[1].base_offset, Offset(0));
  EXPECT_EQ(response->partitions[2].base_offset, Offset(40));
  ASSERT_TRUE(response->partitions[0].outcome.leader.has_value());
  EXPECT_EQ(response->partitions[0].outcome.leader->leader, kOther);
  EXPECT_EQ(response->partitions[0].outcome.leader->leader_epoch, LeaderEpoch(7));
  EXPECT_EQ(response->partitions[0].outcome.leader->address, "public:9092")
      << "by the listener that the client came in by";
  EXPECT_FALSE(response->partitions[1].outcome.leader.has_value());
}

TEST_F(ForwarderTest, AnIpv6AddressHasBrackets) {
  Register("2001:db8::2", "::2");
  std::optional<api::ProduceResponse> response;
  f_.SendProduce(ProduceTo({1}), &response);
  f_.Run(absl::Milliseconds(50));
  ASSERT_THAT(elsewhere_.produces, SizeIs(1));
  EXPECT_EQ(elsewhere_.produces[0].address, "[::2]:9093");
  AnswerProduce(40);
  ASSERT_TRUE(response.has_value());
  ASSERT_TRUE(response->partitions[0].outcome.leader.has_value());
  EXPECT_EQ(response->partitions[0].outcome.leader->address, "[2001:db8::2]:9092");
}

TEST_F(ForwarderTest, WhatCameFromAnotherBrokerIsAnsweredHere) {
  f_.caller.forwarded = true;
  std::optional<api::ProduceResponse> response;
  f_.SendProduce(ProduceTo({1}), &response);
  f_.Run(absl::Milliseconds(50));
  EXPECT_THAT(elsewhere_.produces, IsEmpty());
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->partitions[0].outcome.code, ErrorCode::kNotLeaderOrFollower);
}

TEST_F(ForwarderTest, APartitionThatNobodyLeadsIsRefusedHere) {
  std::optional<api::ProduceResponse> response;
  f_.SendProduce(ProduceTo({2}), &response);
  f_.Run(absl::Milliseconds(50));
  EXPECT_THAT(elsewhere_.produces, IsEmpty());
  ASSERT_TRUE(response.has_value());
  EXPECT_FALSE(response->partitions[0].outcome.ok());
}

TEST_F(ForwarderTest, AFailureOfTheOtherBrokerIsThatOfEachOfItsPartitions) {
  std::optional<api::ProduceResponse> response;
  f_.SendProduce(ProduceTo({1, 0}), &response);
  f_.OnShard([&] {
    std::move(elsewhere_.produces[0].done)(MakeError(ErrorCode::kOutcomeUnknown, "lost"));
  });
  f_.Run(absl::Milliseconds(50));
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->partitions[0].outcome.code, ErrorCode::kOutcomeUnknown);
  EXPECT_EQ(response->partitions[0].name.topic, "t");
  EXPECT_TRUE(response->partitions[1].outcome.ok());
}

TEST_F(ForwarderTest, S37_TooManyBytesUnderWayAreRefusedAndNotMadeToWait) {
  std::optional<api::ProduceResponse> first;
  std::optional<api::ProduceResponse> second;
  const std::string huge(33 << 20, 'x');
  api::ProduceRequest request = ProduceTo({1});
  request.partitions[0].batches = Bytes::Copy(huge);
  f_.SendProduce(request, &first);
  f_.SendProduce(ProduceTo({1}), &second);
  ASSERT_THAT(elsewhere_.produces, SizeIs(1)) << "one that is too large goes alone";
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->partitions[0].outcome.code, ErrorCode::kResourceExhausted);
  AnswerProduce(0);
  f_.SendProduce(ProduceTo({1}), &second);
  EXPECT_THAT(elsewhere_.produces, SizeIs(1));
}

TEST_F(ForwarderTest, AFetchOfOneLeaderWaitsThere) {
  std::optional<api::FetchResponse> response;
  f_.SendFetch(FetchFrom({1}, absl::Seconds(20)), &response);
  ASSERT_THAT(elsewhere_.fetches, SizeIs(1));
  EXPECT_EQ(elsewhere_.fetches[0].request.max_wait, absl::Seconds(20));
  EXPECT_EQ(elsewhere_.fetches[0].request.format, api::RecordFormat::kBatches);
  EXPECT_GT(elsewhere_.fetches[0].timeout, absl::Seconds(20));
  AnswerFetch("");
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->partitions[0].fetch_offset, Offset(0));
}

TEST_F(ForwarderTest, AFetchFromItsRackIsAnsweredHereIfItIsInSync_KIP392) {
  const TopicPartition id{BrokerFixture::IdOf(1), PartitionIndex(1)};
  const metadata::PartitionImage before = *f_.image->FindPartition(id);
  metadata::PartitionImage after = before;
  after.replicas = {{kOther, {}}, {NodeId(1), {}}};
  after.isr = {kOther, NodeId(1)};
  ++after.partition_epoch;
  f_.Commit({metadata::Encode(metadata::PartitionChangeOf(id, before, after))});
  f_.Run(absl::Milliseconds(50));
  api::FetchRequest request = FetchFrom({1}, absl::ZeroDuration());
  std::optional<api::FetchResponse> response;
  f_.SendFetch(request, &response);
  EXPECT_THAT(elsewhere_.fetches, SizeIs(1)) << "no rack is named";
  request.rack = "here";
  f_.SendFetch(request, &response);
  EXPECT_THAT(elsewhere_.fetches, SizeIs(1));
}

TEST_F(ForwarderTest, AFetchOfSeveralEndsWithTheFirstWhoHasSomething) {
  std::optional<api::FetchResponse> response;
  f_.SendFetch(FetchFrom({0, 1}, absl::Seconds(20)), &response);
  f_.Run(absl::Milliseconds(50));
  ASSERT_THAT(elsewhere_.fetches, SizeIs(1));
  EXPECT_EQ(elsewhere_.fetches[0].request.max_wait, absl::ZeroDuration());
  AnswerFetch("");
  EXPECT_FALSE(response.has_value());
  ASSERT_THAT(elsewhere_.fetches, SizeIs(1)) << "nobody has anything: now they wait";
  EXPECT_EQ(elsewhere_.fetches[0].request.max_wait, absl::Seconds(20));
  AnswerFetch("batch");
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(api::TotalBytes(response->partitions[1].batches), 5u);
  EXPECT_TRUE(response->partitions[0].outcome.ok());
  // The part that was asked here is nobody's any more, and does not stay parked.
  f_.Run(absl::Milliseconds(50));
  EXPECT_EQ(ParkedFetches(), 0);
  EXPECT_THAT(elsewhere_.ended_fetches, IsEmpty()) << "the one that has answered";
}

TEST_F(ForwarderTest, S37_ALongPollThatOthersHaveWonIsEndedAtItsLeader) {
  std::optional<api::FetchResponse> response;
  f_.SendFetch(FetchFrom({0, 1}, absl::Seconds(20)), &response);
  f_.Run(absl::Milliseconds(50));
  AnswerFetch("");
  ASSERT_THAT(elsewhere_.fetches, SizeIs(1));
  EXPECT_THAT(elsewhere_.ended_fetches, IsEmpty());
  std::optional<api::ProduceResponse> produced;
  f_.SendProduce(ProduceTo({0}), &produced);
  f_.Run(absl::Milliseconds(50));
  ASSERT_TRUE(response.has_value());
  EXPECT_GT(api::TotalBytes(response->partitions[0].batches), 0u);
  EXPECT_THAT(elsewhere_.ended_fetches, ElementsAre("internal:9093"));
  f_.OnShard([&] { std::move(elsewhere_.fetches[0].done)(absl::CancelledError("")); });
}

TEST_F(ForwarderTest, S37_ADiskThatHangsIsWaitedForAsRecordsAre) {
  const absl::Status late = MakeError(ErrorCode::kRequestTimedOut, "the disk");
  std::optional<api::FetchResponse> response;
  f_.SendFetch(FetchFrom({0, 1}, absl::Seconds(20)), &response);
  f_.Run(absl::Milliseconds(50));
  ASSERT_THAT(elsewhere_.fetches, SizeIs(1));
  EXPECT_EQ(elsewhere_.fetches[0].request.max_wait, absl::ZeroDuration());
  AnswerFetch("", late);
  EXPECT_FALSE(response.has_value()) << "the client would ask again at once";
  ASSERT_THAT(elsewhere_.fetches, SizeIs(1));
  EXPECT_EQ(elsewhere_.fetches[0].request.max_wait, absl::Seconds(20));
  AnswerFetch("", late);
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->partitions[1].outcome.code, ErrorCode::kRequestTimedOut);
  EXPECT_TRUE(response->partitions[0].outcome.ok());
  // Nobody waits for records beside it where the client does not wait.
  f_.SendFetch(FetchFrom({0, 1}, absl::ZeroDuration()), &response);
  f_.Run(absl::Milliseconds(50));
  response.reset();
  AnswerFetch("", late);
  EXPECT_TRUE(response.has_value());
}

TEST_F(ForwarderTest, S37_ALongPollWhoseClientHasGoneIsEndedEverywhere) {
  for (const std::vector<int>& partitions : {std::vector<int>{1}, std::vector<int>{0, 1}}) {
    elsewhere_.ended_fetches.clear();
    bool answered = false;
    std::weak_ptr<OngoingFetch> ongoing;
    f_.OnShard([&] {
      ongoing = f_.broker->Fetch(FetchFrom(partitions, absl::Minutes(5)), f_.caller,
                                 [&](const api::FetchResponse&) { answered = true; });
    });
    f_.Run(absl::Milliseconds(50));
    if (partitions.size() > 1) AnswerFetch("");
    f_.Run(absl::Milliseconds(50));
    EXPECT_EQ(ParkedFetches(), partitions.size() > 1 ? 1 : 0);
    f_.OnShard([&] {
      ASSERT_FALSE(ongoing.expired());
      ongoing.lock()->Cancel();
    });
    EXPECT_THAT(elsewhere_.ended_fetches, ElementsAre("internal:9093"));
    f_.Run(absl::Milliseconds(50));
    EXPECT_EQ(ParkedFetches(), 0);
    // Which ends the call there, as any error would.
    f_.OnShard([&] { std::move(elsewhere_.fetches[0].done)(absl::CancelledError("")); });
    elsewhere_.fetches.clear();
    EXPECT_FALSE(answered);
    EXPECT_TRUE(ongoing.expired());
  }
}

TEST_F(ForwarderTest, WhatWasTooLittleHoldsNoMemoryWhileAllAreAskedToWait) {
  const size_t bytes = MakeBatch(2).size();
  f_.Produce("t", MakeBatch(2));
  std::optional<api::FetchResponse> response;
  api::FetchRequest request = FetchFrom({0, 1}, absl::Seconds(20));
  request.bytes_min = 1 << 20;
  f_.SendFetch(request, &response);
  f_.Run(absl::Milliseconds(50));
  EXPECT_EQ(f_.budget.used_bytes(), static_cast<int64_t>(bytes));
  AnswerFetch("");
  f_.Run(absl::Milliseconds(50));
  EXPECT_FALSE(response.has_value());
  EXPECT_EQ(ParkedFetches(), 1);
  EXPECT_EQ(f_.budget.used_bytes(), 0);
  f_.Run(absl::Seconds(20));
  AnswerFetch("");
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(api::TotalBytes(response->partitions[0].batches), bytes) << "it is read again";
}

TEST_F(ForwarderTest, WhoHadALittleIsAskedForItAgainWhenAnotherEndsTheWait) {
  std::optional<api::FetchResponse> response;
  api::FetchRequest request = FetchFrom({0, 1}, absl::Seconds(20));
  request.bytes_min = 50;
  f_.SendFetch(request, &response);
  f_.Run(absl::Milliseconds(50));
  AnswerFetch("little");
  ASSERT_THAT(elsewhere_.fetches, SizeIs(1));
  EXPECT_EQ(elsewhere_.fetches[0].request.max_wait, absl::Seconds(20));
  std::optional<api::ProduceResponse> produced;
  f_.SendProduce(ProduceTo({0}), &produced);
  f_.Run(absl::Milliseconds(50));
  EXPECT_FALSE(response.has_value());
  EXPECT_THAT(elsewhere_.ended_fetches, ElementsAre("internal:9093"));
  ASSERT_THAT(elsewhere_.fetches, SizeIs(2));
  EXPECT_EQ(elsewhere_.fetches[1].request.max_wait, absl::ZeroDuration());
  f_.OnShard([&] { std::move(elsewhere_.fetches[0].done)(absl::CancelledError("")); });
  elsewhere_.fetches.erase(elsewhere_.fetches.begin());
  EXPECT_FALSE(response.has_value()) << "the end of the long poll is nobody's answer";
  AnswerFetch("little");
  ASSERT_TRUE(response.has_value());
  EXPECT_GE(api::TotalBytes(response->partitions[0].batches), 50u);
  EXPECT_EQ(api::TotalBytes(response->partitions[1].batches), 6u);
}

TEST_F(ForwarderTest, AFetchThatDoesNotWaitHearsEveryLeader) {
  f_.Produce("t", MakeBatch(2));
  std::optional<api::FetchResponse> response;
  f_.SendFetch(FetchFrom({0, 1}, absl::ZeroDuration()), &response);
  f_.Run(absl::Milliseconds(50));
  EXPECT_FALSE(response.has_value()) << "what is here would always hide what others have";
  AnswerFetch("batch");
  ASSERT_TRUE(response.has_value());
  EXPECT_GT(api::TotalBytes(response->partitions[0].batches), 0u);
  EXPECT_EQ(api::TotalBytes(response->partitions[1].batches), 5u);
}

TEST_F(ForwarderTest, QuestionsAndDeletionsGoToTheLeaderToo) {
  bool answered = false;
  f_.OnShard([&] {
    api::ListOffsetsRequest request;
    request.partitions.push_back(
        {.name = {"t", {}, PartitionIndex(1)}, .position = api::OffsetPosition::kLatest});
    f_.broker->ListOffsets(request, f_.caller, [&](const api::ListOffsetsResponse& response) {
      answered = response.partitions.at(0).offset == Offset(9);
    });
    api::DeleteRecordsRequest deletion;
    deletion.partitions.push_back(
        {.name = {"t", {}, PartitionIndex(1)}, .before_offset = Offset(5)});
    f_.broker->DeleteRecords(deletion, f_.caller, [](const api::DeleteRecordsResponse&) {});
    api::OffsetForLeaderEpochRequest epochs;
    epochs.partitions.push_back(
        {.name = {"t", {}, PartitionIndex(1)}, .leader_epoch = LeaderEpoch(3)});
    f_.broker->OffsetForLeaderEpoch(epochs, f_.caller,
                                    [](const api::OffsetForLeaderEpochResponse&) {});
  });
  ASSERT_THAT(elsewhere_.epochs, SizeIs(1));
  ASSERT_THAT(elsewhere_.offsets, SizeIs(1));
  ASSERT_THAT(elsewhere_.deletes, SizeIs(1));
  EXPECT_EQ(elsewhere_.deletes[0].request.partitions[0].before_offset, Offset(5));
  f_.OnShard([&] {
    api::ListOffsetsResponse response;
    response.partitions.push_back(
        {.name = {"t", BrokerFixture::IdOf(1), PartitionIndex(1)}, .offset = Offset(9)});
    std::move(elsewhere_.offsets[0].done)(response);
  });
  EXPECT_TRUE(answered);
}

}  // namespace
}  // namespace millrace::broker
