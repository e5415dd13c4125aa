#include "client/producer.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "client/fake_log_server.h"
#include "client/partitioner.h"
#include "record/batch_builder.h"
#include "record/format.h"

namespace millrace::client {
namespace {

using testing::ElementsAre;

constexpr absl::Duration kPatience = absl::Seconds(20);

std::unique_ptr<Producer> Connect(const FakeLogServer& server, ConfigValues config = {}) {
  config.try_emplace("bootstrap.servers", server.address());
  config.try_emplace("retry.backoff.ms", "5");
  auto producer = Producer::Create(config);
  CHECK_OK(producer);
  return *std::move(producer);
}

// What became of the records, in the order of their callbacks. Read after Flush or Close.
struct Deliveries {
  std::vector<DeliveryReport> reports;

  Producer::DeliveryCallback Next() {
    return [this](const DeliveryReport& report) { reports.push_back(report); };
  }
};

Record Value(std::string value) { return {.key = std::nullopt, .value = std::move(value)}; }

TEST(Producer, RecordsArriveInOrderWithTheirOffsets) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto producer = Connect(server, {{"batch.size", "500"}});
  Deliveries deliveries;
  std::vector<std::string> sent;
  for (int i = 0; i < 1000; ++i) {
    sent.push_back(absl::StrCat("value-", i));
    ASSERT_OK(producer->Send("t", Value(sent.back()), std::nullopt, deliveries.Next()));
  }
  ASSERT_OK(producer->Flush(kPatience));
  EXPECT_EQ(server.Values("t", 0), sent);
  ASSERT_EQ(deliveries.reports.size(), 1000u);
  for (int i = 0; i < 1000; ++i) {
    const DeliveryReport& report = deliveries.reports[static_cast<size_t>(i)];
    EXPECT_OK(report.status);
    EXPECT_EQ(report.offset, Offset(i));
    EXPECT_EQ(report.partition, PartitionIndex(0));
  }
}

TEST(Producer, AServerThatRefusesThisClientIsNotWaitedFor) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  server.RefuseWatches(ErrorCode::kAuthorizationFailed);
  // Less than the test itself may take.
  auto producer = Connect(server, {{"max.block.ms", "20000"}});
  EXPECT_THAT(producer->Send("t", Value("v"), std::nullopt, nullptr),
              HasCode(ErrorCode::kAuthorizationFailed));
  server.RefuseWatches(ErrorCode::kNone);
}

TEST(Producer, OrderHoldsThroughRefusalsAndLostStreams) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto producer = Connect(server, {{"batch.size", "300"}});
  Deliveries deliveries;
  std::vector<std::string> sent;
  for (int i = 0; i < 2000; ++i) {
    if (i == 300) server.RefuseProduce(2, ErrorCode::kNotEnoughReplicas);
    // Dropped before they are appended, so that nothing is there twice.
    if (i == 900) server.DropProduce(1);
    sent.push_back(absl::StrCat("value-", i));
    ASSERT_OK(producer->Send("t", Value(sent.back()), std::nullopt, deliveries.Next()));
  }
  ASSERT_OK(producer->Flush(kPatience));
  EXPECT_EQ(server.Values("t", 0), sent);
  for (const DeliveryReport& report : deliveries.reports) EXPECT_OK(report.status);
}

TEST(Producer, KeysChooseThePartitionAndAnExplicitOneOverridesThem) {
  FakeLogServer server;
  server.CreateTopic("t", 7);
  auto producer = Connect(server);
  const int expected = PartitionOfKey("foobar", 7).value();
  const int other = (expected + 1) % 7;
  ASSERT_OK(producer->Send("t", {.key = "foobar", .value = "by key"}, std::nullopt, {}));
  ASSERT_OK(producer->Send("t", {.key = "foobar", .value = "asked"}, PartitionIndex(other), {}));
  ASSERT_OK(producer->Flush(kPatience));
  EXPECT_THAT(server.Values("t", expected), ElementsAre("by key"));
  EXPECT_THAT(server.Values("t", other), ElementsAre("asked"));
  EXPECT_THAT(producer->Send("t", Value("x"), PartitionIndex(7), {}),
              IsError(ErrorCode::kUnknownTopicOrPartition, "has no partition 7"));
}

