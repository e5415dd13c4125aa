// LogFixture: one log directory on a simulated disk, for tests: opens it, opens logs in it, makes
// batches, and runs everything in virtual time.
//
// Thread: the test's one.
#ifndef STORAGE_TESTING_LOG_FIXTURE_H_
#define STORAGE_TESTING_LOG_FIXTURE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "record/batch_builder.h"
#include "record/batch_stamp.h"
#include "record/batch_view.h"
#include "storage/log.h"
#include "storage/log_dir.h"

namespace millrace::storage {

inline constexpr int64_t kTestTime = 1'767'225'600'000;

// A batch of `count` records, each with `value` and its number, at `timestamp_ms`.
inline Buffer MakeBatch(const std::string& value, int count = 1, int64_t timestamp_ms = kTestTime,
                        ProducerId producer = kNoProducerId, int32_t sequence = -1) {
  record::BatchBuilder::Options options;
  options.producer_id = producer;
  options.producer_epoch = producer == kNoProducerId ? kNoProducerEpoch : ProducerEpoch(0);
  options.base_sequence = sequence;
  record::BatchBuilder builder(options);
  for (int i = 0; i < count; ++i) {
    builder.Add(timestamp_ms, absl::nullopt, Slice(absl::StrCat(value, "#", i)));
  }
  const Bytes bytes = builder.Build();
  Buffer buffer(bytes.size());
  std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return buffer;
}

// The same as a log at offset `base` would hold it.
inline std::string MakeStampedBatch(Offset base, LeaderEpoch epoch, const std::string& value,
                                    int count = 1, int64_t timestamp_ms = kTestTime,
                                    ProducerId producer = kNoProducerId, int32_t sequence = -1) {
  Buffer buffer = MakeBatch(value, count, timestamp_ms, producer, sequence);
  record::StampBaseOffset(buffer.data(), base);
  record::StampLeaderEpoch(buffer.data(), epoch);
  return std::string(buffer.data(), buffer.size());
}

// The contents of a file, which must be there.
inline std::string FileContents(FileSystem& files, const std::string& path) {
  absl::StatusOr<std::string> contents = ReadWholeFile(files, path, uint64_t{1} << 30);
  EXPECT_OK(contents);
  return contents.ok() ? *std::move(contents) : std::string();
}

// Notes what a log tells.
struct RecordingListener : Log::Listener {
  void OnAdvanced(Offset w, Offset d) override {
    written = w;
    durable = d;
    ++calls;
  }
  void OnFailed(const absl::Status& s) override { failure = s; }
  Offset written;
  Offset durable;
  int calls = 0;
  absl::Status failure;
};

class LogFixture {
 public:
  explicit LogFixture(uint64_t seed = 1) : LogFixture(std::make_shared<sim::SimFileSystem>(seed)) {}
  explicit LogFixture(std::shared_ptr<sim::SimFileSystem> file_system)
      : files(std::move(file_system)),
        loop(1),
        clock(loop.time()),
        random(7),
        disk(loop.MakeExecutor("disk", &clock)),
        shard(loop.MakeExecutor("shard", &clock)) {
    options.path = "data";
    options.cluster_id = ClusterId(Uuid(1, 2));
    options.node_id = NodeId(3);
    options.reserve_bytes = 0;
    config.file_delete_delay_ms = 1000;
  }
  ~LogFixture() {
    Stop();
    Run();
  }

  static TopicPartition Partition(int i = 0) { return {TopicId(Uuid(10, 20)), PartitionIndex(i)}; }

  absl::Status Open() {
    absl::StatusOr<std::unique_ptr<LogDir>> opened =
        LogDir::Open(options, {files.get(), disk.get(), &clock, &random, nullptr});
    if (!opened.ok()) return opened.status();
    dir = *std::move(opened);
    return absl::OkStatus();
  }
  absl::Status Begin(int64_t epoch) {
    return Await([&](LogDir::Done done) {
      dir->BeginEpoch(BrokerEpoch(epoch), shard.get(), std::move(done));
    });
  }
  absl::StatusOr<std::unique_ptr<Log>> OpenLog(int partition = 0) {
    return OpenLog(Partition(partition), "topic");
  }
  absl::StatusOr<std::unique_ptr<Log>> OpenLog(const TopicPartition& topic_partition,
                                               const std::string& name) {
    absl::StatusOr<std::unique_ptr<Log>> result = absl::UnknownError("no answer");
    dir->OpenLog(topic_partition, name, config, shard.get(),
                 [&](absl::StatusOr<std::unique_ptr<Log>> log) { result = std::move(log); });
    RunBriefly();
    return result;
  }
  // What `start` was told, or that it was told nothing.
  absl::Status Await(const std::function<void(LogDir::Done)>& start) {
    absl::Status result = absl::UnknownError("no answer");
    bool answered = false;
    // Shared, so that a late answer finds its place.
    auto place = std::make_shared<std::pair<absl::Status, bool>>();
    start([place](absl::Status status) { *place = {status, true}; });
    RunBriefly();
    if (place->second) result = place->first;
    (void)answered;
    return result;
  }
  absl::Status Close(Log& log) {
    return Await([&](LogDir::Done done) { log.Close(std::move(done)); });
  }
  absl::Status CloseDir() {
    return Await([&](LogDir::Done done) { dir->Close(shard.get(), std::move(done)); });
  }
  // The process is gone: nothing is closed, what is in flight is dropped. Destroy Logs before.
  void Stop() {
    dir.reset();
    disk->Shutdown();
    shard->Shutdown();
  }

  // Long enough for rounds, too short for idle seals and timers of seconds.
  void RunBriefly() { loop.RunFor(absl::Milliseconds(1)); }
  void Run(absl::Duration duration = absl::Milliseconds(100)) { loop.RunFor(duration); }
  WallTime Now() const { return clock.WallNow(); }

  std::shared_ptr<sim::SimFileSystem> files;
  sim::SimLoop loop;
  sim::SimClock clock;
  sim::SimRandom random;
  std::unique_ptr<sim::SimExecutor> disk;
  std::unique_ptr<sim::SimExecutor> shard;
  LogDirOptions options;
  LogConfig config;
  std::unique_ptr<LogDir> dir;
};

// All batches from `from` on, as bytes, by repeated reads. Adds what went wrong to the test.
inline std::string ReadAll(Log& log, Offset from, Offset up_to, size_t bytes_max = 1 << 20) {
  std::string all;
  while (from < up_to) {
    absl::StatusOr<ReadPlan> plan = log.Read(from, {up_to, bytes_max, true});
    if (!plan.ok()) {
      ADD_FAILURE() << plan.status();
      break;
    }
    absl::StatusOr<ReadResult> result = plan->Execute();
    if (!result.ok()) {
      ADD_FAILURE() << result.status();
      break;
    }
    if (result->pieces.empty()) {
      ADD_FAILURE() << "nothing at " << from << " below " << up_to;
      break;
    }
    for (const Bytes& piece : result->pieces) all += piece.ToString();
    from = result->next_offset;
  }
  return all;
}

}  // namespace millrace::storage

#endif  // STORAGE_TESTING_LOG_FIXTURE_H_
