#include "test/sim/world.h"

#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/numbers.h"
#include "base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::sim {
namespace {

// MILLRACE_SEED repeats one seed, MILLRACE_SEEDS runs more than CI does.
uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  uint64_t value = 0;
  const char* text = std::getenv(name);
  return text != nullptr && absl::SimpleAtoi(text, &value) ? value : otherwise;
}

// One seed's log lines help; those of hundreds only hide the failure.
class WorldTest : public ::testing::Test {
 protected:
  WorldTest() {
    if (std::getenv("MILLRACE_SEED") == nullptr) quiet_.emplace(LogLevel::kError);
  }
  std::optional<LogCapture> quiet_;
};

TEST_F(WorldTest, OneSeedTwiceIsTheSameRun) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    World first({.seed = seed});
    World second({.seed = seed});
    EXPECT_EQ(first.Run().ToString(), second.Run().ToString());
    EXPECT_EQ(first.report().trace_hash, second.report().trace_hash) << "seed " << seed;
    EXPECT_EQ(first.report().acknowledged, second.report().acknowledged) << "seed " << seed;
  }
}

TEST_F(WorldTest, NoAcknowledgedRecordIsLostWhateverHappensToTheServer) {
  const uint64_t only = FromEnvironment("MILLRACE_SEED", 0);
  const uint64_t first = only != 0 ? only : 1;
  const uint64_t last = only != 0 ? only : FromEnvironment("MILLRACE_SEEDS", 200);
  std::map<std::string, int64_t> reached;
  int64_t acknowledged = 0;
  for (uint64_t seed = first; seed <= last; ++seed) {
    World world({.seed = seed});
    const absl::Status status = world.Run();
    ASSERT_TRUE(status.ok()) << "MILLRACE_SEED=" << seed << ": " << status;
    for (const auto& [what, count] : world.report().reached) reached[what] += count;
    acknowledged += world.report().acknowledged;
  }
  for (const auto& [what, count] : reached) RecordProperty(what, std::to_string(count));
  if (only != 0) return;
  // A run in which nothing happens proves nothing.
  EXPECT_GT(acknowledged, static_cast<int64_t>(last - first));
  for (const char* what : {"kill", "power-loss-0", "power-loss-1", "power-loss-2", "disk-error",
                           "full-disk", "clock-jump", "topic-created", "topic-deleted",
                           "records-deleted", "restart-after-failure"}) {
    EXPECT_GT(reached[what], 0) << what << " was never reached";
  }
}

}  // namespace
}  // namespace millrace::sim
