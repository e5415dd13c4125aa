#include "storage/producer_snapshot.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

ProducerState Sample() {
  ProducerState state;
  for (int p = 0; p < 3; ++p) {
    ProducerEntry& entry = state.mutable_producers()[ProducerId(100 + p)];
    entry.epoch = ProducerEpoch(static_cast<int16_t>(p));
    entry.last_append = WallTime{1000 + p};
    for (int i = 0; i < p * 2; ++i) entry.batches.push_back({i, i, Offset(i), Offset(i), 77});
  }
  return state;
}

TEST(ProducerSnapshotTest, StateComesBack) {
  ASSERT_OK_AND_ASSIGN(
      const ProducerState read,
      DecodeProducerSnapshot(EncodeProducerSnapshot(Sample(), Offset(42)), Offset(42)));
  EXPECT_EQ(read, Sample());
}

TEST(ProducerSnapshotTest, OnlyTheLastFiveBatchesAreWritten) {
  ProducerState state;
  for (int i = 0; i < 9; ++i) {
    state.mutable_producers()[ProducerId(1)].batches.push_back({i, i, Offset(i), Offset(i), 7});
  }
  ASSERT_OK_AND_ASSIGN(const ProducerState read,
                       DecodeProducerSnapshot(EncodeProducerSnapshot(state, Offset(9)), Offset(9)));
  EXPECT_EQ(read.producers().at(ProducerId(1)).batches.size(), 5u);
  EXPECT_EQ(read.producers().at(ProducerId(1)).batches.front().first_sequence, 4);
}

TEST(ProducerSnapshotTest, EveryBitAndTheNameAreChecked) {
  const std::string snapshot = EncodeProducerSnapshot(Sample(), Offset(42));
  EXPECT_THAT(DecodeProducerSnapshot(snapshot, Offset(43)), HasCode(ErrorCode::kCorruptLog));
  for (size_t bit = 0; bit < snapshot.size() * 8; ++bit) {
    std::string damaged = snapshot;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeProducerSnapshot(damaged, Offset(42)).ok()) << bit;
  }
}

}  // namespace
}  // namespace millrace::storage
