// Writes a log directory with one sample partition `sample-0` on the real disk, for Kafka's own
// DumpLogSegments to read: write_sample_segment DIRECTORY

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/posix_file_system.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_random.h"
#include "record/batch_builder.h"
#include "storage/log.h"
#include "storage/log_dir.h"

namespace millrace::storage {
namespace {

Buffer MakeBatch(int number) {
  record::BatchBuilder::Options options;
  options.compression = record::kAllCompressions[number % 5];
  record::BatchBuilder builder(options);
  for (int i = 0; i < 20; ++i) {
    builder.Add(1'767'225'600'000 + number * 100 + i, Slice(absl::StrCat("key", number)),
                Slice(absl::StrCat("value ", number, " ", i, std::string(50, 'x'))));
  }
  const Bytes bytes = builder.Build();
  Buffer buffer(bytes.size());
  std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return buffer;
}

void Write(const std::string& directory) {
  std::unique_ptr<FileSystem> files = std::make_unique<PosixFileSystem>();
  sim::SimLoop loop(1);
  sim::SimClock clock(loop.time());
  sim::SimRandom random(1);
  auto disk = loop.MakeExecutor("disk", &clock);
  auto shard = loop.MakeExecutor("shard", &clock);
  LogDirOptions options;
  options.path = directory;
  options.cluster_id = ClusterId(Uuid(1, 2));
  options.reserve_bytes = 0;
  auto dir = LogDir::Open(options, {files.get(), disk.get(), &clock, &random, nullptr});
  CHECK_OK(dir);
  (*dir)->BeginEpoch(BrokerEpoch(1), shard.get(), [](absl::Status s) { CHECK_OK(s); });
  LogConfig config;
  config.segment_bytes = 64 << 10;
  std::unique_ptr<Log> log;
  (*dir)->OpenLog({TopicId(Uuid(3, 4)), PartitionIndex(0)}, "sample", config, shard.get(),
                  [&](absl::StatusOr<std::unique_ptr<Log>> opened) {
                    CHECK_OK(opened);
                    log = *std::move(opened);
                  });
  loop.RunFor(absl::Milliseconds(1));
  for (int i = 0; i < 200; ++i) {
    CHECK_OK(log->StageAsLeader(MakeBatch(i), LeaderEpoch(1 + i / 100), clock.WallNow()));
    loop.RunFor(absl::Milliseconds(1));
  }
  log->Close([](absl::Status s) { CHECK_OK(s); });
  loop.RunFor(absl::Milliseconds(1));
  (*dir)->Close(shard.get(), [](absl::Status s) { CHECK_OK(s); });
  loop.RunFor(absl::Milliseconds(1));
  std::printf("%s: offsets %lld to %lld\n", directory.c_str(),
              static_cast<long long>(log->log_start_offset().value()),
              static_cast<long long>(log->end_offset().value()));
  log.reset();
  dir->reset();
  loop.RunFor(absl::Milliseconds(1));
}

}  // namespace
}  // namespace millrace::storage

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_sample_segment DIRECTORY\n");
    return 2;
  }
  millrace::storage::Write(argv[1]);
  return 0;
}
