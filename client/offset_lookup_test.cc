#include "client/offset_lookup.h"

#include <functional>

#include "base/status.h"
#include "base/status_matchers.h"
#include "base/system_clock.h"
#include "base/thread_executor.h"

namespace millrace::client {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

// Answers lookups as the test says.
class FakeChannel final : public LogChannel {
 public:
  using Answer = std::function<absl::StatusOr<api::ListOffsetsResponse>(
      const std::string& address, const api::ListOffsetsRequest& request)>;

  void Watch(std::vector<std::string>) override {}
  void OpenProduce(NodeId, const std::string&) override {}
  void SendProduce(NodeId, const api::ProduceStreamRequest&) override {}
  void CloseProduce(NodeId) override {}
  void OpenFetch(NodeId, const std::string&) override {}
  void SendFetch(NodeId, const api::FetchStreamRequest&) override {}
  void CloseFetch(NodeId) override {}
  void ListOffsets(const std::string& address, const api::ListOffsetsRequest& request,
                   absl::Duration, ListOffsetsCallback done) override {
    std::move(done)(answer(address, request));
  }
  void OffsetForLeaderEpoch(const std::string&, const api::OffsetForLeaderEpochRequest&,
                            absl::Duration, EpochEndsCallback) override {}
  void InitProducerId(const std::string&, const std::string&, absl::Duration,
                      ProducerIdCallback) override {}

  Answer answer;
};

// Two partitions of "t", led by brokers 1 and 2; each leader tells its own number for an offset.
class OffsetLookupTest : public testing::Test {
 protected:
  OffsetLookupTest() {
    strand_.SetChannel(&channel_);
    channel_.answer = [](const std::string& address, const api::ListOffsetsRequest& request) {
      return Answer(request, Offset(address == "one:1" ? 1 : 2));
    };
    executor_.Post([this] {
      api::WatchTopicsResponse push;
      push.topics.push_back({.topic = "t",
                             .topic_id = TopicId(Uuid(1, 1)),
                             .partitions = {Leader(0, 1), Leader(1, 2), Leader(2, -1)}});
      push.brokers = {{NodeId(1), "one:1", ""}, {NodeId(2), "two:1", ""}};
      strand_.OnTopics(push);
    });
  }
  ~OffsetLookupTest() override { executor_.Shutdown(); }

  static api::PartitionLeader Leader(int partition, int leader) {
    return {.partition = PartitionIndex(partition),
            .leader_id = NodeId(leader),
            .leader_epoch = LeaderEpoch(1)};
  }
  static api::ListOffsetsResponse Answer(const api::ListOffsetsRequest& request, Offset offset,
                                         ErrorCode code = ErrorCode::kNone) {
    api::ListOffsetsResponse response;
    for (const api::ListOffsetsPartition& asked : request.partitions) {
      response.partitions.push_back({.name = asked.name,
                                     .outcome = {.code = code, .message = "not now"},
                                     .offset = offset,
                                     .timestamp_ms = asked.timestamp_ms});
    }
    return response;
  }
  static NamedPartition Named(int partition) { return {"t", PartitionIndex(partition)}; }
  absl::StatusOr<OffsetLookup::Found> Ask(OffsetLookup::Wanted wanted,
                                          absl::Duration timeout = kPatience) {
    return lookup_.Ask(std::move(wanted), clock_.Now() + timeout);
  }

  const SystemClock clock_;
  FakeChannel channel_;
  TopicNews news_;
  ConsumerInbox inbox_;
  ThreadExecutor executor_{"strand"};
  ConsumerStrand strand_{{}, kPatience, &executor_, &clock_, &news_, &inbox_};
  OffsetLookup lookup_{{.request_timeout = kPatience, .retry_backoff = absl::Milliseconds(1)},
                       &executor_,
                       &strand_,
                       &news_,
                       &clock_};
};

const Position kEarliest{.kind = Position::Kind::kEarliest};

TEST_F(OffsetLookupTest, EachLeaderIsAskedForItsOwn) {
  const Position time{.kind = Position::Kind::kTimestamp, .timestamp_ms = 77};
  ASSERT_OK_AND_ASSIGN(const auto found, Ask({{Named(0), kEarliest}, {Named(1), time}}));
  EXPECT_EQ(found.at(Named(0)).offset, Offset(1));
  EXPECT_EQ(found.at(Named(1)), (OffsetAndTime{.offset = Offset(2), .timestamp_ms = 77}));
}

TEST_F(OffsetLookupTest, WhatIsRefusedForNowIsAskedAgain) {
  int refusals = 3;
  channel_.answer = [&](const std::string&, const api::ListOffsetsRequest& request) {
    const bool refuse = refusals-- > 0;
    return Answer(request, Offset(9), refuse ? ErrorCode::kNotLeaderOrFollower : ErrorCode::kNone);
  };
  ASSERT_OK_AND_ASSIGN(const auto found, Ask({{Named(0), kEarliest}}));
  EXPECT_EQ(found.at(Named(0)).offset, Offset(9));
}

TEST_F(OffsetLookupTest, TheDeadlineTellsTheLatestRefusal) {
  EXPECT_THAT(Ask({{Named(2), kEarliest}}, absl::Milliseconds(20)),
              IsError(ErrorCode::kBrokerNotAvailable, "t-2 has no leader"));
}

TEST_F(OffsetLookupTest, WhatIsRefusedForGoodIsAnErrorAtOnce) {
  channel_.answer = [&](const std::string&, const api::ListOffsetsRequest& request) {
    return Answer(request, kNoOffset, ErrorCode::kAuthorizationFailed);
  };
  EXPECT_THAT(Ask({{Named(0), kEarliest}}), IsError(ErrorCode::kAuthorizationFailed, "t-0"));
}

TEST_F(OffsetLookupTest, APartitionThatIsNotThereIsNamed) {
  EXPECT_THAT(Ask({{Named(7), kEarliest}}),
              IsError(ErrorCode::kUnknownTopicOrPartition, "no partition 7"));
}

}  // namespace
}  // namespace millrace::client
