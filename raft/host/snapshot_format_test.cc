#include "raft/host/snapshot_format.h"

#include <set>
#include <string>

#include "base/coding.h"
#include "gmock/gmock.h"
#include "raft/host/snapshot_test_bed.h"

namespace millrace::raft {
namespace {

using ::testing::HasSubstr;

struct Parsed {
  absl::Status status;
  SnapshotHead head;
  std::string body;
  uint64_t verified = 0;
  uint32_t checksum = 0;
};

Parsed ParseInPieces(Slice bytes, size_t piece) {
  Parsed parsed;
  SnapshotParser parser(&parsed.body);
  for (size_t at = 0; at < bytes.size() && parsed.status.ok(); at += piece) {
    parsed.status = parser.Add(bytes.substr(at, piece));
  }
  if (parsed.status.ok()) parsed.status = parser.CheckComplete();
  if (parser.has_head()) parsed.head = parser.head();
  parsed.verified = parser.verified_bytes();
  parsed.checksum = parser.checksum();
  return parsed;
}

TEST(SnapshotFormatTest, WhatIsEncodedIsParsedInPiecesOfAnySize) {
  for (const size_t size : {size_t{0}, size_t{1}, kSnapshotBlockBytes - 1, kSnapshotBlockBytes,
                            kSnapshotBlockBytes + 1, 3 * kSnapshotBlockBytes + 77}) {
    const std::string body = SampleBody(size);
    ASSERT_OK_AND_ASSIGN(const std::string bytes,
                         EncodeSnapshotFile(At(7, 1000), SampleVoters(), body));
    for (const size_t piece : {size_t{13}, size_t{4096}, kSnapshotBlockBytes + 4, bytes.size()}) {
      const Parsed parsed = ParseInPieces(bytes, piece);
      ASSERT_OK(parsed.status) << size << " in pieces of " << piece;
      EXPECT_EQ(parsed.head.last, At(7, 1000));
      EXPECT_EQ(parsed.head.voters, SampleVoters());
      EXPECT_EQ(parsed.head.FileBytes(), bytes.size());
      EXPECT_TRUE(parsed.body == body);
      EXPECT_EQ(parsed.checksum, Crc32c(bytes));
      EXPECT_EQ(parsed.verified, bytes.size());
    }
  }
}

TEST(SnapshotFormatTest, EqualStateGivesEqualBytes) {
  const std::string body = SampleBody(100'000);
  EXPECT_TRUE(*EncodeSnapshotFile(At(7, 1000), SampleVoters(), body) ==
              *EncodeSnapshotFile(At(7, 1000), SampleVoters(), body));
}

TEST(SnapshotFormatTest, ChecksumOfTheFileDependsOnEverythingInIt) {
  // With plain CRCs inside, a file's own CRC would be the same for all bodies of one size.
  std::set<uint32_t> checksums;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    checksums.insert(
        Crc32c(*EncodeSnapshotFile(At(7, 1000), SampleVoters(), SampleBody(500, seed))));
  }
  for (int64_t index = 1; index <= 50; ++index) {
    checksums.insert(Crc32c(*EncodeSnapshotFile(At(7, index), SampleVoters(), "")));
  }
  EXPECT_EQ(checksums.size(), 100u);
}

TEST(SnapshotFormatTest, BlocksCannotBeExchanged) {
  ASSERT_OK_AND_ASSIGN(std::string bytes,
                       EncodeSnapshotFile(At(7, 1000), SampleVoters(), SampleBody(200'000)));
  const SnapshotHead head = ParseInPieces(bytes, bytes.size()).head;
  const size_t section = kSnapshotBlockBytes + kSnapshotCrcBytes;
  const std::string first = bytes.substr(head.BlockAt(0), section);
  bytes.replace(head.BlockAt(0), section, bytes.substr(head.BlockAt(1), section));
  bytes.replace(head.BlockAt(1), section, first);
  EXPECT_THAT(ParseInPieces(bytes, bytes.size()).status, HasCode(ErrorCode::kCorruptLog));
}

TEST(SnapshotFormatTest, DamageHasAPlaceAndEverythingBeforeItVerifies) {
  ASSERT_OK_AND_ASSIGN(std::string bytes,
                       EncodeSnapshotFile(At(7, 1000), SampleVoters(), SampleBody(200'000)));
  const SnapshotHead head = ParseInPieces(bytes, bytes.size()).head;
  bytes[head.BlockAt(2) + 5] ^= 1;
  const Parsed parsed = ParseInPieces(bytes, 1000);
  EXPECT_THAT(parsed.status,
              IsError(ErrorCode::kCorruptLog, absl::StrCat("damaged at byte ", head.BlockAt(2))));
  EXPECT_EQ(parsed.verified, head.BlockAt(2));
}

TEST(SnapshotFormatTest, FileThatEndsEarlyIsNotComplete) {
  ASSERT_OK_AND_ASSIGN(const std::string bytes,
                       EncodeSnapshotFile(At(7, 1000), SampleVoters(), SampleBody(70'000)));
  for (const size_t size : {size_t{0}, size_t{1}, size_t{56}, size_t{100}, bytes.size() - 1}) {
    const Parsed parsed = ParseInPieces(Slice(bytes).substr(0, size), 999);
    EXPECT_THAT(parsed.status,
                IsError(ErrorCode::kCorruptLog, absl::StrCat("it ends at byte ", size)));
  }
}

TEST(SnapshotFormatTest, ByteTooManyIsDamage) {
  ASSERT_OK_AND_ASSIGN(const std::string bytes,
                       EncodeSnapshotFile(At(7, 1000), SampleVoters(), SampleBody(500)));
  EXPECT_THAT(ParseInPieces(bytes + "x", 100).status,
              IsError(ErrorCode::kCorruptLog, "more bytes than the header announces"));
}

TEST(SnapshotFormatTest, NewerVersionIsUnsupportedAndADamagedVersionIsDamage) {
  ASSERT_OK_AND_ASSIGN(std::string bytes, EncodeSnapshotFile(At(7, 1000), SampleVoters(), "body"));
  bytes[4] = 2;
  EXPECT_THAT(ParseInPieces(bytes, 100).status, HasCode(ErrorCode::kCorruptLog));
  StoreLittle<uint32_t>(bytes.data() + kSnapshotHeaderBytes - kSnapshotCrcBytes,
                        MaskSnapshotCrc(Crc32c(Slice(bytes).substr(0, 52))));
  EXPECT_THAT(ParseInPieces(bytes, 100).status,
              IsError(ErrorCode::kUnsupportedFormatVersion, "format 2"));
}

TEST(SnapshotFormatTest, PieceCanBeCheckedFromAnyBlockOn) {
  ASSERT_OK_AND_ASSIGN(std::string bytes,
                       EncodeSnapshotFile(At(7, 1000), SampleVoters(), SampleBody(300'000)));
  const SnapshotHead head = ParseInPieces(bytes, bytes.size()).head;
  for (uint64_t number = 0; number < 5; ++number) {
    const uint64_t at = head.BlockAt(number);
    EXPECT_EQ(head.BlockOf(at), number);
    EXPECT_EQ(head.BlockOf(at - 1 + kSnapshotBlockBytes), number);
    SnapshotParser parser(head, number, LoadLittle<uint32_t>(bytes.data() + at - 4));
    EXPECT_OK(parser.Add(Slice(bytes).substr(at)));
    EXPECT_OK(parser.CheckComplete());
  }
}

TEST(SnapshotFormatTest, ImpossibleSnapshotsAreNotMade) {
  EXPECT_THAT(EncodeSnapshotFile(EntryId{}, SampleVoters(), ""),
              HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(EncodeSnapshotFile(At(1, 1), SampleVoters(65), ""),
              HasCode(ErrorCode::kInvalidRequest));
  // Never looked at: only its size counts.
  const Slice huge(nullptr, kSnapshotBytesMax + 1);
  EXPECT_THAT(EncodeSnapshotFile(At(1, 1), SampleVoters(), huge),
              HasCode(ErrorCode::kInvalidRequest));
}

TEST(SnapshotFormatTest, NamesSayWhatTheyHoldAndSortByIndex) {
  EXPECT_EQ(SnapshotFileName(At(7, 1000)), "00000000000000001000-00000000000000000007.snapshot");
  EXPECT_EQ(ParseSnapshotFileName(SnapshotFileName(At(7, 1000))), At(7, 1000));
  EXPECT_LT(SnapshotFileName(At(9, 999)), SnapshotFileName(At(7, 1000)));
  const SnapshotId id{At(7, 1000), 4711, 0xab};
  EXPECT_EQ(ReceivedFileName(id),
            "00000000000000001000-00000000000000000007-00000000000000004711-000000ab.part");
  EXPECT_EQ(ParseReceivedFileName(ReceivedFileName(id)), id);
}

TEST(SnapshotFormatTest, FilesOfSnapshotsAreKnownByTheirNames) {
  EXPECT_TRUE(IsSnapshotPath(SnapshotFileName(At(7, 1000))));
  EXPECT_TRUE(IsSnapshotPath("some/where/" + SnapshotFileName(At(7, 1000))));
  EXPECT_TRUE(IsSnapshotPath(ReceivedFileName({At(7, 1000), 4711, 0xab})));
  EXPECT_FALSE(IsSnapshotPath(kUnfinishedSnapshotName));
  EXPECT_FALSE(IsSnapshotPath("00000000000000000001.wal"));
  // Of the producers of a partition.
  EXPECT_FALSE(IsSnapshotPath("orders-0/00000000000000000002.snapshot"));
}

TEST(SnapshotFormatTest, OtherNamesAreNone) {
  for (const char* name : {"", "x.snapshot", "1-1.snapshot", "unfinished.tmp",
                           "0000000000000000100x-00000000000000000007.snapshot",
                           "99999999999999999999-00000000000000000007.snapshot",
                           "00000000000000001000-00000000000000000007.snapshot~"}) {
    EXPECT_EQ(ParseSnapshotFileName(name), std::nullopt) << name;
  }
  for (const char* name :
       {"", ".part", "00000000000000001000-00000000000000000007.part",
        "00000000000000001000-00000000000000000007-00000000000000004711-000000AB.part",
        "00000000000000001000-00000000000000000007-00000000000000004711-0xab.part"}) {
    EXPECT_EQ(ParseReceivedFileName(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace millrace::raft
