// Deliberate bugs of the log directories that are found by the tests of the rules that they break:
// those run once more, with one of them alive.
#include "base/testing/mutant_hunt.h"
#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

constexpr const char* kMutants[] = {
    "storage.cut-not-told",           "storage.cut-snapshot-comes-back",
    "storage.damage-served",          "storage.deletion-finished-on-what-came-back",
    "storage.epochs-forgotten",       "storage.producers-forgotten",
    "storage.repaired-across-epochs", "storage.stale-report-counts",
    "storage.stop-taken-for-clean",   "storage.suspicion-not-sticky",
};

class StorageMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(StorageMutantTest, IsFound) { ExpectFoundByTests(GetParam(), "-*StorageMutantTest*"); }
INSTANTIATE_TEST_SUITE_P(Storage, StorageMutantTest, ::testing::ValuesIn(kMutants), MutantTestName);

}  // namespace
}  // namespace millrace::storage
