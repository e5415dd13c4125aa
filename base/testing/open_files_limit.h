// NoDescriptorsLeft: for as long as it lives, this process has opened all the files that it may.
//
// Thread: the test's one; what other threads close meanwhile is free again.
#ifndef BASE_TESTING_OPEN_FILES_LIMIT_H_
#define BASE_TESTING_OPEN_FILES_LIMIT_H_

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vector>

#include "gtest/gtest.h"

namespace millrace {

class NoDescriptorsLeft {
 public:
  NoDescriptorsLeft() {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    // Not to take all that a large limit would let it.
    rlimit lower = before_;
    lower.rlim_cur = 200;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
    for (int fd = 0; (fd = open("/", O_PATH | O_CLOEXEC)) >= 0;) taken_.push_back(fd);
  }
  ~NoDescriptorsLeft() {
    for (const int fd : taken_) close(fd);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0);
  }
  NoDescriptorsLeft(const NoDescriptorsLeft&) = delete;
  NoDescriptorsLeft& operator=(const NoDescriptorsLeft&) = delete;

 private:
  rlimit before_ = {};
  std::vector<int> taken_;
};

}  // namespace millrace

#endif  // BASE_TESTING_OPEN_FILES_LIMIT_H_
