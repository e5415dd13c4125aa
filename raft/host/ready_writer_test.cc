#include "raft/host/ready_writer.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/sim/sim_random.h"
#include "gmock/gmock.h"
#include "raft/host/wal_test_bed.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FakeMachine : public SnapshotMachine {
 public:
  Encode Capture() override {
    return [] { return absl::StatusOr<std::string>("captured"); };
  }
  absl::StatusOr<Install> Decode(LogIndex index, std::string body) override {
    if (body == "unreadable") return MakeError(ErrorCode::kCorruptLog, "unreadable");
    return Install([this, index, body] {
      installed_at = index;
      installed = body;
    });
  }
  LogIndex installed_at;
  std::string installed;
};

class ReadyWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(bed_.Open());
    ASSERT_OK_AND_ASSIGN(auto store, SnapshotStore::Open(&bed_.files(), "/snapshots"));
    snapshots_ = std::move(store);
    Make(std::nullopt);
  }
  void Make(std::optional<VoterSet> founders) {
    writer_ = std::make_unique<ReadyWriter>(
        ReadyWriter::Dependencies{.wal = &bed_.wal(),
                                  .owner = &bed_.owner(),
                                  .snapshot_disk = snapshot_disk_.get(),
                                  .snapshots = snapshots_,
                                  .machine = &machine_},
        ReadyWriter::Events{
            .persisted = [this](Ready ready) { persisted_.push_back(ready.seq.value()); },
            .received = [this](const SnapshotId&, bool valid) { verdicts_.push_back(valid); },
            .failed = [this](const absl::Status& status) { failures_.push_back(status); }},
        std::move(founders));
  }
  // What another voter took, in one piece.
  std::pair<SnapshotOffer, std::string> Foreign(const std::string& body, int64_t index = 50) {
    sim::SimFileSystem files;
    auto store = SnapshotStore::Open(&files, "/s");
    VoterSet voters;
    voters.voters = {Voter{kWalTestVoter}};
    auto offer = (*store)->Write(EntryId{Term(3), LogIndex(index)}, voters, body);
    EXPECT_OK(offer);
    auto bytes = (*store)->ReadChunk(offer->id, 0, offer->id.bytes);
    EXPECT_OK(bytes);
    return {*offer, bytes->ToString()};
  }
  static Ready ReadyOf(uint64_t seq) {
    Ready ready;
    ready.seq = ReadySeq(seq);
    return ready;
  }
  static Ready WithEntry(uint64_t seq, int64_t index, int64_t term = 1) {
    Ready ready = ReadyOf(seq);
    ready.entries.push_back(TestEntry(term, index));
    return ready;
  }
  static Ready WithChunk(uint64_t seq, const SnapshotId& id, uint64_t offset, std::string data) {
    Ready ready = ReadyOf(seq);
    const uint64_t size = data.size();
    ready.chunks.push_back(SnapshotChunk{
        .id = id, .offset = offset, .size = size, .data = Bytes::FromString(std::move(data))});
    return ready;
  }

  WalTestBed bed_;
  std::unique_ptr<sim::SimExecutor> snapshot_disk_ = bed_.loop().MakeExecutor("snapshots");
  std::shared_ptr<SnapshotStore> snapshots_;
  FakeMachine machine_;
  std::vector<uint64_t> persisted_;
  std::vector<bool> verdicts_;
  std::vector<absl::Status> failures_;
  std::unique_ptr<ReadyWriter> writer_;
};

TEST_F(ReadyWriterTest, WhatHasNothingToPersistIsToldAtOnce) {
  writer_->Write(ReadyOf(1));
  EXPECT_THAT(persisted_, ElementsAre(1));
}

TEST_F(ReadyWriterTest, S10_NothingIsToldBeforeAllThatCameEarlierIsDurable) {
  bed_.disk_strand().Pause();
  writer_->Write(WithEntry(1, 1));
  writer_->Write(ReadyOf(2));
  bed_.Run();
  EXPECT_THAT(persisted_, IsEmpty());
  bed_.disk_strand().Resume();
  bed_.Run();
  EXPECT_THAT(persisted_, ElementsAre(1, 2));
}

