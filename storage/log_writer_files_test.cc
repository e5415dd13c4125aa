#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/log_writer.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

class LogWriterFilesTest : public testing::Test {
 protected:
  void SetUp() override { Start(Durability::kDurable); }
  void Start(Durability durability) {
    world_.config.durability = durability;
    world_.config.retention_ms = 3'600'000;
    ASSERT_OK(world_.Open());
    ASSERT_OK(world_.Begin(1));
    for (int i = 0; i < 100; ++i) {
      ASSERT_OK_AND_ASSIGN(logs_.emplace_back(), world_.OpenLog(i));
    }
  }
  void TearDown() override {
    world_.files->SetFaults(nullptr);
    logs_.clear();
  }
  // Other calls find room, and no more files than are open now, and so many more, can be opened.
  void AllowMoreOpenFiles(int more) {
    const int open_max = world_.files->open_files() + more;
    world_.files->SetFaults([this, open_max](const sim::SimCall& call) {
      most_open_ = std::max(most_open_, world_.files->open_files());
      const bool opens =
          call.kind == sim::SimCall::Kind::kOpen || call.kind == sim::SimCall::Kind::kCreate;
      return opens && world_.files->open_files() >= open_max
                 ? std::optional(sim::SimFault::kNoSpace)
                 : std::nullopt;
    });
  }
  void StageOneToEach() {
    for (const auto& log : logs_) {
      ASSERT_OK(log->StageAsLeader(MakeBatch("v"), LeaderEpoch(1), world_.Now()).status());
    }
  }

  LogFixture world_;
  std::vector<std::unique_ptr<Log>> logs_;
  int most_open_ = 0;
};

// Each log has three files.
TEST_F(LogWriterFilesTest, MoreLogsThanFilesMayBeOpenAreWrittenOneAfterTheOther) {
  const int before = world_.files->open_files();
  AllowMoreOpenFiles(20);
  // The second time the files are there, and closed.
  for (int64_t end = 1; end <= 2; ++end) {
    ASSERT_NO_FATAL_FAILURE(StageOneToEach());
    world_.Run(absl::Seconds(1));
    for (const auto& log : logs_) ASSERT_EQ(log->durable_offset(), Offset(end));
  }
  EXPECT_EQ(most_open_, before + 20);
  EXPECT_FALSE(world_.dir->failed());
}

// A roll opens what it seals, and then the next segment.
TEST_F(LogWriterFilesTest, MoreLogsThanFilesMayBeOpenAreRolledOneAfterTheOther) {
  ASSERT_NO_FATAL_FAILURE(StageOneToEach());
  world_.Run(absl::Hours(2));
  AllowMoreOpenFiles(20);
  for (const auto& log : logs_) {
    log->SetHighWatermark(log->end_offset());
    ASSERT_EQ(log->Housekeep(world_.Now()), 1);
  }
  world_.Run(absl::Seconds(1));
  for (const auto& log : logs_) ASSERT_EQ(log->durable_log_start(), Offset(1));
  EXPECT_FALSE(world_.dir->failed());
}

TEST_F(LogWriterFilesTest, WhereNotOneLogsFilesCanBeOpenAllWaitUntilTheyCan) {
  AllowMoreOpenFiles(2);
  ASSERT_NO_FATAL_FAILURE(StageOneToEach());
  world_.Run(absl::Seconds(1));
  for (const auto& log : logs_) ASSERT_EQ(log->durable_offset(), Offset(0));
  EXPECT_FALSE(world_.dir->failed());
  AllowMoreOpenFiles(3);
  world_.Run(absl::Seconds(1));
  for (const auto& log : logs_) ASSERT_EQ(log->durable_offset(), Offset(1));
}

// What they have written is not synced, and the next one is not to wait for that.
class LogWriterUnsyncedFilesTest : public LogWriterFilesTest {
 protected:
  void SetUp() override { Start(Durability::kReplicated); }
};

TEST_F(LogWriterUnsyncedFilesTest, MoreLogsThanFilesMayBeOpenAreWrittenOneAfterTheOther) {
  AllowMoreOpenFiles(20);
  for (int64_t end = 1; end <= 2; ++end) {
    ASSERT_NO_FATAL_FAILURE(StageOneToEach());
    world_.Run(absl::Seconds(1));
    for (const auto& log : logs_) ASSERT_EQ(log->written_offset(), Offset(end));
  }
  EXPECT_FALSE(world_.dir->failed());
  // Those that were closed for others are synced, and their owners know.
  const auto durable = std::count_if(logs_.begin(), logs_.end(), [](const auto& log) {
    return log->durable_offset() == Offset(2);
  });
  EXPECT_GE(durable, 90);
  EXPECT_LT(durable, 100) << "the last ones are still open";
}

}  // namespace
}  // namespace millrace::storage
