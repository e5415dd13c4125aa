// The objects behind a client's streams: ProduceStream, FetchStream and TopicWatch, over a whole
// broker.
#include <map>
#include <string>
#include <vector>

#include "broker/broker_fixture.h"
#include "broker/fetch_stream.h"
#include "broker/produce_stream.h"
#include "broker/topic_watch.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// --- ProduceStream ---

class ProduceStreamTest : public ::testing::TestWithParam<int> {
 protected:
  ProduceStreamTest() : f_(GetParam()) {
    f_.Start();
    f_.CreateTopic("t", 4);
    f_.OnShard([&] {
      stream_ = f_.broker->OpenProduceStream(
          f_.caller, [&](api::ProduceStreamResponse response) { Take(response); });
    });
  }
  ~ProduceStreamTest() override {
    f_.OnShard([&] { stream_.reset(); });
  }

  void Send(uint64_t number, const Bytes& batch, int partition = 0, uint32_t restart = 0,
            const std::string& topic = "t") {
    api::ProduceStreamRequest request;
    request.request_number = number;
    request.request.partitions.push_back({.name = {topic, {}, PartitionIndex(partition)}});
    request.request.partitions[0].batches = batch;
    request.request.partitions[0].restart = restart;
    f_.OnShard([&] { stream_->Handle(std::move(request)); });
  }
  void Take(const api::ProduceStreamResponse& response) {
    for (const api::ProducePartitionResult& result : response.partitions) {
      answers_[result.name.partition.value()].push_back(response.request_number);
      codes_[response.request_number] = result.outcome.code;
      offsets_[response.request_number] = result.base_offset;
    }
  }

  BrokerFixture f_;
  std::unique_ptr<ProduceStream> stream_;
  std::map<int, std::vector<uint64_t>> answers_;
  std::map<uint64_t, ErrorCode> codes_;
  std::map<uint64_t, Offset> offsets_;
};

TEST_P(ProduceStreamTest, AnswersComeInOrderPerPartition) {
  for (uint64_t n = 1; n <= 40; ++n) Send(n, MakeBatch(), static_cast<int>(n % 4));
  f_.Run(absl::Seconds(1));
  EXPECT_EQ(stream_->outstanding(), 0);
  for (int partition = 0; partition < 4; ++partition) {
    ASSERT_THAT(answers_[partition], SizeIs(10));
    for (size_t i = 1; i < 10; ++i) {
      EXPECT_LT(answers_[partition][i - 1], answers_[partition][i]);
      EXPECT_LT(offsets_[answers_[partition][i - 1]], offsets_[answers_[partition][i]]);
    }
  }
}

TEST_P(ProduceStreamTest, AfterAFailureLaterBatchesFailUnappendedUntilRestarted_S23) {
  Send(1, MakeBatch());
  Send(2, Bytes::Copy("not a batch"));
  Send(3, MakeBatch());
  Send(4, MakeBatch(), 1);
  f_.Run(absl::Seconds(1));
  EXPECT_THAT(answers_[0], ElementsAre(1, 2, 3)) << "in order, the failed ones too";
  EXPECT_EQ(codes_[1], ErrorCode::kNone);
  EXPECT_EQ(codes_[2], ErrorCode::kCorruptMessage);
  EXPECT_EQ(codes_[3], ErrorCode::kStreamOrderBroken);
  EXPECT_EQ(codes_[4], ErrorCode::kNone) << "another partition does not suffer";
  Send(5, MakeBatch());
  Send(6, MakeBatch(), 0, 1);
  Send(7, MakeBatch(), 0, 1);
  f_.Run(absl::Seconds(1));
  EXPECT_EQ(codes_[5], ErrorCode::kStreamOrderBroken);
  EXPECT_EQ(codes_[6], ErrorCode::kNone);
  EXPECT_EQ(codes_[7], ErrorCode::kNone);
  EXPECT_EQ(offsets_[6], Offset(1)) << "nothing was appended in between";
}

TEST_P(ProduceStreamTest, APartitionThatIsNotThereBreaksItsOrderToo_S23) {
  Send(1, MakeBatch(), 0, 0, "later");
  EXPECT_EQ(codes_[1], ErrorCode::kUnknownTopicOrPartition);
  f_.CreateTopic("later", 1, 2);
  Send(2, MakeBatch(), 0, 0, "later");
  Send(3, MakeBatch(), 0, 1, "later");
  f_.Run(absl::Seconds(1));
  EXPECT_EQ(codes_[2], ErrorCode::kStreamOrderBroken);
  EXPECT_EQ(codes_[3], ErrorCode::kNone);
}

TEST_P(ProduceStreamTest, ARequestWithoutPartitionsIsAnswered) {
  int answers = 0;
  f_.OnShard([&] {
    const auto stream = f_.broker->OpenProduceStream(
        f_.caller, [&](const api::ProduceStreamResponse&) { ++answers; });
    stream->Handle({});
  });
  EXPECT_EQ(answers, 1);
}

