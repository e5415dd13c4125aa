// What base/file_system.h promises while no crash comes, held against the real and the simulated
// file system, and both against each other: a test on the simulated one is worth what this one is
// worth.

#include <unistd.h>

#include "base/file_system.h"
#include "base/posix_file_system.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

enum class Kind { kSim, kPosix };

std::unique_ptr<FileSystem> Make(Kind kind) {
  if (kind == Kind::kSim) return std::make_unique<sim::SimFileSystem>();
  return std::make_unique<PosixFileSystem>();
}

class FileSystemContractTest : public ::testing::TestWithParam<Kind> {
 protected:
  FileSystemContractTest() {
    if (GetParam() == Kind::kSim) {
      for (size_t slash = 1; slash != std::string::npos; slash = root_.find('/', slash + 1)) {
        EXPECT_OK(files_->CreateDirectory(root_.substr(0, slash)));
      }
    }
    EXPECT_OK(RemoveTree(*files_, root_));
    EXPECT_OK(files_->CreateDirectory(root_));
  }
  ~FileSystemContractTest() override { EXPECT_OK(RemoveTree(*files_, root_)); }

  std::string In(const std::string& name) { return JoinPath(root_, name); }
  std::unique_ptr<File> Open(const std::string& name, OpenMode mode) {
    auto file = files_->Open(In(name), mode);
    EXPECT_OK(file);
    return *std::move(file);
  }
  std::string Contents(const std::string& name) {
    auto contents = ReadWholeFile(*files_, In(name), 1 << 20);
    EXPECT_OK(contents);
    return *contents;
  }

  const std::string root_ = ::testing::TempDir() + "contract_" + std::to_string(getpid());
  std::unique_ptr<FileSystem> files_ = Make(GetParam());
};

INSTANTIATE_TEST_SUITE_P(All, FileSystemContractTest, ::testing::Values(Kind::kSim, Kind::kPosix),
                         [](const auto& info) {
                           return info.param == Kind::kSim ? "Sim" : "Posix";
                         });

TEST_P(FileSystemContractTest, OpenModesDoWhatTheySay) {
  for (OpenMode mode : {OpenMode::kRead, OpenMode::kReadWrite}) {
    const auto missing = files_->Open(In("f"), mode);
    EXPECT_THAT(missing, HasCode(ErrorCode::kDirectoryUnavailable));
    EXPECT_EQ(DetailOf(missing.status()).name, In("f"));
  }
  ASSERT_OK(Open("f", OpenMode::kCreate)->WriteAt(0, "abc"));
  EXPECT_THAT(files_->Open(In("f"), OpenMode::kCreate), HasCode(ErrorCode::kDirectoryUnavailable));
  ASSERT_OK(Open("f", OpenMode::kReadWrite)->WriteAt(3, "d"));
  ASSERT_OK(Open("f", OpenMode::kOpenOrCreate)->WriteAt(4, "e"));
  EXPECT_EQ(Contents("f"), "abcde");
  EXPECT_THAT(Open("f", OpenMode::kRead)->WriteAt(0, "x"), HasCode(ErrorCode::kStorageError));
  Open("f", OpenMode::kTruncateCreate);
  EXPECT_EQ(Contents("f"), "");
  Open("g", OpenMode::kOpenOrCreate);
  EXPECT_EQ(Contents("g"), "");
}

