// Deliberate bugs in the replica core, each found by the simulated replicas. Built with
// MILLRACE_MUTANTS; each mutant lives in a process of its own, since some end it by a CHECK. Prints
// the table: mutant, seeds needed, what was violated.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/mutant.h"
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
    "replica.silent-members-not-counted",
    "replica.staged-counts",
    "replica.stays-attached-over-epochs",
    "replica.told-once-for-ever",
    "replica.two-changes-in-flight",
    "replica.unknown-is-refused",
    "replica.waiters-outlive-the-epoch",
    "replica.written-counts-as-durable",
};

// Ends the process: 1 if the mutant was found, 0 if it survived.
[[noreturn]] void Hunt(const std::string& mutant) {
  TestSwitches::Get().SetMutant(mutant);
  for (uint64_t seed = 1; seed <= kSeedsMax; ++seed) {
    const ReplicaWorld::Result result = ReplicaWorld::Run(seed);
    if (result.violation.empty()) continue;
    std::printf("%-40s %5llu  %s\n", mutant.c_str(), static_cast<unsigned long long>(seed),
                result.violation.substr(0, 160).c_str());
    std::fflush(stdout);
    std::_Exit(1);
  }
  std::_Exit(0);
}

class ReplicaMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ReplicaMutantTest, IsFound) {
  const std::string mutant = GetParam();
  const auto found = [&mutant](int status) {
    const bool by_check = (status & 0x7f) != 0;
    if (by_check) std::printf("%-40s        a CHECK of the program\n", mutant.c_str());
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
INSTANTIATE_TEST_SUITE_P(Replica, ReplicaMutantTest, ::testing::ValuesIn(kMutants), NameOf);

TEST(ReplicaMutants, NoneAliveNothingIsFound) {
  TestSwitches::Get().SetMutant("");
  for (uint64_t seed = 1; seed <= 30; ++seed) EXPECT_EQ(ReplicaWorld::Run(seed).violation, "");
  // Each site of the table exists, and is reached.
  for (const char* mutant : kMutants) {
    EXPECT_GT(TestSwitches::Get().mutants().count(mutant), 0u) << mutant;
  }
}

}  // namespace
}  // namespace millrace::broker
