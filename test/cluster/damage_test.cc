// Bits that change on disk below what was acknowledged: the partition says so, by name, and never
// returns a byte that was not written; all other partitions are served.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/cluster/api_client.h"
#include "test/cluster/server_process.h"

namespace millrace::test {
namespace {

using testing::HasSubstr;

constexpr char kTopic[] = "damaged";
constexpr int kRecords = 50;

class DamageTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(server_.Start());
    ApiClient client(server_.address());
    ASSERT_OK(client.CreateTopic(kTopic, 2));
    for (int partition = 0; partition < 2; ++partition) {
      for (int i = 0; i < kRecords; ++i) {
        values_.push_back(absl::StrCat("record ", i, " ", std::string(500, 'd')));
        ASSERT_OK(client.ProduceValues(kTopic, partition, {values_.back()}));
      }
    }
    values_.resize(kRecords);
  }

  // Flips one bit in the middle of the records of partition 0.
  void FlipBit() {
    const std::string path = server_.PartitionDir(kTopic, 0) + "/00000000000000000000.log";
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    ASSERT_TRUE(file.good()) << path;
    const std::streamoff position = kRecords * 500 / 2;
    file.seekg(position);
    const char byte = static_cast<char>(file.get());
    file.seekp(position);
    file.put(static_cast<char>(byte ^ 0x10));
  }

  void ExpectOtherPartitionServes() {
    ApiClient client(server_.address());
    const auto values = client.ReadValues(kTopic, 1);
    ASSERT_OK(values);
    EXPECT_EQ(*values, values_);
    EXPECT_OK(client.ProduceValues(kTopic, 1, {"more"}));
  }

  ServerProcess server_;
  // Of either partition.
  std::vector<std::string> values_;
};

TEST_F(DamageTest, RecoveryAfterAKillPutsThePartitionOfflineInsteadOfCuttingIt) {
  server_.Kill();
  FlipBit();
  ASSERT_OK(server_.Start());
  ApiClient client(server_.address());
  EXPECT_THAT(client.Fetch(kTopic, 0, 0), HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(client.ProduceValues(kTopic, 0, {"x"}), HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(server_.log(), HasSubstr("CORRUPT_LOG"));
  EXPECT_THAT(server_.Run({"topic", "describe", kTopic}).out,
              HasSubstr("  partition 0 is offline on broker 1: "));
  ExpectOtherPartitionServes();
}

TEST_F(DamageTest, AReadAfterACleanStopFindsWhatNobodyHasCheckedSince) {
  ASSERT_EQ(server_.Stop().code, 0);
  FlipBit();
  ASSERT_OK(server_.Start());
  ApiClient client(server_.address());
  int64_t offset = 0;
  absl::Status damage;
  while (damage.ok()) {
    const auto result = client.Fetch(kTopic, 0, offset);
    damage = result.status();
    if (!result.ok()) break;
    for (const v1::Record& record : result->records()) {
      ASSERT_EQ(record.value(), values_[static_cast<size_t>(record.offset())]);
      offset = record.offset() + 1;
    }
    ASSERT_LT(offset, kRecords) << "the damage was not noticed";
  }
  EXPECT_THAT(damage, HasCode(ErrorCode::kCorruptLog));
  ExpectOtherPartitionServes();
}

TEST_F(DamageTest, LogDumpNamesThePosition) {
  ASSERT_EQ(server_.Stop().code, 0);
  const std::string directory = server_.PartitionDir(kTopic, 0);
  ProcessResult result = RunMillrace({"log", "dump", directory, "--records"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("record 49"));
  FlipBit();
  result = RunMillrace({"log", "dump", directory});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, testing::AllOf(HasSubstr("CORRUPT_LOG"), HasSubstr("position")));
}

TEST_F(DamageTest, ALostIndexIsRebuilt) {
  ASSERT_EQ(server_.Stop().code, 0);
  for (const char* name : {"/00000000000000000000.index", "/00000000000000000000.timeindex"}) {
    std::filesystem::remove(server_.PartitionDir(kTopic, 0) + name);
  }
  ASSERT_OK(server_.Start());
  const auto values = ApiClient(server_.address()).ReadValues(kTopic, 0);
  ASSERT_OK(values);
  EXPECT_EQ(*values, values_);
}

TEST_F(DamageTest, ALostSegmentIsDamageNotAnEmptyLog) {
  ASSERT_EQ(server_.Stop().code, 0);
  std::filesystem::remove_all(server_.PartitionDir(kTopic, 0));
  ASSERT_OK(server_.Start());
  ApiClient client(server_.address());
  const auto fetched = client.Fetch(kTopic, 0, 0);
  EXPECT_THAT(fetched, HasCode(ErrorCode::kCorruptLog));
  EXPECT_FALSE(client.ProduceValues(kTopic, 0, {"x"}).ok());
  ExpectOtherPartitionServes();
}

}  // namespace
}  // namespace millrace::test
