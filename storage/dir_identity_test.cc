#include "storage/dir_identity.h"

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/crc32c.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

const ClusterId kCluster(Uuid(1, 2));
constexpr NodeId kNode(3);

// The same text as a later version would begin it, its checksum right.
std::string OfVersionTwo(const std::string& text) {
  const size_t crc_at = text.rfind("# crc32c");
  std::string newer = absl::StrReplaceAll(text.substr(0, crc_at), {{" 1\n", " 2\n"}});
  absl::StrAppendFormat(&newer, "# crc32c %08x\n", Crc32c(newer));
  return newer;
}

class DirIdentityTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(files_.CreateDirectory("data")); }
  void Write(const std::string& name, const std::string& contents) {
    ASSERT_OK(ReplaceFile(files_, JoinPath("data", name), contents));
  }
  absl::StatusOr<std::optional<DirIdentity>> Check() {
    return CheckDirIdentity(files_, "data", kCluster, kNode);
  }
  sim::SimFileSystem files_;
  const DirIdentity identity_{kCluster, kNode, DirectoryId(Uuid(7, 8))};
};

TEST_F(DirIdentityTest, WhatIsWrittenIsRead) {
  EXPECT_EQ(DecodeDirIdentity(EncodeDirIdentity(identity_), "p").value(), identity_);
  for (const bool suspect : {false, true}) {
    const OpenRecord record{BrokerEpoch(12), suspect};
    EXPECT_EQ(DecodeOpenRecord(EncodeOpenRecord(record), "p").value(), record);
  }
  CleanShutdown shutdown;
  shutdown.broker_epoch = BrokerEpoch(12);
  EXPECT_EQ(DecodeCleanShutdown(EncodeCleanShutdown(shutdown), "p").value(), shutdown);
  shutdown.log_ends[LogFixture::Partition(0)] = Offset(5);
  shutdown.log_ends[LogFixture::Partition(7)] = Offset(0);
  EXPECT_EQ(DecodeCleanShutdown(EncodeCleanShutdown(shutdown), "p").value(), shutdown);
}

TEST_F(DirIdentityTest, OneFileIsNotTakenForAnother) {
  const std::string record = EncodeOpenRecord({BrokerEpoch(1), false});
  EXPECT_THAT(DecodeDirIdentity(record, "p"), HasCode(ErrorCode::kInvalidDirectory));
  EXPECT_THAT(DecodeCleanShutdown(record, "p"), HasCode(ErrorCode::kInvalidDirectory));
  EXPECT_THAT(DecodeOpenRecord(EncodeDirIdentity(identity_), "p"),
              HasCode(ErrorCode::kInvalidDirectory));
}

TEST_F(DirIdentityTest, AnEmptyDirectoryMayBeTaken) {
  ASSERT_OK_AND_ASSIGN(const auto found, Check());
  EXPECT_EQ(found, std::nullopt);
}

TEST_F(DirIdentityTest, WhatAnInterruptedCreationLeavesMayBeTaken) {
  for (const char* name : {".lock", "partitions", "sync-journal", "meta.properties.tmp"}) {
    Write(name, "");
  }
  ASSERT_OK(files_.CreateDirectory("data/lost+found"));
  ASSERT_OK_AND_ASSIGN(const auto found, Check());
  EXPECT_EQ(found, std::nullopt);
}

TEST_F(DirIdentityTest, SomebodyElsesFilesAreRefusedByName) {
  Write("thesis.txt", "");
  EXPECT_THAT(Check(), IsError(ErrorCode::kInvalidDirectory, "thesis.txt"));
}

TEST_F(DirIdentityTest, OursIsRecognised) {
  Write("meta.properties", EncodeDirIdentity(identity_));
  Write("thesis.txt", "");
  ASSERT_OK_AND_ASSIGN(const auto found, Check());
  EXPECT_EQ(found, identity_);
}

TEST_F(DirIdentityTest, AnotherClustersOrNodesIsRefused) {
  Write("meta.properties", EncodeDirIdentity({ClusterId(Uuid(9, 9)), kNode, {}}));
  EXPECT_THAT(Check(), HasCode(ErrorCode::kInconsistentClusterId));
  Write("meta.properties", EncodeDirIdentity({kCluster, NodeId(4), {}}));
  EXPECT_THAT(Check(), IsError(ErrorCode::kInconsistentNodeId, "belongs to node 4"));
}

TEST_F(DirIdentityTest, ANewerFormatIsRefusedAndNotCalledDamage) {
  Write("meta.properties", OfVersionTwo(EncodeDirIdentity(identity_)));
  EXPECT_THAT(Check(), HasCode(ErrorCode::kUnsupportedFormatVersion));
  EXPECT_THAT(DecodeOpenRecord(OfVersionTwo(EncodeOpenRecord({})), "p"),
              HasCode(ErrorCode::kUnsupportedFormatVersion));
  EXPECT_THAT(DecodeCleanShutdown(OfVersionTwo(EncodeCleanShutdown({})), "p"),
              HasCode(ErrorCode::kUnsupportedFormatVersion));
}

TEST_F(DirIdentityTest, EveryFlippedBitOfTheIdentityIsNoticed) {
  Write("meta.properties", EncodeDirIdentity(identity_));
  for (size_t bit = 0; bit < EncodeDirIdentity(identity_).size() * 8; ++bit) {
    files_.FlipBit("data/meta.properties", bit);
    EXPECT_THAT(CodeOf(Check().status()),
                testing::AnyOf(ErrorCode::kCorruptLog, ErrorCode::kInvalidDirectory))
        << bit;
    files_.FlipBit("data/meta.properties", bit);
  }
}

TEST(HowItWasLeftTest, OnlyAStopOfTheLastEpochIsClean_S21) {
  sim::SimFileSystem files;
  ASSERT_OK(files.CreateDirectory("d"));
  ASSERT_OK_AND_ASSIGN(HowItWasLeft left, LoadHowItWasLeft(files, "d"));
  EXPECT_TRUE(left.clean) << "nothing was ever appended";
  ASSERT_OK(ReplaceFile(files, "d/open-record", EncodeOpenRecord({BrokerEpoch(7), false})));
  ASSERT_OK_AND_ASSIGN(left, LoadHowItWasLeft(files, "d"));
  EXPECT_FALSE(left.clean);
  EXPECT_EQ(left.open.broker_epoch, BrokerEpoch(7));
  for (const int64_t epoch : {6, 7}) {
    ASSERT_OK(
        ReplaceFile(files, "d/clean-shutdown", EncodeCleanShutdown({BrokerEpoch(epoch), {}})));
    ASSERT_OK_AND_ASSIGN(left, LoadHowItWasLeft(files, "d"));
    EXPECT_EQ(left.clean, epoch == 7);
  }
  files.FlipBit("d/open-record", 300);
  ASSERT_OK_AND_ASSIGN(left, LoadHowItWasLeft(files, "d"));
  EXPECT_FALSE(left.clean);
  EXPECT_TRUE(left.open.suspect);
  EXPECT_EQ(left.open.broker_epoch, kNoBrokerEpoch);
}

}  // namespace
}  // namespace millrace::storage
