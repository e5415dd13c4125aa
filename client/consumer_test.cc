#include "client/consumer.h"

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "base/system_clock.h"
#include "client/fake_log_server.h"
#include "client/producer.h"
#include "client/read_position.h"
#include "record/batch_builder.h"
#include "record/control_record.h"

namespace millrace::client {
namespace {

using testing::ElementsAre;

constexpr absl::Duration kPatience = absl::Seconds(20);

const Position kEarliest{.kind = Position::Kind::kEarliest};
const Position kLatest{.kind = Position::Kind::kLatest};
Position At(int64_t offset) { return {.kind = Position::Kind::kOffset, .offset = Offset(offset)}; }
NamedPartition Named(int partition = 0) { return {"t", PartitionIndex(partition)}; }

std::unique_ptr<Consumer> Connect(const FakeLogServer& server, ConfigValues config = {}) {
  config.try_emplace("bootstrap.servers", server.address());
  config.try_emplace("retry.backoff.ms", "5");
  config.try_emplace("auto.offset.reset", "none");
  auto consumer = Consumer::Create(config);
  CHECK_OK(consumer);
  return *std::move(consumer);
}

Bytes BatchOf(const std::vector<std::string>& values, int64_t timestamp_ms = 1) {
  record::BatchBuilder builder({});
  for (const std::string& value : values) builder.Add(timestamp_ms, absl::nullopt, Slice(value));
  return builder.Build();
}

// Polls until so many records have come.
std::vector<std::string> Read(Consumer* consumer, size_t count) {
  std::vector<std::string> values;
  while (values.size() < count) {
    const auto records = consumer->Poll(kPatience);
    if (!records.ok() || records->empty()) {
      ADD_FAILURE() << records.status() << " after " << values.size();
      break;
    }
    for (const ConsumedRecord& record : *records) values.push_back(*record.record.value);
  }
  return values;
}

TEST(Consumer, ReadsWhatAProducerWroteWithAllItsParts) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto producer =
      Producer::Create({{"bootstrap.servers", server.address()}, {"compression.type", "lz4"}});
  ASSERT_OK(producer);
  const Record sent{.key = "k",
                    .value = std::nullopt,
                    .timestamp_ms = 12345,
                    .headers = {{"h", "1"}, {"null", std::nullopt}}};
  ASSERT_OK((*producer)->Send("t", sent, std::nullopt, {}));
  ASSERT_OK((*producer)->Close(kPatience));
  auto consumer = Connect(server);
  ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
  ASSERT_OK_AND_ASSIGN(const auto records, consumer->Poll(kPatience));
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].record, sent);
  EXPECT_EQ(records[0].topic, "t");
  EXPECT_EQ(records[0].offset, Offset(0));
  EXPECT_THAT(consumer->PositionOf(Named()).value_or(kNoOffset), Offset(1));
}

TEST(Consumer, TellsATopicFromOneThatWasMadeAgainUnderItsName) {
  FakeLogServer server;
  server.CreateTopic("t", 1, 7);
  auto consumer = Connect(server);
  EXPECT_EQ(consumer->TopicIdOf("t", kPatience).value_or(TopicId()), TopicId(Uuid(1, 7)));
  server.CreateTopic("t", 1, 8);
  EXPECT_EQ(Connect(server)->TopicIdOf("t", kPatience).value_or(TopicId()), TopicId(Uuid(1, 8)));
}

TEST(Consumer, ReadsSeveralPartitionsEachInOrderAndWhatComesLater) {
  FakeLogServer server;
  server.CreateTopic("t", 2);
  auto consumer = Connect(server, {{"max.poll.records", "7"}});
  ASSERT_OK_AND_ASSIGN(const auto partitions, consumer->Partitions("t", kPatience));
  EXPECT_THAT(partitions, ElementsAre(PartitionIndex(0), PartitionIndex(1)));
  ASSERT_OK(consumer->Assign({{Named(0), kEarliest}, {Named(1), kEarliest}}));
  for (int i = 0; i < 100; ++i) server.Append("t", i % 2, BatchOf({absl::StrCat(i), "x"}));
  std::map<int, std::vector<Offset>> offsets;
  size_t count = 0;
  while (count < 200) {
    ASSERT_OK_AND_ASSIGN(const auto records, consumer->Poll(kPatience));
    ASSERT_LE(records.size(), 7u);
    ASSERT_FALSE(records.empty());
    count += records.size();
    for (const auto& record : records) offsets[record.partition.value()].push_back(record.offset);
  }
  for (auto& [partition, seen] : offsets) {
    ASSERT_EQ(seen.size(), 100u);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], Offset(i));
  }
}

