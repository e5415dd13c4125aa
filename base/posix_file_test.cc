#include "base/posix_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "base/posix_file_system.h"
#include "base/status_matchers.h"

namespace millrace {
namespace {

TEST(PosixError, SaysWhatWasTriedOnWhichPathAndWhy) {
  const absl::Status status = PosixError("open", "/data/x", ENOENT);
  EXPECT_EQ(status.message(), "cannot open '/data/x': No such file or directory (errno 2)");
  EXPECT_EQ(DetailOf(status).name, "/data/x");
}

TEST(PosixError, TellsFullFromUnusableFromBroken) {
  for (const int none_free : {EMFILE, ENFILE}) {
    EXPECT_EQ(CodeOf(PosixError("open", "f", none_free)), ErrorCode::kStorageFull);
  }
  for (int error : {ENOSPC, EDQUOT}) {
    EXPECT_EQ(CodeOf(PosixError("write", "f", error)), ErrorCode::kStorageFull) << error;
  }
  for (int error :
       {ENOENT, ENOTDIR, EISDIR, EEXIST, ENOTEMPTY, EACCES, EPERM, EROFS, ELOOP, ENAMETOOLONG}) {
    EXPECT_EQ(CodeOf(PosixError("open", "f", error)), ErrorCode::kDirectoryUnavailable) << error;
  }
  for (int error : {EIO, EBADF, EINVAL, EFBIG}) {
    EXPECT_EQ(CodeOf(PosixError("read", "f", error)), ErrorCode::kStorageError) << error;
  }
}

// A limit on the size of files, as `ulimit -f` sets it: the kernel writes up to it, and refuses
// what begins there.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit = {.rlim_cur = bytes, .rlim_max = old_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  void (*const old_handler_)(int);
  rlimit old_ = {};
};

class PosixFileTest : public ::testing::Test {
 protected:
  PosixFileTest() : path_(::testing::TempDir() + "posix_file_" + std::to_string(getpid())) {
    file_ =
        std::make_unique<PosixFile>(open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600), path_);
  }
  ~PosixFileTest() override { unlink(path_.c_str()); }

  std::string Contents() {
    PosixFileSystem files(PosixFileSystem::SyncBy::kThreads);
    return ReadWholeFile(files, path_, 64 << 20).value();
  }
  // A file on a device: what it does not support fails by itself.
  static std::unique_ptr<PosixFile> Device(const std::string& path) {
    return std::make_unique<PosixFile>(open(path.c_str(), O_RDWR), path);
  }

  const std::string path_;
  std::unique_ptr<PosixFile> file_;
};

TEST_F(PosixFileTest, WritesMorePiecesThanOneCallTakesEmptyOnesAmongThem) {
  std::vector<std::string> texts;
  std::string expected(5, '\0');
  for (int i = 0; i < 1000; ++i) {
    texts.push_back(i % 3 == 0 ? "" : std::to_string(i));
    expected += texts.back();
  }
  const std::vector<Slice> pieces(texts.begin(), texts.end());
  ASSERT_OK(file_->WritePieces(5, pieces));
  EXPECT_EQ(Contents(), expected);
  EXPECT_OK(file_->WritePieces(0, {}));
}

TEST_F(PosixFileTest, BeginsSoManyBytesIntoThePieces) {
  const std::vector<Slice> pieces = {"abc", "", "def", "ghi"};
  for (size_t skip = 0; skip <= 9; ++skip) {
    ASSERT_OK(file_->Truncate(0));
    ASSERT_OK(file_->WritePieces(0, pieces, skip));
    const std::string written = std::string("abcdefghi").substr(skip);
    EXPECT_EQ(Contents(), written.empty() ? "" : std::string(skip, '\0') + written) << skip;
  }
}