TEST_P(ProduceStreamTest, AnswersAfterTheStreamHasGoneAreDropped) {
  Send(1, MakeBatch());
  f_.OnShard([&] { stream_.reset(); });
  const size_t before = codes_.size();
  f_.Run(absl::Seconds(1));
  EXPECT_EQ(codes_.size(), before);
  EXPECT_EQ(f_.Produce("t", MakeBatch()).base_offset, Offset(1)) << "what was appended stays";
}

INSTANTIATE_TEST_SUITE_P(Shards, ProduceStreamTest, ::testing::Values(1, 3));

// --- FetchStream ---

class FetchStreamTest : public ::testing::TestWithParam<int> {
 protected:
  FetchStreamTest() : f_(GetParam()) {
    f_.Start();
    f_.CreateTopic("t", 4);
    f_.OnShard([&] {
      stream_ = f_.broker->OpenFetchStream(
          f_.caller, [&](api::FetchStreamResponse response) { Take(response); });
    });
  }
  ~FetchStreamTest() override {
    f_.OnShard([&] { stream_.reset(); });
  }
  void Send(api::FetchStreamRequest request) {
    f_.OnShard([&] { EXPECT_OK(stream_->Handle(std::move(request))); });
    f_.Run();
  }
  api::FetchStreamRequest Assign(int partition, int64_t offset, int64_t credit) {
    api::FetchStreamRequest request;
    request.assign.push_back({.name = {"t", {}, PartitionIndex(partition)}});
    request.assign[0].offset = Offset(offset);
    request.credit_bytes = credit;
    return request;
  }
  void Take(const api::FetchStreamResponse& response) {
    for (const api::FetchPartitionResult& result : response.partitions) {
      bytes_[result.name.partition.value()] += api::TotalBytes(result.batches);
      if (!result.outcome.ok()) failures_.push_back(result.outcome.code);
      numbers_.push_back(response.assignment_number);
    }
  }

  BrokerFixture f_;
  std::unique_ptr<FetchStream> stream_;
  std::map<int, size_t> bytes_;
  std::vector<ErrorCode> failures_;
  std::vector<uint64_t> numbers_;
};

TEST_P(FetchStreamTest, PushesWhatIsThereAndWhatComes) {
  const Bytes batch = MakeBatch(1, 100);
  f_.Produce("t", batch);
  Send(Assign(0, 0, 1 << 20));
  EXPECT_EQ(bytes_[0], batch.size());
  f_.Produce("t", batch);
  f_.Run();
  EXPECT_EQ(bytes_[0], 2 * batch.size());
  EXPECT_EQ(stream_->credit_bytes(), (1 << 20) - 2 * static_cast<int64_t>(batch.size()));
}

TEST_P(FetchStreamTest, AStalledClientIsSentNoMoreThanItsCredit) {
  const Bytes batch = MakeBatch(1, 1000);
  for (int i = 0; i < 20; ++i) f_.Produce("t", batch);
  Send(Assign(0, 0, static_cast<int64_t>(batch.size()) * 3));
  f_.Run(absl::Seconds(1));
  EXPECT_EQ(bytes_[0], 3 * batch.size());
  api::FetchStreamRequest more;
  more.credit_bytes = 1;
  Send(more);
  EXPECT_EQ(bytes_[0], 4 * batch.size()) << "at least a batch";
  EXPECT_LT(stream_->credit_bytes(), 0);
}

TEST_P(FetchStreamTest, PushesStopWhileTheTransportIsFull) {
  Send(Assign(0, 0, 1 << 20));
  f_.OnShard([&] { stream_->SetWritable(false); });
  f_.Produce("t", MakeBatch());
  f_.Run();
  EXPECT_EQ(bytes_[0], 0u);
  f_.OnShard([&] { stream_->SetWritable(true); });
  f_.Run();
  EXPECT_GT(bytes_[0], 0u);
}

TEST_P(FetchStreamTest, PartitionsTakeTurns) {
  for (int partition = 0; partition < 4; ++partition) {
    for (int i = 0; i < 10; ++i) f_.Produce("t", MakeBatch(1, 1000), partition);
  }
  api::FetchStreamRequest request;
  for (int partition = 0; partition < 4; ++partition) {
    request.assign.push_back({.name = {"t", {}, PartitionIndex(partition)}, .bytes_max = 1});
  }
  request.credit_bytes = static_cast<int64_t>(MakeBatch(1, 1000).size()) * 8;
  Send(request);
  f_.Run(absl::Seconds(1));
  // Not exactly the same where some shards are a hop away and others not.
  for (int partition = 0; partition < 4; ++partition) {
    EXPECT_GE(bytes_[partition], MakeBatch(1, 1000).size()) << partition;
    EXPECT_LE(bytes_[partition], 3 * MakeBatch(1, 1000).size()) << partition;
  }
}

