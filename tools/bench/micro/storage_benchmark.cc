// A partition's log on a real disk, beside the plainest way to write and read a file there.
//
// The log is driven as a broker does: batches are staged on the owner's thread and written by the
// directory's disk thread, no more than 8 MiB ahead, each copied once just before, as a server
// takes it from the network. Each iteration moves 64 MiB. Files lie below MILLRACE_BENCH_DIR, or
// TEST_TMPDIR, or /tmp.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "base/posix_file_system.h"
#include "base/system_clock.h"
#include "base/system_random.h"
#include "base/thread_executor.h"
#include "benchmark/benchmark.h"
#include "storage/index_file.h"
#include "storage/log_dir.h"
#include "tools/bench/micro/samples.h"

namespace millrace::bench {
namespace {

constexpr int kBatches = 1024;
constexpr size_t kAheadMax = 8 << 20;
constexpr size_t kReadBytes = 1 << 20;

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// A directory that is deleted at the end.
class ScratchDir {
 public:
  ScratchDir() {
    const char* parent = getenv("MILLRACE_BENCH_DIR");
    if (parent == nullptr) parent = getenv("TEST_TMPDIR");
    path_ = std::string(parent == nullptr ? "/tmp" : parent) + "/micro-XXXXXX";
    CHECK(mkdtemp(path_.data()) != nullptr) << path_;
  }
  ~ScratchDir() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A log directory with one log, and the threads that a broker gives it.
class LogBed : storage::Log::Listener {
 public:
  explicit LogBed(storage::Durability durability) {
    storage::LogDirOptions options;
    options.path = dir_.path() + "/log";
    options.cluster_id = ClusterId(Uuid(1, 1));
    options.node_id = NodeId(1);
    OnDisk([&] {
      auto opened = storage::LogDir::Open(options, {&files_, &disk_, &clock_, &random_, nullptr});
      CHECK(opened.ok()) << opened.status();
      log_dir_ = *std::move(opened);
    });
    std::promise<void> begun;
    log_dir_->BeginEpoch(BrokerEpoch(1), &shard_, [&](absl::Status status) {
      CHECK(status.ok()) << status;
      begun.set_value();
    });
    begun.get_future().wait();
    storage::LogConfig config;
    config.durability = durability;
    std::promise<void> made;
    log_dir_->OpenLog({TopicId(Uuid(1, 2)), PartitionIndex(0)}, "bench", config, &shard_,
                      [&](absl::StatusOr<std::unique_ptr<storage::Log>> log) {
                        CHECK(log.ok()) << log.status();
                        log_ = *std::move(log);
                        log_->SetListener(this);
                        made.set_value();
                      });
    made.get_future().wait();
  }
  ~LogBed() {
    OnShard([&] { log_.reset(); });
    log_dir_.reset();
    disk_.Shutdown();
    shard_.Shutdown();
  }

  // Appends copies of `batch`, and returns the seconds until the last one counts.
  double Append(const Bytes& batch) {
    std::promise<void> done;
    batch_ = batch;
    left_ = kBatches;
    done_ = &done;
    const double start = Seconds();
    shard_.Post([this] { Pump(); });
    done.get_future().wait();
    return Seconds() - start;
  }

  // Reads from the log's start to its end; returns the bytes.
  size_t ReadAll() {
    size_t bytes = 0;
    OnShard([&] {
      Offset from = log_->log_start_offset();
      while (from < log_->end_offset()) {
        auto plan = log_->Read(from, {.up_to = log_->end_offset(), .bytes_max = kReadBytes});
        CHECK(plan.ok()) << plan.status();
        auto result = plan->ready() ? plan->TakeResult() : plan->Execute();
        CHECK(result.ok()) << result.status();
        from = result->next_offset;
        bytes += result->bytes;
      }
    });
    return bytes;
  }

 private:
  // Stages while the disk is not too far behind.
  void Pump() {
    for (; left_ > 0 && ahead_ < kAheadMax; --left_) {
      Buffer copy(batch_.size());
      std::memcpy(copy.data(), batch_.data(), batch_.size());
      const auto staged = log_->StageAsLeader(std::move(copy), LeaderEpoch(0), clock_.WallNow());
      CHECK(staged.ok()) << staged.status();
      in_flight_.emplace_back(staged->end_offset, batch_.size());
      ahead_ += batch_.size();
    }
  }
  void OnAdvanced(Offset, Offset) override {
    while (!in_flight_.empty() && in_flight_.front().first <= log_->counted_offset()) {
      ahead_ -= in_flight_.front().second;
      in_flight_.pop_front();
    }
    Pump();
    if (left_ > 0 || !in_flight_.empty() || done_ == nullptr) return;
    std::exchange(done_, nullptr)->set_value();
  }
  void OnFailed(const absl::Status& status) override { CHECK(false) << status; }