TEST_F(ReadyWriterTest, FoundersAreWrittenWithTheFirstBatch) {
  VoterSet founders;
  founders.voters = {Voter{kWalTestVoter, "here:1"}};
  Make(founders);
  writer_->Write(ReadyOf(1));
  writer_->Write(WithEntry(2, 1));
  bed_.Run();
  writer_.reset();
  bed_.Close();
  ASSERT_OK(bed_.Open());
  EXPECT_EQ(bed_.recovery().voters.voters, founders.voters);
}

TEST_F(ReadyWriterTest, PiecesOfASnapshotAreDurableBeforeTheyAreToldAndCheckedWhenComplete) {
  const auto [offer, bytes] = Foreign("the state");
  writer_->Write(WithChunk(1, offer.id, 0, bytes.substr(0, 10)));
  EXPECT_THAT(persisted_, IsEmpty());
  bed_.Run();
  EXPECT_THAT(persisted_, ElementsAre(1));
  EXPECT_THAT(verdicts_, IsEmpty());
  writer_->Write(WithChunk(2, offer.id, 10, bytes.substr(10)));
  bed_.Run();
  EXPECT_THAT(verdicts_, ElementsAre(true));
}

TEST_F(ReadyWriterTest, ADamagedSnapshotIsNotValid) {
  auto [offer, bytes] = Foreign("the state");
  bytes.back() ^= 1;
  writer_->Write(WithChunk(1, offer.id, 0, bytes));
  bed_.Run();
  EXPECT_THAT(verdicts_, ElementsAre(false));
  EXPECT_THAT(failures_, IsEmpty());
}

TEST_F(ReadyWriterTest, S09_TheLogIsRestartedOnlyWhenTheSnapshotIsInItsPlace) {
  writer_->Write(WithEntry(1, 1));
  const auto [offer, bytes] = Foreign("the state");
  writer_->Write(WithChunk(2, offer.id, 0, bytes));
  bed_.Run();
  Ready install = ReadyOf(3);
  install.install = offer;
  install.entries.push_back(TestEntry(3, 51));
  snapshot_disk_->Pause();
  writer_->Write(std::move(install));
  writer_->Write(WithEntry(4, 52, 3));
  bed_.Run();
  EXPECT_THAT(persisted_, ElementsAre(1, 2));
  EXPECT_EQ(machine_.installed, "");
  EXPECT_TRUE(writer_->will_install());
  snapshot_disk_->Resume();
  bed_.Run();
  EXPECT_FALSE(writer_->will_install());
  EXPECT_THAT(persisted_, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(machine_.installed, "the state");
  EXPECT_EQ(machine_.installed_at, LogIndex(50));
  writer_.reset();
  bed_.Close();
  ASSERT_OK(bed_.Open(SmallWalOptions(), offer.id.last));
  ASSERT_EQ(bed_.recovery().entries.size(), 2u);
  EXPECT_EQ(bed_.recovery().entries[0].index, LogIndex(51));
}

TEST_F(ReadyWriterTest, ASnapshotThatTheMachineCannotReadStopsTheVoter) {
  const auto [offer, bytes] = Foreign("unreadable");
  writer_->Write(WithChunk(1, offer.id, 0, bytes));
  bed_.Run();
  Ready install = ReadyOf(2);
  install.install = offer;
  writer_->Write(std::move(install));
  writer_->Write(WithEntry(3, 51, 3));
  bed_.Run();
  EXPECT_THAT(failures_, ElementsAre(IsError(ErrorCode::kCorruptLog, "unreadable")));
  EXPECT_THAT(persisted_, ElementsAre(1));
}

TEST_F(ReadyWriterTest, AFullDiskWhileReceivingStopsTheVoterByName) {
  const auto [offer, bytes] = Foreign(std::string(100'000, 'x'));
  bed_.files().SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    if (call.path.find("snapshots") == std::string::npos) return std::nullopt;
    return call.kind == sim::SimCall::Kind::kWrite ? std::optional(sim::SimFault::kNoSpace)
                                                   : std::nullopt;
  });
  writer_->Write(WithChunk(1, offer.id, 0, bytes));
  bed_.Run();
  EXPECT_THAT(failures_, ElementsAre(IsError(ErrorCode::kStorageFull, "receiving a snapshot")));
}

TEST_F(ReadyWriterTest, WhatIsUnderWayWhenItIsDestroyedIsNotTold) {
  writer_->Write(WithEntry(1, 1));
  writer_.reset();
  bed_.Run();
  EXPECT_THAT(persisted_, IsEmpty());
}

}  // namespace
}  // namespace millrace::raft
