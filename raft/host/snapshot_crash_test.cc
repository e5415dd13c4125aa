// S-09: whatever a power loss leaves, at whatever moment, the newest snapshot is one that was
// written or installed, whole, not older than the last one promised; the one before it is there;
// and a reception goes on with bytes that are the sender's.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "raft/host/snapshot_test_bed.h"

namespace millrace::raft {
namespace {

constexpr size_t kBodyBytes = 150'000;

// What a store holds between two operations.
struct Model {
  std::optional<SnapshotId> newest;
  std::optional<SnapshotId> previous;
  std::optional<SnapshotStore::Receiving> receiving;
};

struct CrashPoint {
  std::unique_ptr<sim::SimFileSystem> image;
  std::string what;
  // The operation during which it happened had not begun, or was done.
  Model before;
  Model after;
};

class SnapshotCrashTest : public ::testing::Test {
 protected:
  SnapshotCrashTest() {
    for (const int64_t index : {100, 200, 300, 500, 600, 700, 800, 900, 1000, 2000}) {
      snapshots_.emplace(index,
                         ForeignSnapshot(At(index / 100, index),
                                         SampleBody(kBodyBytes, static_cast<uint64_t>(index))));
    }
  }
  const ForeignSnapshot& Snapshot(int64_t index) const { return snapshots_.at(index); }
  const ForeignSnapshot& Snapshot(const SnapshotId& id) const {
    return Snapshot(id.last.index.value());
  }

