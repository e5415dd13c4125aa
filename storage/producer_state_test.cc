#include "storage/producer_state.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "record/batch_builder.h"

namespace millrace::storage {
namespace {

// A batch of `count` records of producer 7.
Bytes Batch(int32_t sequence, int count, int64_t offset, int16_t epoch = 0) {
  record::BatchBuilder::Options options;
  options.producer_id = ProducerId(7);
  options.producer_epoch = ProducerEpoch(epoch);
  options.base_sequence = sequence;
  options.base_offset = Offset(offset);
  record::BatchBuilder builder(options);
  for (int i = 0; i < count; ++i) builder.Add(1, absl::nullopt, Slice("v"));
  return builder.Build();
}

class ProducerStateTest : public testing::Test {
 protected:
  absl::StatusOr<std::optional<ProducerBatch>> Check(const Bytes& bytes) {
    return state_.Check(*record::BatchView::Parse(bytes));
  }
  void Apply(const Bytes& bytes) { state_.Apply(*record::BatchView::Parse(bytes), WallTime{5}); }
  void ApplyMany(int count) {
    for (int i = 0; i < count; ++i) Apply(Batch(i, 1, i));
  }
  ProducerState state_;
};

TEST_F(ProducerStateTest, RetryOfARememberedBatchIsRecognised) {
  Apply(Batch(0, 3, 10));
  Apply(Batch(3, 2, 13));
  ASSERT_OK_AND_ASSIGN(const auto retry, Check(Batch(0, 3, 99)));
  ASSERT_TRUE(retry.has_value());
  EXPECT_EQ(retry->base_offset, Offset(10));
  ASSERT_OK_AND_ASSIGN(const auto next, Check(Batch(5, 1, 0)));
  EXPECT_FALSE(next.has_value());
}

TEST_F(ProducerStateTest, GapIsRefusedAndWhatIsOlderThanFiveIsADuplicate) {
  ApplyMany(8);
  EXPECT_THAT(Check(Batch(9, 1, 0)), HasCode(ErrorCode::kOutOfOrderSequenceNumber));
  EXPECT_THAT(Check(Batch(1, 1, 0)), HasCode(ErrorCode::kDuplicateSequenceNumber));
  ASSERT_OK_AND_ASSIGN(const auto retry, Check(Batch(3, 1, 0)));
  EXPECT_TRUE(retry.has_value());
}

TEST_F(ProducerStateTest, SequencesWrap) {
  Apply(Batch(INT32_MAX, 1, 0));
  ASSERT_OK_AND_ASSIGN(const auto next, Check(Batch(0, 1, 1)));
  EXPECT_FALSE(next.has_value());
}

TEST_F(ProducerStateTest, NewEpochFencesTheOldAndBeginsAtZero) {
  Apply(Batch(0, 1, 0, 1));
  EXPECT_THAT(Check(Batch(1, 1, 1, 0)), HasCode(ErrorCode::kInvalidProducerEpoch));
  EXPECT_THAT(Check(Batch(1, 1, 1, 2)), HasCode(ErrorCode::kOutOfOrderSequenceNumber));
  EXPECT_OK(Check(Batch(0, 1, 1, 2)));
}

TEST_F(ProducerStateTest, TruncationOfAnUncommittedTailLeavesWhatWasKnownBefore) {
  state_.Committed(Offset(6));
  ApplyMany(20);
  EXPECT_FALSE(state_.TruncateFromEnd(Offset(6)));
  const auto& batches = state_.producers().at(ProducerId(7)).batches;
  EXPECT_EQ(batches.size(), 5u);
  EXPECT_EQ(batches.back().last_sequence, 5);
}

TEST_F(ProducerStateTest, RebuiltHistoryIsMergedBelowWhatFollowed) {
  ProducerState older;
  for (int i = 0; i < 4; ++i) {
    older.Apply(*record::BatchView::Parse(Batch(i, 1, i)), WallTime{5});
  }
  ApplyMany(20);
  EXPECT_TRUE(state_.TruncateFromEnd(Offset(4)));
  Apply(Batch(4, 1, 4));
  state_.MergeOlder(older);
  EXPECT_EQ(state_.producers().at(ProducerId(7)).batches.front().first_sequence, 0);
  EXPECT_EQ(state_.producers().at(ProducerId(7)).batches.size(), 5u);
}

TEST_F(ProducerStateTest, IdleProducersExpire) {
  ApplyMany(1);
  EXPECT_EQ(state_.Expire(WallTime{100}, 95), 0u);
  EXPECT_EQ(state_.Expire(WallTime{101}, 95), 1u);
}

}  // namespace
}  // namespace millrace::storage