// How many records each partition of "t" has.
std::vector<size_t> Counts(FakeLogServer* server, int partitions) {
  std::vector<size_t> counts;
  for (int i = 0; i < partitions; ++i) counts.push_back(server->Values("t", i).size());
  return counts;
}

TEST(Producer, WithoutAKeyPartitionsShareTheBytesInWholeBatches) {
  FakeLogServer server;
  server.CreateTopic("t", 4);
  auto producer = Connect(server, {{"batch.size", "1000"}, {"linger.ms", "60000"}});
  for (int i = 0; i < 400; ++i) {
    ASSERT_OK(producer->Send("t", Value(std::string(80, 'x')), std::nullopt, {}));
  }
  ASSERT_OK(producer->Flush(kPatience));
  const std::vector<size_t> counts = Counts(&server, 4);
  // Each has something, in turns of at least a batch (9 records and more).
  for (const size_t count : counts) EXPECT_GE(count, 9u);
}

TEST(Producer, RoundRobinGoesRoundWhateverTheKey) {
  FakeLogServer server;
  server.CreateTopic("t", 3);
  auto producer = Connect(server, {{"partitioner.class", "round_robin"}});
  for (int i = 0; i < 9; ++i) {
    ASSERT_OK(producer->Send("t", {.key = "same", .value = "x"}, std::nullopt, {}));
  }
  ASSERT_OK(producer->Flush(kPatience));
  EXPECT_THAT(Counts(&server, 3), ElementsAre(3, 3, 3));
}

TEST(Producer, KeysThatAreIgnoredStickLikeNone) {
  FakeLogServer server;
  server.CreateTopic("t", 3);
  auto producer = Connect(server, {{"partitioner.ignore.keys", "true"}});
  for (int i = 0; i < 9; ++i) {
    ASSERT_OK(producer->Send("t", {.key = absl::StrCat(i), .value = "x"}, std::nullopt, {}));
  }
  ASSERT_OK(producer->Flush(kPatience));
  EXPECT_THAT(Counts(&server, 3), testing::UnorderedElementsAre(9, 0, 0));
}

TEST(Producer, CustomPartitionerDecidesUnlessAPartitionIsAskedFor) {
  FakeLogServer server;
  server.CreateTopic("t", 3);
  auto by_length = [](const std::string& topic, const BorrowedRecord& record, int32_t partitions) {
    EXPECT_EQ(topic, "t");
    EXPECT_EQ(partitions, 3);
    return PartitionIndex(static_cast<int>(record.value->size()));
  };
  auto producer = Producer::Create({{"bootstrap.servers", server.address()}}, by_length);
  ASSERT_OK(producer);
  ASSERT_OK((*producer)->Send("t", Value("12"), std::nullopt, {}));
  ASSERT_OK((*producer)->Send("t", Value(""), std::nullopt, {}));
  ASSERT_OK((*producer)->Send("t", Value("asked"), PartitionIndex(1), {}));
  EXPECT_THAT((*producer)->Send("t", Value("123"), std::nullopt, {}),
              IsError(ErrorCode::kUnknownTopicOrPartition, "has no partition 3"));
  ASSERT_OK((*producer)->Flush(kPatience));
  EXPECT_THAT(Counts(&server, 3), ElementsAre(1, 1, 1));
}

TEST(Producer, BorrowedRecordsAreCopiedBeforeSendReturns) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto producer = Connect(server, {{"linger.ms", "60000"}});
  std::string value = "first";
  ASSERT_OK(producer->SendBorrowed("t", {.value = Slice(value)}, std::nullopt, {}));
  value = "other";
  ASSERT_OK(producer->SendBorrowed("t", {.value = Slice(value)}, std::nullopt, {}));
  ASSERT_OK(producer->Flush(kPatience));
  EXPECT_THAT(server.Values("t", 0), ElementsAre("first", "other"));
}

TEST(Producer, UnknownTopicIsAnErrorThatSaysWhatToDo) {
  FakeLogServer server;
  auto producer = Connect(server);
  EXPECT_THAT(producer->Send("nope", Value("x"), std::nullopt, {}),
              IsError(ErrorCode::kUnknownTopicOrPartition, "millrace topic create nope"));
  // It is known as soon as it is there.
  server.CreateTopic("nope", 1);
  EXPECT_OK(producer->Send("nope", Value("x"), std::nullopt, {}));
  EXPECT_OK(producer->Flush(kPatience));
}

