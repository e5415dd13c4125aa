// S-09: whatever a power loss leaves, at whatever moment, recovery finds all that was acknowledged,
// nothing that was never appended, and never an older hard state.
#include <map>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "raft/host/wal_test_bed.h"

namespace millrace::raft {
namespace {

// What a log says after some of its records.
struct Model {
  HardState hard_state;
  VoterSet voters;
  std::vector<Entry> entries;  // From index 1.

  void ApplyEntry(const Entry& entry) {
    entries.resize(entry.index.value() - 1);
    entries.push_back(entry);
  }
};

// The models after each record of a batch: groups may part a batch, but nothing less.
void ApplyBatch(const WalBatch& batch, std::vector<Model>* history) {
  Model model = history->back();
  if (batch.hard_state.has_value()) {
    model.hard_state = *batch.hard_state;
    history->push_back(model);
  }
  if (batch.truncate_from.has_value()) {
    model.entries.resize(batch.truncate_from->value() - 1);
    history->push_back(model);
  }
  for (const Entry& entry : batch.entries) {
    model.ApplyEntry(entry);
    history->push_back(model);
  }
  if (batch.voters.has_value()) {
    model.voters = *batch.voters;
    history->push_back(model);
  }
}

VoterSet OneVoter(int64_t term, int64_t index) {
  return VoterSet{EntryId{Term(term), LogIndex(index)}, {Voter{kWalTestVoter, "a:1", false}}};
}

// Every kind of record, entries that fill several segments, overwriting, cuts.
std::vector<WalBatch> Workload() {
  std::vector<WalBatch> batches;
  auto add = [&batches] { return &batches.emplace_back(); };
  add()->voters = OneVoter(0, 0);
  add()->hard_state = HardState{Term(1), kWalTestVoter, LogIndex(0)};
  for (int64_t i = 1; i <= 30; ++i) {
    WalBatch* batch = add();
    batch->entries.push_back(TestEntry(1, 2 * i - 1, i % 5 == 0 ? 20'000 : 300));
    batch->entries.push_back(TestEntry(1, 2 * i, i % 7 == 0 ? 9'000 : 50));
  }
  add()->hard_state = HardState{Term(2), std::nullopt, LogIndex(40)};
  add()->entries.push_back(TestEntry(2, 55, 5'000));
  add()->entries.push_back(TestEntry(2, 56, 100));
  WalBatch* cut = add();
  cut->hard_state = HardState{Term(3), kWalTestVoter, LogIndex(50)};
  cut->truncate_from = LogIndex(56);
  add()->voters = OneVoter(3, 56);
  for (int64_t i = 56; i <= 75; ++i) add()->entries.push_back(TestEntry(3, i, 12'000));
  return batches;
}

struct CrashPoint {
  std::unique_ptr<sim::SimFileSystem> image;
  std::string what;
  size_t acknowledged = 0;  // Position in the history.
  size_t appended = 0;
  EntryId snapshot;
};

class WalCrashTest : public ::testing::Test {
 protected:
  // Runs the workload and calls `check` with what a crash before each mutating call leaves.
  void ForEachCrash(const std::function<void(CrashPoint)>& check) {
    WalTestBed bed;
    sim::SimRandom random(7);
    history_ = {Model{}};
    size_t acknowledged = 0;
    size_t appended = 0;
    EntryId snapshot;
    auto crash = [&](const std::string& what) {
      for (int i = 0; i < 6; ++i) {
        const auto mode = i == 0   ? sim::CrashMode::kKeepAll
                          : i == 1 ? sim::CrashMode::kLoseAll
                                   : sim::CrashMode::kTorn;
        check(CrashPoint{bed.files().CrashImage(mode, random), absl::StrCat(what, " image ", i),
                         acknowledged, appended, snapshot});
      }
    };
    bed.files().SetOnCall([&crash](const sim::SimCall& call) { crash(call.ToString()); });
    ASSERT_OK(bed.Open());
    int step = 0;
    for (WalBatch& batch : Workload()) {
      ApplyBatch(batch, &history_);
      appended = history_.size() - 1;
      ASSERT_OK(bed.wal().Append(batch, [&acknowledged, appended] { acknowledged = appended; }));
      // Sometimes several batches share a group, sometimes the log goes idle and is sealed.
      ++step;
      if (step % 3 != 0) bed.Run();
      if (step % 11 == 0) bed.Seal();
      if (step % 16 == 0 && acknowledged > 0) {
        const std::vector<Entry>& entries = history_[acknowledged].entries;
        if (entries.size() > 12) snapshot = entries[entries.size() - 11].id();
        bed.wal().ReleaseBefore(snapshot.index + 1);
      }
    }
    bed.Seal();
    EXPECT_EQ(acknowledged, appended);
    crash("end");
  }

  // Whether the recovered state is that after some record between the acknowledged and the
  // appended ones.
  bool Legal(const CrashPoint& point, const WalRecovery& recovery) const {
    for (size_t i = point.acknowledged; i <= point.appended; ++i) {
      const Model& model = history_[i];
      if (model.hard_state != recovery.hard_state || model.voters != recovery.voters) continue;
      const size_t covered = point.snapshot.index.value();
      if (model.entries.size() < covered) continue;
      const std::vector<Entry> above(model.entries.begin() + covered, model.entries.end());
      if (above == recovery.entries) return true;
    }
    return false;
  }

  std::vector<Model> history_;
};

TEST_F(WalCrashTest, S09_EveryCrashImageRecoversWhatWasAcknowledged) {
  int images = 0;
  ForEachCrash([&](CrashPoint point) {
    ++images;
    WalTestBed bed(std::move(point.image));
    ASSERT_OK(bed.Open(SmallWalOptions(), point.snapshot)) << point.what;
    ASSERT_TRUE(Legal(point, bed.recovery())) << point.what;
    const WalRecovery first = bed.recovery();

    // What recovery has shown to its caller survives a power loss right after it.
    sim::SimRandom random(images);
    WalTestBed second(bed.files().CrashImage(sim::CrashMode::kLoseAll, random));
    ASSERT_OK(second.Open(SmallWalOptions(), point.snapshot)) << point.what;
    ASSERT_EQ(second.recovery().hard_state, first.hard_state) << point.what;
    ASSERT_EQ(second.recovery().voters, first.voters) << point.what;
    ASSERT_EQ(second.recovery().entries, first.entries) << point.what;
  });
  EXPECT_GT(images, 500);
}

TEST_F(WalCrashTest, S09_AppendingGoesOnAfterEveryCrash) {
  int images = 0;
  ForEachCrash([&](CrashPoint point) {
    if (++images % 7 != 0) return;
    WalTestBed bed(std::move(point.image));
    ASSERT_OK(bed.Open(SmallWalOptions(), point.snapshot)) << point.what;
    std::vector<Entry> expected = bed.recovery().entries;
    const int64_t next =
        expected.empty() ? point.snapshot.index.value() + 1 : expected.back().index.value() + 1;
    for (int64_t i = 0; i < 10; ++i) {
      expected.push_back(TestEntry(9, next + i, 20'000));
      bed.AppendEntry(9, next + i, 20'000);
      bed.Run();
    }
    ASSERT_EQ(bed.persisted().size(), 10u) << point.what;
    bed.Close();
    sim::SimRandom random(images);
    WalTestBed second(bed.files().CrashImage(sim::CrashMode::kTorn, random));
    ASSERT_OK(second.Open(SmallWalOptions(), point.snapshot)) << point.what;
    ASSERT_EQ(second.recovery().entries, expected) << point.what;
  });
}

TEST_F(WalCrashTest, S09_CrashesDuringRecoveryAreLegalToo) {
  int images = 0;
  int inner_images = 0;
  ForEachCrash([&](CrashPoint point) {
    if (++images % 23 != 0) return;
    WalTestBed bed(std::move(point.image));
    sim::SimRandom random(images);
    std::vector<std::unique_ptr<sim::SimFileSystem>> inner;
    bed.files().SetOnCall([&](const sim::SimCall&) {
      inner.push_back(bed.files().CrashImage(sim::CrashMode::kLoseAll, random));
      inner.push_back(bed.files().CrashImage(sim::CrashMode::kTorn, random));
    });
    ASSERT_OK(bed.Open(SmallWalOptions(), point.snapshot)) << point.what;
    bed.files().SetOnCall(nullptr);
    for (auto& image : inner) {
      ++inner_images;
      WalTestBed again(std::move(image));
      ASSERT_OK(again.Open(SmallWalOptions(), point.snapshot)) << point.what;
      ASSERT_TRUE(Legal(point, again.recovery())) << point.what;
    }
  });
  EXPECT_GT(inner_images, 50);
}

}  // namespace
}  // namespace millrace::raft
