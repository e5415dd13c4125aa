#include "raft/host/wal_scan.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::raft {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kGeneration = 9;
constexpr uint64_t kSalt = 0x5a17;

// Segments made group by group.
class WalScanTest : public ::testing::Test {
 protected:
  void Add(const std::string& payload, uint64_t generation = kGeneration, uint64_t salt = kSalt) {
    WalGroupBuilder builder;
    if (!payload.empty()) {
      builder.Add(WalRecord{WalRecordType::kEntry, 2, Term(1), LogIndex(1), payload});
    }
    WalGroupHeader header{.flags = segment_.empty() ? kWalFlagStart : uint16_t{0},
                          .generation = generation,
                          .salt = salt,
                          .number = number_ + 1,
                          .durable_through = number_,
                          .previous_chain = chain_};
    starts_.push_back(segment_.size());
    segment_ += std::string(builder.Finish(&header, &chain_));
    ++number_;
  }
  WalScan Scan() { return ScanWalSegment(segment_, kGeneration); }

  std::string segment_;
  std::vector<size_t> starts_;
  uint64_t number_ = 40;
  uint32_t chain_ = 0x1234;
};

TEST_F(WalScanTest, ZerosBehindTheLastGroupAreClean) {
  Add("a");
  Add("b");
  segment_.append(2 * kWalBlockBytes, '\0');
  const WalScan scan = Scan();
  EXPECT_THAT(scan.groups, SizeIs(2));
  EXPECT_EQ(scan.tail, WalTail::kClean);
  EXPECT_EQ(scan.tail_offset, 2 * kWalBlockBytes);
}

TEST_F(WalScanTest, OtherBytesBehindItAreATail) {
  Add("a");
  segment_ += std::string(kWalBlockBytes, 'x');
  EXPECT_EQ(Scan().tail, WalTail::kUnknown);
}

TEST_F(WalScanTest, AnIncompleteLastGroupIsTorn) {
  Add("a");
  Add(std::string(10'000, 'x'));
  segment_[starts_[1] + 9'000] = 'y';
  const WalScan scan = Scan();
  EXPECT_THAT(scan.groups, SizeIs(1));
  EXPECT_EQ(scan.tail, WalTail::kTorn);
  EXPECT_THAT(scan.reason, HasSubstr("group 42 is incomplete"));
}

TEST_F(WalScanTest, S09_DamageBeforeALaterGroupIsCorruption) {
  Add("a");
  Add("b");
  Add("c");
  segment_[starts_[1] + kWalGroupHeaderBytes + kWalRecordHeaderBytes] ^= 1;
  const WalScan scan = Scan();
  EXPECT_EQ(scan.tail, WalTail::kDamaged);
  EXPECT_EQ(scan.tail_offset, starts_[1]);
  EXPECT_THAT(scan.beyond_damage, SizeIs(1));
}

TEST_F(WalScanTest, S09_ADamagedHeaderBeforeALaterGroupIsCorruption) {
  Add("a");
  Add("b");
  Add("c");
  segment_[starts_[1] + 9] ^= 1;
  EXPECT_EQ(Scan().tail, WalTail::kDamaged);
}

TEST_F(WalScanTest, S09_ADamagedStartIsCorruptionIfAnythingFollows) {
  Add("a");
  Add("");
  segment_[3] ^= 1;
  const WalScan scan = Scan();
  EXPECT_THAT(scan.groups, IsEmpty());
  EXPECT_EQ(scan.tail, WalTail::kDamaged);
}

TEST_F(WalScanTest, S09_ALostGroupBetweenTwoIsCorruption) {
  Add("a");
  Add("b");
  Add("c");
  segment_.erase(starts_[1], kWalBlockBytes);
  EXPECT_EQ(Scan().tail, WalTail::kDamaged);
}

TEST_F(WalScanTest, S09_GroupsOfAnotherGenerationNeverVerify) {
  Add("a");
  Add("old", kGeneration - 1);
  const WalScan scan = Scan();
  EXPECT_THAT(scan.groups, SizeIs(1));
  EXPECT_EQ(scan.tail, WalTail::kUnknown);
}

TEST_F(WalScanTest, AHeaderThatAClientWroteIntoAPayloadIsNotTaken) {
  Add("a");
  // A client knows all but the salt, and its payload stands at a block's start.
  const size_t before = segment_.size();
  const uint32_t chain = chain_;
  Add("forged", kGeneration, kSalt + 1);
  const std::string forged = segment_.substr(before);
  segment_.resize(before);
  number_ = 41;
  chain_ = chain;
  const size_t to_boundary = kWalBlockBytes - kWalGroupHeaderBytes - kWalRecordHeaderBytes;
  Add(std::string(to_boundary, '.') + forged + "end");
  EXPECT_THAT(Scan().groups, SizeIs(2));
  segment_[before + 8] ^= 1;  // Its own header is torn.
  EXPECT_EQ(Scan().tail, WalTail::kUnknown) << "a torn tail, not corruption";
}

TEST_F(WalScanTest, AnEmptyFileHasNoGroups) {
  const WalScan scan = ScanWalSegment("", kGeneration);
  EXPECT_THAT(scan.groups, IsEmpty());
  EXPECT_EQ(scan.tail, WalTail::kClean);
}

}  // namespace
}  // namespace millrace::raft
