#include "tools/millrace/replica_compare.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// Replicas in memory, whose batches have one record each unless told otherwise.
class ReplicaCompareTest : public ::testing::Test {
 protected:
  struct Fake {
    std::vector<std::string> batches;
    // Where a batch of two records begins: its bytes are those of two of `batches`.
    std::set<int64_t> pairs;
    int64_t start = 0;
    int64_t end = 0;
    int32_t epoch = 5;
    int64_t damaged_at = -1;
    bool away = false;
  };

  ReplicaCompareTest() {
    partition_.set_partition(0);
    for (const int32_t broker : {101, 102, 103}) {
      partition_.add_replicas(broker);
      Fake& fake = brokers_[broker];
      for (int i = 0; i < 1000; ++i) fake.batches.push_back(absl::StrCat("batch ", i, "\n"));
      fake.end = 1000;
    }
  }
  absl::StatusOr<v1::ChecksumReplicaResponse> Ask(int32_t broker,
                                                  const v1::ChecksumReplicaRequest& request) {
    ++asked_;
    if (before_each_) before_each_();
    const Fake& fake = brokers_[broker];
    if (fake.away) return MakeError(ErrorCode::kBrokerNotAvailable, "nobody answers");
    v1::ChecksumReplicaResponse response;
    response.set_leader_epoch(fake.epoch);
    response.set_is_leader(broker == 102);
    response.set_log_start_offset(fake.start);
    response.set_end_offset(fake.end);
    if (request.max_bytes() == 0) return response;
    EXPECT_EQ(request.broker_id(), broker);
    if (request.leader_epoch() != fake.epoch) {
      response.set_code(v1::ERROR_CODE_FENCED_LEADER_EPOCH);
      return response;
    }
    if (request.from_offset() < fake.start || request.from_offset() > fake.end) {
      response.set_code(v1::ERROR_CODE_OFFSET_OUT_OF_RANGE);
      return response;
    }
    int64_t at = request.from_offset();
    response.set_from_offset(at);
    uint32_t crc = 0;
    int64_t bytes = 0;
    const int64_t end = std::min(request.to_offset(), fake.end);
    while (at < end && bytes < request.max_bytes()) {
      if (at == fake.damaged_at) {
        response.set_code(v1::ERROR_CODE_CORRUPT_LOG);
        response.set_message("a batch is damaged");
        break;
      }
      const auto records = fake.pairs.contains(at) ? 2U : 1U;
      if (at + records > end) break;
      std::string batch;
      for (size_t i = 0; i < records; ++i) batch += fake.batches[static_cast<size_t>(at) + i];
      crc = Crc32cExtend(crc, batch);
      bytes += static_cast<int64_t>(batch.size());
      at += records;
    }
    response.set_next_offset(at);
    response.set_bytes(bytes);
    response.set_crc32c(crc);
    return response;
  }
  PartitionComparison Compare(int32_t range_bytes = 1000) {
    return CompareReplicas(
        "t", partition_, range_bytes,
        [this](int32_t broker, const v1::ChecksumReplicaRequest& request) {
          return Ask(broker, request);
        },
        [this](int64_t offset, int64_t) { progress_.push_back(offset); });
  }

  v1::PartitionDescription partition_;
  std::map<int32_t, Fake> brokers_;
  std::function<void()> before_each_;
  std::vector<int64_t> progress_;
  int asked_ = 0;
};

TEST_F(ReplicaCompareTest, EqualReplicasAreEqualRangeByRange) {
  const PartitionComparison compared = Compare();
  EXPECT_OK(compared.Verdict());
  EXPECT_EQ(compared.from_offset, 0);
  EXPECT_EQ(compared.to_offset, 1000);
  EXPECT_GT(compared.bytes, 9000);
  EXPECT_GT(progress_.size(), 8u);
  EXPECT_EQ(progress_.back(), 1000);
  EXPECT_TRUE(compared.replicas[1].is_leader);
}

TEST_F(ReplicaCompareTest, TheFirstBatchThatDiffersIsNamed) {
  for (const int64_t at : {0, 1, 517, 999}) {
    for (const int32_t broker : {101, 102}) {
      SCOPED_TRACE(absl::StrCat(at, " of ", broker));
      std::string& batch = brokers_[broker].batches[static_cast<size_t>(at)];
      batch[0] ^= 1;
      const PartitionComparison compared = Compare();
      EXPECT_THAT(compared.Verdict(),
                  IsError(ErrorCode::kCorruptLog, absl::StrCat("offsets ", at, " to ", at)));
      ASSERT_TRUE(compared.difference.has_value());
      EXPECT_EQ(compared.difference->from_offset, at);
      EXPECT_EQ(compared.difference->to_offset, at + 1);
      EXPECT_THAT(compared.difference->sums, SizeIs(3));
      batch[0] ^= 1;
    }
  }
}

