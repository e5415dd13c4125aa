// Deliberate bugs in the replica core, each found by the simulated replicas. Built with
// MILLRACE_MUTANTS; each mutant lives in a process of its own, since some end it by a CHECK. Prints
// the table: mutant, seeds needed, what was violated.
#include <cstdint>
#include <string>

#include "base/testing/mutant_hunt.h"
#include "broker/testing/replica_world.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

constexpr uint64_t kSeedsMax = 60000;

constexpr const char* kMutants[] = {
    "replica.all-is-the-leader",
    "replica.answer-of-any-attach",
    "replica.cuts-to-high-watermark",
    "replica.divergence-not-checked",
    "replica.diverging-not-cut",
    "replica.follower-says-out-of-range",
    "replica.high-watermark-before-cut",
    "replica.high-watermark-beyond-end",
    "replica.high-watermark-falls",
    "replica.high-watermark-not-pushed",
    "replica.high-watermark-under-min",
    "replica.joins-below-epoch-start",
    "replica.joins-below-high-watermark",
    "replica.latest-goes-backwards",
    "replica.leads-in-any-epoch",
    "replica.lost-stream-not-noticed",
    "replica.names-later-runs",
    "replica.older-answer-counts",
    "replica.older-image-counts",
    "replica.positions-of-any-attach",
    "replica.positions-outlive-the-epoch",
    "replica.proposed-counts-for-min",
    "replica.proposed-not-counted",
    "replica.push-of-any-attach",
    "replica.refusal-keeps-the-union",
    "replica.serves-beyond-high-watermark",
    "replica.serves-unattached",
    "replica.silent-members-not-counted",
    "replica.staged-counts",
    "replica.stays-attached-over-epochs",
    "replica.told-once-for-ever",
    "replica.two-changes-in-flight",
    "replica.unknown-is-refused",
    "replica.waiters-outlive-the-epoch",
    "replica.written-counts-as-durable",
};

// In worlds where brokers are cut off from the controllers alone (S-33).
constexpr const char* kMutantsCutOff[] = {
    "replica.confirmed-under-min",
    "replica.one-confirms-for-all",
    "replica.serves-when-cut-off",
};

// In worlds where min.insync.replicas is raised and lowered.
constexpr const char* kMutantsOfTheMinimum[] = {
    "replica.answer-without-its-minimum",
};

// In worlds where records are deleted (KIP-107).
constexpr const char* kMutantsOfDeletions[] = {
    "replica.deletes-alone",
    "replica.deletes-under-min",
    "replica.joins-with-what-was-deleted",
};

std::string ViolationOfSeed(uint64_t seed) { return ReplicaWorld::Run(seed).violation; }
std::string ViolationWithCutOffs(uint64_t seed) {
  return ReplicaWorld::RunWithCutOffs(seed).violation;
}

std::string ViolationWithMinChanges(uint64_t seed) {
  return ReplicaWorld::RunWithMinChanges(seed).violation;
}

std::string ViolationWithDeletions(uint64_t seed) {
  return ReplicaWorld::RunWithDeletions(seed).violation;
}

class ReplicaMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ReplicaMutantTest, IsFound) { ExpectFoundBySeeds(GetParam(), kSeedsMax, &ViolationOfSeed); }
INSTANTIATE_TEST_SUITE_P(Replica, ReplicaMutantTest, ::testing::ValuesIn(kMutants), MutantTestName);

class ReplicaCutOffMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ReplicaCutOffMutantTest, IsFound) {
  ExpectFoundBySeeds(GetParam(), kSeedsMax, &ViolationWithCutOffs);
}
INSTANTIATE_TEST_SUITE_P(Replica, ReplicaCutOffMutantTest, ::testing::ValuesIn(kMutantsCutOff),
                         MutantTestName);

class ReplicaMinimumMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ReplicaMinimumMutantTest, IsFound) {
  ExpectFoundBySeeds(GetParam(), kSeedsMax, &ViolationWithMinChanges);
}
INSTANTIATE_TEST_SUITE_P(Replica, ReplicaMinimumMutantTest,
                         ::testing::ValuesIn(kMutantsOfTheMinimum), MutantTestName);

class ReplicaDeletionMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ReplicaDeletionMutantTest, IsFound) {
  ExpectFoundBySeeds(GetParam(), kSeedsMax, &ViolationWithDeletions);
}
INSTANTIATE_TEST_SUITE_P(Replica, ReplicaDeletionMutantTest,
                         ::testing::ValuesIn(kMutantsOfDeletions), MutantTestName);

TEST(ReplicaMutants, NoneAliveNothingIsFound) {
  ExpectNothingIsFoundWithoutMutants(kMutants, 30, &ViolationOfSeed);
  ExpectNothingIsFoundWithoutMutants(kMutantsCutOff, 300, &ViolationWithCutOffs);
  ExpectNothingIsFoundWithoutMutants(kMutantsOfTheMinimum, 300, &ViolationWithMinChanges);
  ExpectNothingIsFoundWithoutMutants(kMutantsOfDeletions, 300, &ViolationWithDeletions);
}

}  // namespace
}  // namespace millrace::broker
