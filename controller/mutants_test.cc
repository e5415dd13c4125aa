// Deliberate bugs of the controller that are found by the tests of the rules that they break: those
// run once more, with one of them alive. Most of these bugs show in a cluster only where several
// things come together; what a cluster finds has a table of its own
// (test/sim/cluster_mutants_test.cc).
#include "base/testing/mutant_hunt.h"
#include "gtest/gtest.h"

namespace millrace::controller {
namespace {

constexpr const char* kMutants[] = {
    "controller.absent-is-trusted-as-it-comes-back",
    "controller.damaged-stays-eligible",
    "controller.done-before-in-sync",
    "controller.durable-while-raised",
    "controller.eligible-beside-enough-in-sync",
    "controller.eligible-though-not-trusted",
    "controller.eligible-under-a-lowered-minimum",
    "controller.fenced-broker-elected",
    "controller.fenced-broker-joins",
    "controller.impaired-keeps-its-seat",
    "controller.impaired-leads",
    "controller.joins-as-an-earlier-run",
    "controller.leads-again-in-its-epoch",
    "controller.missing-directory-keeps-its-seat",
    "controller.partition-epoch-not-compared",
    "controller.raised-beside-eligible",
    "controller.removal-keeps-the-epoch",
    "controller.seat-goes-to-another-directory",
    "controller.suspect-keeps-its-seat",
};

class ControllerMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(ControllerMutantTest, IsFound) { ExpectFoundByTests(GetParam(), "-*ControllerMutantTest*"); }
INSTANTIATE_TEST_SUITE_P(Controller, ControllerMutantTest, ::testing::ValuesIn(kMutants),
                         MutantTestName);

}  // namespace
}  // namespace millrace::controller
