// Seeds of a whole simulated cluster: no acknowledged record is lost, whatever happens, and
// everything heals. A failing seed is printed; MILLRACE_SEED repeats it.
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/sim/seeds.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/sim/cluster_world.h"

namespace millrace::sim {
namespace {

// Two minutes of CPU in the release build, in two halves that run side by side.
// MILLRACE_CLUSTER_SEEDS runs more, from MILLRACE_FIRST_SEED on.
constexpr uint64_t kSeedsInCi = 2000;
constexpr int kParts = 2;

// Those that found a bug, and what it was.
const std::initializer_list<uint64_t> kFoundBugs = {
    1,     // A follower whose records were all deleted was told to begin anew again and again.
    274,   // Damage in the batch in which a log begins was asked for at an offset nobody has.
    1118,  // A snapshot of producers was back after a cut and a power loss: a false duplicate.
    3242,  // A log that was reset by a crash in between began behind its end: a hole was served.
    3970,  // A new replica attached before it was a member at the leader, and could never join.
    7825,  // A batch whose epoch had rotten was kept by a replica that began again.
};

// One seed's log lines help; those of hundreds only hide the failure.
class ClusterSim : public ::testing::Test {
 protected:
  ClusterSim() {
    if (!OnlySeed().has_value()) quiet_.emplace(LogLevel::kError);
  }
  std::optional<LogCapture> quiet_;
};
class ClusterSeeds : public ClusterSim, public ::testing::WithParamInterface<int> {};

ClusterOptions WithoutFaults(uint64_t seed) {
  return {.seed = seed,
          .duration = absl::Seconds(5),
          .kills = false,
          .power_losses = false,
          .clean_stops = false,
          .pauses = false,
          .cuts = false,
          .slow_disks = false,
          .disk_errors = false,
          .full_disks = false,
          .wipes = false,
          .log_damage = false};
}

// What the other tests tolerate is the faults'.
TEST_F(ClusterSim, WithoutFaultsEverythingIsAcknowledged) {
  ClusterWorld world(WithoutFaults(1));
  EXPECT_OK(world.Run());
  EXPECT_GT(world.report().acknowledged, 200);
  EXPECT_GT(world.report().acknowledged, world.report().produced / 2);
  EXPECT_GT(world.report().records_read, world.report().acknowledged);
}

TEST_F(ClusterSim, OneSeedTwiceIsTheSameRun) {
  for (uint64_t seed = 1; seed <= 3; ++seed) {
    ClusterWorld first(ClusterOptionsOf(seed));
    ClusterWorld second(ClusterOptionsOf(seed));
    EXPECT_EQ(first.Run().ToString(), second.Run().ToString());
    EXPECT_EQ(first.report().trace_hash, second.report().trace_hash) << "seed " << seed;
    EXPECT_EQ(first.report().acknowledged, second.report().acknowledged) << "seed " << seed;
  }
}

TEST_P(ClusterSeeds, NoAcknowledgedRecordIsLostAndEverythingHeals) {
  const bool only = OnlySeed().has_value();
  const bool first_part = GetParam() == 0;
  if (only && !first_part) GTEST_SKIP() << "one seed has one part";
  const uint64_t part = SeedSetting("MILLRACE_CLUSTER_SEEDS").value_or(kSeedsInCi) / kParts;
  const uint64_t first =
      SeedSetting("MILLRACE_FIRST_SEED").value_or(1) + static_cast<uint64_t>(GetParam()) * part;
  const std::vector<uint64_t> seeds = SeedsToRun(
      first_part ? kFoundBugs : std::initializer_list<uint64_t>{}, {.first = first, .count = part});
  std::map<std::string, int64_t> reached;
  int64_t acknowledged = 0;
  uint64_t events = 0;
  for (const uint64_t seed : seeds) {
    ClusterWorld world(ClusterOptionsOf(seed));
    const absl::Status status = world.Run();
    EXPECT_TRUE(status.ok())
        << status << "\nrepeat it with: bazel test --config=release //test/sim:cluster_sim_test "
        << "--test_env=MILLRACE_SEED=" << seed << " --test_output=all";
    if (only) std::printf("%s", world.report().logs.c_str());
    for (const auto& [what, count] : world.report().reached) reached[what] += count;
    acknowledged += world.report().acknowledged;
    events += world.report().events;
  }
  std::printf("%zu seeds, %llu to %llu: %llu events, %lld records acknowledged\n", seeds.size(),
              static_cast<unsigned long long>(seeds.front()),
              static_cast<unsigned long long>(seeds.back()),
              static_cast<unsigned long long>(events), static_cast<long long>(acknowledged));
  for (const auto& [what, count] : reached) {
    std::printf("  %s: %lld\n", what.c_str(), static_cast<long long>(count));
  }
  if (seeds.size() < 300) return;
  // Runs in which nothing happens prove nothing.
  EXPECT_GT(acknowledged, static_cast<int64_t>(seeds.size()) * 200);
  for (const char* what : {"acknowledged-after-retry",
                           "back-after-unregistering",
                           "back-as-it-was",
                           "all-read-nearby",
                           "clean-stop",
                           "clock-jump",
                           "committed-compared",
                           "cordon-lifted",
                           "cordoned",
                           "crash-in-call",
                           "crash-in-start",
                           "cut",
                           "cut-from-controllers",
                           "cut-one-way",
                           "decommission-INVALID_REPLICATION_FACTOR",
                           "decommission-moves",
                           "delete-records-NOT_ENOUGH_REPLICAS",
                           "delete-records-REQUEST_TIMED_OUT",
                           "deleted-is-gone",
                           "directory-error",
                           "disk-wiped",
                           "drained",
                           "drained-at-the-end",
                           "durability-lowered",
                           "durability-raised",
                           "durability-reached",
                           "elect-anyhow",
                           "elect-preferred",
                           "elected-among-last-copies",
                           "elected-without-proof",
                           "eligible-leader-elected",
                           "eligible-leaders",
                           "epoch-end-of-an-earlier-one",
                           "epoch-end-of-what-was-read",
                           "fetch-stream-lost",
                           "fetch-stream-seek",
                           "full-directory",
                           "full-disk",
                           "hung-disk",
                           "idempotent-NOT_ENOUGH_REPLICAS",
                           "idempotent-OUTCOME_UNKNOWN",
                           "idempotent-STORAGE_FULL",
                           "isolated",
                           "isr-grown",
                           "isr-shrunk",
                           "kill",
                           "log-dir-full",
                           "log-dir-full-of-a-follower",
                           "log-dir-restored",
                           "log-dir-wiped",
                           "log-dirs-restored",
                           "log-rotted",
                           "log-rotted-at-rest",
                           "log-rotted-of-the-leader",
                           "log-rotted-twice",
                           "millrace_controller_broker_sessions_ended_total",
                           "millrace_isr_expands_total",
                           "millrace_isr_shrinks_total",
                           "millrace_log_repaired_ranges_total",
                           "millrace_quorum_elections_won_total",
                           "min-isr-2",
                           "min-isr-3",
                           "no-leader",
                           "nobody-in-sync",
                           "other-leader",
                           "offsets-NOT_LEADER_OR_FOLLOWER",
                           "offsets-OFFSET_NOT_AVAILABLE",
                           "offsets-by-time",
                           "offsets-earliest",
                           "offsets-latest",
                           "offsets-none-by-time",
                           "partition-added",
                           "pause",
                           "power-loss-keep",
                           "power-loss-lose",
                           "power-loss-of-all",
                           "power-loss-torn",
                           "produce-NOT_ENOUGH_REPLICAS",
                           "produce-OUTCOME_UNKNOWN",
                           "produce-STORAGE_ERROR",
                           "produce-STORAGE_FULL",
                           "produce-passed-on",
                           "push",
                           "push-NOT_LEADER_OR_FOLLOWER",
                           "push-OFFSET_OUT_OF_RANGE",
                           "push-of-an-earlier-assignment",
                           "read-after-last-power-loss",
                           "read-at-follower",
                           "read-error",
                           "read-replica-named",
                           "reader-NOT_LEADER_OR_FOLLOWER",
                           "reader-at-follower-NOT_LEADER_OR_FOLLOWER",
                           "reassign-begun",
                           "reassign-over",
                           "reassign-taken-back",
                           "reader-behind-what-was-deleted",
                           "records-deleted",
                           "records-given-up",
                           "records-kept",
                           "replicas-compared",
                           "reset",
                           "restored-with-less",
                           "same-leader-anew",
                           "slow-disk",
                           "slow-link",
                           "stream-BROKER_NOT_AVAILABLE",
                           "stream-NOT_LEADER_OR_FOLLOWER",
                           "stream-OUTCOME_UNKNOWN",
                           "stream-REQUEST_TIMED_OUT",
                           "stream-STREAM_ORDER_BROKEN",
                           "stream-lost",
                           "stream-passed-on",
                           "stream-pipelined",
                           "stream-sent-again",
                           "still-drained",
                           "unclean-election-altered",
                           "unregistered",
                           "unregistered-at-the-end"}) {
    EXPECT_GT(reached[what], 0) << "never reached: " << what;
  }
}

INSTANTIATE_TEST_SUITE_P(Parts, ClusterSeeds, ::testing::Range(0, kParts));

}  // namespace
}  // namespace millrace::sim
