// S-09: damage to a snapshot is found, whichever bit it is, and costs the newest snapshot at most;
// and every call to the disk may fail, at any time, without a false promise.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/sim/sample_step.h"
#include "gmock/gmock.h"
#include "raft/host/snapshot_test_bed.h"

namespace millrace::raft {
namespace {

// ---- Bits ----

class SnapshotBitTest : public ::testing::Test {
 protected:
  // Two snapshots, the newest of `size` bytes of body.
  void Write(size_t size) {
    ASSERT_OK(bed_.Open());
    ASSERT_OK_AND_ASSIGN(first_, bed_.store().Write(At(2, 100), SampleVoters(), "first"));
    ASSERT_OK_AND_ASSIGN(second_, bed_.store().Write(At(2, 200), SampleVoters(), SampleBody(size)));
    bed_.Close();
  }

  SnapshotTestBed bed_;
  SnapshotOffer first_;
  SnapshotOffer second_;
};

TEST_F(SnapshotBitTest, S09_EveryBitFlipIsDetectedAndTheOneBeforeTakesOver) {
  ASSERT_NO_FATAL_FAILURE(Write(300));
  const std::string path = bed_.PathOf(At(2, 200));
  for (uint64_t bit = 0; bit < second_.id.bytes * 8; bit += sim::SampleStep()) {
    bed_.files().FlipBit(path, bit);
    ASSERT_OK(bed_.Open()) << bit;
    ASSERT_EQ(bed_.store().newest(), first_) << bit;
    ASSERT_EQ(bed_.store().damaged().size(), 1u) << bit;
    ASSERT_THAT(bed_.store().damaged()[0].status, HasCode(ErrorCode::kCorruptLog)) << bit;
    bed_.files().FlipBit(path, bit);
  }
  ASSERT_OK(bed_.Open());
  EXPECT_EQ(bed_.store().newest(), second_);
}

TEST_F(SnapshotBitTest, S09_EveryBitFlipOfAnOpenOneIsDetectedWhenItIsRead) {
  ASSERT_NO_FATAL_FAILURE(Write(150'000));
  ASSERT_OK(bed_.Open());
  const std::string path = bed_.PathOf(At(2, 200));
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadWholeFile(bed_.files(), path, 1 << 20));
  for (uint64_t bit = 0; bit < second_.id.bytes * 8; bit += 997) {
    bed_.files().FlipBit(path, bit);
    ASSERT_THAT(bed_.store().ReadBody(second_.id), HasCode(ErrorCode::kCorruptLog)) << bit;
    // A piece is either damaged, or does not hold the bit.
    for (const uint64_t at : {uint64_t{0}, bit / 8}) {
      const absl::StatusOr<Bytes> chunk = bed_.store().ReadChunk(second_.id, at, 1000);
      if (chunk.ok()) {
        ASSERT_TRUE(chunk->slice() == Slice(bytes).substr(at, 1000)) << bit;
      } else {
        ASSERT_THAT(chunk, HasCode(ErrorCode::kCorruptLog)) << bit;
      }
    }
    ASSERT_THAT(bed_.store().ReadChunk(second_.id, bit / 8, 1), HasCode(ErrorCode::kCorruptLog));
    bed_.files().FlipBit(path, bit);
  }
  EXPECT_OK(bed_.store().ReadBody(second_.id));
}

TEST_F(SnapshotBitTest, EveryLengthButTheRightOneIsDetected) {
  ASSERT_NO_FATAL_FAILURE(Write(300));
  const std::string path = bed_.PathOf(At(2, 200));
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadWholeFile(bed_.files(), path, 1 << 20));
  for (size_t size = 0; size < bytes.size() + 10; ++size) {
    if (size == bytes.size()) continue;
    ASSERT_OK_AND_ASSIGN(auto file, bed_.files().Open(path, OpenMode::kReadWrite));
    ASSERT_OK(file->WriteAt(0, bytes));
    ASSERT_OK(file->Truncate(size));
    file.reset();
    ASSERT_OK(bed_.Open()) << size;
    ASSERT_EQ(bed_.store().newest(), first_) << size;
  }
}

TEST_F(SnapshotBitTest, EveryBitFlipOfAReceptionIsNotValid) {
  const ForeignSnapshot foreign(At(3, 300), SampleBody(300));
  ASSERT_OK(bed_.Open());
  ASSERT_OK(bed_.Receive(foreign, 100));
  const std::string path = bed_.Path(ReceivedFileName(foreign.id));
  for (uint64_t bit = 0; bit < foreign.id.bytes * 8; bit += sim::SampleStep()) {
    bed_.files().FlipBit(path, bit);
    const absl::StatusOr<bool> valid = bed_.store().VerifyReceived(foreign.id);
    ASSERT_OK(valid) << bit;
    ASSERT_FALSE(*valid) << bit;
    ASSERT_THAT(bed_.store().InstallReceived(foreign.id), HasCode(ErrorCode::kInvalidRequest));
    bed_.files().FlipBit(path, bit);
  }
  EXPECT_TRUE(*bed_.store().VerifyReceived(foreign.id));
}

// ---- Faults ----

struct FaultPlan {
  sim::SimFault fault;
  // All calls from the first one on fail.
  bool sticky = false;
  // After an error the store is closed and opened again, as when a host gives up and is restarted.
  bool reopen = false;
};

// Every kind of call; what fails is not tried again.
class FaultyRun {
 public:
  FaultyRun(SnapshotTestBed* bed, bool reopen) : bed_(*bed), reopen_(reopen) {}

