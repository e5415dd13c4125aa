// What the tests of the WAL share: a simulated disk and two strands, a WAL on them, and what was
// acknowledged, to be compared with what a recovery finds.
//
// Thread: the test's one.
#ifndef RAFT_HOST_WAL_TEST_BED_H_
#define RAFT_HOST_WAL_TEST_BED_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "raft/host/wal.h"
#include "raft/types.h"

namespace millrace::raft {

inline constexpr char kWalTestDirectory[] = "/wal";

inline const VoterId kWalTestVoter{NodeId(1), DirectoryId(Uuid(0x1111, 0x2222))};

// Segments so small that a short test fills several.
inline WalOptions SmallWalOptions() {
  WalOptions options;
  options.directory = kWalTestDirectory;
  options.segment_bytes = 128 << 10;
  options.entry_bytes_max = 32 << 10;
  options.fill_step_bytes = 16 << 10;
  return options;
}

inline Entry TestEntry(int64_t term, int64_t index, size_t size = 100) {
  std::string payload(size, static_cast<char>('a' + index % 26));
  payload += std::to_string(term) + ":" + std::to_string(index);
  return Entry{Term(term), LogIndex(index), EntryType::kPayload, Bytes::FromString(payload)};
}

class WalTestBed {
 public:
  explicit WalTestBed(std::unique_ptr<sim::SimFileSystem> disk = nullptr, uint64_t seed = 1)
      : loop_(seed),
        clock_(loop_.time()),
        random_(seed),
        owner_(loop_.MakeExecutor("owner", &clock_)),
        disk_strand_(loop_.MakeExecutor("disk", &clock_)),
        files_(disk != nullptr ? std::move(disk) : std::make_unique<sim::SimFileSystem>()) {
    // What the test puts beside the WAL is not what it tests.
    files_->SyncAll();
  }
  ~WalTestBed() {
    Close();
    owner_->Shutdown();
    disk_strand_->Shutdown();
  }

  // Opens, or opens again after Close.
  absl::Status Open(WalOptions options = SmallWalOptions(), EntryId snapshot = {}) {
    recovery_ = WalRecovery{};
    absl::StatusOr<std::unique_ptr<Wal>> wal = Wal::Open(
        std::move(options), dependencies(), snapshot,
        [this](const absl::Status& status) {
          ++failures_;
          failure_ = status;
        },
        &recovery_);
    if (!wal.ok()) return wal.status();
    wal_ = *std::move(wal);
    return absl::OkStatus();
  }
  void Close() { wal_.reset(); }

  // Appends, without waiting.
  void Append(WalBatch batch) {
    const int number = ++appended_;
    EXPECT_OK(wal_->Append(std::move(batch), [this, number] { persisted_.push_back(number); }));
  }
  void AppendEntry(int64_t term, int64_t index, size_t size = 100) {
    WalBatch batch;
    batch.entries.push_back(TestEntry(term, index, size));
    Append(std::move(batch));
  }
  void AppendHardState(int64_t term, int64_t commit = 0) {
    Append(WalBatch{.hard_state = HardState{Term(term), kWalTestVoter, LogIndex(commit)}});
  }
  // Runs everything that is due within `time`.
  void Run(absl::Duration time = absl::Milliseconds(1)) { loop_.RunFor(time); }
  // Long enough for the idle seal.
  void Seal() { Run(absl::Milliseconds(30)); }

  std::vector<std::string> Names() {
    std::vector<std::string> names;
    auto entries = files_->ListDirectory(kWalTestDirectory);
    if (!entries.ok()) return names;
    for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
    return names;
  }
  std::string Path(const std::string& name) { return JoinPath(kWalTestDirectory, name); }

  Wal::Dependencies dependencies() {
    return {files_.get(), &clock_, &random_, owner_.get(), disk_strand_.get(), nullptr};
  }
  Wal& wal() { return *wal_; }
  sim::SimFileSystem& files() { return *files_; }
  sim::SimLoop& loop() { return loop_; }
  sim::SimExecutor& owner() { return *owner_; }
  sim::SimExecutor& disk_strand() { return *disk_strand_; }
  const WalRecovery& recovery() const { return recovery_; }
  // Numbers of the batches whose callbacks ran, from 1, in the order in which they did.
  const std::vector<int>& persisted() const { return persisted_; }
  int failures() const { return failures_; }
  const absl::Status& failure() const { return failure_; }

 private:
  sim::SimLoop loop_;
  sim::SimClock clock_;
  sim::SimRandom random_;
  std::unique_ptr<sim::SimExecutor> owner_;
  std::unique_ptr<sim::SimExecutor> disk_strand_;
  std::unique_ptr<sim::SimFileSystem> files_;
  std::unique_ptr<Wal> wal_;
  WalRecovery recovery_;
  int appended_ = 0;
  std::vector<int> persisted_;
  int failures_ = 0;
  absl::Status failure_;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_WAL_TEST_BED_H_
