// Deliberate bugs around the replicas that are found by the tests of the rules that they break:
// those run once more, with one of them alive.
#include "base/testing/mutant_hunt.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

constexpr const char* kMutants[] = {
    "broker.damaged-is-relied-on",
    "broker.leads-as-an-earlier-run",
    "broker.nothing-made-anew",
};

class ReconcilerMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ReconcilerMutantTest, IsFound) { ExpectFoundByTests(GetParam(), "-*ReconcilerMutantTest*"); }
INSTANTIATE_TEST_SUITE_P(Reconciler, ReconcilerMutantTest, ::testing::ValuesIn(kMutants),
                         MutantTestName);

}  // namespace
}  // namespace millrace::broker