  // Calls `check` with what a crash before each call that changes something leaves, and after all.
  void ForEachCrash(const std::function<void(CrashPoint)>& check) {
    sim::SimRandom random(7);
    bed_.files().SetOnCall(
        [&](const sim::SimCall& call) { Crash(call.ToString(), random, check); });
    ASSERT_OK(bed_.Open());
    Write(100);
    Write(200);
    Receive(500, 0, 60'000);
    Receive(500, 60'000, 61'000);
    Write(300);
    Receive(500, 61'000, UINT64_MAX);
    Install(500);
    Receive(600, 0, 100'000);
    // Another leader, another snapshot; and once more from its beginning.
    Receive(700, 0, 70'000);
    Receive(700, 0, 140'000);
    Receive(700, 140'000, UINT64_MAX);
    Install(700);
    Write(800);
    Write(900);
    Write(900);
    bed_.files().SetOnCall(nullptr);
    before_ = after_;
    Crash("end", random, check);
  }

  // The found state is that before or after the operation.
  void CheckLegal(const CrashPoint& point, SnapshotTestBed& bed) {
    SnapshotStore& store = bed.store();
    ASSERT_THAT(store.damaged(), ::testing::IsEmpty()) << point.what;
    const bool done = IdOf(store.newest()) == point.after.newest;
    const Model& model = done ? point.after : point.before;
    ASSERT_EQ(IdOf(store.newest()), model.newest) << point.what;
    for (const std::optional<SnapshotId>& id : {model.newest, model.previous}) {
      if (!id.has_value()) continue;
      const absl::StatusOr<std::string> body = store.ReadBody(*id);
      ASSERT_OK(body) << point.what << " " << *id;
      ASSERT_TRUE(*body == Snapshot(*id).body) << point.what;
    }
    CheckReception(point, store);
  }

  // No more than was appended, and no less than the whole blocks of what was promised.
  void CheckReception(const CrashPoint& point, const SnapshotStore& store) {
    const auto found = store.receiving();
    const auto& before = point.before.receiving;
    const auto& after = point.after.receiving;
    if (!found.has_value()) {
      const bool kept = before.has_value() && after.has_value() && before->id == after->id &&
                        after->received > before->received;
      ASSERT_FALSE(kept && before->received >= HeadBytes(before->id)) << point.what;
      return;
    }
    const bool is_before = before.has_value() && before->id == found->id;
    const bool is_after = after.has_value() && after->id == found->id;
    ASSERT_TRUE(is_before || is_after) << point.what;
    const uint64_t most =
        std::max(is_before ? before->received : 0, is_after ? after->received : 0);
    ASSERT_LE(found->received, most) << point.what;
    if (!is_before || !is_after || after->received < before->received) return;
    ASSERT_GE(found->received + kSnapshotBlockBytes + kSnapshotCrcBytes, before->received)
        << point.what;
  }

  uint64_t HeadBytes(const SnapshotId& id) const {
    SnapshotParser parser;
    EXPECT_OK(parser.Add(Snapshot(id).bytes));
    return parser.head().head_bytes;
  }
  static std::optional<SnapshotId> IdOf(const std::optional<SnapshotOffer>& offer) {
    return offer.has_value() ? std::optional(offer->id) : std::nullopt;
  }

 private:
  void Crash(const std::string& what, sim::SimRandom& random,
             const std::function<void(CrashPoint)>& check) {
    for (int i = 0; i < 6; ++i) {
      const auto mode = i == 0   ? sim::CrashMode::kKeepAll
                        : i == 1 ? sim::CrashMode::kLoseAll
                                 : sim::CrashMode::kTorn;
      check(CrashPoint{bed_.files().CrashImage(mode, random), absl::StrCat(what, " image ", i),
                       before_, after_});
    }
  }

  void Write(int64_t index) {
    const ForeignSnapshot& snapshot = Snapshot(index);
    before_ = after_;
    if (after_.newest != snapshot.id) after_.previous = after_.newest;
    after_.newest = snapshot.id;
    ASSERT_OK(bed_.store().Write(snapshot.id.last, SampleVoters(), snapshot.body));
    ASSERT_EQ(bed_.store().newest()->id, snapshot.id);
    before_ = after_;
  }

  void Receive(int64_t index, uint64_t from, uint64_t to) {
    constexpr uint64_t kPiece = 30'000;
    const ForeignSnapshot& snapshot = Snapshot(index);
    to = std::min(to, snapshot.id.bytes);
    for (uint64_t at = from; at < to; at += kPiece) {
      const Slice data = Slice(snapshot.bytes).substr(at, std::min(kPiece, to - at));
      before_ = after_;
      after_.receiving = SnapshotStore::Receiving{snapshot.id, at + data.size()};
      ASSERT_OK(bed_.store().AppendReceived(snapshot.id, at, data));
      ASSERT_EQ(bed_.store().receiving(), after_.receiving);
      before_ = after_;
    }
  }

  void Install(int64_t index) {
    const ForeignSnapshot& snapshot = Snapshot(index);
    ASSERT_TRUE(*bed_.store().VerifyReceived(snapshot.id));
    before_ = after_;
    after_ = Model{.newest = snapshot.id, .previous = std::nullopt, .receiving = std::nullopt};
    ASSERT_OK(bed_.store().InstallReceived(snapshot.id));
    before_ = after_;
  }

  std::map<int64_t, ForeignSnapshot> snapshots_;
  SnapshotTestBed bed_;
  Model before_;
  Model after_;
};

TEST_F(SnapshotCrashTest, S09_EveryCrashImageHoldsWhatWasPromised) {
  int images = 0;
  ForEachCrash([&](CrashPoint point) {
    ++images;
    SnapshotTestBed bed(std::move(point.image));
    ASSERT_OK(bed.Open()) << point.what;
    ASSERT_NO_FATAL_FAILURE(CheckLegal(point, bed));

    // What Open has shown to its caller survives a power loss right after it.
    sim::SimRandom random(static_cast<uint64_t>(images));
    SnapshotTestBed second(bed.files().CrashImage(sim::CrashMode::kLoseAll, random));
    ASSERT_OK(second.Open()) << point.what;
    ASSERT_EQ(second.store().newest(), bed.store().newest()) << point.what;
    ASSERT_EQ(second.store().receiving(), bed.store().receiving()) << point.what;
  });
  EXPECT_GT(images, 300);
}

TEST_F(SnapshotCrashTest, S09_WorkGoesOnAfterEveryCrash) {
  int images = 0;
  ForEachCrash([&](CrashPoint point) {
    if (++images % 3 != 0) return;
    SnapshotTestBed bed(std::move(point.image));
    ASSERT_OK(bed.Open()) << point.what;
    const std::optional<SnapshotId> old = IdOf(bed.store().newest());
    // The broken-off reception is completed from where it stands, and is what the sender has.
    if (const auto receiving = bed.store().receiving(); receiving.has_value()) {
      const ForeignSnapshot& foreign = Snapshot(receiving->id);
      ASSERT_OK(bed.Receive(foreign, 50'000)) << point.what;
      ASSERT_TRUE(*bed.store().VerifyReceived(foreign.id)) << point.what;
    }
    const ForeignSnapshot& next = Snapshot(1000);
    ASSERT_OK(bed.store().Write(next.id.last, SampleVoters(), next.body)) << point.what;
    if (old.has_value()) {
      ASSERT_OK(bed.store().ReadBody(*old)) << point.what;
    }
    const ForeignSnapshot& foreign = Snapshot(2000);
    ASSERT_OK(bed.Receive(foreign, 50'000)) << point.what;
    ASSERT_TRUE(*bed.store().VerifyReceived(foreign.id)) << point.what;
    ASSERT_OK(bed.store().InstallReceived(foreign.id)) << point.what;
    ASSERT_THAT(bed.Names(), ::testing::ElementsAre(SnapshotFileName(foreign.id.last)));
  });
  EXPECT_GT(images, 300);
}

TEST_F(SnapshotCrashTest, S09_CrashesDuringOpenAreLegalToo) {
  int images = 0;
  int inner_images = 0;
  ForEachCrash([&](CrashPoint point) {
    if (++images % 5 != 0) return;
    SnapshotTestBed bed(std::move(point.image));
    sim::SimRandom random(static_cast<uint64_t>(images));
    std::vector<std::unique_ptr<sim::SimFileSystem>> inner;
    bed.files().SetOnCall([&](const sim::SimCall&) {
      inner.push_back(bed.files().CrashImage(sim::CrashMode::kLoseAll, random));
      inner.push_back(bed.files().CrashImage(sim::CrashMode::kTorn, random));
    });
    ASSERT_OK(bed.Open()) << point.what;
    bed.files().SetOnCall(nullptr);
    for (auto& image : inner) {
      ++inner_images;
      SnapshotTestBed again(std::move(image));
      ASSERT_OK(again.Open()) << point.what;
      ASSERT_NO_FATAL_FAILURE(CheckLegal(point, again));
    }
  });
  EXPECT_GT(inner_images, 100);
}

}  // namespace
}  // namespace millrace::raft
