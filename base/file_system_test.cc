#include "base/file_system.h"

#include "base/status_matchers.h"

namespace millrace {
namespace {

TEST(FileSystemTest, JoinPathPutsOneSlashBetween) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("/", "b"), "/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
}

TEST(FileSystemTest, ParentPathIsTheDirectoryThatHoldsTheName) {
  EXPECT_EQ(ParentPath("a/b"), "a");
  EXPECT_EQ(ParentPath("/a/b/c"), "/a/b");
  EXPECT_EQ(ParentPath("b"), ".");
  EXPECT_EQ(ParentPath("/a"), "/");
  EXPECT_EQ(ParentPath("a/b/"), "a");
}

}  // namespace
}  // namespace millrace
