#include "raft/host/wal_format.h"

#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::raft {
namespace {

using ::testing::SizeIs;

WalRecord EntryRecord(int64_t index, Slice payload) {
  return WalRecord{WalRecordType::kEntry, 2, Term(3), LogIndex(index), payload};
}

std::string BuildGroup(const std::vector<WalRecord>& records, WalGroupHeader* header,
                       uint32_t* chain) {
  WalGroupBuilder builder;
  for (const WalRecord& record : records) builder.Add(record);
  return std::string(builder.Finish(header, chain));
}

class WalFormatTest : public ::testing::Test {
 protected:
  void SetUp() override {
    group_ = BuildGroup({EntryRecord(7, "seven"), EntryRecord(8, ""), EntryRecord(9, "nine")},
                        &header_, &chain_);
  }

  WalGroupHeader header_{.flags = 0,
                         .generation = 5,
                         .salt = 77,
                         .number = 12,
                         .durable_through = 11,
                         .previous_chain = 0xabcd};
  uint32_t chain_ = 0;
  std::string group_;
};

TEST_F(WalFormatTest, AGroupIsFoundAsItWasBuilt) {
  EXPECT_THAT(group_, SizeIs(kWalBlockBytes));
  const auto header = ParseWalGroupHeader(group_);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(header->generation, 5u);
  EXPECT_EQ(header->salt, 77u);
  EXPECT_EQ(header->number, 12u);
  EXPECT_EQ(header->durable_through, 11u);
  EXPECT_EQ(header->previous_chain, 0xabcdu);
  EXPECT_EQ(header->TotalBytes(), kWalBlockBytes);
  uint32_t chain = 0;
  const auto records = ParseWalRecords(*header, group_, &chain);
  ASSERT_TRUE(records.has_value());
  ASSERT_THAT(*records, SizeIs(3));
  EXPECT_EQ((*records)[0].payload, "seven");
  EXPECT_EQ((*records)[2].index, LogIndex(9));
  EXPECT_EQ(chain, chain_);
}

TEST_F(WalFormatTest, EveryBitOfHeaderAndRecordsCounts) {
  const size_t used = kWalGroupHeaderBytes + header_.body_bytes;
  for (size_t bit = 0; bit < used * 8; ++bit) {
    std::string flipped = group_;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const auto header = ParseWalGroupHeader(flipped);
    uint32_t chain = 0;
    const bool ok = header.has_value() && ParseWalRecords(*header, flipped, &chain).has_value();
    EXPECT_FALSE(ok) << "bit " << bit;
  }
}

TEST_F(WalFormatTest, ATruncatedGroupIsNoGroup) {
  const size_t used = kWalGroupHeaderBytes + header_.body_bytes;
  for (size_t size = 0; size < used; ++size) {
    const Slice part = Slice(group_).substr(0, size);
    const auto header = ParseWalGroupHeader(part);
    uint32_t chain = 0;
    EXPECT_FALSE(header.has_value() && ParseWalRecords(*header, part, &chain).has_value()) << size;
  }
}

TEST_F(WalFormatTest, RecordsOfOneGroupDoNotVerifyUnderAnothersHeader) {
  WalGroupHeader other = header_;
  other.generation = 6;
  uint32_t chain = 0;
  std::string theirs = BuildGroup(
      {EntryRecord(7, "seven"), EntryRecord(8, ""), EntryRecord(9, "nine")}, &other, &chain);
  // The header of generation 6 over the records of generation 5.
  theirs.replace(kWalGroupHeaderBytes, std::string::npos, group_, kWalGroupHeaderBytes,
                 std::string::npos);
  const auto header = ParseWalGroupHeader(theirs);
  ASSERT_TRUE(header.has_value());
  EXPECT_FALSE(ParseWalRecords(*header, theirs, &chain).has_value());
}

TEST_F(WalFormatTest, ABuilderIsUsedAgainAfterClear) {
  WalGroupBuilder builder;
  builder.Add(EntryRecord(1, std::string(9'000, 'x')));
  WalGroupHeader header;
  uint32_t chain = 0;
  EXPECT_EQ(builder.Finish(&header, &chain).size(), 3 * kWalBlockBytes);
  builder.Clear();
  EXPECT_TRUE(builder.empty());
  header = WalGroupHeader{.flags = kWalFlagSeal, .generation = 1, .number = 2};
  const std::string seal(builder.Finish(&header, &chain));
  EXPECT_EQ(seal.size(), kWalBlockBytes);
  EXPECT_EQ(seal.find_first_not_of('\0', kWalGroupHeaderBytes), std::string::npos);
  EXPECT_EQ(chain, header.crc) << "without records the chain goes on from the header";
}

TEST(WalNameTest, NamesAndGenerationsAreOneToOne) {
  EXPECT_EQ(WalSegmentName(7), "00000000000000000007.wal");
  EXPECT_EQ(ParseWalSegmentName("00000000000000000007.wal"), 7u);
  EXPECT_EQ(ParseWalSegmentName(WalSegmentName(~uint64_t{0})), ~uint64_t{0});
  for (const char* name : {"7.wal", "spare.wal", "00000000000000000007.tmp", "",
                           "0000000000000000000x.wal", "99999999999999999999.wal"}) {
    EXPECT_FALSE(ParseWalSegmentName(name).has_value()) << name;
  }
}

TEST(WalHardStateTest, AVoteIsFoundAgain) {
  const HardState state{Term(4), VoterId{NodeId(2), DirectoryId(Uuid(8, 9))}, LogIndex(33)};
  const std::string vote = EncodeVote(state.voted_for);
  EXPECT_EQ(DecodeHardState(HardStateRecord(state, vote)), state);
  const HardState none{Term(4), std::nullopt, LogIndex(33)};
  EXPECT_EQ(DecodeHardState(HardStateRecord(none, "")), none);
  EXPECT_FALSE(DecodeHardState(HardStateRecord(none, "short")).has_value());
}

TEST(WalSegmentStartTest, OtherLengthsAreRefused) {
  const std::string bytes = WalSegmentStart{99}.Encode();
  EXPECT_EQ(WalSegmentStart::Decode(bytes)->previous_generation, 99u);
  EXPECT_FALSE(WalSegmentStart::Decode(bytes + "x").has_value());
  EXPECT_FALSE(WalSegmentStart::Decode("").has_value());
}

}  // namespace
}  // namespace millrace::raft
