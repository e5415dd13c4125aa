#include "node/founding_file.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "base/posix_file_system.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::node {
namespace {

using raft::FoundingPhase;
using raft::FoundingRecord;
using raft::Voter;
using ::testing::HasSubstr;

std::vector<Voter> Set(std::vector<std::pair<int32_t, uint64_t>> ids) {
  std::vector<Voter> voters;
  for (const auto& [node, directory] : ids) {
    voters.push_back({.id = {NodeId(node), DirectoryId(Uuid(7, directory))},
                      .address = absl::StrCat("host", node, ".example:9093")});
  }
  return voters;
}
FoundingRecord Prepared() {
  return {.phase = FoundingPhase::kPrepared,
          .voters = Set({{1, 10}, {2, 20}, {3, 31}}),
          .cluster_id = {},
          .replaced = {Set({{1, 10}, {2, 20}, {3, 29}}), Set({{1, 10}, {2, 20}, {3, 30}})}};
}
FoundingRecord Founded() {
  return {.phase = FoundingPhase::kFounded,
          .voters = Set({{1, 10}, {2, 20}, {3, 30}}),
          .cluster_id = raft::FoundingClusterId(Set({{1, 10}, {2, 20}, {3, 30}})),
          .replaced = {}};
}
FoundingRecord Joined() {
  return {.phase = FoundingPhase::kFounded,
          .voters = {},
          .cluster_id = ClusterId(Uuid(1, 2)),
          .replaced = {}};
}

FoundingRecord Recovered() {
  FoundingRecord record = Joined();
  record.generation = 3;
  return record;
}

class FoundingFileTest : public ::testing::Test {
 protected:
  FoundingFileTest() {
    EXPECT_TRUE(files_.CreateDirectory("metadata").ok());
    files_.SyncAll();
  }
  absl::StatusOr<FoundingRecord> Read(ClusterId cluster_id = {}) {
    return ReadFoundingFile(files_, "metadata", cluster_id);
  }

  sim::SimFileSystem files_;
  sim::SimRandom random_{7};
};

TEST_F(FoundingFileTest, ADirectoryThatPromisedNothingIsEmpty) {
  EXPECT_EQ(Read().value(), FoundingRecord());
}

TEST_F(FoundingFileTest, WhatIsWrittenIsReadAgain) {
  for (const FoundingRecord& record :
       {FoundingRecord(), Prepared(), Founded(), Joined(), Recovered()}) {
    ASSERT_TRUE(WriteFoundingFile(files_, "metadata", record).ok());
    EXPECT_EQ(Read().value(), record);
  }
}

TEST_F(FoundingFileTest, S18APromiseIsDurableOnceWrittenAndNeverHalfThere) {
  ASSERT_TRUE(WriteFoundingFile(files_, "metadata", Prepared()).ok());
  std::vector<std::unique_ptr<sim::SimFileSystem>> images;
  const auto crash = [&] {
    for (const auto mode :
         {sim::CrashMode::kKeepAll, sim::CrashMode::kLoseAll, sim::CrashMode::kTorn}) {
      images.push_back(files_.CrashImage(mode, random_));
    }
  };
  files_.SetOnCall([&](const sim::SimCall&) { crash(); });
  ASSERT_TRUE(WriteFoundingFile(files_, "metadata", Founded()).ok());
  files_.SetOnCall(nullptr);
  EXPECT_GE(images.size(), 12u);
  for (const auto& image : images) {
    const FoundingRecord found = ReadFoundingFile(*image, "metadata", {}).value();
    EXPECT_TRUE(found == Prepared() || found == Founded());
  }
  const auto after = files_.CrashImage(sim::CrashMode::kLoseAll, random_);
  EXPECT_EQ(ReadFoundingFile(*after, "metadata", {}).value(), Founded());
}

TEST_F(FoundingFileTest, EveryBitThatFlipsIsNoticed) {
  const std::string text = EncodeFoundingFile(Prepared()).value();
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string damaged = text;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeFoundingFile(damaged, "f").ok()) << bit;
  }
}

TEST_F(FoundingFileTest, AFailedWriteIsSaid) {
  files_.FailSyncs(true);
  EXPECT_FALSE(WriteFoundingFile(files_, "metadata", Prepared()).ok());
}

TEST_F(FoundingFileTest, AnAddressThatWouldNotComeBackIsNotWritten) {
  FoundingRecord record = Prepared();
  record.voters[1].address = "h:1\nvoter=9";
  EXPECT_EQ(CodeOf(EncodeFoundingFile(record).status()), ErrorCode::kInvalidRequest);
}

TEST_F(FoundingFileTest, ADirectoryOfAClusterFromBeforeIsFoundedWithoutASet) {
  EXPECT_EQ(Read(ClusterId(Uuid(1, 2))).value(), Joined());
  ASSERT_TRUE(WriteFoundingFile(files_, "metadata", Founded()).ok());
  EXPECT_EQ(Read(Founded().cluster_id).value(), Founded());
}

TEST_F(FoundingFileTest, ADirectoryOfTwoClustersIsRefused) {
  for (const FoundingRecord& record : {Prepared(), Founded()}) {
    ASSERT_TRUE(WriteFoundingFile(files_, "metadata", record).ok());
    const absl::Status status = Read(ClusterId(Uuid(1, 2))).status();
    EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidDirectory);
    EXPECT_THAT(std::string(status.message()), HasSubstr(ClusterId(Uuid(1, 2)).ToString()));
  }
}

TEST_F(FoundingFileTest, PartsThatDoNotFitAreDamage) {
  FoundingRecord record = Founded();
  record.cluster_id = ClusterId(Uuid(1, 2));
  EXPECT_EQ(CodeOf(DecodeFoundingFile(EncodeFoundingFile(record).value(), "f").status()),
            ErrorCode::kCorruptLog);
  record = Prepared();
  std::swap(record.voters[0], record.voters[1]);
  EXPECT_FALSE(DecodeFoundingFile(EncodeFoundingFile(record).value(), "f").ok());
}

// Version 1 stays readable.
TEST(FoundingFileGolden, TheBytesOfVersion1) {
  PosixFileSystem files;
  const struct {
    const char* name;
    FoundingRecord record;
  } cases[] = {{"founding_v1_prepared", Prepared()},
               {"founding_v1_founded", Founded()},
               {"founding_v1_joined", Joined()}};
  for (const auto& c : cases) {
    const std::string path = absl::StrCat("node/testdata/", c.name);
    const absl::StatusOr<std::string> bytes = ReadWholeFile(files, path, 1 << 20);
    ASSERT_TRUE(bytes.ok()) << path;
    EXPECT_EQ(EncodeFoundingFile(c.record).value(), *bytes) << path;
    EXPECT_EQ(DecodeFoundingFile(*bytes, path).value(), c.record) << path;
  }
}

}  // namespace
}  // namespace millrace::node