TEST(Producer, TopicMadeAgainGetsTheRecordsFromThenOn) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto producer = Connect(server);
  ASSERT_OK(producer->Send("t", Value("old"), std::nullopt, {}));
  ASSERT_OK(producer->Flush(kPatience));
  server.DeleteTopic("t");
  server.CreateTopic("t", 1);
  // Until the push has come, records still go to the old topic, and fail.
  Deliveries deliveries;
  for (int i = 0; i < 1000; ++i) {
    auto attempt = Connect(server, {{"delivery.timeout.ms", "50"}});
    ASSERT_OK(attempt->Send("t", Value("new"), std::nullopt, deliveries.Next()));
    ASSERT_OK(attempt->Flush(kPatience));
    if (deliveries.reports.back().status.ok()) break;
  }
  EXPECT_THAT(server.Values("t", 0), ElementsAre("new"));
}

TEST(Producer, ATopicThatComesBackUnderAnEarlierIdIsWrittenToAgain) {
  FakeLogServer server;
  server.CreateTopic("t", 1, 7);
  auto producer = Connect(server);
  for (const uint64_t id : {7u, 8u, 7u}) {
    server.CreateTopic("t", 1, id);
    // Until the push has come, records go to the topic before, and fail.
    Deliveries deliveries;
    for (int i = 0; i < 1000; ++i) {
      ASSERT_OK(producer->Send("t", Value("x"), std::nullopt, deliveries.Next()));
      ASSERT_OK(producer->Flush(kPatience));
      if (deliveries.reports.back().status.ok()) break;
    }
    EXPECT_OK(deliveries.reports.back().status) << id;
    EXPECT_THAT(server.Values("t", 0), ElementsAre("x")) << id;
  }
}

TEST(Producer, RecordsOfADeletedTopicFailLongBeforeTheirDeliveryTimeout) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto producer = Connect(server);
  ASSERT_OK(producer->Send("t", Value("old"), std::nullopt, {}));
  ASSERT_OK(producer->Flush(kPatience));
  server.DeleteTopic("t");
  Deliveries deliveries;
  // Until the push has come it is sent, and refused; from then on nothing is accepted.
  const absl::Status sent = producer->Send("t", Value("new"), std::nullopt, deliveries.Next());
  if (sent.ok()) {
    ASSERT_OK(producer->Flush(kPatience));
    EXPECT_THAT(deliveries.reports.back().status,
                testing::AnyOf(HasCode(ErrorCode::kUnknownTopicId),
                               HasCode(ErrorCode::kUnknownTopicOrPartition)));
  } else {
    EXPECT_THAT(sent, HasCode(ErrorCode::kUnknownTopicOrPartition));
  }
}

TEST(Producer, WithoutAServerSendSaysWhatWasTried) {
  auto producer = Producer::Create({{"bootstrap.servers", "127.0.0.1:1"}, {"max.block.ms", "200"}});
  ASSERT_OK(producer);
  EXPECT_THAT((*producer)->Send("t", Value("x"), std::nullopt, {}),
              IsError(ErrorCode::kBrokerNotAvailable, "127.0.0.1:1"));
}

TEST(Producer, AnotherBootstrapServerIsTried) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto producer =
      Connect(server, {{"bootstrap.servers", absl::StrCat("127.0.0.1:1,", server.address())}});
  EXPECT_OK(producer->Send("t", Value("x"), std::nullopt, {}));
  EXPECT_OK(producer->Flush(kPatience));
}

TEST(Producer, FailsInsteadOfSendingTwiceWithoutRetries) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto producer = Connect(server, {{"retries", "0"}});
  server.DropProduce(1);
  Deliveries deliveries;
  ASSERT_OK(producer->Send("t", Value("x"), std::nullopt, deliveries.Next()));
  ASSERT_OK(producer->Flush(kPatience));
  ASSERT_EQ(deliveries.reports.size(), 1u);
  EXPECT_THAT(deliveries.reports[0].status, HasCode(ErrorCode::kBrokerNotAvailable));
  EXPECT_EQ(deliveries.reports[0].offset, kNoOffset);
}

