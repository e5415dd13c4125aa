#include "base/file_system.h"

#include "base/sim/sim_file_system.h"
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

TEST(FileSystemTest, ReadWholeFileRefusesWhatIsTooLarge) {
  sim::SimFileSystem files;
  ASSERT_OK(ReplaceFile(files, "f", "12345"));
  EXPECT_EQ(*ReadWholeFile(files, "f", 5), "12345");
  EXPECT_THAT(ReadWholeFile(files, "f", 4),
              IsError(ErrorCode::kResourceExhausted, "file 'f' has 5 bytes"));
  EXPECT_THAT(ReadWholeFile(files, "g", 4), HasCode(ErrorCode::kDirectoryUnavailable));
}

TEST(FileSystemTest, ReplaceFileReplacesAnOlderTemporaryFileToo) {
  sim::SimFileSystem files;
  ASSERT_OK(ReplaceFile(files, "f.tmp", "a longer text than the new one"));
  ASSERT_OK(ReplaceFile(files, "f", "new"));
  EXPECT_EQ(*ReadWholeFile(files, "f", 100), "new");
  EXPECT_FALSE(*files.Exists("f.tmp"));
}

TEST(FileSystemTest, RemoveTreeTakesAllThatIsInIt) {
  sim::SimFileSystem files;
  ASSERT_OK(files.CreateDirectory("a"));
  ASSERT_OK(files.CreateDirectory("a/b"));
  ASSERT_OK(ReplaceFile(files, "a/f", "1"));
  ASSERT_OK(ReplaceFile(files, "a/b/g", "2"));
  ASSERT_OK(ReplaceFile(files, "other", "3"));
  ASSERT_OK(RemoveTree(files, "a"));
  EXPECT_FALSE(*files.Exists("a"));
  EXPECT_TRUE(*files.Exists("other"));
  EXPECT_OK(RemoveTree(files, "a")) << "not there is fine";
}

}  // namespace
}  // namespace millrace
