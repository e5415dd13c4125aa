#include "base/sync_ring.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/posix_file_system.h"
#include "base/status_matchers.h"

namespace millrace {
namespace {

class SyncRingTest : public ::testing::Test {
 protected:
  SyncRingTest() {
    EXPECT_OK(RemoveTree(files_, directory_));
    EXPECT_OK(files_.CreateDirectory(directory_));
  }
  ~SyncRingTest() override { EXPECT_OK(RemoveTree(files_, directory_)); }

  std::string In(const std::string& name) const { return JoinPath(directory_, name); }
  std::unique_ptr<File> Open(const std::string& path) {
    return files_.Open(path, OpenMode::kOpenOrCreate).value();
  }
  std::string Contents(const std::string& name) {
    return ReadWholeFile(files_, In(name), 1 << 20).value();
  }

  const std::string directory_ = ::testing::TempDir() + "sync_ring_" + std::to_string(getpid());
  PosixFileSystem files_{PosixFileSystem::SyncBy::kThreads};
};

// Where the kernel lets us use io_uring; containers often do not.
class RingTest : public SyncRingTest {
 protected:
  void SetUp() override {
    if (!rings_.Probe()) GTEST_SKIP() << "this kernel does not let us use io_uring";
  }
  SyncRings rings_;
};

TEST_F(RingTest, WritesAndSyncsEachFileInAnyNumberOfPieces) {
  constexpr int kFiles = 200;
  std::vector<std::unique_ptr<File>> open;
  std::vector<FileWrite> writes;
  for (int i = 0; i < kFiles; ++i) {
    open.push_back(Open(In(std::to_string(i))));
    writes.push_back({.file = open.back().get(), .offset = 2, .sync = i % 2 == 0});
    for (int piece = 0; piece < i % 5; ++piece) writes.back().pieces.push_back("ab");
  }
  ASSERT_TRUE(rings_.Run(absl::MakeSpan(writes)));
  for (int i = 0; i < kFiles; ++i) {
    EXPECT_OK(writes[i].status);
    std::string expected = i % 5 == 0 ? "" : std::string(2, '\0');
    for (int piece = 0; piece < i % 5; ++piece) expected += "ab";
    EXPECT_EQ(Contents(std::to_string(i)), expected);
  }
}

TEST_F(RingTest, MorePiecesThanTheKernelTakesAreWrittenAllTheSame) {
  const auto file = Open(In("f"));
  std::vector<FileWrite> writes(1);
  writes[0] = {.file = file.get(), .pieces = std::vector<Slice>(5000, "xy")};
  ASSERT_TRUE(rings_.Run(absl::MakeSpan(writes)));
  EXPECT_OK(writes[0].status);
  EXPECT_EQ(Contents("f").size(), 10'000u);
}

TEST_F(RingTest, AFailedWriteOrSyncIsReportedForItsFileAlone) {
  const auto full = Open("/dev/full");
  const auto null = Open("/dev/null");
  const auto good = Open(In("good"));
  // The first is written by this thread, the others by the kernel's: each is so once.
  for (size_t first = 0; first < 4; ++first) {
    std::vector<FileWrite> writes(4);
    const auto at = [&](size_t i) -> FileWrite& { return writes[(first + i) % 4]; };
    at(0) = {.file = full.get(), .pieces = {"x"}};
    at(1) = {.file = null.get(), .pieces = {"x"}};
    at(2) = {.file = null.get()};
    at(3) = {.file = good.get(), .offset = first, .pieces = {"x"}};
    ASSERT_TRUE(rings_.Run(absl::MakeSpan(writes)));
    EXPECT_THAT(at(0).status, IsError(ErrorCode::kStorageFull, "cannot write '/dev/full'"));
    EXPECT_THAT(at(1).status, IsError(ErrorCode::kStorageError, "cannot sync '/dev/null'"));
    EXPECT_THAT(at(2).status, IsError(ErrorCode::kStorageError, "cannot sync '/dev/null'"));
    EXPECT_OK(at(3).status);
  }
  EXPECT_EQ(Contents("good"), "xxxx");
}

TEST_F(RingTest, AShortWriteIsFinishedByPlainCallsWhichSayWhyTheyCannot) {
  const auto limited = Open(In("limited"));
  const auto good = Open(In("good"));
  const std::string text(10'000, 'x');
  // The first one is this thread's, and tests nothing of the ring.
  std::vector<FileWrite> writes(2);
  writes[0] = {.file = good.get(), .pieces = {"small"}};
  writes[1] = {.file = limited.get(), .pieces = {text}};
  // As `ulimit -f` would: the kernel writes up to the limit and refuses what begins there.
  auto* const old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old = {};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit limit = {.rlim_cur = 6000, .rlim_max = old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  const bool ran = rings_.Run(absl::MakeSpan(writes));
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_TRUE(ran);
  EXPECT_OK(writes[0].status);
  EXPECT_THAT(writes[1].status, IsError(ErrorCode::kStorageError, "File too large"));
  EXPECT_EQ(limited->Size().value(), 6000u);
  EXPECT_EQ(Contents("good"), "small");
}

TEST_F(RingTest, ManyThreadsEachGetARing) {
  constexpr int kThreads = 12;
  std::vector<std::thread> threads;
  std::latch ready(kThreads);
  std::vector<absl::Status> outcomes(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([this, t, &ready, &outcomes] {
      const auto a = Open(In(std::to_string(t) + "a"));
      const auto b = Open(In(std::to_string(t) + "b"));
      ready.arrive_and_wait();
      for (int round = 0; round < 20; ++round) {
        std::vector<FileWrite> writes(2);
        writes[0] = {.file = a.get(), .offset = static_cast<uint64_t>(round), .pieces = {"a"}};
        writes[1] = {.file = b.get(), .offset = static_cast<uint64_t>(round), .pieces = {"b"}};
        // A ring that cannot be had is no error: the caller has another way.
        if (!rings_.Run(absl::MakeSpan(writes))) files_.WriteAndSync(absl::MakeSpan(writes));
        outcomes[t].Update(writes[0].status);
        outcomes[t].Update(writes[1].status);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < kThreads; ++t) {
    EXPECT_OK(outcomes[t]);
    EXPECT_EQ(Contents(std::to_string(t) + "a"), std::string(20, 'a'));
    EXPECT_EQ(Contents(std::to_string(t) + "b"), std::string(20, 'b'));
  }
}

// From here on io_uring_setup is refused to this thread, as container runtimes refuse it.
bool RefuseIoUring() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program = {.len = std::size(filter), .filter = filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST_F(SyncRingTest, RefusedByTheKernelNothingIsDoneAndTheFileSystemUsesThreads) {
  bool refused = false;
  std::thread([this, &refused] {
    refused = RefuseIoUring();
    if (!refused) return;
    SyncRings rings;
    EXPECT_FALSE(rings.Probe());
    const auto f = Open(In("f"));
    const auto g = Open(In("g"));
    const auto null = Open("/dev/null");
    std::vector<FileWrite> writes(3);
    writes[0] = {.file = f.get(), .pieces = {"a", "b"}};
    writes[1] = {.file = null.get(), .pieces = {"c"}};
    writes[2] = {.file = g.get(), .pieces = {"d"}, .sync = false};
    EXPECT_FALSE(rings.Run(absl::MakeSpan(writes)));
    EXPECT_EQ(f->Size().value(), 0u);

    PosixFileSystem files;
    EXPECT_FALSE(files.uses_io_uring());
    files.WriteAndSync(absl::MakeSpan(writes));
    EXPECT_OK(writes[0].status);
    EXPECT_THAT(writes[1].status, HasCode(ErrorCode::kStorageError));
    EXPECT_OK(writes[2].status);
    EXPECT_EQ(Contents("f"), "ab");
    EXPECT_EQ(Contents("g"), "d");
  }).join();
  if (!refused) GTEST_SKIP() << "this kernel does not let us filter system calls";
}

// Out of rings at run time (memory, descriptors): the round is done on the caller's thread.
TEST_F(SyncRingTest, WithoutOneMoreRingTheRoundIsDoneWithoutIt) {
  bool refused = false;
  PosixFileSystem files;
  const bool had_rings = files.uses_io_uring();
  const auto f = Open(In("f"));
  const auto g = Open(In("g"));
  std::thread([&] {
    refused = RefuseIoUring();
    if (!refused) return;
    // Of many at a time, some find the one idle ring taken.
    for (int round = 0; round < 50; ++round) {
      std::thread other([&] {
        std::vector<FileWrite> writes(2);
        writes[0] = {.file = f.get(), .offset = 0, .pieces = {"f"}};
        writes[1] = {.file = f.get(), .offset = 1, .pieces = {"F"}};
        files.WriteAndSync(absl::MakeSpan(writes));
        EXPECT_OK(writes[0].status);
        EXPECT_OK(writes[1].status);
      });
      std::vector<FileWrite> writes(2);
      writes[0] = {.file = g.get(), .offset = 0, .pieces = {"g"}};
      writes[1] = {.file = g.get(), .offset = 1, .pieces = {"G"}};
      files.WriteAndSync(absl::MakeSpan(writes));
      EXPECT_OK(writes[0].status);
      EXPECT_OK(writes[1].status);
      other.join();
    }
  }).join();
  if (!refused || !had_rings) GTEST_SKIP() << "no io_uring, or no filter for it";
  EXPECT_EQ(Contents("f"), "fF");
  EXPECT_EQ(Contents("g"), "gG");
}

}  // namespace
}  // namespace millrace
