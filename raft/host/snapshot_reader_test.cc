#include "raft/host/snapshot_reader.h"

#include <string>

#include "gmock/gmock.h"
#include "raft/host/snapshot_test_bed.h"

namespace millrace::raft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kPath[] = "/file";

class SnapshotReaderTest : public ::testing::Test {
 protected:
  void Put(Slice bytes) {
    ASSERT_OK_AND_ASSIGN(auto file, files_.Open(kPath, OpenMode::kTruncateCreate));
    ASSERT_OK(file->WriteAt(0, bytes));
  }

  sim::SimFileSystem files_;
  // Longer than one read of the reader.
  const ForeignSnapshot snapshot_{At(3, 50), SampleBody(2'500'000)};
};

TEST_F(SnapshotReaderTest, ReadsHeadBodyAndId) {
  Put(snapshot_.bytes);
  std::string body;
  ASSERT_OK_AND_ASSIGN(const SnapshotFile file, ReadSnapshotFile(files_, kPath, &body));
  EXPECT_EQ(file.id, snapshot_.id);
  EXPECT_EQ(file.offer().voters, SampleVoters());
  EXPECT_TRUE(body == snapshot_.body);
}

TEST_F(SnapshotReaderTest, DamageNamesFileAndPlace) {
  Put(snapshot_.bytes);
  files_.FlipBit(kPath, 2'000'000 * 8);
  EXPECT_THAT(ReadSnapshotFile(files_, kPath),
              AllOf(IsError(ErrorCode::kCorruptLog, "'/file': damaged at byte 19"),
                    IsError(ErrorCode::kCorruptLog, "a block's checksum")));
  Put(Slice(snapshot_.bytes).substr(0, 1000));
  EXPECT_EQ(DetailOf(ReadSnapshotFile(files_, kPath).status()).name, kPath);
}

TEST_F(SnapshotReaderTest, EveryChunkIsTheFilesOwnBytes) {
  Put(snapshot_.bytes);
  ASSERT_OK_AND_ASSIGN(const SnapshotFile file, ReadSnapshotFile(files_, kPath));
  const uint64_t head = file.head.head_bytes;
  for (const uint64_t size : {uint64_t{1}, uint64_t{100}, uint64_t{65'540}, uint64_t{1'000'000}}) {
    for (const uint64_t at : {uint64_t{0}, uint64_t{55}, head - 1, head, head + 65'536,
                              head + 65'540, uint64_t{1'234'567}}) {
      ASSERT_OK_AND_ASSIGN(const Bytes chunk, ReadSnapshotChunk(files_, kPath, file, at, size));
      ASSERT_TRUE(chunk.slice() == Slice(snapshot_.bytes).substr(at, size)) << at << "+" << size;
    }
  }
  const uint64_t last = snapshot_.id.bytes - 1;
  ASSERT_OK_AND_ASSIGN(const Bytes chunk, ReadSnapshotChunk(files_, kPath, file, last, 1));
  EXPECT_EQ(chunk.slice(), Slice(snapshot_.bytes).substr(last));
}

TEST_F(SnapshotReaderTest, RotOfThisDiskIsNotSentToAPeer) {
  Put(snapshot_.bytes);
  ASSERT_OK_AND_ASSIGN(const SnapshotFile file, ReadSnapshotFile(files_, kPath));
  const uint64_t damaged = file.head.BlockAt(4) + 17;
  files_.FlipBit(kPath, damaged * 8 + 3);
  EXPECT_THAT(ReadSnapshotChunk(files_, kPath, file, damaged + 1, 10),
              IsError(ErrorCode::kCorruptLog, "'/file': damaged at byte"));
  EXPECT_OK(ReadSnapshotChunk(files_, kPath, file, file.head.BlockAt(5), 10));
  EXPECT_OK(ReadSnapshotChunk(files_, kPath, file, 0, file.head.BlockAt(4)));
  Put(Slice(snapshot_.bytes).substr(0, 100'000));
  EXPECT_THAT(ReadSnapshotChunk(files_, kPath, file, 99'000, 2'000),
              IsError(ErrorCode::kCorruptLog, "it ends at byte 100000"));
}

TEST_F(SnapshotReaderTest, DiskThatFailsIsNotDamage) {
  Put(snapshot_.bytes);
  files_.FailCallAt(files_.calls() + 2, sim::SimFault::kIoError);
  EXPECT_THAT(ReadSnapshotFile(files_, kPath), HasCode(ErrorCode::kStorageError));
}

}  // namespace
}  // namespace millrace::raft
