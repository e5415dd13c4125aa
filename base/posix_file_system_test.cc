#include "base/posix_file_system.h"

#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "base/status_matchers.h"
#include "base/testing/open_files_limit.h"

namespace millrace {
namespace {

using SyncBy = PosixFileSystem::SyncBy;

// What WriteAndSync promises, by both of its ways.
class PosixWriteAndSyncTest : public ::testing::TestWithParam<SyncBy> {
 protected:
  PosixWriteAndSyncTest() {
    EXPECT_OK(RemoveTree(files_, directory_));
    EXPECT_OK(files_.CreateDirectory(directory_));
  }
  ~PosixWriteAndSyncTest() override { EXPECT_OK(RemoveTree(files_, directory_)); }

  std::unique_ptr<File> Open(const std::string& path) {
    auto file = files_.Open(path, OpenMode::kOpenOrCreate);
    EXPECT_OK(file);
    return *std::move(file);
  }
  std::string In(const std::string& name) { return JoinPath(directory_, name); }

  PosixFileSystem files_{GetParam()};
  const std::string directory_ = ::testing::TempDir() + "posix_" + std::to_string(getpid()) + "_" +
                                 std::to_string(static_cast<int>(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Both, PosixWriteAndSyncTest,
                         ::testing::Values(SyncBy::kBest, SyncBy::kThreads), [](const auto& info) {
                           return info.param == SyncBy::kBest ? "Best" : "Threads";
                         });

TEST_P(PosixWriteAndSyncTest, WritesAllPiecesOfManyFiles) {
  // More than a ring takes at once.
  constexpr int kFiles = 300;
  std::vector<std::unique_ptr<File>> open;
  std::vector<FileWrite> writes;
  for (int i = 0; i < kFiles; ++i) {
    open.push_back(Open(In("f" + std::to_string(i))));
    writes.push_back({.file = open.back().get(), .offset = static_cast<uint64_t>(i)});
    for (int piece = 0; piece < i % 8; ++piece) writes.back().pieces.push_back("piece");
    writes.back().sync = i % 3 != 0;
  }
  files_.WriteAndSync(absl::MakeSpan(writes));
  for (int i = 0; i < kFiles; ++i) {
    EXPECT_OK(writes[i].status);
    std::string expected;
    for (int piece = 0; piece < i % 8; ++piece) expected += "piece";
    if (!expected.empty()) expected.insert(0, i, '\0');
    EXPECT_EQ(*ReadWholeFile(files_, In("f" + std::to_string(i)), 10'000), expected);
  }
}

TEST_P(PosixWriteAndSyncTest, OneFailedFileDoesNotStopTheOthers) {
  auto good = Open(In("good"));
  auto full = Open("/dev/full");
  auto unsyncable = Open("/dev/null");
  auto other = Open(In("other"));
  std::vector<FileWrite> writes(4);
  writes[0] = {.file = full.get(), .pieces = {"x"}};
  writes[1] = {.file = good.get(), .pieces = {"a", "b"}};
  writes[2] = {.file = unsyncable.get(), .pieces = {"y"}};
  writes[3] = {.file = other.get(), .pieces = {"c"}};
  files_.WriteAndSync(absl::MakeSpan(writes));
  EXPECT_THAT(writes[0].status,
              IsError(ErrorCode::kStorageFull, "cannot write '/dev/full': No sp"));
  EXPECT_OK(writes[1].status);
  EXPECT_THAT(writes[2].status, IsError(ErrorCode::kStorageError, "cannot sync '/dev/null'"));
  EXPECT_OK(writes[3].status);
  EXPECT_EQ(*ReadWholeFile(files_, In("good"), 100), "ab");
  EXPECT_EQ(*ReadWholeFile(files_, In("other"), 100), "c");
}

TEST_P(PosixWriteAndSyncTest, SingleFileFailsWithTheSameErrors) {
  auto full = Open("/dev/full");
  FileWrite write{.file = full.get(), .pieces = {"x"}};
  files_.WriteAndSync(absl::MakeSpan(&write, 1));
  EXPECT_THAT(write.status, HasCode(ErrorCode::kStorageFull));
  auto unsyncable = Open("/dev/null");
  write = {.file = unsyncable.get()};
  files_.WriteAndSync(absl::MakeSpan(&write, 1));
  EXPECT_THAT(write.status, HasCode(ErrorCode::kStorageError));
  files_.WriteAndSync({});
}

TEST_P(PosixWriteAndSyncTest, FileOpenForReadingCannotBeWritten) {
  Open(In("f"));
  ASSERT_OK_AND_ASSIGN(auto file, files_.Open(In("f"), OpenMode::kRead));
  auto other = Open(In("g"));
  std::vector<FileWrite> writes(2);
  writes[0] = {.file = file.get(), .pieces = {"x"}};
  writes[1] = {.file = other.get(), .pieces = {"x"}};
  files_.WriteAndSync(absl::MakeSpan(writes));
  EXPECT_THAT(writes[0].status, HasCode(ErrorCode::kStorageError));
  EXPECT_OK(writes[1].status);
}

TEST_P(PosixWriteAndSyncTest, TwoPartsOfOneFileMayGoInOneRound) {
  auto file = Open(In("f"));
  std::vector<FileWrite> writes(2);
  writes[0] = {.file = file.get(), .offset = 0, .pieces = {"ab"}};
  writes[1] = {.file = file.get(), .offset = 2, .pieces = {"cd"}};
  files_.WriteAndSync(absl::MakeSpan(writes));
  EXPECT_EQ(*ReadWholeFile(files_, In("f"), 100), "abcd");
}

TEST_P(PosixWriteAndSyncTest, MorePiecesThanOneCallTakes) {
  auto file = Open(In("f"));
  auto other = Open(In("g"));
  std::vector<FileWrite> writes(2);
  writes[0] = {.file = file.get()};
  writes[1] = {.file = other.get(), .pieces = {"x"}};
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    writes[0].pieces.push_back(i % 2 == 0 ? "even" : "odd");
    expected += i % 2 == 0 ? "even" : "odd";
  }
  files_.WriteAndSync(absl::MakeSpan(writes));
  EXPECT_OK(writes[0].status);
  EXPECT_EQ(*ReadWholeFile(files_, In("f"), 100'000), expected);
}

TEST_P(PosixWriteAndSyncTest, RoundsMayRunOnSeveralThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      auto one = Open(In("a" + std::to_string(t)));
      auto two = Open(In("b" + std::to_string(t)));
      for (uint64_t i = 0; i < 20; ++i) {
        std::vector<FileWrite> writes(2);
        writes[0] = {.file = one.get(), .offset = i, .pieces = {"x"}};
        writes[1] = {.file = two.get(), .offset = i, .pieces = {"y"}};
        files_.WriteAndSync(absl::MakeSpan(writes));
        EXPECT_OK(writes[0].status);
        EXPECT_OK(writes[1].status);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < 4; ++t) {
    EXPECT_EQ(*ReadWholeFile(files_, In("a" + std::to_string(t)), 100), std::string(20, 'x'));
  }
}

TEST_P(PosixWriteAndSyncTest, ZeroFillTakesRealRoom) {
  auto file = Open(In("f"));
  ASSERT_OK(file->WriteAt(0, "abc"));
  ASSERT_OK(file->ZeroFill(3, 1'000'001));
  struct stat info;
  ASSERT_EQ(stat(In("f").c_str(), &info), 0);
  EXPECT_EQ(info.st_size, 1'000'004);
  // The blocks of a file system that allocates late appear with the sync at the latest.
  ASSERT_OK(file->Sync());
  ASSERT_EQ(stat(In("f").c_str(), &info), 0);
  EXPECT_GE(info.st_blocks * 512, 1'000'004);
  EXPECT_EQ(*ReadWholeFile(files_, In("f"), 2'000'000), "abc" + std::string(1'000'001, '\0'));
}

TEST_P(PosixWriteAndSyncTest, SpaceIsPlausible) {
  ASSERT_OK_AND_ASSIGN(const SpaceInfo space, files_.Space(directory_));
  EXPECT_GT(space.total_bytes, 0u);
  EXPECT_LE(space.free_bytes, space.total_bytes);
}

TEST_P(PosixWriteAndSyncTest, RemoveTreeDoesNotFollowLinks) {
  ASSERT_OK(files_.CreateDirectory(In("kept")));
  ASSERT_OK(ReplaceFile(files_, In("kept/f"), "x"));
  ASSERT_OK(files_.CreateDirectory(In("gone")));
  ASSERT_EQ(symlink(In("kept").c_str(), In("gone/link").c_str()), 0);
  ASSERT_OK(RemoveTree(files_, In("gone")));
  EXPECT_TRUE(*files_.Exists(In("kept/f")));
}

// Names that were changed must become durable whatever else this process has open.
TEST_P(PosixWriteAndSyncTest, DirectoriesAreListedSyncedAndRemovedWhenNoMoreFilesCanBeOpened) {
  std::vector<std::string> directories;
  for (const char* name : {"a", "b", "c"}) {
    directories.push_back(In(name));
    ASSERT_OK(files_.CreateDirectory(directories.back()));
    ASSERT_OK(ReplaceFile(files_, JoinPath(directories.back(), "f"), "x"));
  }
  const NoDescriptorsLeft none;
  for (int i = 0; i < 20; ++i) {
    ASSERT_THAT(files_.Open(In("a/f"), OpenMode::kRead).status(), HasCode(ErrorCode::kStorageFull));
    ASSERT_OK(files_.SyncDirectory(directory_));
    ASSERT_OK(files_.SyncDirectories(directories));
    ASSERT_OK_AND_ASSIGN(const auto entries, files_.ListDirectory(directory_));
    ASSERT_EQ(entries.size(), 3u);
  }
  EXPECT_OK(RemoveTree(files_, In("b")));
  EXPECT_FALSE(*files_.Exists(In("b")));
}

TEST_P(PosixWriteAndSyncTest, ADirectoryThatCannotBeSyncedIsNeverCalledOneWithoutRoom) {
  const NoDescriptorsLeft none;
  // Not even for a reserve.
  PosixFileSystem files(SyncBy::kThreads);
  EXPECT_THAT(files.ListDirectory(directory_).status(), HasCode(ErrorCode::kStorageFull));
  EXPECT_THAT(files.SyncDirectory(directory_), HasCode(ErrorCode::kStorageError));
  EXPECT_THAT(files.SyncDirectories({directory_, directory_}), HasCode(ErrorCode::kStorageError));
}

TEST(PosixFileSystemDeathTest, FileOfAnotherFileSystemIsABug) {
  class Foreign : public File {
   public:
    absl::StatusOr<size_t> ReadAt(uint64_t, absl::Span<char>) const override { return 0; }
    absl::Status WriteAt(uint64_t, Slice) override { return absl::OkStatus(); }
    absl::Status Sync() override { return absl::OkStatus(); }
    absl::StatusOr<uint64_t> Size() const override { return 0; }
    absl::Status Truncate(uint64_t) override { return absl::OkStatus(); }
    absl::Status ZeroFill(uint64_t, uint64_t) override { return absl::OkStatus(); }
  };
  Foreign file;
  FileWrite write{.file = &file};
  PosixFileSystem files(SyncBy::kThreads);
  EXPECT_DEATH(files.WriteAndSync(absl::MakeSpan(&write, 1)), "another file system");
}

}  // namespace
}  // namespace millrace