TEST(Consumer, BeginsInsideABatchAtTheEndOrAtATime) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  server.Append("t", 0, BatchOf({"a", "b", "c"}, 100));
  server.Append("t", 0, BatchOf({"d"}, 200));
  auto consumer = Connect(server);
  ASSERT_OK(consumer->Assign({{Named(), At(2)}}));
  EXPECT_THAT(Read(consumer.get(), 2), ElementsAre("c", "d"));
  ASSERT_OK(consumer->Seek(Named(), {.kind = Position::Kind::kTimestamp, .timestamp_ms = 150}));
  EXPECT_THAT(Read(consumer.get(), 1), ElementsAre("d"));
  ASSERT_OK(consumer->Seek(Named(), kLatest));
  while (*consumer->PositionOf(Named()) != Offset(4)) {
    ASSERT_OK(consumer->Poll(absl::Milliseconds(1)));
  }
  server.Append("t", 0, BatchOf({"e"}));
  EXPECT_THAT(Read(consumer.get(), 1), ElementsAre("e"));
}

TEST(Consumer, NothingFromBeforeASeekComesAfterIt) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  for (int i = 0; i < 50; ++i) server.Append("t", 0, BatchOf({absl::StrCat(i)}));
  auto consumer = Connect(server, {{"max.poll.records", "3"}});
  ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
  EXPECT_EQ(Read(consumer.get(), 3)[0], "0");
  ASSERT_OK(consumer->Seek(Named(), At(40)));
  EXPECT_EQ(Read(consumer.get(), 3)[0], "40");
  ASSERT_OK(consumer->Seek(Named(), At(10)));
  EXPECT_EQ(Read(consumer.get(), 3)[0], "10");
  EXPECT_THAT(consumer->Seek(Named(9), At(0)), HasCode(ErrorCode::kInvalidRequest));
}

TEST(Consumer, APausedPartitionIsSilentAndGoesOnWhereItWas) {
  FakeLogServer server;
  server.CreateTopic("t", 2);
  for (int i = 0; i < 10; ++i) server.Append("t", 0, BatchOf({absl::StrCat("zero-", i)}));
  auto consumer = Connect(server, {{"max.poll.records", "1"}});
  ASSERT_OK(consumer->Assign({{Named(0), kEarliest}, {Named(1), kEarliest}}));
  EXPECT_THAT(Read(consumer.get(), 2), ElementsAre("zero-0", "zero-1"));
  ASSERT_OK(consumer->Pause({Named(0)}));
  server.Append("t", 1, BatchOf({"one"}));
  EXPECT_THAT(Read(consumer.get(), 1), ElementsAre("one"));
  ASSERT_OK(consumer->Resume({Named(0)}));
  EXPECT_THAT(Read(consumer.get(), 2), ElementsAre("zero-2", "zero-3"));
}

// Waits until the server reads so many partitions to consumers.
void AwaitFetched(FakeLogServer* server, int partitions) {
  const SystemClock clock;
  const MonotonicTime deadline = clock.Now() + kPatience;
  while (server->fetched_partitions() != partitions) ASSERT_LT(clock.Now(), deadline);
}

TEST(Consumer, APauseBeforeTheFirstPollDoesNotMoveTheBeginning) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  server.Append("t", 0, BatchOf({"before"}));
  auto consumer = Connect(server);
  ASSERT_OK(consumer->Assign({{Named(), kLatest}}));
  AwaitFetched(&server, 1);
  server.Append("t", 0, BatchOf({"fetched ahead"}));
  ASSERT_OK(consumer->Pause({Named()}));
  AwaitFetched(&server, 0);
  server.Append("t", 0, BatchOf({"in the pause"}));
  ASSERT_OK(consumer->Resume({Named()}));
  EXPECT_THAT(Read(consumer.get(), 2), ElementsAre("fetched ahead", "in the pause"));
}