  void Run() {
    const ForeignSnapshot foreign = Foreign(400);
    const ForeignSnapshot other = Foreign(700);
    for (const int64_t index : {100, 200, 300}) Write(index);
    ReceiveAndInstall(foreign);
    for (const int64_t index : {500, 600}) Write(index);
    if (EnsureOpen() && !bed_.Receive(other, 40'000, 80'000).ok()) AfterError();
    bed_.Close();
    ReceiveAndInstall(other);
    Write(800);
  }

  // The snapshots that have to be there, the newest last.
  const std::vector<SnapshotId>& promised() const { return promised_; }

  static std::string BodyOf(const SnapshotId& id) {
    const auto index = static_cast<uint64_t>(id.last.index.value());
    return SampleBody(index == 400 || index == 700 ? 90'000 : 20'000, index);
  }

 private:
  static ForeignSnapshot Foreign(int64_t index) {
    const EntryId last = At(index / 100, index);
    return ForeignSnapshot(last, BodyOf(SnapshotId{last}));
  }

  void Write(int64_t index) {
    if (!EnsureOpen()) return;
    const SnapshotId id{At(index / 100, index)};
    const auto written = bed_.store().Write(id.last, SampleVoters(), BodyOf(id));
    if (!written.ok()) return AfterError();
    promised_.push_back(written->id);
    if (promised_.size() > 2) promised_.erase(promised_.begin());
  }

  void ReceiveAndInstall(const ForeignSnapshot& foreign) {
    if (!EnsureOpen()) return;
    if (!bed_.Receive(foreign, 40'000).ok()) return AfterError();
    const absl::StatusOr<bool> valid = bed_.store().VerifyReceived(foreign.id);
    if (!valid.ok() || !*valid || !bed_.store().InstallReceived(foreign.id).ok()) {
      return AfterError();
    }
    promised_ = {foreign.id};
  }

  void AfterError() {
    if (reopen_) bed_.Close();
  }

  bool EnsureOpen() {
    if (bed_.is_open()) return true;
    if (!bed_.Open().ok()) return false;
    if (!bed_.store().damaged().empty()) {
      // It could not be read this time.
      bed_.Close();
      return false;
    }
    // A change that failed may have happened all the same.
    const auto& newest = bed_.store().newest();
    if (!promised_.empty()) {
      EXPECT_TRUE(newest.has_value());
      EXPECT_GE(newest->id, promised_.back());
    }
    promised_.clear();
    if (newest.has_value()) promised_.push_back(newest->id);
    return true;
  }

  SnapshotTestBed& bed_;
  const bool reopen_;
  std::vector<SnapshotId> promised_;
};

// Everything promised is there after a crash at the worst moment; nothing is there that is wrong.
void CheckAfterCrash(const sim::SimFileSystem& files, const std::vector<SnapshotId>& promised) {
  for (const auto mode : {sim::CrashMode::kLoseAll, sim::CrashMode::kKeepAll}) {
    sim::SimRandom random(1);
    SnapshotTestBed after(files.CrashImage(mode, random));
    ASSERT_OK(after.Open());
    ASSERT_TRUE(after.store().damaged().empty());
    const auto& newest = after.store().newest();
    ASSERT_TRUE(newest.has_value() || promised.empty());
    if (!newest.has_value()) continue;
    ASSERT_TRUE(*after.store().ReadBody(newest->id) == FaultyRun::BodyOf(newest->id));
    if (promised.empty()) continue;
    ASSERT_GE(newest->id, promised.back());
    // If nothing newer took its place, the one before it is there as well.
    if (newest->id != promised.back()) continue;
    for (const SnapshotId& id : promised) {
      ASSERT_TRUE(*after.store().ReadBody(id) == FaultyRun::BodyOf(id));
    }
  }
}

class SnapshotFaultTest : public ::testing::TestWithParam<FaultPlan> {};

TEST_P(SnapshotFaultTest, AFaultAtAnyCallNeverLosesWhatWasPromised) {
  uint64_t calls = 0;
  {
    SnapshotTestBed bed;
    const uint64_t before = bed.files().calls();
    FaultyRun run(&bed, false);
    run.Run();
    EXPECT_EQ(run.promised().size(), 2u);
    calls = bed.files().calls() - before;
  }
  ASSERT_GT(calls, 80u);
  for (uint64_t n = 1; n <= calls; ++n) {
    SCOPED_TRACE(absl::StrCat("call ", n));
    SnapshotTestBed bed;
    bed.files().FailCallAt(bed.files().calls() + n, GetParam().fault, GetParam().sticky);
    FaultyRun run(&bed, GetParam().reopen);
    run.Run();
    bed.Close();
    ASSERT_NO_FATAL_FAILURE(CheckAfterCrash(bed.files(), run.promised()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Faults, SnapshotFaultTest,
    ::testing::Values(FaultPlan{.fault = sim::SimFault::kIoError},
                      FaultPlan{.fault = sim::SimFault::kNoSpace},
                      FaultPlan{.fault = sim::SimFault::kIoError, .sticky = true},
                      FaultPlan{.fault = sim::SimFault::kNoSpace, .sticky = true},
                      FaultPlan{.fault = sim::SimFault::kIoError, .reopen = true},
                      FaultPlan{.fault = sim::SimFault::kNoSpace, .reopen = true}));

}  // namespace
}  // namespace millrace::raft
