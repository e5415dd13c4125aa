#include "tools/millrace/open_files.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdint>

#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

TEST(OpenFiles, TheLimitIsRaisedToTheHardOne) {
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlim_t hard = limit.rlim_max;
  limit.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  const int64_t raised = RaiseOpenFileLimit();
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(limit.rlim_cur, hard);
  EXPECT_EQ(raised, static_cast<int64_t>(std::min<rlim_t>(hard, INT32_MAX)));
  EXPECT_EQ(RaiseOpenFileLimit(), raised) << "there is nothing more to be had";
}

TEST(OpenFiles, ConnectionsTakeHalfOfThem) {
  EXPECT_EQ(ConnectionsThatFit(1024), 256);
  EXPECT_EQ(ConnectionsThatFit(2), 1) << "somebody has to be let in";
}

}  // namespace
}  // namespace millrace::tools
