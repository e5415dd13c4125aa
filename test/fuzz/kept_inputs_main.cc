// Runs a fuzz target over files that are kept: as an ordinary program, without the fuzzer's
// runtime, so that every build compiles the target and every test run asks it what it once knew.
// Each file is given whole, cut short, and with a byte changed, at places spread evenly.
//
// Usage: NAME FILE... The target ends the process if something is wrong.
//
// Thread: main.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/file_system.h"
#include "base/posix_file_system.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

// Some hundred runs per file are less than a second, also with the sanitizers.
constexpr size_t kPlacesMax = 30;
constexpr uint64_t kInputBytesMax = uint64_t{16} << 20;

void Run(const std::string& bytes) {
  // In memory of exactly its size, so that a sanitizer sees a read behind it.
  const std::vector<uint8_t> input(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(input.data(), input.size());
}

int RunAll(const std::string& bytes) {
  Run(bytes);
  const size_t step = std::max<size_t>(1, bytes.size() / kPlacesMax);
  int runs = 1;
  for (size_t at = 0; at < bytes.size(); at += step, runs += 3) {
    Run(bytes.substr(0, at));
    std::string changed = bytes;
    changed[at] = static_cast<char>(~changed[at]);
    Run(changed);
    changed[at] = static_cast<char>(bytes[at] ^ 1);
    Run(changed);
  }
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc > 1) << "no inputs";
  millrace::PosixFileSystem files;
  for (int i = 1; i < argc; ++i) {
    const absl::StatusOr<std::string> bytes =
        millrace::ReadWholeFile(files, argv[i], kInputBytesMax);
    CHECK(bytes.ok() && !bytes->empty()) << argv[i] << ": " << bytes.status();
    std::printf("%s: %d runs\n", argv[i], RunAll(*bytes));
  }
  return 0;
}
