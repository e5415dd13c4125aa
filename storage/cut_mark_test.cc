#include "storage/cut_mark.h"

#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

using ::testing::Optional;

class CutMarkTest : public testing::Test {
 protected:
  CutMarkTest() { EXPECT_OK(files_.CreateDirectory("t-0")); }
  bool Mark(bool to_be_cut) {
    const absl::StatusOr<bool> marked = MarkIfCut(files_, "t-0", to_be_cut);
    EXPECT_OK(marked);
    return marked.ok() && *marked;
  }

  sim::SimFileSystem files_;
};

TEST_F(CutMarkTest, StaysUntilItIsRemoved) {
  EXPECT_FALSE(Mark(false));
  EXPECT_TRUE(Mark(true));
  EXPECT_TRUE(Mark(false));
  EXPECT_OK(RemoveCutMarks(files_, {"t-0", "t-1"}));
  EXPECT_FALSE(Mark(false));
}

TEST_F(CutMarkTest, IsDurableBeforeAnythingIsCut_S08) {
  files_.SyncAll();
  EXPECT_TRUE(Mark(true));
  sim::SimRandom random(1);
  const auto image = files_.CrashImage(sim::CrashMode::kLoseAll, random);
  EXPECT_TRUE(image->Exists("t-0/cut").value());
}

TEST_F(CutMarkTest, WhatTheDiskRefusesIsSaid) {
  files_.SetCapacity(0);
  files_.FailCallAt(files_.calls() + 1, sim::SimFault::kIoError, /*sticky=*/true);
  EXPECT_FALSE(MarkIfCut(files_, "t-0", true).ok());
  EXPECT_FALSE(RemoveCutMarks(files_, {"t-0"}).ok());
}

}  // namespace
}  // namespace millrace::storage
