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
  void SetUp() override {
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

}  // namespace
}  // namespace millrace::storage
