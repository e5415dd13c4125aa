#include "base/sim/sim_node.h"

#include "base/sim/sim_random.h"
#include "gtest/gtest.h"

namespace millrace::sim {
namespace {

std::string All(const SparseBytes& bytes) {
  std::string out(bytes.size(), 'x');
  EXPECT_EQ(bytes.Read(0, absl::MakeSpan(out)), bytes.size());
  return out;
}

TEST(SimNodeTest, WhateverTheHistoryASyncMakesTheCacheDurable) {
  SimRandom random(1);
  for (int run = 0; run < 200; ++run) {
    SimFileData file;
    for (int i = 0; i < 30; ++i) {
      const uint64_t offset = random.Below(12'000);
      switch (random.Below(4)) {
        case 0:
          file.Truncate(offset);
          break;
        case 1:
          file.ZeroFill(std::max(offset, file.cache().size()), random.Below(5000));
          break;
        case 2:
          file.Sync();
          ASSERT_EQ(All(file.durable()), All(file.cache()));
          break;
        default:
          file.Write(offset, std::string(random.Below(5000), static_cast<char>('a' + i % 26)));
      }
    }
    ASSERT_EQ(All(file.Crash(CrashMode::kKeepAll, random)), All(file.cache()));
    ASSERT_EQ(All(file.Crash(CrashMode::kLoseAll, random)), All(file.durable()));
    file.Sync();
    ASSERT_EQ(All(file.Crash(CrashMode::kTorn, random)), All(file.cache()));
  }
}

TEST(SimNodeTest, TornImageHoldsOldOrNewBytesOnly) {
  SimRandom random(2);
  for (int run = 0; run < 500; ++run) {
    SimFileData file;
    file.Write(0, std::string(3000, 'o'));
    file.Sync();
    for (int i = 0; i < 5; ++i) {
      file.Write(random.Below(6000), std::string(1 + random.Below(3000), 'n'));
    }
    const std::string torn = All(file.Crash(CrashMode::kTorn, random));
    ASSERT_GE(torn.size(), 3000u);
    ASSERT_LE(torn.size(), file.cache().size());
    for (size_t i = 0; i < torn.size(); ++i) {
      ASSERT_TRUE(torn[i] == 'n' || torn[i] == (i < 3000 ? 'o' : '\0')) << i;
    }
  }
}

TEST(SimNodeTest, PageGivenUpByAFailedSyncComesWithTheNextWriteToIt) {
  SimRandom random(1);
  SimFileData file;
  file.Write(0, std::string(8192, 'o'));
  file.Sync();
  file.Write(0, "lost");
  file.Write(4096, "lost");
  file.FailSync();
  file.Write(100, "new");
  file.Sync();
  const std::string disk = All(file.durable());
  EXPECT_EQ(disk.substr(0, 4), "lost");
  EXPECT_EQ(disk.substr(100, 3), "new");
  EXPECT_EQ(disk.substr(4096, 4), "oooo");
}

TEST(SimNodeTest, MuchDirtyDataIsWrittenBackUnasked) {
  SimFileData file;
  for (int i = 0; i < 20; ++i) file.Write(uint64_t(i) << 20, std::string(1 << 20, 'x'));
  EXPECT_LT(file.pending_bytes(), uint64_t{17} << 20);
  EXPECT_GT(file.durable().size(), uint64_t{10} << 20);
}

}  // namespace
}  // namespace millrace::sim
