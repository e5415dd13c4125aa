// Deliberate bugs of the leader that are found by the tests of the rules that they break: those run
// once more, with one of them alive. Most others are found by the simulated replicas
// (replica_mutants_test.cc).
#include "base/testing/mutant_hunt.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

constexpr const char* kMutants[] = {
    "replica.attaches-before-a-member",
    "replica.rises-while-the-level-is-raised",
};

class LeaderRoleMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(LeaderRoleMutantTest, IsFound) { ExpectFoundByTests(GetParam(), "-*LeaderRoleMutantTest*"); }
INSTANTIATE_TEST_SUITE_P(Leader, LeaderRoleMutantTest, ::testing::ValuesIn(kMutants),
                         MutantTestName);

}  // namespace
}  // namespace millrace::broker