TEST_P(FetchStreamTest, SeekAndUnassign) {
  const Bytes batch = MakeBatch(1, 100);
  f_.Produce("t", batch);
  api::FetchStreamRequest request = Assign(0, 0, 1 << 20);
  request.assignment_number = 1;
  Send(request);
  request = Assign(0, 0, 0);
  request.assignment_number = 2;
  Send(request);
  EXPECT_EQ(bytes_[0], 2 * batch.size());
  EXPECT_THAT(numbers_, ElementsAre(1, 2));
  api::FetchStreamRequest stop;
  stop.unassign.push_back({.name = {"t", {}, PartitionIndex(0)}});
  Send(stop);
  f_.Produce("t", batch);
  f_.Run();
  EXPECT_EQ(bytes_[0], 2 * batch.size());
  EXPECT_EQ(stream_->assigned(), 0u);
}

TEST_P(FetchStreamTest, AFailedPartitionIsToldAndDropped) {
  Send(Assign(0, 99, 1 << 20));
  EXPECT_THAT(failures_, ElementsAre(ErrorCode::kOffsetOutOfRange));
  Send(Assign(9, 0, 0));
  EXPECT_THAT(failures_,
              ElementsAre(ErrorCode::kOffsetOutOfRange, ErrorCode::kUnknownTopicOrPartition));
  Send(Assign(1, 0, 0));
  f_.RemoveTopic();
  f_.Run(absl::Milliseconds(50));
  EXPECT_THAT(failures_, SizeIs(3));
  EXPECT_EQ(stream_->assigned(), 0u);
}

TEST_P(FetchStreamTest, NegativeCreditIsRefused) {
  api::FetchStreamRequest request;
  request.credit_bytes = -1;
  f_.OnShard([&] { EXPECT_THAT(stream_->Handle(request), HasCode(ErrorCode::kInvalidRequest)); });
}

INSTANTIATE_TEST_SUITE_P(Shards, FetchStreamTest, ::testing::Values(1, 3));

// --- TopicWatch ---

TEST(TopicWatch, TellsAllFirstThenChanges) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t", 2, 1, {{"max.message.bytes", "5000"}});
  std::vector<api::WatchTopicsResponse> seen;
  std::unique_ptr<TopicWatch> watch;
  f.OnShard([&] {
    watch = f.broker->OpenTopicWatch(
        f.caller, {{"t", "later"}, LogIndex(0)},
        [&](api::WatchTopicsResponse response) { seen.push_back(std::move(response)); });
  });
  ASSERT_THAT(seen, SizeIs(1));
  ASSERT_THAT(seen[0].topics, SizeIs(2));
  EXPECT_EQ(seen[0].topics[0].message_bytes_max, 5000);
  ASSERT_THAT(seen[0].topics[0].partitions, SizeIs(2));
  EXPECT_EQ(seen[0].topics[0].partitions[1].leader_id, BrokerFixture::kSelf);
  EXPECT_EQ(seen[0].topics[1].code, ErrorCode::kUnknownTopicOrPartition);
  ASSERT_THAT(seen[0].brokers, SizeIs(1));
  EXPECT_EQ(seen[0].brokers[0].address, "localhost:9092");
  EXPECT_EQ(seen[0].metadata_index, f.image->index());

  f.CreateTopic("unasked", 1, 3);
  EXPECT_THAT(seen, SizeIs(1));
  f.CreateTopic("later", 1, 2);
  ASSERT_THAT(seen, SizeIs(2));
  ASSERT_THAT(seen[1].topics, SizeIs(1));
  EXPECT_EQ(seen[1].topics[0].topic, "later");
  EXPECT_THAT(seen[1].brokers, IsEmpty());
  f.RemoveTopic(1);
  ASSERT_THAT(seen, SizeIs(3));
  EXPECT_EQ(seen[2].topics[0].code, ErrorCode::kUnknownTopicOrPartition);
  f.OnShard([&] { watch.reset(); });
  f.RemoveTopic(2);
  EXPECT_THAT(seen, SizeIs(3));
}

TEST(TopicWatch, WaitsForTheIndexThatTheClientHasSeen_S40) {
  BrokerFixture f;
  f.Start();
  const LogIndex wanted = f.image->index() + 2;
  std::vector<api::WatchTopicsResponse> seen;
  std::unique_ptr<TopicWatch> watch;
  f.OnShard([&] {
    watch = f.broker->OpenTopicWatch(
        f.caller, {{"t"}, wanted},
        [&](api::WatchTopicsResponse response) { seen.push_back(std::move(response)); });
  });
  f.CreateTopic("x", 1, 5);
  EXPECT_THAT(seen, IsEmpty());
  f.CreateTopic("t", 1, 6);
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].metadata_index, wanted);
  f.OnShard([&] { watch.reset(); });
}

}  // namespace
}  // namespace millrace::broker
