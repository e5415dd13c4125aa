// S-22, S-35: whole brokers, each on a disk of its own, of which bits rot.

#include "broker/damage_control.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "broker/testing/cluster_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr int kBatches = 20;
constexpr char kFirstSegment[] = "data/t-0/00000000000000000000.log";

class DamageControlTest : public ::testing::Test {
 protected:
  // A topic of small segments, all of it on all brokers.
  void SetUp() override {
    f_.CreateTopic(1, {{"segment.index.bytes", "64"},
                       {"index.interval.bytes", "1024"},
                       {"min.insync.replicas", "1"}});
    for (int i = 0; i < kBatches; ++i) {
      ASSERT_TRUE(f_.ProduceUntilTaken(MakeBatch(1, 1000)).outcome.ok());
    }
    ASSERT_TRUE(f_.RunUntil([&] { return f_.HighWatermarkIs(kBatches); }));
    ASSERT_TRUE(f_.LogsAreEqual());
    healthy_ = f_.LogOf(1);
    ASSERT_LT(healthy_.size(), static_cast<size_t>(kBatches) * 1000) << "a segment was closed";
  }
  // A bit of the batch of this offset in the first segment.
  void Damage(int id, int offset) {
    const uint64_t size = MakeBatch(1, 1000).size();
    f_.members.at(id)->files->FlipBit(kFirstSegment,
                                      (static_cast<uint64_t>(offset) * size + 500) * 8);
    ASSERT_NE(f_.LogOf(id), healthy_);
  }
  std::string LastSegment(int id) {
    std::string last;
    const auto entries = f_.members.at(id)->files->ListDirectory("data/t-0");
    for (const DirectoryEntry& entry : entries.value()) {
      if (absl::EndsWith(entry.name, ".log")) last = std::max(last, entry.name);
    }
    return absl::StrCat("data/t-0/", last);
  }
  void Configure(const std::string& key, const std::string& value) {
    f_.Commit({metadata::Encode(
        metadata::ConfigRecordOf(metadata::ConfigOwner::AllBrokers(), key, &value))});
  }
  void ScrubOften() { Configure("log.scrub.interval.ms", "1000"); }
  double Metric(int id, const std::string& name) {
    double sum = 0;
    for (const MetricSample& sample : f_.members.at(id)->metrics->Collect()) {
      if (sample.name == name) sum += sample.value;
    }
    return sum;
  }
  ReplicaChecksum Sum(int id, int64_t from) {
    ClusterFixture::Member& member = *f_.members.at(id);
    std::optional<ReplicaChecksum> sum;
    ChecksumQuery query;
    query.from = Offset(from);
    query.to = Offset(kBatches);
    query.bytes_max = 1 << 20;
    member.shards[0]->RunNow([&] {
      member.broker->Checksum({"t", {}, PartitionIndex(0)}, query, {"PUBLIC", {}},
                              [&](const ReplicaChecksum& answer) { sum = answer; });
    });
    CHECK(f_.RunUntil([&] { return sum.has_value(); }));
    return *sum;
  }
  bool AllWell() {
    return f_.LogsAreEqual() && f_.LogOf(1) == healthy_ && f_.Isr() == std::vector<int>{1, 2, 3};
  }

  ClusterFixture f_;
  std::string healthy_;
};

TEST_F(DamageControlTest, AFollowersDamageIsFoundByTheScrubAndRepairedFromTheLeader) {
  Damage(2, 1);
  const int before = f_.alterations;
  ScrubOften();
  ASSERT_TRUE(f_.RunUntil([&] { return AllWell(); }));
  EXPECT_EQ(f_.Partition().leader, NodeId(1));
  ASSERT_TRUE(f_.RunUntil([&] { return f_.alterations >= before + 2 && AllWell(); }))
      << "S-35: it left the in-sync set meanwhile";
  EXPECT_EQ(Metric(2, "millrace_log_damage_found_total"), 1);
  EXPECT_EQ(Metric(2, "millrace_log_repaired_ranges_total"), 1);
  EXPECT_GT(Metric(2, "millrace_log_repaired_bytes_total"), 0);
  EXPECT_LT(Metric(2, "millrace_log_repaired_bytes_total"), 5000);
  EXPECT_EQ(Metric(2, "millrace_log_damaged_segments"), 0);
  ASSERT_TRUE(
      f_.RunUntil([&] { return Metric(1, "millrace_log_scrub_bytes_total") >= kBatches * 1000; }));
}

TEST_F(DamageControlTest, ADamagedLeaderHandsOverAndIsRepairedFromTheNext_S35) {
  Damage(1, 1);
  ScrubOften();
  ASSERT_TRUE(f_.RunUntil([&] { return f_.Partition().leader != NodeId(1) && AllWell(); }));
  EXPECT_TRUE(f_.ProduceUntilTaken(MakeBatch(1)).outcome.ok());
}

TEST_F(DamageControlTest, WhoeverReadsDamageHasItRepaired) {
  Damage(3, 2);
  const ReplicaChecksum sum = Sum(3, 0);
  EXPECT_EQ(sum.outcome.code, ErrorCode::kCorruptLog);
  EXPECT_EQ(sum.next_offset, Offset(2)) << "what stands before it is read";
  ASSERT_TRUE(f_.RunUntil([&] { return AllWell(); }));
  EXPECT_TRUE(Sum(3, 0).outcome.ok());
}

TEST_F(DamageControlTest, DamageInDifferentPlacesIsRepairedFromEachOther_S35) {
  Damage(1, 0);
  Damage(2, 2);
  Damage(3, 3);
  ScrubOften();
  ASSERT_TRUE(f_.RunUntil([&] { return AllWell(); }, absl::Minutes(3)));
}

