#include "broker/service/grpc_forward_channel.h"

#include <optional>

#include "broker/service/testing/log_service_fixture.h"

namespace millrace::broker {
namespace {

// Passes calls to the fixture's broker as another broker would.
class GrpcForwardChannelTest : public LogServiceTest {
 protected:
  template <class Response, class Call>
  absl::StatusOr<Response> Await(Call call) {
    Promise<absl::StatusOr<Response>> answer;
    executor_.Post(
        [&] { call([&](absl::StatusOr<Response> response) { answer.Set(std::move(response)); }); });
    return answer.Wait();
  }
  std::string Address() const { return absl::StrCat("127.0.0.1:", server_->listeners()[0].port); }
  absl::StatusOr<api::ProduceResponse> Produce(const std::string& address) {
    api::ProduceRequest request;
    request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}});
    request.partitions[0].batches = Bytes::Copy(Batch("value"));
    return Await<api::ProduceResponse>(
        [&](auto done) { channel_.Produce(address, request, absl::Seconds(20), std::move(done)); });
  }

  // Whether so many fetches come to be parked at the leader.
  bool AwaitParked(int count) {
    const MonotonicTime end = channel_clock_.Now() + absl::Seconds(20);
    while (channel_clock_.Now() < end) {
      for (const MetricSample& metric : metrics_.Collect()) {
        if (metric.name == "millrace_broker_parked_fetches" && metric.value == count) return true;
      }
      Promise<bool> turn;
      executor_.Post([&] { turn.Set(true); });
      turn.Wait();
    }
    return false;
  }

  SystemClock channel_clock_;
  rpc::CompletionQueueExecutor executor_{&channel_clock_, "forward"};
  GrpcForwardChannel channel_{&executor_,
                              std::make_shared<rpc::ChannelPool>(rpc::ChannelOptions())};
};

TEST_P(GrpcForwardChannelTest, CallsArriveAndAreAnswered) {
  ASSERT_OK_AND_ASSIGN(const api::ProduceResponse produced, Produce(Address()));
  EXPECT_TRUE(produced.partitions.at(0).outcome.ok()) << produced.partitions[0].outcome.message;
  api::FetchRequest fetch;
  fetch.format = api::RecordFormat::kBatches;
  fetch.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}, .offset = Offset(0)});
  ASSERT_OK_AND_ASSIGN(const api::FetchResponse fetched, Await<api::FetchResponse>([&](auto done) {
                         channel_.Fetch(Address(), fetch, absl::Seconds(20), std::move(done));
                       }));
  EXPECT_EQ(api::TotalBytes(fetched.partitions.at(0).batches), Batch("value").size());
  api::ListOffsetsRequest offsets;
  offsets.partitions.push_back(
      {.name = {"t", {}, PartitionIndex(0)}, .position = api::OffsetPosition::kLatest});
  ASSERT_OK_AND_ASSIGN(
      const api::ListOffsetsResponse latest, Await<api::ListOffsetsResponse>([&](auto done) {
        channel_.ListOffsets(Address(), offsets, absl::Seconds(20), std::move(done));
      }));
  EXPECT_EQ(latest.partitions.at(0).offset, Offset(1));
  api::DeleteRecordsRequest deletion;
  deletion.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}, .before_offset = Offset(1)});
  ASSERT_OK_AND_ASSIGN(
      const api::DeleteRecordsResponse deleted, Await<api::DeleteRecordsResponse>([&](auto done) {
        channel_.DeleteRecords(Address(), deletion, absl::Seconds(20), std::move(done));
      }));
  EXPECT_EQ(deleted.partitions.at(0).log_start_offset, Offset(1));
}

// One connection has a limited number of streams: what nobody waits for must not hold them.
TEST_P(GrpcForwardChannelTest, AFetchThatIsEndedEarlyDoesNotStayParkedAtTheLeader) {
  // The partition is open.
  EXPECT_OK(Produce(Address()).status());
  Promise<absl::StatusOr<api::FetchResponse>> answer;
  Promise<bool> asked;
  Task end;
  executor_.Post([&] {
    api::FetchRequest request;
    request.max_wait = absl::Minutes(5);
    request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}, .offset = Offset(1)});
    end = channel_.Fetch(
        Address(), request, absl::Minutes(6),
        [&](absl::StatusOr<api::FetchResponse> response) { answer.Set(std::move(response)); });
    asked.Set(true);
  });
  asked.Wait();
  ASSERT_TRUE(AwaitParked(1));
  executor_.Post([&] { std::move(end)(); });
  EXPECT_FALSE(answer.Wait().ok());
  EXPECT_TRUE(AwaitParked(0));
}

TEST_P(GrpcForwardChannelTest, ABrokerThatCannotBeReachedHasAppendedNothing) {
  const absl::StatusOr<api::ProduceResponse> produced = Produce("127.0.0.1:1");
  EXPECT_THAT(produced.status(), HasCode(ErrorCode::kBrokerNotAvailable));
}

// What a stream's end, or its answers, are told to.
struct Sink final : ForwardSink {
  void OnAnswered(api::ProduceStreamResponse response) override {
    for (const auto& result : response.partitions) offsets.push_back(result.base_offset);
    if (offsets.size() == 50) answered.Set(true);
  }
  void OnClosed(const absl::Status& why) override { closed.Set(why); }

  std::vector<Offset> offsets;
  Promise<bool> answered;
  Promise<absl::Status> closed;
};

TEST_P(GrpcForwardChannelTest, AStreamOfBatchesArrivesInOrderAndSaysThatItsLossIsUnknown) {
  auto sink = std::make_shared<Sink>();
  std::unique_ptr<ForwardStream> stream;
  api::ProduceStreamRequest request;
  request.request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}});
  request.request.partitions[0].batches = Bytes::Copy(Batch("value"));
  executor_.Post([&] {
    stream = channel_.OpenProduceStream(Address(), sink);
    for (; request.request_number < 50; ++request.request_number) stream->Send(request);
  });
  sink->answered.Wait();
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ(sink->offsets[i], Offset(static_cast<int64_t>(i)));
  server_->Shutdown(absl::ZeroDuration());
  EXPECT_THAT(sink->closed.Wait(), HasCode(ErrorCode::kOutcomeUnknown));
  Promise<bool> ended;
  executor_.Post([&] {
    stream = nullptr;
    ended.Set(true);
  });
  ended.Wait();
}

TEST_P(GrpcForwardChannelTest, AStreamToABrokerThatCannotBeReachedHasAppendedNothing) {
  auto sink = std::make_shared<Sink>();
  std::unique_ptr<ForwardStream> stream;
  executor_.Post([&] {
    stream = channel_.OpenProduceStream("127.0.0.1:1", sink);
    stream->Send({});
  });
  EXPECT_THAT(sink->closed.Wait(), HasCode(ErrorCode::kBrokerNotAvailable));
  Promise<bool> ended;
  executor_.Post([&] {
    stream = nullptr;
    ended.Set(true);
  });
  ended.Wait();
}

INSTANTIATE_TEST_SUITE_P(Shards, GrpcForwardChannelTest, testing::Values(1));

}  // namespace
}  // namespace millrace::broker
