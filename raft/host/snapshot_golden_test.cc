// A snapshot of format version 1, as bytes in the repository: every later program must read it, and
// this one must still write it. docs/formats/snapshot.md explains the same bytes.
#include <string>

#include "base/posix_file_system.h"
#include "gmock/gmock.h"
#include "raft/host/snapshot_test_bed.h"

namespace millrace::raft {
namespace {

constexpr char kGoldenPath[] = "raft/host/testdata/snapshot_v1.bin";
constexpr char kGoldenBody[] = "what the state machine says";

VoterSet GoldenVoters() {
  const VoterId voter{NodeId(1), DirectoryId(Uuid(0x1111, 0x2222))};
  return VoterSet{At(1, 2), {Voter{voter, "localhost:9093", false}}};
}

TEST(SnapshotGoldenTest, Version1IsStillRead) {
  PosixFileSystem real;
  std::string body;
  ASSERT_OK_AND_ASSIGN(const SnapshotFile file, ReadSnapshotFile(real, kGoldenPath, &body));
  EXPECT_EQ(file.id.last, At(3, 1000));
  EXPECT_EQ(file.head.voters, GoldenVoters());
  EXPECT_EQ(body, kGoldenBody);
}

TEST(SnapshotGoldenTest, Version1IsStillWritten) {
  PosixFileSystem real;
  ASSERT_OK_AND_ASSIGN(const std::string golden, ReadWholeFile(real, kGoldenPath, 1 << 20));
  ASSERT_OK_AND_ASSIGN(const std::string bytes,
                       EncodeSnapshotFile(At(3, 1000), GoldenVoters(), kGoldenBody));
  EXPECT_TRUE(bytes == golden) << "the format has changed: raise kSnapshotVersion, keep reading "
                                  "the old one, and add a golden file";
}

}  // namespace
}  // namespace millrace::raft
