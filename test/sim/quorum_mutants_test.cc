// Deliberate bugs in controller, host, WAL, snapshot store and state machine host, each found by
// the simulated quorum. Each lives in a process of its own, since some end it by a CHECK. Prints
// the table: mutant, seeds needed, who found it.
#include <cstdint>
#include <string>

#include "base/log.h"
#include "base/testing/mutant_hunt.h"
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
    "host.replaced-at-once",
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

std::string ViolationOfSeed(uint64_t seed) {
  const LogCapture quiet(LogLevel::kError);
  return RunQuorumSeed(seed).violation;
}

class QuorumMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(QuorumMutantTest, IsFound) { ExpectFoundBySeeds(GetParam(), kSeedsMax, &ViolationOfSeed); }
INSTANTIATE_TEST_SUITE_P(Quorum, QuorumMutantTest, ::testing::ValuesIn(kMutants), MutantTestName);

TEST(QuorumMutants, NoneAliveNothingIsFound) {
  ExpectNothingIsFoundWithoutMutants(kMutants, 200, &ViolationOfSeed);
}

}  // namespace
}  // namespace millrace::sim
