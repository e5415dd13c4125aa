// Deliberate bugs of the controller, the disks and the broker around its replicas, which only a
// whole cluster shows: each is found by its simulation. Those of the replica core have a world of
// their own (broker/replica_mutants_test.cc). Each mutant lives in a process of its own, since some
// end it by a CHECK. Prints the table: mutant, seeds needed, what was violated.
#include <cstdint>
#include <string>

#include "base/log.h"
#include "base/testing/mutant_hunt.h"
#include "gtest/gtest.h"
#include "test/sim/cluster_world.h"

namespace millrace::sim {
namespace {

// What mostly needs more than a hundred is left to the test of its rule (mutants_test.cc of broker,
// controller, storage).
constexpr uint64_t kSeedsMax = 1000;

constexpr const char* kMutants[] = {
    "broker.nothing-made-anew",
    "broker.stream-follows-leader-at-once",
    "controller.eligible-beside-enough-in-sync",
    "controller.missing-directory-keeps-its-seat",
    "controller.suspect-keeps-its-seat",
    "storage.damage-served",
    "storage.deletion-finished-on-what-came-back",
    "storage.epochs-forgotten",
    "storage.producers-forgotten",
    "storage.stop-taken-for-clean",
};

std::string ViolationOfSeed(uint64_t seed) {
  const LogCapture quiet(LogLevel::kError);
  ClusterWorld world(ClusterOptionsOf(seed));
  return std::string(world.Run().message());
}

class ClusterMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ClusterMutantTest, IsFound) { ExpectFoundBySeeds(GetParam(), kSeedsMax, &ViolationOfSeed); }
INSTANTIATE_TEST_SUITE_P(Cluster, ClusterMutantTest, ::testing::ValuesIn(kMutants), MutantTestName);

TEST(ClusterMutants, NoneAliveNothingIsFound) {
  ExpectNothingIsFoundWithoutMutants(kMutants, 30, &ViolationOfSeed);
}

}  // namespace
}  // namespace millrace::sim