TEST_F(DamageControlTest, DamageThatIsTheSameEverywhereKeepsNobodyOut_S35) {
  for (const int id : {1, 2, 3}) Damage(id, 1);
  ScrubOften();
  ASSERT_TRUE(f_.RunUntil([&] { return Metric(3, "millrace_log_damaged_segments") == 1; }));
  ASSERT_TRUE(f_.RunUntil(
      [&] {
        return f_.Isr() == std::vector<int>({1, 2, 3});
      },
      absl::Minutes(3)));
  for (const int id : {1, 2, 3}) EXPECT_EQ(Sum(id, 0).outcome.code, ErrorCode::kCorruptLog);
  // The rest is served, and more is taken.
  EXPECT_TRUE(Sum(f_.Partition().leader.value(), 4).outcome.ok());
  EXPECT_TRUE(f_.ProduceUntilTaken(MakeBatch(1)).outcome.ok());
}

TEST_F(DamageControlTest, ALoneReplicaLeadsWithItsHole_S35) {
  f_.Kill(2);
  f_.Kill(3);
  f_.Elect(1, {1});
  Damage(1, 1);
  EXPECT_EQ(Sum(1, 0).outcome.code, ErrorCode::kCorruptLog);
  f_.Run(absl::Seconds(5));
  EXPECT_EQ(f_.Partition().leader, NodeId(1));
  EXPECT_EQ(Metric(1, "millrace_log_damaged_segments"), 1);
  EXPECT_TRUE(f_.ProduceUntilTaken(MakeBatch(1)).outcome.ok());
  EXPECT_TRUE(Sum(1, 4).outcome.ok());
  // Somebody comes back who has it.
  f_.Start(2);
  ASSERT_TRUE(f_.RunUntil([&] { return Metric(1, "millrace_log_repaired_ranges_total") == 1; },
                          absl::Minutes(3)));
  EXPECT_EQ(f_.LogOf(1), healthy_);
}

TEST_F(DamageControlTest, WhatIsFoundDamagedAtTheStartBeginsAgainWhereItIsWhole_S35) {
  f_.Run(absl::Seconds(1));
  f_.Kill(3);
  f_.members.at(3)->files->FlipBit(LastSegment(3), 8 * 500);
  f_.Start(3);
  f_.Run(absl::Seconds(1));
  EXPECT_EQ(CodeOf(f_.StateOf(3).status), ErrorCode::kCorruptLog) << "it still has its seat";
  ASSERT_TRUE(f_.RunUntil([&] { return f_.Isr() == std::vector<int>({1, 2}); }));
  ASSERT_TRUE(f_.RunUntil([&] { return AllWell(); }));
  EXPECT_EQ(f_.StateOf(3).end_offset, Offset(kBatches));
  EXPECT_EQ(Sum(3, 0).crc32c, Sum(1, 0).crc32c);
  EXPECT_TRUE(Sum(3, 0).outcome.ok());
}

TEST_F(DamageControlTest, WhatIsFoundDamagedWhereALogIsCutBeginsAgainWithoutARestart_S35) {
  f_.Elect(3, {1, 2, 3});
  ASSERT_TRUE(f_.ProduceUntilTaken(MakeBatch(1, 1000)).outcome.ok());
  constexpr int kEnd = kBatches + 1;
  ASSERT_TRUE(f_.RunUntil([&] { return f_.HighWatermarkIs(kEnd); }));
  const std::string last = LastSegment(3);
  // It has what nobody else does, and another one is elected.
  f_.Kill(1);
  f_.Kill(2);
  std::optional<api::ProducePartitionResult> unanswered;
  f_.SendProduce(MakeBatch(1, 1000), &unanswered);
  ASSERT_TRUE(f_.RunUntil([&] { return f_.StateOf(3).written_offset == Offset(kEnd + 1); }));
  ASSERT_EQ(LastSegment(3), last) << "the cut is within a segment";
  f_.members.at(3)->files->FlipBit(last, 8 * 500);
  f_.Elect(1, {1, 2});
  f_.Start(1);
  f_.Start(2);
  f_.Run(absl::Seconds(1));
  ASSERT_TRUE(f_.RunUntil([&] { return AllWell(); }));
  EXPECT_EQ(f_.StateOf(3).end_offset, Offset(kEnd));
  EXPECT_EQ(Sum(3, 0).crc32c, Sum(1, 0).crc32c);
  EXPECT_TRUE(Sum(3, 0).outcome.ok());
  EXPECT_TRUE(f_.ProduceUntilTaken(MakeBatch(1)).outcome.ok());
}

TEST_F(DamageControlTest, ThePaceIsThatOfTheConfigsInForce) {
  Configure("log.scrub.max.bytes.per.second", "2048");
  ScrubOften();
  f_.Run(absl::Seconds(2));
  const double before = Metric(1, "millrace_log_scrub_bytes_total");
  f_.Run(absl::Seconds(100));
  const double read = Metric(1, "millrace_log_scrub_bytes_total") - before;
  EXPECT_GT(read, 100 * 1024);
  EXPECT_LT(read, 100 * 2048 + 20'000);
  Configure("log.scrub.interval.ms", "-1");
  f_.Run(absl::Seconds(1));
  const double off = Metric(1, "millrace_log_scrub_bytes_total");
  f_.Run(absl::Minutes(30));
  EXPECT_EQ(Metric(1, "millrace_log_scrub_bytes_total"), off);
}

}  // namespace
}  // namespace millrace::broker
