#include "tools/bench/probe/delivery_check.h"

#include "gmock/gmock.h"

namespace millrace::bench {
namespace {

constexpr PartitionIndex kP{1};

MonotonicTime At(int64_t ms) { return MonotonicTime::FromNanos(1'000'000 * (1000 + ms)); }

class DeliveryCheckTest : public testing::Test {
 protected:
  void Acknowledge(int64_t number, int64_t offset, int64_t ms = 0) {
    check_.OnAcknowledged(kP, number, Offset(offset), At(ms));
  }
  void Read(int64_t number, int64_t offset) {
    check_.OnRead(kP, Offset(offset), DeliveryCheck::Payload(kP, number, 40));
  }

  DeliveryCheck check_{2};
};

TEST_F(DeliveryCheckTest, WhatWasAcknowledgedAndReadInOrderIsFine) {
  Acknowledge(0, 10, 0);
  Acknowledge(2, 12, 250);
  Acknowledge(3, 13, 260);
  Read(0, 10);
  Read(1, 11);
  Read(2, 12);
  Read(3, 13);
  const DeliveryCheck::Verdict verdict = check_.Judge();
  EXPECT_TRUE(verdict.ok());
  EXPECT_EQ(verdict.acknowledged, 3);
  EXPECT_EQ(verdict.read, 4);
  EXPECT_DOUBLE_EQ(verdict.longest_gap_ms, 250);
}

TEST_F(DeliveryCheckTest, AnAcknowledgedRecordThatIsNotThereIsLost) {
  Acknowledge(0, 10);
  Acknowledge(1, 11);
  Read(0, 10);
  EXPECT_EQ(check_.Judge().lost, 1);
}

TEST_F(DeliveryCheckTest, OneAtAnotherOffsetHasMoved) {
  Acknowledge(0, 10);
  Read(0, 11);
  EXPECT_EQ(check_.Judge().moved, 1);
  EXPECT_FALSE(check_.Judge().ok());
}

TEST_F(DeliveryCheckTest, DuplicatesAndDisorderAreTold) {
  Read(0, 0);
  Read(2, 1);
  Read(1, 2);
  Read(2, 3);
  EXPECT_EQ(check_.Judge().out_of_order, 1);
  EXPECT_EQ(check_.Judge().duplicates, 1);
}

TEST_F(DeliveryCheckTest, RecordsOfAnotherPartitionOrDamagedAreForeign) {
  check_.OnRead(kP, Offset(0), DeliveryCheck::Payload(PartitionIndex(0), 1, 40));
  check_.OnRead(kP, Offset(1), "1:2:xxxy");
  check_.OnRead(kP, Offset(2), "what");
  EXPECT_EQ(check_.Judge().foreign, 3);
}

}  // namespace
}  // namespace millrace::bench