  template <class Action>
  static void On(Executor* executor, Action action) {
    std::promise<void> done;
    executor->Post([&] {
      action();
      done.set_value();
    });
    done.get_future().wait();
  }
  template <class Action>
  void OnShard(Action action) {
    On(&shard_, action);
  }
  template <class Action>
  void OnDisk(Action action) {
    On(&disk_, action);
  }

  const ScratchDir dir_;
  PosixFileSystem files_;
  SystemClock clock_;
  SystemRandom random_;
  ThreadExecutor disk_{"disk"};
  ThreadExecutor shard_{"shard"};
  std::unique_ptr<storage::LogDir> log_dir_;
  std::unique_ptr<storage::Log> log_;
  // Of the shard.
  Bytes batch_;
  int left_ = 0;
  size_t ahead_ = 0;
  std::deque<std::pair<Offset, size_t>> in_flight_;
  std::promise<void>* done_ = nullptr;
};

void LogAppend(benchmark::State& state, storage::Durability durability) {
  const Bytes batch = SampleBatch(1024);
  LogBed bed(durability);
  for (auto _ : state) state.SetIterationTime(bed.Append(batch));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kBatches * batch.size()));
}
BENCHMARK_CAPTURE(LogAppend, , storage::Durability::kReplicated)
    ->Name("log_append_replicated")
    ->UseManualTime();
BENCHMARK_CAPTURE(LogAppend, , storage::Durability::kDurable)
    ->Name("log_append_durable")
    ->UseManualTime();

// The same batches to a plain file.
void RawWrite(benchmark::State& state, bool sync) {
  const Bytes batch = SampleBatch(1024);
  const ScratchDir dir;
  const int file = open((dir.path() + "/raw").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  for (auto _ : state) {
    const double start = Seconds();
    for (int i = 0; i < kBatches; ++i) {
      CHECK_EQ(write(file, batch.data(), batch.size()), static_cast<ssize_t>(batch.size()));
    }
    if (sync) CHECK_EQ(fdatasync(file), 0);
    state.SetIterationTime(Seconds() - start);
  }
  close(file);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * kBatches * batch.size()));
}
BENCHMARK_CAPTURE(RawWrite, , false)->Name("raw_write")->UseManualTime();
BENCHMARK_CAPTURE(RawWrite, , true)->Name("raw_write_one_sync")->UseManualTime();

void LogRead(benchmark::State& state) {
  LogBed bed(storage::Durability::kReplicated);
  bed.Append(SampleBatch(1024));
  size_t bytes = 0;
  for (auto _ : state) bytes += bed.ReadAll();
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
}
BENCHMARK(LogRead)->Name("log_read")->UseRealTime();

void RawRead(benchmark::State& state) {
  const Bytes batch = SampleBatch(1024);
  const ScratchDir dir;
  const int file = open((dir.path() + "/raw").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644);
  for (int i = 0; i < kBatches; ++i) {
    CHECK_EQ(write(file, batch.data(), batch.size()), static_cast<ssize_t>(batch.size()));
  }
  std::string buffer(kReadBytes, '\0');
  int64_t bytes = 0;
  for (auto _ : state) {
    lseek(file, 0, SEEK_SET);
    while (const ssize_t got = read(file, buffer.data(), buffer.size())) bytes += got;
  }
  close(file);
  state.SetBytesProcessed(bytes);
}
BENCHMARK(RawRead)->Name("raw_read")->UseRealTime();

// A lookup in the index of a segment of 1 GiB with an entry each 4 KiB.
void IndexLookup(benchmark::State& state) {
  constexpr int kEntries = 256 << 10;
  const ScratchDir dir;
  PosixFileSystem files;
  std::string contents;
  for (int i = 0; i < kEntries; ++i) {
    storage::AppendOffsetIndexEntry({.relative_offset = i * 40 + 39, .position = i * 4096},
                                    &contents);
  }
  auto file = files.Open(dir.path() + "/index", OpenMode::kTruncateCreate);
  CHECK(file.ok()) << file.status();
  CHECK((*file)->WriteAt(0, contents).ok());
  int64_t i = 0;
  for (auto _ : state) {
    i = (i * 1103515245 + 12345) % (kEntries * 40);
    benchmark::DoNotOptimize(storage::FindOffset(**file, i));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(IndexLookup)->Name("index_lookup");

}  // namespace
}  // namespace millrace::bench
