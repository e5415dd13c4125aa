// Deliberate bugs in controller, host, WAL, snapshot store and state machine host, each found by
// the simulated quorum. Each lives in a process of its own, since some end it by a CHECK. Prints
// the table: mutant, seeds needed, who found it.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/log.h"
#include "base/mutant.h"
#include "gtest/gtest.h"
#include "test/sim/quorum_scenario.h"

namespace millrace::sim {
namespace {

constexpr uint64_t kSeedsMax = 2000;

constexpr const char* kMutants[] = {
    "controller.request-not-remembered",
    "controller.retry-decided-anew",
    "host.entry-dropped",
    "host.founders-not-written",
    "host.hard-state-not-written",
    "host.leads-before-its-no-op",
    "host.log-not-restarted",
    "host.lost-leadership-untold",
    "host.peers-not-updated",
    "host.persisted-too-early",
    "host.promises-sent-at-once",
    "host.snapshot-not-verified",
    "host.snapshot-of-an-entry-before",
    "host.voters-not-written",
    "host.wal-released-too-far",
    "rsm.answered-before-commit",
    "rsm.read-forgets-what-it-saw",
    "rsm.read-without-round",
    "rsm.refusal-not-read",
    "rsm.unknown-told-as-refused",
    "rsm.waiters-keyed-by-index",
    "store.name-not-synced",
    "store.reception-not-synced",
    "store.snapshot-not-synced",
    "wal.damage-taken-for-a-torn-tail",
    "wal.last-group-not-written-again",
    "wal.names-not-synced",
    "wal.never-sealed",
    "wal.not-synced",
    "wal.recycled-bytes-count",
    "wal.segment-without-voters",
    "wal.sync-tried-again",
    "wal.torn-tail-taken-for-damage",
};

// Ends the process: 1 if the mutant was found, 0 if it survived.
[[noreturn]] void Hunt(const std::string& mutant) {
  LogCapture quiet(LogLevel::kError);
  TestSwitches::Get().SetMutant(mutant);
  for (uint64_t seed = 1; seed <= kSeedsMax; ++seed) {
    const QuorumRun run = RunQuorumSeed(seed);
    if (run.violation.empty()) continue;
    std::printf("%-36s %5llu  %s\n", mutant.c_str(), static_cast<unsigned long long>(seed),
                run.violation.substr(0, 160).c_str());
    std::fflush(stdout);
    std::_Exit(1);
  }
  std::_Exit(0);
}

class QuorumMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(QuorumMutantTest, IsFound) {
  const std::string mutant = GetParam();
  const auto found = [&mutant](int status) {
    const bool by_check = (status & 0x7f) != 0;
    if (by_check) std::printf("%-36s        a CHECK of the program\n", mutant.c_str());
    return status != 0;
  };
  EXPECT_EXIT(Hunt(mutant), found, "") << mutant << " survives " << kSeedsMax << " seeds";
}

std::string NameOf(const ::testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (c == '.' || c == '-') c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Quorum, QuorumMutantTest, ::testing::ValuesIn(kMutants), NameOf);

TEST(QuorumMutants, NoneAliveNothingIsFound) {
  LogCapture quiet(LogLevel::kError);
  TestSwitches::Get().SetMutant("");
  for (uint64_t seed = 1; seed <= 200; ++seed) EXPECT_EQ(RunQuorumSeed(seed).violation, "");
  // Each site of the table exists, and is reached.
  for (const char* mutant : kMutants) {
    EXPECT_GT(TestSwitches::Get().mutants().count(mutant), 0u) << mutant;
  }
}

}  // namespace
}  // namespace millrace::sim