TEST_F(ReplicaCompareTest, DamageIsADifferenceWithItsOwnWords) {
  for (const int32_t broker : {101, 102}) {
    brokers_[broker].damaged_at = 700;
    const PartitionComparison compared = Compare();
    ASSERT_TRUE(compared.difference.has_value());
    EXPECT_EQ(compared.difference->from_offset, 700);
    EXPECT_EQ(compared.difference->to_offset, 701);
    for (const Difference::Sum& sum : compared.difference->sums) {
      EXPECT_EQ(sum.status.ok(), sum.broker != broker);
    }
    brokers_[broker].damaged_at = -1;
  }
}

// A range that ends inside of a batch is told as far as the batch before.
TEST_F(ReplicaCompareTest, BatchesThatEndElsewhereAreADifference) {
  for (const int32_t broker : {101, 102, 103}) {
    // The last one: it crosses the end that the others have.
    for (const int64_t at : {0, 517, 999}) {
      SCOPED_TRACE(absl::StrCat(at, " of ", broker));
      Fake& fake = brokers_[broker];
      fake.pairs = {at};
      fake.end = at == 999 ? 1001 : 1000;
      fake.batches[static_cast<size_t>(at)] += "!";
      fake.batches.push_back("more");
      for (const int32_t range_bytes : {1000, 1, 100'000}) {
        const PartitionComparison compared = Compare(range_bytes);
        EXPECT_THAT(compared.Verdict(),
                    IsError(ErrorCode::kCorruptLog, absl::StrCat("offsets ", at)));
        ASSERT_TRUE(compared.difference.has_value());
        EXPECT_EQ(compared.difference->from_offset, at);
        EXPECT_THAT(compared.difference->sums, SizeIs(3));
      }
      fake.pairs.clear();
      fake.end = 1000;
      fake.batches[static_cast<size_t>(at)].pop_back();
      fake.batches.pop_back();
    }
  }
}

TEST_F(ReplicaCompareTest, WhatAllHaveIsCompared) {
  brokers_[101].start = 30;
  brokers_[101].batches[3] = "deleted";
  brokers_[103].end = 800;
  brokers_[103].batches[900] = "not written yet";
  const PartitionComparison compared = Compare();
  EXPECT_OK(compared.Verdict());
  EXPECT_EQ(compared.from_offset, 30);
  EXPECT_EQ(compared.to_offset, 800);
  EXPECT_EQ(compared.replicas[0].log_start_offset, 30);
  EXPECT_EQ(compared.replicas[2].end_offset, 800);
}

TEST_F(ReplicaCompareTest, OneThatCannotBeAskedIsToldAndTheOthersAreCompared) {
  brokers_[103].away = true;
  const PartitionComparison compared = Compare();
  EXPECT_THAT(compared.Verdict(), IsError(ErrorCode::kBrokerNotAvailable, "broker 103"));
  EXPECT_EQ(compared.to_offset, 1000);
  brokers_[101].batches[500] = "other";
  EXPECT_THAT(Compare().Verdict(), IsError(ErrorCode::kCorruptLog, "500"));
}

TEST_F(ReplicaCompareTest, ElectionsAndDeletionsMeanwhileDoNotEndIt) {
  before_each_ = [this] {
    if (asked_ == 10) {
      for (auto& [broker, fake] : brokers_) fake.epoch = 6;
    }
    if (asked_ == 20) brokers_[103].start = 700;
  };
  const PartitionComparison compared = Compare();
  EXPECT_OK(compared.Verdict());
  EXPECT_EQ(compared.to_offset, 1000);
}

TEST_F(ReplicaCompareTest, AnEmptyPartitionAndALoneReplicaAreFine) {
  for (auto& [broker, fake] : brokers_) fake.end = 0;
  EXPECT_OK(Compare().Verdict());
  for (auto& [broker, fake] : brokers_) fake.end = 1000;
  partition_.clear_replicas();
  partition_.add_replicas(101);
  const PartitionComparison alone = Compare();
  EXPECT_OK(alone.Verdict());
  EXPECT_EQ(alone.to_offset, 1000);
  brokers_[101].damaged_at = 10;
  EXPECT_THAT(Compare().Verdict(), IsError(ErrorCode::kCorruptLog, "offsets 10 to 10"));
}

}  // namespace
}  // namespace millrace::tools
