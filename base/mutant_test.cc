#include "base/mutant.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

static_assert(!MUTANT("any"), "a constant outside test builds");
static_assert(!Maybe("any"), "a constant outside test builds");

TEST(MutantTest, ShippedBuildsHaveNoMutants) {
  if (MUTANT("any") || Maybe("any")) FAIL();
}

}  // namespace
}  // namespace millrace