TEST(Consumer, APausedPartitionSaysWhereItBegins) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  server.Append("t", 0, BatchOf({"before"}));
  auto consumer = Connect(server);
  const auto await_position = [&](Offset offset) {
    const SystemClock clock;
    const MonotonicTime deadline = clock.Now() + kPatience;
    while (*consumer->PositionOf(Named()) != offset) {
      ASSERT_LT(clock.Now(), deadline);
      EXPECT_THAT(*consumer->Poll(absl::Milliseconds(1)), testing::IsEmpty());
    }
  };
  ASSERT_OK(consumer->Assign({{Named(), kLatest}}));
  AwaitFetched(&server, 1);
  ASSERT_OK(consumer->Pause({Named()}));
  await_position(Offset(1));
  // Also where it is sought to during the pause.
  server.Append("t", 0, BatchOf({"passed over"}));
  ASSERT_OK(consumer->Seek(Named(), kLatest));
  await_position(Offset(2));
  server.Append("t", 0, BatchOf({"after"}));
  ASSERT_OK(consumer->Resume({Named()}));
  EXPECT_THAT(Read(consumer.get(), 1), ElementsAre("after"));
}

TEST(Consumer, NoMoreIsPushedThanThePrefetchAllowsUntilTheCallerTakesIt) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  for (int i = 0; i < 100; ++i) server.Append("t", 0, BatchOf({std::string(1000, 'x')}));
  auto consumer = Connect(server, {{"prefetch.bytes", "10000"}, {"max.poll.records", "1"}});
  ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
  Read(consumer.get(), 1);
  EXPECT_LT(server.bytes_pushed(), 20'000);
  EXPECT_EQ(Read(consumer.get(), 99).size(), 99u);
}

TEST(Consumer, GoesOnAfterALostStreamWithoutGapsOrRepeats) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto consumer = Connect(server);
  ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
  std::vector<std::string> expected;
  std::vector<std::string> seen;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 10; ++i) {
      expected.push_back(absl::StrCat(round, "-", i));
      server.Append("t", 0, BatchOf({expected.back()}));
    }
    for (std::string& value : Read(consumer.get(), 10)) seen.push_back(std::move(value));
    server.BreakFetchStreams();
  }
  EXPECT_EQ(seen, expected);
}

TEST(Consumer, OutOfRangeIsResetOrAnErrorUntilASeek) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  for (int i = 0; i < 10; ++i) server.Append("t", 0, BatchOf({absl::StrCat(i)}));
  server.DeleteRecordsBefore("t", 0, 5);
  auto strict = Connect(server);
  ASSERT_OK(strict->Assign({{Named(), At(2)}}));
  EXPECT_THAT(strict->Poll(kPatience), IsError(ErrorCode::kOffsetOutOfRange, "t-0"));
  EXPECT_THAT(strict->Poll(kPatience), HasCode(ErrorCode::kOffsetOutOfRange));
  ASSERT_OK(strict->Seek(Named(), At(7)));
  EXPECT_EQ(Read(strict.get(), 1)[0], "7");

  auto lenient = Connect(server, {{"auto.offset.reset", "earliest"}});
  ASSERT_OK(lenient->Assign({{Named(), At(2)}}));
  EXPECT_EQ(Read(lenient.get(), 1)[0], "5");
}