TEST_P(FileSystemContractTest, PathsThatLeadNowhereAreUnavailable) {
  Open("f", OpenMode::kCreate);
  EXPECT_THAT(files_->Open(In("d/f"), OpenMode::kOpenOrCreate),
              HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->Open(In("f/f"), OpenMode::kOpenOrCreate),
              HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->Open(root_, OpenMode::kRead), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->Open(root_, OpenMode::kReadWrite), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->CreateDirectory(In("d/d")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->CreateDirectory(In("f")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->ListDirectory(In("d")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->ListDirectory(In("f")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->SyncDirectory(In("d")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->RemoveFile(In("x")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->RemoveFile(root_), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->RemoveDirectory(In("x")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->RemoveDirectory(In("f")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->RemoveDirectory(root_), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->Rename(In("x"), In("y")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->Rename(In("f"), In("d/f")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_FALSE(*files_->Exists(In("f/f")));
  EXPECT_FALSE(*files_->Exists(In("d/d/d")));
  EXPECT_TRUE(*files_->Exists(In("f")));
}

TEST_P(FileSystemContractTest, ReadsEndAtTheEndOfTheFile) {
  auto file = Open("f", OpenMode::kCreate);
  ASSERT_OK(file->WriteAt(0, "abcdef"));
  char out[10];
  EXPECT_EQ(*file->ReadAt(2, absl::MakeSpan(out)), 4u);
  EXPECT_EQ(Slice(out, 4), "cdef");
  EXPECT_EQ(*file->ReadAt(6, absl::MakeSpan(out)), 0u);
  EXPECT_EQ(*file->ReadAt(100, absl::MakeSpan(out)), 0u);
  EXPECT_EQ(*file->ReadAt(0, absl::MakeSpan(out, 3)), 3u);
}

TEST_P(FileSystemContractTest, WritesBeyondTheEndAndTruncateFillWithZeros) {
  auto file = Open("f", OpenMode::kCreate);
  ASSERT_OK(file->WriteAt(3, "x"));
  EXPECT_EQ(Contents("f"), std::string("\0\0\0x", 4));
  ASSERT_OK(file->Truncate(2));
  ASSERT_OK(file->Truncate(5));
  EXPECT_EQ(Contents("f"), std::string(5, '\0'));
  ASSERT_OK(file->ZeroFill(5, 3));
  ASSERT_OK(file->ZeroFill(8, 0));
  EXPECT_EQ(*file->Size(), 8u);
  ASSERT_OK(file->WriteAt(0, ""));
  ASSERT_OK(file->Sync());
}

TEST_P(FileSystemContractTest, CreateDirectoryIsFineIfItIsThere) {
  ASSERT_OK(files_->CreateDirectory(In("d")));
  ASSERT_OK(files_->CreateDirectory(In("d")));
  ASSERT_OK(files_->SyncDirectory(In("d")));
}

TEST_P(FileSystemContractTest, ListIsSortedWithSizes) {
  ASSERT_OK(Open("b", OpenMode::kCreate)->WriteAt(0, "12345"));
  ASSERT_OK(files_->CreateDirectory(In("c")));
  Open("a", OpenMode::kCreate);
  EXPECT_THAT(*files_->ListDirectory(root_),
              ElementsAre(DirectoryEntry{.name = "a"}, DirectoryEntry{.name = "b", .size_bytes = 5},
                          DirectoryEntry{.name = "c", .is_directory = true}));
}

TEST_P(FileSystemContractTest, RenameReplacesButDoesNotMixKinds) {
  ASSERT_OK(Open("a", OpenMode::kCreate)->WriteAt(0, "a"));
  ASSERT_OK(Open("b", OpenMode::kCreate)->WriteAt(0, "b"));
  ASSERT_OK(files_->CreateDirectory(In("d")));
  ASSERT_OK(files_->CreateDirectory(In("full")));
  ASSERT_OK(files_->CreateDirectory(In("full/x")));
  ASSERT_OK(files_->Rename(In("a"), In("b")));
  EXPECT_EQ(Contents("b"), "a");
  EXPECT_FALSE(*files_->Exists(In("a")));
  ASSERT_OK(files_->Rename(In("b"), In("b")));
  EXPECT_THAT(files_->Rename(In("b"), In("d")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->Rename(In("d"), In("b")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->Rename(In("d"), In("full")), HasCode(ErrorCode::kDirectoryUnavailable));
  EXPECT_THAT(files_->Rename(In("full"), In("full/x/y")), HasCode(ErrorCode::kStorageError));
  ASSERT_OK(files_->Rename(In("full"), In("d")));
  EXPECT_TRUE(*files_->Exists(In("d/x")));
}

TEST_P(FileSystemContractTest, OpenFileOutlivesItsName) {
  auto file = Open("f", OpenMode::kCreate);
  ASSERT_OK(file->WriteAt(0, "abc"));
  ASSERT_OK(files_->RemoveFile(In("f")));
  EXPECT_FALSE(*files_->Exists(In("f")));
  char out[3];
  EXPECT_EQ(*file->ReadAt(0, absl::MakeSpan(out)), 3u);
  ASSERT_OK(file->WriteAt(3, "d"));
  ASSERT_OK(file->Sync());
  EXPECT_EQ(*file->Size(), 4u);
}

TEST_P(FileSystemContractTest, LockExcludesOthersUntilItGoes) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<FileLock> lock, files_->Lock(In("lock")));
  const auto other = files_->Lock(In("lock"));
  EXPECT_THAT(other, IsError(ErrorCode::kDirectoryLocked, "locked"));
  EXPECT_EQ(DetailOf(other.status()).name, In("lock"));
  lock.reset();
  EXPECT_OK(files_->Lock(In("lock")));
  EXPECT_THAT(files_->Lock(In("d/lock")), HasCode(ErrorCode::kDirectoryUnavailable));
}

TEST_P(FileSystemContractTest, SeveralDirectoriesAreSyncedOrTheFirstErrorIsNamed) {
  std::vector<std::string> paths;
  for (int i = 0; i < 300; ++i) {
    paths.push_back(In(absl::StrCat("d", i)));
    ASSERT_OK(files_->CreateDirectory(paths.back()));
  }
  EXPECT_OK(files_->SyncDirectories(paths));
  EXPECT_OK(files_->SyncDirectories({}));
  paths[7] = In("nowhere");
  const absl::Status status = files_->SyncDirectories(paths);
  EXPECT_THAT(status, IsError(ErrorCode::kDirectoryUnavailable, "nowhere"));
}

TEST_P(FileSystemContractTest, WriteAndSyncMayOnlySync) {
  auto file = Open("f", OpenMode::kCreate);
  auto other = Open("g", OpenMode::kCreate);
  std::vector<FileWrite> writes(2);
  writes[0] = {.file = file.get()};
  writes[1] = {.file = other.get(), .offset = 1, .pieces = {"a", "", "b"}, .sync = false};
  files_->WriteAndSync(absl::MakeSpan(writes));
  EXPECT_OK(writes[0].status);
  EXPECT_OK(writes[1].status);
  EXPECT_EQ(Contents("g"), std::string("\0ab", 3));
}

// One random call on one of the file systems; the answer as text, to be compared.
class RandomCalls {
 public:
  RandomCalls(FileSystem* files, std::string root, uint64_t seed)
      : files_(files), root_(std::move(root)), random_(seed) {}

  std::string Next() {
    switch (random_.Below(10)) {
      case 0:
        return Code(files_->CreateDirectory(Path()));
      case 1:
        return Code(OneIn(random_, 3) ? files_->RemoveDirectory(Path())
                                      : files_->RemoveFile(Path()));
      case 2: {
        const std::string from = Path();
        return Code(files_->Rename(from, Path()));
      }
      case 3:
        return List(Path());
      case 4:
        return Code(files_->SyncDirectory(Path()));
      case 5: {
        const absl::StatusOr<bool> exists = files_->Exists(Path());
        return Code(exists.status()) + (exists.ok() && *exists ? " yes" : " no");
      }
      case 6:
      case 7: {
        const auto mode = static_cast<OpenMode>(random_.Below(5));
        auto file = files_->Open(Path(), mode);
        const std::string code = Code(file.status());
        if (file.ok()) open_ = *std::move(file);
        return code;
      }
      default:
        return open_ == nullptr ? "none" : UseFile();
    }
  }

 private:
  // Few names, so that calls meet: "x", "y", "x/y"...
  std::string Path() {
    std::string path = root_;
    for (uint64_t depth = 1 + random_.Below(3); depth > 0; --depth) {
      path += OneIn(random_, 2) ? "/x" : "/y";
    }
    return path;
  }
  static std::string Code(const absl::Status& status) {
    return std::string(ErrorCodeName(CodeOf(status)));
  }
  std::string List(const std::string& path) {
    const auto entries = files_->ListDirectory(path);
    std::string text = Code(entries.status());
    if (!entries.ok()) return text;
    for (const DirectoryEntry& entry : *entries) {
      text += " " + entry.name + (entry.is_directory ? "/" : std::to_string(entry.size_bytes));
    }
    return text;
  }
  std::string UseFile() {
    const uint64_t at = random_.Below(9000);
    const std::string data(random_.Below(3000), static_cast<char>('a' + random_.Below(26)));
    switch (random_.Below(5)) {
      case 0:
        return Code(open_->WriteAt(at, data));
      case 1:
        // A descriptor for reading cannot be cut either, but the kernel has another errno for it.
        return open_->Truncate(at).ok() ? "OK" : "failed";
      case 2:
        return Code(open_->Sync());
      case 3: {
        const absl::StatusOr<uint64_t> size = open_->Size();
        return Code(size.status()) + std::to_string(*size) +
               Code(*size > 20'000 ? absl::OkStatus() : open_->ZeroFill(*size, data.size()));
      }
      default: {
        std::string out(data.size(), '\0');
        const absl::StatusOr<size_t> read = open_->ReadAt(at, absl::MakeSpan(out));
        return Code(read.status()) + out.substr(0, *read);
      }
    }
  }

  FileSystem* files_;
  std::string root_;
  sim::SimRandom random_;
  std::unique_ptr<File> open_;
};

TEST(FileSystemDifferentialTest, SimulatedAndRealFilesAnswerAlike) {
  PosixFileSystem posix;
  const std::string root = ::testing::TempDir() + "differential_" + std::to_string(getpid());
  for (uint64_t seed = 0; seed < 30; ++seed) {
    sim::SimFileSystem sim;
    ASSERT_OK(RemoveTree(posix, root));
    ASSERT_OK(posix.CreateDirectory(root));
    ASSERT_OK(sim.CreateDirectory("/r"));
    RandomCalls real(&posix, root, seed);
    RandomCalls simulated(&sim, "/r", seed);
    for (int i = 0; i < 300; ++i) {
      ASSERT_EQ(real.Next(), simulated.Next()) << "seed " << seed << ", call " << i;
    }
  }
  EXPECT_OK(RemoveTree(posix, root));
}

}  // namespace
}  // namespace millrace
