// A log of format version 1, as bytes in the repository: every later program must read it, and this
// one must still write it. docs/formats/wal.md explains the same bytes.
#include <memory>
#include <string>

#include "base/posix_file_system.h"
#include "gmock/gmock.h"
#include "raft/host/wal_format.h"
#include "raft/host/wal_test_bed.h"
#include "rsm/entry_codec.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;

constexpr char kGoldenPath[] = "raft/host/testdata/wal_v1_segment_1.bin";

WalOptions GoldenOptions() {
  WalOptions options = SmallWalOptions();
  options.entry_bytes_max = 4 << 10;
  options.segment_bytes = 72 << 10;
  options.fill_step_bytes = 4 << 10;
  return options;
}

VoterSet GoldenVoters() {
  return VoterSet{EntryId{}, {Voter{kWalTestVoter, "localhost:9093", false}}};
}

Entry GoldenNoOp() { return Entry{Term(1), LogIndex(1), EntryType::kNoOp, {}}; }

Entry GoldenEntry() {
  auto payload =
      rsm::EncodeEntry({rsm::Record{rsm::RecordType(3), 1, Bytes::Copy("k"), Bytes::Copy("hi")}});
  EXPECT_OK(payload);
  return Entry{Term(1), LogIndex(2), EntryType::kPayload, *payload};
}

// Start; vote and voters; no-op; one entry; seal: five groups.
std::string WriteSample() {
  WalTestBed bed;
  EXPECT_OK(bed.Open(GoldenOptions()));
  bed.Append(WalBatch{.hard_state = HardState{Term(1), kWalTestVoter, LogIndex(0)},
                      .voters = GoldenVoters()});
  bed.Run();
  for (const Entry& entry : {GoldenNoOp(), GoldenEntry()}) {
    WalBatch batch;
    batch.entries.push_back(entry);
    bed.Append(std::move(batch));
    bed.Run();
  }
  bed.Seal();
  auto bytes = ReadWholeFile(bed.files(), bed.Path(WalSegmentName(1)), 1 << 20);
  EXPECT_OK(bytes);
  return bytes->substr(0, 5 * kWalBlockBytes);
}

TEST(WalGoldenTest, Version1IsStillRead) {
  PosixFileSystem real;
  ASSERT_OK_AND_ASSIGN(const std::string golden, ReadWholeFile(real, kGoldenPath, 1 << 20));
  WalTestBed bed;
  ASSERT_OK(bed.files().CreateDirectory(kWalTestDirectory));
  ASSERT_OK_AND_ASSIGN(auto file, bed.files().Open(bed.Path(WalSegmentName(1)), OpenMode::kCreate));
  ASSERT_OK(file->WriteAt(0, golden));
  ASSERT_OK(bed.Open(GoldenOptions()));
  EXPECT_EQ(bed.recovery().hard_state, (HardState{Term(1), kWalTestVoter, LogIndex(0)}));
  EXPECT_EQ(bed.recovery().voters, GoldenVoters());
  EXPECT_THAT(bed.recovery().entries, ElementsAre(GoldenNoOp(), GoldenEntry()));
}

TEST(WalGoldenTest, Version1IsStillWritten) {
  PosixFileSystem real;
  ASSERT_OK_AND_ASSIGN(const std::string golden, ReadWholeFile(real, kGoldenPath, 1 << 20));
  EXPECT_TRUE(WriteSample() == golden) << "the format has changed: raise kWalVersion, keep reading "
                                          "the old one, and add a golden file";
}

}  // namespace
}  // namespace millrace::raft
