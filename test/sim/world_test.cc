#include "test/sim/world.h"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/sim/seeds.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::sim {
namespace {

// Some ten seconds of CPU in the release build. MILLRACE_SEEDS runs more.
constexpr uint64_t kSeedsInCi = 60;

// One seed's log lines help; those of hundreds only hide the failure.
class WorldTest : public ::testing::Test {
 protected:
  WorldTest() {
    if (!OnlySeed().has_value()) quiet_.emplace(LogLevel::kError);
  }
  std::optional<LogCapture> quiet_;
};

TEST_F(WorldTest, OneSeedTwiceIsTheSameRun) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    World first({.seed = seed});
    World second({.seed = seed});
    EXPECT_EQ(first.Run().ToString(), second.Run().ToString());
    EXPECT_EQ(first.report().trace_hash, second.report().trace_hash) << "seed " << seed;
    EXPECT_EQ(first.report().acknowledged, second.report().acknowledged) << "seed " << seed;
  }
}

// A clean machine loses nothing and refuses nothing: what the other tests tolerate is the faults'.
TEST_F(WorldTest, WithoutFaultsEverythingIsAcknowledged) {
  World world({.seed = 1,
               .kills = false,
               .power_losses = false,
               .clean_stops = false,
               .disk_errors = false,
               .full_disks = false,
               .bit_flips = false,
               .clock_jumps = false});
  EXPECT_OK(world.Run());
  EXPECT_GT(world.report().acknowledged, 5000);
  EXPECT_GT(world.report().acknowledged, world.report().produced * 8 / 10);
}

// Seeds that found a bug, by the rule that it broke. As the world changes, so does what a seed
// does: each bug has a unit test as well.
TEST_F(WorldTest, SeedsThatFoundBugsStayGood) {
  const std::pair<uint64_t, const char*> seeds[] = {
      {6, "S-05: a partition whose directory did not open was made anew, empty, in another"},
      {8, "S-09: a seal whose sync failed was not written again, and became a hole in the WAL"},
      {17, "S-08: a tail that only the page cache had was synced, not written again, and believed"},
      {37, "an abandoned broker kept its closing logs, and their files, for ever"},
  };
  for (const auto& [seed, rule] : seeds) {
    World world({.seed = seed});
    EXPECT_OK(world.Run()) << "MILLRACE_SEED=" << seed << ": " << rule;
  }
}

TEST_F(WorldTest, NoAcknowledgedRecordIsLostWhateverHappensToTheServer) {
  // Those that found bugs have a test of their own, above.
  const std::vector<uint64_t> seeds =
      SeedsToRun({}, {.count = SeedSetting("MILLRACE_SEEDS").value_or(kSeedsInCi)});
  std::map<std::string, int64_t> reached;
  int64_t acknowledged = 0;
  for (const uint64_t seed : seeds) {
    World world({.seed = seed});
    const absl::Status status = world.Run();
    ASSERT_TRUE(status.ok()) << "MILLRACE_SEED=" << seed << ": " << status;
    for (const auto& [what, count] : world.report().reached) reached[what] += count;
    acknowledged += world.report().acknowledged;
  }
  for (const auto& [what, count] : reached) RecordProperty(what, std::to_string(count));
  if (OnlySeed().has_value()) return;
  // A run in which nothing happens proves nothing.
  EXPECT_GT(acknowledged, static_cast<int64_t>(seeds.size() - 1) * 1000);
  for (const char* what : {"kill",
                           "power-loss-keep",
                           "power-loss-lose",
                           "power-loss-torn",
                           "crash-in-call",
                           "crash-in-start",
                           "clean-stop",
                           "disk-error",
                           "syncs-fail",
                           "directory-error",
                           "directory-full",
                           "full-disk",
                           "bit-flip",
                           "clock-jump",
                           "clock-drift",
                           "topic-created",
                           "topic-created-again",
                           "topic-deleted",
                           "partitions-added",
                           "config-altered",
                           "topic-checked",
                           "deletion-checked",
                           "records-deleted",
                           "restart-after-failure",
                           "stream-restart",
                           "push",
                           "read-after-last-power-loss"}) {
    EXPECT_GT(reached[what], 0) << what << " was never reached";
  }
}

}  // namespace
}  // namespace millrace::sim
