#include "broker/range_read.h"

#include <optional>
#include <string>

#include "broker/testing/shard_fixture.h"

namespace millrace::broker {
namespace {

class RangeReadTest : public ::testing::Test {
 protected:
  RangeReadTest() {
    f_.Lead(1);
    std::vector<ProduceReply> replies;
    for (int i = 0; i < 5; ++i) f_.Produce(0, MakeBatch(2, 100), &replies);
    f_.loop.RunFor(absl::Seconds(1));
  }
  absl::StatusOr<Bytes> Ask(int64_t from, int64_t to, size_t bytes_max = 1 << 20,
                            int partition = 0) {
    std::optional<absl::StatusOr<Bytes>> answer;
    RangeQuery query;
    query.topic_partition = f_.Partition(partition);
    query.from = Offset(from);
    query.to = Offset(to);
    query.bytes_max = bytes_max;
    f_.executor->RunNow([&] {
      ReadRange(f_.shard, query, [&](absl::StatusOr<Bytes> bytes) { answer = std::move(bytes); });
    });
    f_.loop.RunFor(absl::Seconds(1));
    EXPECT_TRUE(answer.has_value());
    return answer.value_or(absl::UnknownError("no answer"));
  }
  std::string Batches(size_t first, size_t end) const {
    std::string all;
    for (size_t i = first; i < end; ++i) all += f_.logs.at(0)->batches()[i].ToString();
    return all;
  }

  ShardFixture f_;
};

TEST_F(RangeReadTest, ARangeIsAnsweredInWholeBatches) {
  for (const bool cold : {false, true}) {
    f_.logs[0]->set_cold(cold);
    EXPECT_EQ(Ask(2, 8)->ToString(), Batches(1, 4));
    EXPECT_EQ(Ask(2, 8, 1)->ToString(), Batches(1, 2));
    EXPECT_EQ(Ask(0, 100)->ToString(), Batches(0, 5));
  }
}

TEST_F(RangeReadTest, NothingAboveTheHighWatermarkIsAnswered_S22) {
  f_.logs[0]->set_auto_advance(false);
  std::vector<ProduceReply> replies;
  f_.Produce(0, MakeBatch(2, 100), &replies);
  f_.loop.RunFor(absl::Seconds(1));
  EXPECT_EQ(Ask(8, 12)->ToString(), Batches(4, 5));
  EXPECT_THAT(Ask(10, 12), HasCode(ErrorCode::kOffsetNotAvailable));
}

TEST_F(RangeReadTest, WhatIsDamagedHereTooIsToldBothSides) {
  std::optional<Offset> noted;
  f_.executor->RunNow([&] {
    f_.shard->SetOnDamage(
        [&](const TopicPartition&, Offset at, const absl::Status&) { noted = at; });
  });
  EXPECT_TRUE(Ask(2, 8).ok());
  EXPECT_FALSE(noted.has_value());
  f_.logs[0]->set_cold(true);
  f_.logs[0]->set_cold_error(MakeError(ErrorCode::kCorruptLog, "rot"));
  EXPECT_THAT(Ask(2, 8), HasCode(ErrorCode::kCorruptLog));
  EXPECT_EQ(noted, Offset(2));
}

TEST_F(RangeReadTest, WhatIsNotHereIsItsOwnError) {
  EXPECT_THAT(Ask(2, 8, 1, 7), HasCode(ErrorCode::kUnknownTopicOrPartition));
}

}  // namespace
}  // namespace millrace::broker
