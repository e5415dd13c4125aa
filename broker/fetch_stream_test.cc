#include "broker/fetch_stream.h"

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

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

TEST_P(FetchStreamTest, ReadersThatTakeNothingHoldABoundedAmountTogether) {
  constexpr int kBatches = 8;
  constexpr int kStreams = 12;
  const Bytes batch = MakeBatch(1, 1'000'000);
  for (int i = 0; i < kBatches; ++i) ASSERT_TRUE(f_.Produce("t", batch).outcome.ok());
  // Room for three answers.
  const int64_t limit = f_.budget.limit_bytes();
  Reservation most = f_.budget.ReserveAlways(limit - 3'500'000);
  // What each stream was pushed and has not sent, as a transport whose client does not read.
  std::vector<std::vector<api::FetchStreamResponse>> unsent(kStreams);
  std::vector<size_t> sent_bytes(kStreams);
  std::vector<std::unique_ptr<FetchStream>> streams(kStreams);
  for (int i = 0; i < kStreams; ++i) {
    f_.OnShard([&] {
      streams[i] = f_.broker->OpenFetchStream(f_.caller, [&, i](api::FetchStreamResponse response) {
        unsent[i].push_back(std::move(response));
      });
      EXPECT_OK(streams[i]->Handle(Assign(0, 0, 1 << 30)));
    });
  }
  f_.Run(absl::Seconds(1));
  const int64_t bound = limit + static_cast<int64_t>(batch.size()) + (2 << 20);
  EXPECT_LE(f_.budget.used_bytes(), bound);
  // Whatever is sent makes room for others, until all have all.
  const size_t wanted = kBatches * batch.size();
  for (int rounds = 0; rounds < 1000; ++rounds) {
    bool all = true;
    for (int i = 0; i < kStreams; ++i) {
      for (const api::FetchStreamResponse& response : std::exchange(unsent[i], {})) {
        sent_bytes[i] += api::TotalBytes(response.partitions[0].batches);
      }
      all &= sent_bytes[i] == wanted;
    }
    if (all) break;
    f_.Run(absl::Milliseconds(10));
    EXPECT_LE(f_.budget.used_bytes(), bound);
  }
  for (int i = 0; i < kStreams; ++i) EXPECT_EQ(sent_bytes[i], wanted) << i;
  most.Release();
  EXPECT_EQ(f_.budget.used_bytes(), 0);
  f_.OnShard([&] { streams.clear(); });
}

// Readers that take nothing hold what all share; who takes what is pushed goes on beside them.
TEST_P(FetchStreamTest, ReadersThatTakeNothingHoldUpNobodyElse) {
  constexpr int kBatches = 5;
  const Bytes batch = MakeBatch(1, 100'000);
  for (int i = 0; i < kBatches; ++i) ASSERT_TRUE(f_.Produce("t", batch).outcome.ok());
  const int64_t limit = f_.budget.limit_bytes();
  const Reservation most = f_.budget.ReserveAlways(limit - limit / 4 - 150'000);
  std::vector<api::FetchStreamResponse> unsent;
  std::vector<std::unique_ptr<FetchStream>> streams(4);
  for (std::unique_ptr<FetchStream>& stream : streams) {
    f_.OnShard([&] {
      stream = f_.broker->OpenFetchStream(f_.caller, [&](api::FetchStreamResponse response) {
        unsent.push_back(std::move(response));
      });
      EXPECT_OK(stream->Handle(Assign(0, 0, 1 << 30)));
    });
  }
  f_.Run(absl::Seconds(1));
  ASSERT_FALSE(unsent.empty());
  size_t read_bytes = 0;
  std::unique_ptr<FetchStream> reader;
  f_.OnShard([&] {
    // Its answers are gone at once.
    reader = f_.broker->OpenFetchStream(f_.caller, [&](const api::FetchStreamResponse& response) {
      read_bytes += api::TotalBytes(response.partitions[0].batches);
    });
    EXPECT_OK(reader->Handle(Assign(0, 0, 1 << 30)));
  });
  EXPECT_TRUE(
      f_.loop.RunUntil([&] { return read_bytes == kBatches * batch.size(); }, absl::Seconds(5)))
      << read_bytes;
  f_.OnShard([&] {
    streams.clear();
    reader.reset();
  });
}

INSTANTIATE_TEST_SUITE_P(Shards, FetchStreamTest, ::testing::Values(1, 3));

}  // namespace
}  // namespace millrace::broker
