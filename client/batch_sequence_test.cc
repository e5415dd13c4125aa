#include "client/batch_sequence.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"

namespace millrace::client {
namespace {

Bytes BatchOf(int records) {
  record::BatchBuilder builder({});
  for (int i = 0; i < records; ++i) builder.Add(1, absl::nullopt, Slice("value"));
  return builder.Build();
}

api::ProducerIdentity Identity(int64_t id) { return {ProducerId(id), ProducerEpoch(3)}; }

TEST(BatchSequenceTest, SequencesCountRecordsUnderAChecksumThatFits) {
  BatchSequence sequence;
  EXPECT_FALSE(sequence.ready());
  ASSERT_TRUE(sequence.Begin(Identity(9)));
  Bytes first = BatchOf(5);
  sequence.Stamp(&first);
  Bytes second = BatchOf(2);
  const char* const memory = second.data();
  sequence.Stamp(&second);
  EXPECT_EQ(second.data(), memory) << "it is written in place";
  ASSERT_OK_AND_ASSIGN(const record::BatchView a, record::BatchView::Parse(first));
  ASSERT_OK_AND_ASSIGN(const record::BatchView b, record::BatchView::Parse(second));
  EXPECT_EQ(a.producer_id(), ProducerId(9));
  EXPECT_EQ(a.producer_epoch(), ProducerEpoch(3));
  EXPECT_EQ(a.base_sequence(), 0);
  EXPECT_EQ(b.base_sequence(), 5);
}

TEST(BatchSequenceTest, MemoryThatIsInUseElsewhereIsLeftAlone) {
  BatchSequence sequence;
  sequence.Begin(Identity(9));
  Bytes batch = BatchOf(1);
  const Bytes in_flight = batch;
  const std::string before = in_flight.ToString();
  sequence.Stamp(&batch);
  EXPECT_EQ(in_flight.ToString(), before);
  EXPECT_NE(batch.ToString(), before);
}

TEST(BatchSequenceTest, OneThatLostTheThreadBeginsOnlyUnderAnotherId) {
  BatchSequence sequence;
  sequence.Begin(Identity(9));
  Bytes batch = BatchOf(4);
  sequence.Stamp(&batch);
  sequence.Lost();
  EXPECT_FALSE(sequence.ready());
  EXPECT_FALSE(sequence.Begin(Identity(9)));
  ASSERT_TRUE(sequence.Begin(Identity(10)));
  sequence.Stamp(&batch);
  ASSERT_OK_AND_ASSIGN(const record::BatchView view, record::BatchView::Parse(batch));
  EXPECT_EQ(view.producer_id(), ProducerId(10));
  EXPECT_EQ(view.base_sequence(), 0);
}

}  // namespace
}  // namespace millrace::client