TEST(Consumer, AnUncleanElectionIsAnErrorAfterWhatWasReadOrGoesOnWhereTheLogsPart) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  for (int i = 0; i < 10; ++i) server.Append("t", 0, BatchOf({absl::StrCat("old ", i)}));
  auto strict = Connect(server);
  auto lenient = Connect(server, {{"auto.offset.reset", "latest"}});
  for (Consumer* consumer : {strict.get(), lenient.get()}) {
    ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
    EXPECT_EQ(Read(consumer, 10)[9], "old 9");
  }
  ASSERT_OK_AND_ASSIGN(const Position kept, strict->ResumePositionOf(Named()));
  EXPECT_EQ(kept.offset, Offset(10));
  EXPECT_EQ(kept.leader_epoch, LeaderEpoch(1));
  server.ElectUncleanly("t", 0, 6);
  for (int i = 6; i < 20; ++i) server.Append("t", 0, BatchOf({absl::StrCat("new ", i)}));

  const auto refused = strict->Poll(kPatience);
  EXPECT_THAT(refused, IsError(ErrorCode::kOffsetOutOfRange, "t-0: the log was truncated"));
  EXPECT_EQ(TruncatedAt(refused.status()), Offset(6));
  ASSERT_OK(strict->Seek(Named(), At(6)));
  EXPECT_EQ(Read(strict.get(), 1)[0], "new 6");
  EXPECT_EQ(Read(lenient.get(), 1)[0], "new 6");
  // A position that was kept over a restart.
  auto restarted = Connect(server);
  ASSERT_OK(restarted->Assign({{Named(), kept}}));
  EXPECT_EQ(TruncatedAt(restarted->Poll(kPatience).status()), Offset(6));
}

TEST(Consumer, DamagedBatchIsAnErrorAfterWhatCameBeforeIt) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  server.Append("t", 0, BatchOf({"good"}));
  server.Append("t", 0, BatchOf({"bad"}));
  server.DamageLastBatch("t", 0);
  auto consumer = Connect(server);
  ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
  EXPECT_THAT(Read(consumer.get(), 1), ElementsAre("good"));
  EXPECT_THAT(consumer->Poll(kPatience), IsError(ErrorCode::kCorruptMessage, "t-0 at offset 1"));
}

TEST(Consumer, ABatchAsLargeAsABrokerMayTakeIsRead) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  // More than gRPC takes in where nobody says otherwise, here or in the pool of channels.
  constexpr size_t kValueBytes = size_t{65} << 20;
  server.Append("t", 0, BatchOf({std::string(kValueBytes, 'x')}));
  server.Append("t", 0, BatchOf({"small"}));
  auto consumer = Connect(server);
  ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
  const std::vector<std::string> values = Read(consumer.get(), 2);
  ASSERT_EQ(values.size(), 2u);
  EXPECT_EQ(values[0].size(), kValueBytes);
  EXPECT_EQ(values[1], "small");
}

TEST(Consumer, ControlBatchesAreNotShownButMoveThePosition) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  server.Append("t", 0, BatchOf({"a"}));
  server.Append(
      "t", 0,
      record::BuildEndTransactionBatch({.committed = true}, ProducerId(1), ProducerEpoch(0), 1));
  server.Append("t", 0, BatchOf({"b"}));
  auto consumer = Connect(server);
  ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
  EXPECT_THAT(Read(consumer.get(), 2), ElementsAre("a", "b"));
  EXPECT_EQ(*consumer->PositionOf(Named()), Offset(3));
}

TEST(Consumer, OffsetRangeTellsBeginningAndEnd) {
  FakeLogServer server;
  server.CreateTopic("t", 2);
  for (int i = 0; i < 10; ++i) server.Append("t", 0, BatchOf({"x"}));
  server.DeleteRecordsBefore("t", 0, 4);
  auto consumer = Connect(server);
  ASSERT_OK_AND_ASSIGN(const auto ranges, consumer->OffsetRange({Named(0), Named(1)}, kPatience));
  EXPECT_EQ(ranges.at(Named(0)), std::pair(Offset(4), Offset(10)));
  EXPECT_EQ(ranges.at(Named(1)), std::pair(Offset(0), Offset(0)));
  EXPECT_THAT(consumer->OffsetRange({Named(2)}, kPatience),
              HasCode(ErrorCode::kUnknownTopicOrPartition));
}

