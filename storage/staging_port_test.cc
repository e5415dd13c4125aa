#include "storage/staging_port.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/log_writer.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

class StagingPortTest : public testing::Test {
 protected:
  void Push(size_t bytes) {
    LogOp op;
    op.batches = Bytes::Copy(std::string(bytes, 'x'));
    port_->Push(std::move(op));
  }

  sim::SimLoop loop_{1};
  std::unique_ptr<sim::SimExecutor> shard_ = loop_.MakeExecutor("shard");
  std::unique_ptr<sim::SimExecutor> disk_ = loop_.MakeExecutor("disk");
  std::shared_ptr<LogDirFlags> flags_ = std::make_shared<LogDirFlags>();
  // Without a writer: what is sent is dropped, and stays counted.
  std::shared_ptr<StagingPort> port_ = std::make_shared<StagingPort>(
      shard_.get(), disk_.get(), std::weak_ptr<LogWriter>(), flags_, 1000);
};

TEST_F(StagingPortTest, AFullDirectoryTakesNothingUntilThereIsRoom) {
  flags_->full = true;
  EXPECT_THAT(port_->Admit(1), HasCode(ErrorCode::kStorageFull));
  flags_->full = false;
  EXPECT_OK(port_->Admit(1));
}

TEST_F(StagingPortTest, AFailedDirectoryTakesNothing) {
  flags_->failed = true;
  EXPECT_THAT(port_->Admit(1), HasCode(ErrorCode::kStorageError));
}

TEST_F(StagingPortTest, StagedBytesAreBoundedAndAPieceLargerThanTheBoundPassesAlone) {
  EXPECT_OK(port_->Admit(5000));
  Push(600);
  EXPECT_OK(port_->Admit(400));
  EXPECT_THAT(port_->Admit(401), HasCode(ErrorCode::kResourceExhausted));
  port_->Release(600);
  EXPECT_EQ(port_->staged_bytes(), 0);
  EXPECT_OK(port_->Admit(5000));
}

TEST_F(StagingPortTest, WhatOneWakeUpStagesTravelsInOneTask) {
  shard_->RunNow([&] {
    for (int i = 0; i < 10; ++i) Push(10);
  });
  EXPECT_EQ(shard_->pending(), 1u);
  EXPECT_EQ(disk_->pending(), 0u);
  ASSERT_TRUE(loop_.RunOne());
  EXPECT_EQ(shard_->pending(), 0u);
  EXPECT_EQ(disk_->pending(), 1u);
  ASSERT_TRUE(loop_.RunUntilIdle());
  // The next wake-up's goes too.
  Push(10);
  EXPECT_EQ(shard_->pending(), 1u);
  ASSERT_TRUE(loop_.RunUntilIdle());
}

}  // namespace
}  // namespace millrace::storage
