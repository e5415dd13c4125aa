#include "rpc/memory_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::rpc {
namespace {

std::string Read(std::ifstream file) {
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(MemoryFileTest, IsReadUnderItsPath) {
  ASSERT_OK_AND_ASSIGN(const MemoryFile file, MemoryFile::Create("one"));
  EXPECT_EQ(Read(std::ifstream(file.path())), "one");
}

TEST(MemoryFileTest, IsReplacedAsAWhole) {
  ASSERT_OK_AND_ASSIGN(MemoryFile file, MemoryFile::Create("one"));
  const std::string path = file.path();
  std::ifstream opened(path);
  ASSERT_OK(file.Replace("another"));
  EXPECT_EQ(file.path(), path);
  EXPECT_EQ(Read(std::move(opened)), "one");
  EXPECT_EQ(Read(std::ifstream(path)), "another");
}

// Whoever reads it in two goes sees by its time, in whole seconds, that it is not the same any
// more.
TEST(MemoryFileTest, EachTextHasATimeOfItsOwn) {
  ASSERT_OK_AND_ASSIGN(MemoryFile file, MemoryFile::Create("one"));
  struct stat before {};
  ASSERT_EQ(stat(file.path().c_str(), &before), 0);
  EXPECT_NE(before.st_mtime, 0);
  ASSERT_OK(file.Replace("another"));
  struct stat after {};
  ASSERT_EQ(stat(file.path().c_str(), &after), 0);
  EXPECT_NE(after.st_mtime, before.st_mtime);
}

TEST(MemoryFileTest, ItsDescriptorIsNotInherited) {
  ASSERT_OK_AND_ASSIGN(MemoryFile file, MemoryFile::Create("one"));
  const int fd = std::stoi(file.path().substr(file.path().rfind('/') + 1));
  EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  ASSERT_OK(file.Replace("another"));
  EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

}  // namespace
}  // namespace millrace::rpc