TEST_F(PosixFileTest, AShortWriteIsGoneOnWithAndItsReasonReported) {
  const std::string text(10'000, 'x');
  absl::Status status;
  {
    const FileSizeLimit limit(6000);
    status = file_->WritePieces(0, {Slice(text).substr(0, 100), text});
  }
  EXPECT_THAT(status, IsError(ErrorCode::kStorageError, "cannot write '" + path_ + "': File too"));
  EXPECT_EQ(file_->Size().value(), 6000u);
  EXPECT_OK(file_->WritePieces(0, {text}));
}

TEST_F(PosixFileTest, ReadsUpToTheEndOfTheFile) {
  ASSERT_OK(file_->WriteAt(0, "0123456789"));
  char out[8];
  EXPECT_EQ(file_->ReadAt(4, absl::MakeSpan(out)).value(), 6u);
  EXPECT_EQ(std::string(out, 6), "456789");
  EXPECT_EQ(file_->ReadAt(10, absl::MakeSpan(out)).value(), 0u);
  EXPECT_EQ(file_->ReadAt(1000, absl::MakeSpan(out)).value(), 0u);
}

TEST_F(PosixFileTest, TruncatesAndExtendsWithZeros) {
  ASSERT_OK(file_->WriteAt(0, "abcdef"));
  ASSERT_OK(file_->Truncate(2));
  ASSERT_OK(file_->Truncate(4));
  EXPECT_EQ(Contents(), std::string("ab\0\0", 4));
}

TEST_F(PosixFileTest, ZeroFillMakesRealBlocksOfAnyLength) {
  ASSERT_OK(file_->WriteAt(0, "abc"));
  constexpr uint64_t kLength = 1'000'003;
  ASSERT_OK(file_->ZeroFill(3, kLength));
  EXPECT_EQ(file_->Size().value(), 3 + kLength);
  EXPECT_EQ(Contents(), "abc" + std::string(kLength, '\0'));
  ASSERT_OK(file_->Sync());
  struct stat info;
  ASSERT_EQ(fstat(file_->fd(), &info), 0);
  EXPECT_GE(static_cast<uint64_t>(info.st_blocks) * 512, kLength);
}

TEST_F(PosixFileTest, AFailedSyncIsAStorageErrorThatNamesTheFile) {
  const auto null = Device("/dev/null");
  EXPECT_OK(null->WriteAt(0, "gone"));
  EXPECT_THAT(null->Sync(), IsError(ErrorCode::kStorageError, "cannot sync '/dev/null'"));
}

TEST_F(PosixFileTest, ErrorsOfADescriptorThatIsNoneAreReported) {
  PosixFile closed(-1, "/closed");
  char out[1];
  EXPECT_THAT(closed.ReadAt(0, absl::MakeSpan(out)),
              IsError(ErrorCode::kStorageError, "cannot read '/closed'"));
  EXPECT_THAT(closed.WriteAt(0, "x"), IsError(ErrorCode::kStorageError, "cannot write"));
  EXPECT_THAT(closed.Sync(), IsError(ErrorCode::kStorageError, "cannot sync"));
  EXPECT_THAT(closed.Size(), IsError(ErrorCode::kStorageError, "size of '/closed'"));
  EXPECT_THAT(closed.Truncate(0), IsError(ErrorCode::kStorageError, "set the size"));
  EXPECT_THAT(closed.ZeroFill(0, 1), IsError(ErrorCode::kStorageError, "size of"));
}

TEST_F(PosixFileTest, WriteAndSyncHereSyncsOnlyWhatWasWritten) {
  FileWrite write{.file = file_.get(), .offset = 1, .pieces = {"ab", "c"}};
  WriteAndSyncHere(write);
  EXPECT_OK(write.status);
  EXPECT_EQ(Contents(), std::string("\0abc", 4));

  const auto full = Device("/dev/full");
  write = {.file = full.get(), .pieces = {"x"}};
  WriteAndSyncHere(write);
  EXPECT_THAT(write.status, HasCode(ErrorCode::kStorageFull));

  const auto null = Device("/dev/null");
  write = {.file = null.get(), .pieces = {"x"}, .sync = false};
  WriteAndSyncHere(write);
  EXPECT_OK(write.status);
  write.sync = true;
  WriteAndSyncHere(write);
  EXPECT_THAT(write.status, HasCode(ErrorCode::kStorageError));
}

}  // namespace
}  // namespace millrace
