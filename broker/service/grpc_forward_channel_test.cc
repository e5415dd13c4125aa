#include "broker/service/grpc_forward_channel.h"

#include <optional>

#include "broker/service/testing/log_service_fixture.h"
#include "rpc/testing/slow_link.h"

namespace millrace::broker {
namespace {

// Passes calls to the fixture's broker as another broker would.
class GrpcForwardChannelTest : public LogServiceTest {
 protected:
  explicit GrpcForwardChannelTest(rpc::ServerOptions options = {},
                                  const GrpcForwardChannel::Limits& limits = {})
      : LogServiceTest(std::move(options)), channel_(&executor_, rpc::ChannelOptions(), limits) {}
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
  GrpcForwardChannel channel_;
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

// KIP-601.
TEST_P(GrpcForwardChannelTest, AConnectionThatTakesLongToBeMadeIsGivenTheTime) {
  const rpc::testdata::SlowLink link(server_->listeners()[0].port, absl::Milliseconds(1200));
  absl::StatusOr<api::ProduceResponse> produced = absl::UnknownError("not asked");
  for (int i = 0; i < 10 && !produced.ok(); ++i) produced = Produce(link.address());
  EXPECT_OK(produced.status());
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

// What one stream is told first.
struct FirstWord final : ForwardSink {
  void OnAnswered(api::ProduceStreamResponse) override { Tell(absl::OkStatus()); }
  void OnClosed(const absl::Status& why) override { Tell(why); }
  void Tell(const absl::Status& status) {
    if (!std::exchange(told, true)) word.Set(status);
  }

  bool told = false;
  Promise<absl::Status> word;
};

// The leader takes six calls on a connection; without a bound the next would wait for one to end.
class CrowdedForwardChannelTest : public GrpcForwardChannelTest {
 protected:
  CrowdedForwardChannelTest()
      : GrpcForwardChannelTest({.concurrent_streams_per_connection_max = 6},
                               {.calls_max = 5, .fetches_max = 3, .streams_max = 5}) {}

  absl::Status ListOffsets() {
    api::ListOffsetsRequest request;
    request.partitions.push_back(
        {.name = {"t", {}, PartitionIndex(0)}, .position = api::OffsetPosition::kLatest});
    return Await<api::ListOffsetsResponse>([&](auto done) {
             channel_.ListOffsets(Address(), request, absl::Seconds(20), std::move(done));
           })
        .status();
  }
  absl::Status Fetch(absl::Duration wait) {
    return Await<api::FetchResponse>([&](auto done) {
             channel_.Fetch(Address(), FetchOf(wait), absl::Seconds(20), std::move(done));
           })
        .status();
  }
  static api::FetchRequest FetchOf(absl::Duration wait) {
    api::FetchRequest request;
    request.max_wait = wait;
    request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}, .offset = Offset(1)});
    return request;
  }
  // Opens a stream and sends a batch on it.
  absl::Status OpenStream() {
    const auto sink = std::make_shared<FirstWord>();
    api::ProduceStreamRequest request;
    request.request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}});
    request.request.partitions[0].batches = Bytes::Copy(Batch("value"));
    executor_.Post([&] {
      streams_.push_back(channel_.OpenProduceStream(Address(), sink));
      streams_.back()->Send(request);
      sinks_.push_back(sink);
    });
    return sink->word.Wait();
  }
  void CloseStreams() {
    Promise<bool> closed;
    executor_.Post([&] {
      streams_.clear();
      closed.Set(true);
    });
    closed.Wait();
  }

  std::vector<std::shared_ptr<FirstWord>> sinks_;
  std::vector<std::unique_ptr<ForwardStream>> streams_;
};

TEST_P(CrowdedForwardChannelTest, S37_PastTheBoundCallsAreRefusedAndNotMadeToWait) {
  EXPECT_OK(Produce(Address()).status());
  std::vector<Promise<absl::Status>> answers(3);
  std::vector<Task> ends;
  executor_.Post([&] {
    for (Promise<absl::Status>& answer : answers) {
      ends.push_back(channel_.Fetch(
          Address(), FetchOf(absl::Minutes(5)), absl::Minutes(6),
          [&](const absl::StatusOr<api::FetchResponse>& got) { answer.Set(got.status()); }));
    }
  });
  ASSERT_TRUE(AwaitParked(3));
  EXPECT_THAT(Fetch(absl::Minutes(5)),
              IsError(ErrorCode::kResourceExhausted, "3 calls are open to the leader"));
  EXPECT_OK(ListOffsets()) << "long polls leave room for others";
  executor_.Post([&] {
    for (Task& end : ends) std::move(end)();
  });
  for (Promise<absl::Status>& answer : answers) EXPECT_FALSE(answer.Wait().ok());
  EXPECT_OK(Fetch(absl::ZeroDuration()));
}

TEST_P(CrowdedForwardChannelTest, S37_StreamsAreRefusedPastTheBoundAndKeepNoCallBack) {
  for (int i = 0; i < 5; ++i) EXPECT_OK(OpenStream());
  EXPECT_THAT(OpenStream(),
              IsError(ErrorCode::kResourceExhausted, "5 streams are open to the leader"));
  for (int i = 0; i < 10; ++i) EXPECT_OK(ListOffsets());
  CloseStreams();
  // Their ends come in later.
  const MonotonicTime patience = channel_clock_.Now() + absl::Seconds(20);
  absl::Status opened = OpenStream();
  while (!opened.ok() && channel_clock_.Now() < patience) opened = OpenStream();
  EXPECT_OK(opened);
  CloseStreams();
}

INSTANTIATE_TEST_SUITE_P(Shards, GrpcForwardChannelTest, testing::Values(1));
INSTANTIATE_TEST_SUITE_P(Shards, CrowdedForwardChannelTest, testing::Values(1));

}  // namespace
}  // namespace millrace::broker
