// Runs this program again with the counting library under it, and reads what it counted.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace {

constexpr int kAllocations = 1000;
constexpr int kCopies = 50;
constexpr size_t kCopyBytes = 4096;

// What the library must see: sizes that the compiler does not know, so that nothing is expanded.
int Work(int argc) {
  std::vector<char> from(kCopyBytes * static_cast<size_t>(argc));
  std::vector<char> to(from.size());
  int sum = 0;
  for (int i = 0; i < kCopies; ++i) {
    from[0] = static_cast<char>(i);
    std::memcpy(to.data(), from.data(), to.size());
    sum += to[0];
  }
  for (int i = 0; i < kAllocations; ++i) {
    void* volatile memory = std::malloc(16 + static_cast<size_t>(i % 7));
    std::free(memory);
  }
  return sum == kCopies * (kCopies - 1) / 2 ? 0 : 1;
}

std::string Library() {
  const char* sources = std::getenv("TEST_SRCDIR");
  const char* workspace = std::getenv("TEST_WORKSPACE");
  return std::string(sources) + "/" + workspace + "/tools/bench/probe/libcounting_memory.so";
}

struct Counts {
  int64_t allocations = -1;
  int64_t bytes_copied = -1;
  int64_t copies = -1;
};

Counts CountsOfChild() {
  const std::string file = std::string(std::getenv("TEST_TMPDIR")) + "/counts";
  const pid_t child = fork();
  if (child == 0) {
    setenv("LD_PRELOAD", Library().c_str(), 1);
    setenv("COUNTING_MEMORY_FILE", file.c_str(), 1);
    setenv("COUNTING_MEMORY_CHILD", "1", 1);
    execl("/proc/self/exe", "child", nullptr);
    _exit(127);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  Counts counts;
  std::ifstream(file, std::ios::binary).read(reinterpret_cast<char*>(&counts), sizeof(counts));
  return counts;
}

TEST(CountingMemoryTest, CountsAllocationsAndCopiesOfPayloadSize) {
  const Counts counts = CountsOfChild();
  // The program's own start allocates and copies a little too.
  EXPECT_GE(counts.allocations, kAllocations);
  EXPECT_LT(counts.allocations, kAllocations + 2000);
  EXPECT_GE(counts.copies, kCopies);
  EXPECT_LT(counts.copies, kCopies + 50);
  EXPECT_GE(counts.bytes_copied, static_cast<int64_t>(kCopies * kCopyBytes));
}

}  // namespace

int main(int argc, char** argv) {
  if (std::getenv("COUNTING_MEMORY_CHILD") != nullptr) return Work(argc);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
