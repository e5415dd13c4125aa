#include "broker/produce_stream.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

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

TEST_P(ProduceStreamTest, S37_AnswersComeInOrderPerPartition) {
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

}  // namespace
}  // namespace millrace::broker
