// What the disk and the page cache can do at best, in the plainest way: the limits that a log's
// figures are held against. Prints one JSON object.
//
//   disk_probe --dir DIR [--seconds S] [--mib M] [--files N] [--only append|write]
//
// sync: N threads, each with its file: 1 MiB write, fdatasync, again. page_cache_write: M MiB into
// one new file in pieces of 64 KiB, no sync. read: the same file back, hot. append: 4 KiB and
// fdatasync, one at a time, to a growing file.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "tools/bench/probe/figures.h"

namespace millrace::bench {
namespace {

constexpr size_t kPiece = 64 << 10;
constexpr size_t kMiB = 1 << 20;

// A file that is deleted at the end.
class ScratchFile {
 public:
  explicit ScratchFile(const std::string& path)
      : path_(path), file_(open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644)) {
    if (file_ < 0) Die("cannot create " + path);
  }
  ~ScratchFile() {
    close(file_);
    unlink(path_.c_str());
  }
  void Write(const std::string& bytes) const {
    if (write(file_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
      Die("cannot write " + path_);
    }
  }
  void Sync() const {
    if (fdatasync(file_) != 0) Die("cannot sync " + path_);
  }
  void Rewind() const { lseek(file_, 0, SEEK_SET); }
  // Bytes read; 0 at the end.
  size_t Read(std::string* buffer) const {
    const ssize_t got = read(file_, buffer->data(), buffer->size());
    if (got < 0) Die("cannot read " + path_);
    return static_cast<size_t>(got);
  }

 private:
  const std::string path_;
  const int file_;
};

// Bytes that no layer below can shrink.
std::string Noise(size_t size) {
  std::string bytes(size, '\0');
  uint64_t state = 88172645463325252;
  for (char& c : bytes) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    c = static_cast<char>(state);
  }
  return bytes;
}

double ConcurrentSync(const std::string& dir, double seconds, int files) {
  const std::string bytes = Noise(kMiB);
  std::atomic<int64_t> written{0};
  const double start = Seconds();
  std::vector<std::thread> threads;
  for (int i = 0; i < files; ++i) {
    threads.emplace_back([&, i] {
      const ScratchFile file(dir + "/sync-" + std::to_string(i));
      do {
        file.Write(bytes);
        file.Sync();
        written += kMiB;
      } while (Seconds() - start < seconds);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return static_cast<double>(written) / (Seconds() - start);
}

void WriteAndRead(const std::string& dir, int64_t mib, Json* json) {
  const std::string bytes = Noise(kPiece);
  const ScratchFile file(dir + "/page-cache");
  const int64_t pieces = mib * static_cast<int64_t>(kMiB / kPiece);
  double start = Seconds();
  for (int64_t i = 0; i < pieces; ++i) file.Write(bytes);
  (*json)["page_cache_write_bytes_per_s"] = static_cast<double>(mib) * kMiB / (Seconds() - start);
  file.Rewind();
  std::string buffer(kPiece, '\0');
  start = Seconds();
  double read = 0;
  while (const size_t got = file.Read(&buffer)) read += static_cast<double>(got);
  (*json)["read_bytes_per_s"] = read / (Seconds() - start);
}

Json Append(const std::string& dir, double seconds) {
  const std::string bytes = Noise(4096);
  const ScratchFile file(dir + "/append");
  std::vector<double> times;
  const double end = Seconds() + seconds;
  do {
    const double start = Seconds();
    file.Write(bytes);
    file.Sync();
    times.push_back(Seconds() - start);
  } while (Seconds() < end);
  return PercentilesUs(std::move(times));
}

int Run(const Options& options) {
  const std::string dir = options.Text("dir");
  const double seconds = options.Number("seconds", 2);
  Json json;
  if (options.Has("only")) {
    const std::string only = options.Text("only");
    if (only == "append") {
      json["append"] = Append(dir, seconds);
    } else if (only == "write") {
      WriteAndRead(dir, static_cast<int64_t>(options.Number("mib", 1024)), &json);
    } else {
      Die("--only knows append and write");
    }
    std::cout << json.dump() << std::endl;
    return 0;
  }
  json["sync_bytes_per_s"] =
      ConcurrentSync(dir, seconds, static_cast<int>(options.Number("files", 6)));
  WriteAndRead(dir, static_cast<int64_t>(options.Number("mib", 1024)), &json);
  json["append"] = Append(dir, seconds);
  std::cout << json.dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) {
  return millrace::bench::Run(millrace::bench::Options(argc, argv, 1));
}
