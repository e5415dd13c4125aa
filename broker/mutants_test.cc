// Deliberate bugs around the replicas that are found by the tests of the rules that they break:
// those run once more, with one of them alive.
#include "base/testing/mutant_hunt.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

constexpr const char* kMutants[] = {
    "broker.absent-is-deleted",
    "broker.damaged-is-relied-on",
    "broker.leads-as-an-earlier-run",
    "broker.nothing-made-anew",
    "broker.passed-on-after-failure",
    "broker.stream-follows-leader-at-once",
    "broker.stream-goes-on-after-failure",
    "broker.unknown-told-as-refused",
};

class BrokerMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(BrokerMutantTest, IsFound) { ExpectFoundByTests(GetParam(), "-*BrokerMutantTest*"); }
INSTANTIATE_TEST_SUITE_P(Broker, BrokerMutantTest, ::testing::ValuesIn(kMutants), MutantTestName);

}  // namespace
}  // namespace millrace::broker