TEST(Producer, SendWaitsForMemoryAndThenGivesUp) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto producer =
      Connect(server, {{"buffer.memory", "1000"}, {"max.block.ms", "50"}, {"linger.ms", "60000"}});
  ASSERT_OK(producer->Send("t", Value(std::string(600, 'a')), std::nullopt, {}));
  // Waiting for memory ends the linger.
  ASSERT_OK(producer->Send("t", Value(std::string(600, 'b')), std::nullopt, {}));
  ASSERT_OK(producer->Flush(kPatience));
  server.Hold(true);
  ASSERT_OK(producer->Send("t", Value(std::string(600, 'c')), std::nullopt, {}));
  EXPECT_THAT(producer->Send("t", Value(std::string(600, 'd')), std::nullopt, {}),
              IsError(ErrorCode::kResourceExhausted, "buffer.memory"));
  server.Hold(false);
  EXPECT_OK(producer->Flush(kPatience));
  EXPECT_EQ(server.Values("t", 0).size(), 3u);
}

TEST(Producer, RecordsThatAreTooLargeAreRefused) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto producer = Connect(server, {{"max.request.size", "1000"}});
  EXPECT_THAT(producer->Send("t", Value(std::string(1000, 'a')), std::nullopt, {}),
              IsError(ErrorCode::kMessageTooLarge, "max.request.size"));
  EXPECT_OK(producer->Send("t", Value(std::string(800, 'a')), std::nullopt, {}));
  // The header of its batch is what is too much here: the bytes that are told are those that count.
  const Record record = Value(std::string(930, 'a'));
  const size_t bytes =
      record::kBatchHeaderSize + record::BatchBuilder::RecordBytesMax({}, Slice(*record.value));
  ASSERT_GT(bytes, 1000u);
  EXPECT_THAT(producer->Send("t", record, std::nullopt, {}),
              IsError(ErrorCode::kMessageTooLarge,
                      absl::StrCat("takes ", bytes,
                                   " bytes with the header of its batch, which "
                                   "exceeds max.request.size (1000)")));
  EXPECT_OK(producer->Flush(kPatience));
}

TEST(Producer, CloseTellsEachRecordItsFateOnceAndEndsSending) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto producer = Connect(server, {{"batch.size", "100"}});
  server.Hold(true);
  Deliveries deliveries;
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK(producer->Send("t", Value("x"), std::nullopt, deliveries.Next()));
  }
  EXPECT_THAT(producer->Flush(absl::Milliseconds(10)), HasCode(ErrorCode::kRequestTimedOut));
  EXPECT_THAT(producer->Close(absl::ZeroDuration()), HasCode(ErrorCode::kRequestTimedOut));
  ASSERT_EQ(deliveries.reports.size(), 100u);
  EXPECT_THAT(deliveries.reports[99].status, HasCode(ErrorCode::kCancelled));
  EXPECT_THAT(producer->Send("t", Value("x"), std::nullopt, {}), HasCode(ErrorCode::kShuttingDown));
  EXPECT_OK(producer->Close(kPatience));
}

TEST(Producer, SurvivesARestartOfItsBroker) {
  auto server = std::make_unique<FakeLogServer>();
  const int port = server->port();
  server->CreateTopic("t", 1);
  auto producer = Connect(*server);
  ASSERT_OK(producer->Send("t", Value("before"), std::nullopt, {}));
  ASSERT_OK(producer->Flush(kPatience));
  server.reset();
  Deliveries deliveries;
  ASSERT_OK(producer->Send("t", Value("after"), std::nullopt, deliveries.Next()));
  server = std::make_unique<FakeLogServer>(port);
  // The first topic of a fake has always the same id.
  server->CreateTopic("t", 1);
  ASSERT_OK(producer->Flush(kPatience));
  EXPECT_OK(deliveries.reports.at(0).status);
  EXPECT_THAT(server->Values("t", 0), ElementsAre("after"));
}

TEST(Producer, CompressedBatchesWithKeysAndHeadersArrive) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto producer = Connect(server, {{"compression.type", "zstd"}, {"acks", "1"}});
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK(producer->Send("t",
                             {.key = "k",
                              .value = std::string(100, 'v'),
                              .headers = {{"h", "1"}, {"null", std::nullopt}}},
                             std::nullopt, {}));
  }
  ASSERT_OK(producer->Close(kPatience));
  EXPECT_EQ(server.Values("t", 0).size(), 100u);
}

}  // namespace
}  // namespace millrace::client