TEST(Consumer, OffsetsAreToldForBeginningsEndsAndTimes) {
  FakeLogServer server;
  server.CreateTopic("t", 2);
  for (int i = 0; i < 10; ++i) server.Append("t", 0, BatchOf({"x"}, /*timestamp_ms=*/100 + i));
  server.DeleteRecordsBefore("t", 0, 4);
  auto consumer = Connect(server);
  const std::vector<NamedPartition> both = {Named(0), Named(1)};
  EXPECT_THAT(*consumer->BeginningOffsets(both, kPatience),
              ElementsAre(std::pair(Named(0), Offset(4)), std::pair(Named(1), Offset(0))));
  EXPECT_THAT(*consumer->EndOffsets(both, kPatience),
              ElementsAre(std::pair(Named(0), Offset(10)), std::pair(Named(1), Offset(0))));
  // A partition without a record so late is left out.
  EXPECT_THAT(
      *consumer->OffsetsForTimes({{Named(0), 107}, {Named(1), 0}}, kPatience),
      ElementsAre(std::pair(Named(0), OffsetAndTime{.offset = Offset(7), .timestamp_ms = 107})));
  EXPECT_THAT(*consumer->OffsetsForTimes({{Named(0), 200}}, kPatience), testing::IsEmpty());
}

TEST(Consumer, BorrowedRecordsAreThoseOfPoll) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  server.Append("t", 0, BatchOf({"a", "b", "c"}));
  auto consumer = Connect(server, {{"max.poll.records", "2"}});
  ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
  std::vector<std::string> seen;
  const auto take = [&](const BorrowedConsumedRecord& record) {
    seen.push_back(absl::StrCat(record.topic, "-", record.partition.value(), "@",
                                record.record.offset.value(), "=", *record.record.value));
  };
  EXPECT_EQ(*consumer->PollBorrowed(kPatience, take), 2);
  EXPECT_EQ(*consumer->PositionOf(Named()), Offset(2));
  EXPECT_EQ(*consumer->PollBorrowed(kPatience, take), 1);
  EXPECT_EQ(*consumer->PollBorrowed(absl::ZeroDuration(), take), 0);
  EXPECT_THAT(seen, ElementsAre("t-0@0=a", "t-0@1=b", "t-0@2=c"));
}

TEST(Consumer, UnknownAndDeletedTopicsAreErrors) {
  FakeLogServer server;
  auto consumer = Connect(server);
  EXPECT_THAT(consumer->Partitions("t", kPatience),
              IsError(ErrorCode::kUnknownTopicOrPartition, "millrace topic create t"));
  server.CreateTopic("t", 1);
  server.Append("t", 0, BatchOf({"a"}));
  ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
  EXPECT_THAT(Read(consumer.get(), 1), ElementsAre("a"));
  server.DeleteTopic("t");
  EXPECT_THAT(consumer->Poll(kPatience), HasCode(ErrorCode::kUnknownTopicOrPartition));
}

TEST(Consumer, ATopicThatWasDeletedAndMadeAgainIsReadAfterASeekOrAnAssignment) {
  FakeLogServer server;
  for (const bool assigned : {false, true}) {
    server.CreateTopic("t", 1);
    server.Append("t", 0, BatchOf({"old"}));
    auto consumer = Connect(server);
    ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
    EXPECT_THAT(Read(consumer.get(), 1), ElementsAre("old"));
    server.DeleteTopic("t");
    EXPECT_THAT(consumer->Poll(kPatience), HasCode(ErrorCode::kUnknownTopicOrPartition));
    server.CreateTopic("t", 1);
    server.Append("t", 0, BatchOf({"new"}));
    if (assigned) {
      ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
    } else {
      ASSERT_OK(consumer->Seek(Named(), kEarliest));
    }
    EXPECT_THAT(Read(consumer.get(), 1), ElementsAre("new"));
    server.DeleteTopic("t");
  }
}

TEST(Consumer, PollReturnsNothingAfterItsTimeout) {
  FakeLogServer server;
  server.CreateTopic("t", 1);
  auto consumer = Connect(server);
  ASSERT_OK(consumer->Assign({{Named(), kEarliest}}));
  ASSERT_OK_AND_ASSIGN(const auto records, consumer->Poll(absl::Milliseconds(5)));
  EXPECT_TRUE(records.empty());
  ASSERT_OK(consumer->Assign({}));
  ASSERT_OK(consumer->Poll(absl::ZeroDuration()));
}

}  // namespace
}  // namespace millrace::client
