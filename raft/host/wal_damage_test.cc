// S-09: damage to what was acknowledged is found, whichever bit it is; and every call to the disk
// may fail, at any time, without a false acknowledgement.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/sim/sample_step.h"
#include "gmock/gmock.h"
#include "raft/host/wal_format.h"
#include "raft/host/wal_recovery.h"
#include "raft/host/wal_test_bed.h"

namespace millrace::raft {
namespace {

WalOptions TinyWalOptions() {
  WalOptions options = SmallWalOptions();
  options.entry_bytes_max = 4 << 10;
  options.segment_bytes = 72 << 10;
  options.fill_step_bytes = 8 << 10;
  return options;
}

// Two segments, sealed: hard states, voters, entries, an overwritten tail.
void WriteSample(WalTestBed& bed) {
  ASSERT_OK(bed.Open(TinyWalOptions()));
  VoterSet voters;
  voters.voters = {Voter{kWalTestVoter, "host:1", false}};
  bed.Append(WalBatch{.hard_state = HardState{Term(1), kWalTestVoter, {}}, .voters = voters});
  for (int64_t i = 1; i <= 20; ++i) {
    bed.AppendEntry(1, i, i == 8 ? 4'000 : 60);
    bed.Run();
  }
  bed.AppendHardState(2);
  bed.AppendEntry(2, 18, 50);
  bed.Run();
  bed.AppendEntry(2, 19, 50);
  bed.AppendEntry(2, 20, 50);
  bed.Seal();
  bed.Close();
}

// Whether all bytes around `at` are zero.
bool InZeros(const std::string& bytes, size_t at) {
  constexpr size_t kAround = 64;
  const size_t from = at < kAround ? 0 : at - kAround;
  return bytes.find_first_not_of('\0', from) > at + kAround;
}

// Every single bit of every segment. No byte is exempt from being flipped; a flip must either be
// refused or leave what is recovered exactly as it was. It is harmless, by design, in:
//   - the zero padding between a group's records and the next 4 KiB boundary: nobody reads it;
//   - the space behind the last group: it only costs a new segment;
//   - the final seal: it says that the group before it is durable, which loses nothing if lost.
// A last group that no seal follows yet (the first 20 ms) cannot be told from a torn one: the
// sample is sealed.
TEST(WalDamageTest, S09_EveryBitFlipIsDetectedOrHarmless) {
  WalTestBed sample;
  WriteSample(sample);
  std::map<std::string, std::string> contents;
  for (const std::string& name : sample.Names()) {
    if (!ParseWalSegmentName(name).has_value()) continue;
    ASSERT_OK_AND_ASSIGN(contents[name], ReadWholeFile(sample.files(), sample.Path(name), 1 << 20));
  }
  ASSERT_EQ(contents.size(), 2u);
  ASSERT_OK(sample.Open(TinyWalOptions()));
  const WalRecovery expected = sample.recovery();
  sample.Close();

  uint64_t detected = 0;
  uint64_t harmless = 0;
  const uint64_t step = sim::SampleStep();
  for (const auto& [name, bytes] : contents) {
    for (uint64_t bit = 0; bit < bytes.size() * 8; bit += step) {
      // Deep inside runs of zeros (padding, unused space) only a few bits: all are alike there.
      if (InZeros(bytes, bit / 8) && bit % 977 != 0) continue;
      sample.files().FlipBit(sample.Path(name), bit);
      absl::StatusOr<WalRecovered> recovered =
          RecoverWal(TinyWalOptions(), sample.files(), EntryId{});
      sample.files().FlipBit(sample.Path(name), bit);
      if (!recovered.ok()) {
        ++detected;
        ASSERT_THAT(recovered, HasCode(ErrorCode::kCorruptLog)) << name << " bit " << bit;
        continue;
      }
      ++harmless;
      ASSERT_FALSE(recovered->recovery.created);
      ASSERT_EQ(recovered->recovery.hard_state, expected.hard_state) << name << " bit " << bit;
      ASSERT_EQ(recovered->recovery.voters, expected.voters) << name << " bit " << bit;
      ASSERT_EQ(recovered->recovery.entries, expected.entries) << name << " bit " << bit;
    }
  }
  EXPECT_GT(detected * step, 50'000u);
  EXPECT_GT(harmless * step, 100u);
}

// A workload that uses every kind of call; tells how many batches were persisted.
size_t RunWorkload(
    WalTestBed& bed, const std::function<void()>& after_open = [] {}) {
  if (!bed.Open(TinyWalOptions()).ok()) return 0;
  after_open();
  int64_t index = 0;
  for (int i = 0; i < 40 && bed.failures() == 0; ++i) {
    WalBatch batch;
    batch.entries.push_back(TestEntry(1, ++index, 3'000));
    bed.Append(std::move(batch));
    bed.Run();
    if (i % 9 == 8) bed.Seal();
    if (i % 15 == 14) bed.wal().ReleaseBefore(LogIndex(1));
  }
  return bed.persisted().size();
}

class WalFaultTest : public ::testing::TestWithParam<sim::SimFault> {};

TEST_P(WalFaultTest, AFaultAtAnyCallNeverLosesWhatWasAcknowledged) {
  uint64_t calls = 0;
  {
    WalTestBed bed;
    const uint64_t before = bed.files().calls();
    RunWorkload(bed);
    calls = bed.files().calls() - before;
  }
  ASSERT_GT(calls, 100u);
  for (uint64_t n = 1; n <= calls; ++n) {
    for (bool sticky : {false, true}) {
      WalTestBed bed;
      bed.files().FailCallAt(bed.files().calls() + n, GetParam(), sticky);
      const size_t persisted = RunWorkload(bed);
      EXPECT_LE(bed.failures(), 1) << n;
      bed.Close();
      bed.files().ClearFaults();
      // A crash at the worst moment, and an open on what it left.
      sim::SimRandom random(n);
      WalTestBed after(bed.files().CrashImage(sim::CrashMode::kLoseAll, random));
      ASSERT_OK(after.Open(TinyWalOptions())) << "call " << n;
      ASSERT_GE(after.recovery().entries.size(), persisted) << "call " << n;
      for (size_t i = 0; i < after.recovery().entries.size(); ++i) {
        ASSERT_EQ(after.recovery().entries[i], TestEntry(1, i + 1, 3'000)) << "call " << n;
      }
    }
  }
}

TEST_P(WalFaultTest, AFaultWhileOpeningIsReportedAndLosesNothing) {
  for (uint64_t n = 1; n < 60; ++n) {
    WalTestBed bed;
    const size_t persisted = RunWorkload(bed);
    bed.Close();
    bed.files().FailCallAt(bed.files().calls() + n, GetParam());
    absl::Status status = bed.Open(TinyWalOptions());
    bed.Close();
    bed.files().ClearFaults();
    ASSERT_OK(bed.Open(TinyWalOptions())) << "call " << n << " after " << status;
    ASSERT_EQ(bed.recovery().entries.size(), persisted) << "call " << n;
  }
}

INSTANTIATE_TEST_SUITE_P(Faults, WalFaultTest,
                         ::testing::Values(sim::SimFault::kIoError, sim::SimFault::kNoSpace));

}  // namespace
}  // namespace millrace::raft
