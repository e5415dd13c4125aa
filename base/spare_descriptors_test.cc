#include "base/spare_descriptors.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/testing/open_files_limit.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

int OpenAndClose(SpareDescriptors& spares) {
  const int fd = spares.Open("/", O_RDONLY | O_DIRECTORY);
  if (fd >= 0) close(fd);
  return fd;
}

TEST(SpareDescriptorsTest, WhatMustBeOpenedIsThoughNothingElseCanBe) {
  SpareDescriptors spares;
  const NoDescriptorsLeft none;
  ASSERT_LT(OpenDescriptor("/", O_RDONLY), 0);
  EXPECT_TRUE(TooManyOpen(errno));
  // More often than there are spares: they come back.
  for (int i = 0; i < 100; ++i) {
    ASSERT_GE(OpenAndClose(spares), 0) << i;
    spares.Refill();
    ASSERT_LT(OpenDescriptor("/", O_RDONLY), 0) << "the reserve is not filled up again";
  }
}

TEST(SpareDescriptorsTest, SeveralAtOnceAndThenTheErrorOfTheSystem) {
  SpareDescriptors spares;
  NoDescriptorsLeft none;
  std::vector<int> open;
  for (int fd = 0; (fd = spares.Open("/", O_RDONLY)) >= 0;) open.push_back(fd);
  EXPECT_TRUE(TooManyOpen(errno));
  EXPECT_EQ(open.size(), 8u);
  for (const int fd : open) close(fd);
  spares.Refill();
  EXPECT_GE(OpenAndClose(spares), 0);
  // Other errors are none of its business.
  EXPECT_LT(spares.Open("/no/such/path", O_RDONLY), 0);
  EXPECT_EQ(errno, ENOENT);
}

}  // namespace
}  // namespace millrace
