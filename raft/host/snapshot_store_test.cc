#include "raft/host/snapshot_store.h"

#include <memory>
#include <string>

#include "base/coding.h"
#include "gmock/gmock.h"
#include "raft/host/snapshot_test_bed.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SnapshotStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(bed_.Open()); }

  SnapshotStore& store() { return bed_.store(); }
  SnapshotOffer Write(const EntryId& last, size_t size = 1000) {
    auto written = store().Write(last, SampleVoters(), BodyOf(last, size));
    EXPECT_OK(written);
    return written.ok() ? *written : SnapshotOffer{};
  }
  static std::string BodyOf(const EntryId& last, size_t size = 1000) {
    return SampleBody(size, static_cast<uint64_t>(last.index.value()));
  }
  // Puts a file there as if it had been for long.
  void Put(const std::string& name, Slice bytes) {
    ASSERT_OK_AND_ASSIGN(auto file, bed_.files().Open(bed_.Path(name), OpenMode::kTruncateCreate));
    ASSERT_OK(file->WriteAt(0, bytes));
    bed_.files().SyncAll();
  }

  SnapshotTestBed bed_;
};

// ---- Writing ----

TEST_F(SnapshotStoreTest, EmptyDirectoryHoldsNone) {
  EXPECT_EQ(store().newest(), std::nullopt);
  EXPECT_EQ(store().receiving(), std::nullopt);
  EXPECT_THAT(store().damaged(), IsEmpty());
}

TEST_F(SnapshotStoreTest, WrittenIsTheNewestAndIsThereAfterARestart) {
  const SnapshotOffer offer = Write(At(2, 100), 200'000);
  EXPECT_EQ(offer.id.last, At(2, 100));
  EXPECT_EQ(offer.voters, SampleVoters());
  EXPECT_EQ(store().newest(), offer);
  ASSERT_OK(bed_.Open());
  EXPECT_EQ(store().newest(), offer);
  ASSERT_OK_AND_ASSIGN(const std::string body, store().ReadBody(offer.id));
  EXPECT_TRUE(body == BodyOf(At(2, 100), 200'000));
}

TEST_F(SnapshotStoreTest, IdIsThatOfTheFilesBytes) {
  const SnapshotOffer offer = Write(At(2, 100));
  ASSERT_OK_AND_ASSIGN(const std::string bytes,
                       ReadWholeFile(bed_.files(), bed_.PathOf(At(2, 100)), 1 << 20));
  EXPECT_EQ(offer.id.bytes, bytes.size());
  EXPECT_EQ(offer.id.checksum, Crc32c(bytes));
}

TEST_F(SnapshotStoreTest, S09_NewestTwoAreKept) {
  const SnapshotOffer first = Write(At(2, 100));
  const SnapshotOffer second = Write(At(2, 200));
  EXPECT_OK(store().ReadBody(first.id));
  const SnapshotOffer third = Write(At(3, 300));
  EXPECT_THAT(store().ReadBody(first.id), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_OK(store().ReadBody(second.id));
  EXPECT_OK(store().ReadBody(third.id));
  EXPECT_THAT(bed_.Names(),
              ElementsAre(SnapshotFileName(At(2, 200)), SnapshotFileName(At(3, 300))));
  ASSERT_OK(bed_.Open());
  EXPECT_OK(store().ReadBody(second.id));
}

TEST_F(SnapshotStoreTest, SameEntryAgainIsTheSameSnapshotAndCostsNotTheOneBefore) {
  const SnapshotOffer first = Write(At(2, 100));
  const SnapshotOffer second = Write(At(2, 200));
  EXPECT_EQ(Write(At(2, 200)), second);
  EXPECT_OK(store().ReadBody(first.id));
  ASSERT_OK(bed_.Open());
  EXPECT_EQ(store().newest(), second);
  EXPECT_OK(store().ReadBody(first.id));
}

TEST_F(SnapshotStoreTest, OlderThanTheNewestIsRefused) {
  const SnapshotOffer newest = Write(At(2, 200));
  for (const EntryId& last : {At(1, 100), At(1, 200), At(3, 200)}) {
    EXPECT_THAT(store().Write(last, SampleVoters(), "x"), HasCode(ErrorCode::kInvalidRequest));
  }
  EXPECT_EQ(store().newest(), newest);
  EXPECT_THAT(bed_.Names(), SizeIs(1));
}

TEST_F(SnapshotStoreTest, S09_ItIsSyncedAndReadBackBeforeItHasItsName) {
  std::vector<sim::SimCall::Kind> kinds;
  bed_.files().SetLatency([&](const sim::SimCall& call) { kinds.push_back(call.kind); });
  Write(At(2, 100));
  using Kind = sim::SimCall::Kind;
  EXPECT_THAT(kinds, ElementsAre(Kind::kCreate, Kind::kWrite, Kind::kSync, Kind::kOpen, Kind::kRead,
                                 Kind::kRename, Kind::kSyncDirectory, Kind::kList));
}

TEST_F(SnapshotStoreTest, FullDiskCostsNothingThatWasThere) {
  const SnapshotOffer first = Write(At(2, 100));
  bed_.files().SetCapacity(bed_.files().used_bytes() + 10'000);
  EXPECT_THAT(store().Write(At(2, 200), SampleVoters(), SampleBody(100'000)),
              HasCode(ErrorCode::kStorageFull));
  EXPECT_EQ(store().newest(), first);
  EXPECT_THAT(bed_.Names(), ElementsAre(SnapshotFileName(At(2, 100))));
  // What it had taken is free again.
  EXPECT_EQ(Write(At(2, 200), 5'000).id.last, At(2, 200));
}

TEST_F(SnapshotStoreTest, AfterAFailedSyncOfTheDirectoryEveryChangeIsRefused) {
  const SnapshotOffer first = Write(At(2, 100));
  bed_.files().SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    if (call.kind != sim::SimCall::Kind::kSyncDirectory) return std::nullopt;
    return sim::SimFault::kIoError;
  });
  EXPECT_THAT(store().Write(At(2, 200), SampleVoters(), "x"), HasCode(ErrorCode::kStorageError));
  bed_.files().ClearFaults();
  EXPECT_EQ(store().newest(), first);
  EXPECT_THAT(store().Write(At(2, 300), SampleVoters(), "x"), HasCode(ErrorCode::kStorageError));
  EXPECT_THAT(store().AppendReceived({At(3, 400), 9, 0}, 0, "x"),
              HasCode(ErrorCode::kStorageError));
  EXPECT_THAT(store().InstallReceived({At(3, 400), 9, 0}), HasCode(ErrorCode::kStorageError));
  EXPECT_OK(store().ReadBody(first.id));
  ASSERT_OK(bed_.Open());
  Write(At(2, 300));
}

TEST_F(SnapshotStoreTest, S09_NameThatAKilledProcessGaveIsDurableBeforeItIsTheNewest) {
  Write(At(2, 100));
  // Killed between the rename and the sync of the directory.
  bed_.files().SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    if (call.kind != sim::SimCall::Kind::kSyncDirectory) return std::nullopt;
    return sim::SimFault::kIoError;
  });
  EXPECT_THAT(store().Write(At(2, 200), SampleVoters(), BodyOf(At(2, 200))),
              HasCode(ErrorCode::kStorageError));
  bed_.files().ClearFaults();
  ASSERT_OK(bed_.Open());
  const std::optional<SnapshotOffer> newest = store().newest();
  EXPECT_EQ(newest->id.last, At(2, 200));
  sim::SimRandom random(1);
  SnapshotTestBed after(bed_.files().CrashImage(sim::CrashMode::kLoseAll, random));
  ASSERT_OK(after.Open());
  EXPECT_EQ(after.store().newest(), newest);
}

TEST_F(SnapshotStoreTest, OldOneThatCannotBeRemovedDoesNotHinder) {
  Write(At(2, 100));
  Write(At(2, 200));
  bed_.files().SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    if (call.kind != sim::SimCall::Kind::kRemove) return std::nullopt;
    return sim::SimFault::kIoError;
  });
  Write(At(2, 300));
  bed_.files().ClearFaults();
  EXPECT_THAT(bed_.Names(), SizeIs(3));
  Write(At(2, 400));
  EXPECT_THAT(bed_.Names(), SizeIs(2));
}

// ---- Opening ----

TEST_F(SnapshotStoreTest, S09_DamagedNewestGivesWayToTheOneBefore) {
  const SnapshotOffer first = Write(At(2, 100));
  const SnapshotOffer second = Write(At(2, 200));
  bed_.Close();
  bed_.files().FlipBit(bed_.PathOf(At(2, 200)), 4'000);
  ASSERT_OK(bed_.Open());
  EXPECT_EQ(store().newest(), first);
  ASSERT_THAT(store().damaged(), SizeIs(1));
  EXPECT_EQ(store().damaged()[0].path, bed_.PathOf(At(2, 200)));
  EXPECT_THAT(store().damaged()[0].status, IsError(ErrorCode::kCorruptLog, "damaged at byte"));
  EXPECT_THAT(store().ReadBody(second.id), HasCode(ErrorCode::kInvalidRequest));
  // It stays to be looked at until there is another one.
  EXPECT_THAT(bed_.Names(), SizeIs(2));
  Write(At(2, 150));
  EXPECT_THAT(store().damaged(), IsEmpty());
  EXPECT_THAT(bed_.Names(),
              ElementsAre(SnapshotFileName(At(2, 100)), SnapshotFileName(At(2, 150))));
}

TEST_F(SnapshotStoreTest, DamagedOlderOneIsReportedToo) {
  Write(At(2, 100));
  const SnapshotOffer second = Write(At(2, 200));
  bed_.files().FlipBit(bed_.PathOf(At(2, 100)), 4'000);
  ASSERT_OK(bed_.Open());
  EXPECT_EQ(store().newest(), second);
  EXPECT_THAT(store().damaged(), SizeIs(1));
}

TEST_F(SnapshotStoreTest, WithAllDamagedThereIsNone) {
  Write(At(2, 100));
  bed_.files().FlipBit(bed_.PathOf(At(2, 100)), 0);
  ASSERT_OK(bed_.Open());
  EXPECT_EQ(store().newest(), std::nullopt);
  EXPECT_THAT(store().damaged(), SizeIs(1));
}

TEST_F(SnapshotStoreTest, FileUnderAnothersNameIsDamage) {
  Put(SnapshotFileName(At(2, 200)), ForeignSnapshot(At(2, 100), "x").bytes);
  ASSERT_OK(bed_.Open());
  EXPECT_EQ(store().newest(), std::nullopt);
  ASSERT_THAT(store().damaged(), SizeIs(1));
  EXPECT_THAT(store().damaged()[0].status, IsError(ErrorCode::kCorruptLog, "than its name says"));
}

TEST_F(SnapshotStoreTest, NewestOfANewerProgramIsRefusedAndNotPassedOver) {
  Write(At(2, 100));
  std::string bytes = ForeignSnapshot(At(2, 200), "x").bytes;
  bytes[4] = 2;
  StoreLittle<uint32_t>(bytes.data() + kSnapshotHeaderBytes - kSnapshotCrcBytes,
                        MaskSnapshotCrc(Crc32c(Slice(bytes).substr(0, 52))));
  Put(SnapshotFileName(At(2, 200)), bytes);
  EXPECT_THAT(bed_.Open(), IsError(ErrorCode::kUnsupportedFormatVersion, bed_.PathOf(At(2, 200))));
}

TEST_F(SnapshotStoreTest, OpenRemovesWhatUnfinishedWritesLeftAndNothingElse) {
  Put("unfinished.tmp", "half of a snap");
  Put("notes.txt", "somebody's");
  ASSERT_OK(bed_.Open());
  EXPECT_THAT(bed_.Names(), ElementsAre("notes.txt"));
}

// ---- Sending ----

TEST_F(SnapshotStoreTest, ChunksTogetherAreTheFile) {
  const SnapshotOffer offer = Write(At(2, 100), 300'000);
  Write(At(2, 200));
  std::string bytes;
  while (bytes.size() < offer.id.bytes) {
    ASSERT_OK_AND_ASSIGN(const Bytes chunk, store().ReadChunk(offer.id, bytes.size(), 70'000));
    bytes += chunk.ToString();
  }
  EXPECT_EQ(bytes.size(), offer.id.bytes);
  EXPECT_EQ(Crc32c(bytes), offer.id.checksum);
  EXPECT_THAT(store().ReadChunk(offer.id, offer.id.bytes, 1), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(store().ReadChunk({At(2, 100), 1, 1}, 0, 1), HasCode(ErrorCode::kInvalidRequest));
}

TEST_F(SnapshotStoreTest, DamageFoundWhileReadingNamesTheFile) {
  const SnapshotOffer offer = Write(At(2, 100), 300'000);
  bed_.files().FlipBit(bed_.PathOf(At(2, 100)), 8 * 100'000);
  EXPECT_THAT(store().ReadBody(offer.id), IsError(ErrorCode::kCorruptLog, bed_.PathOf(At(2, 100))));
  EXPECT_THAT(store().ReadChunk(offer.id, 100'000, 10),
              IsError(ErrorCode::kCorruptLog, bed_.PathOf(At(2, 100))));
  // Another whole snapshot in its place is not it either.
  Put(SnapshotFileName(At(2, 100)), ForeignSnapshot(At(2, 100), "x").bytes);
  EXPECT_THAT(store().ReadBody(offer.id), HasCode(ErrorCode::kCorruptLog));
}

// ---- Receiving ----

class SnapshotReceptionTest : public SnapshotStoreTest {
 protected:
  const ForeignSnapshot foreign_{At(5, 500), SampleBody(250'000)};
};

TEST_F(SnapshotReceptionTest, ReceivedVerifiedAndInstalledIsTheOnlyOne) {
  Write(At(2, 100));
  Write(At(2, 200));
  ASSERT_OK(bed_.Receive(foreign_, 40'000));
  EXPECT_EQ(store().receiving()->received, foreign_.id.bytes);
  ASSERT_OK_AND_ASSIGN(const bool valid, store().VerifyReceived(foreign_.id));
  EXPECT_TRUE(valid);
  ASSERT_OK(store().InstallReceived(foreign_.id));
  EXPECT_EQ(store().newest()->id, foreign_.id);
  EXPECT_EQ(store().newest()->voters, SampleVoters());
  EXPECT_EQ(store().receiving(), std::nullopt);
  EXPECT_THAT(bed_.Names(), ElementsAre(SnapshotFileName(At(5, 500))));
  // Said twice by a host that does not know whether it was done.
  EXPECT_OK(store().InstallReceived(foreign_.id));
  ASSERT_OK(bed_.Open());
  ASSERT_OK_AND_ASSIGN(const std::string body, store().ReadBody(foreign_.id));
  EXPECT_TRUE(body == foreign_.body);
}

TEST_F(SnapshotReceptionTest, GoesOnAfterARestartWhereItStopsBeingWhole) {
  ASSERT_OK(bed_.Receive(foreign_, 40'000, 200'000));
  ASSERT_OK(bed_.Open());
  const auto receiving = store().receiving();
  ASSERT_TRUE(receiving.has_value());
  EXPECT_EQ(receiving->id, foreign_.id);
  // Whole blocks only: of the last one nobody knows.
  EXPECT_GT(receiving->received, 200'000 - kSnapshotBlockBytes - kSnapshotCrcBytes);
  EXPECT_LE(receiving->received, 200'000u);
  ASSERT_OK(bed_.Receive(foreign_, 40'000));
  EXPECT_TRUE(*store().VerifyReceived(foreign_.id));
  EXPECT_OK(store().InstallReceived(foreign_.id));
}

TEST_F(SnapshotReceptionTest, BytesThatOnlyThePageCacheHadAreMadeDurable) {
  ASSERT_OK(bed_.Receive(foreign_, 40'000, 120'000));
  bed_.Close();
  // A failed sync, and the process dies: the bytes can be read, and are not on the disk.
  ASSERT_OK_AND_ASSIGN(
      auto file, bed_.files().Open(bed_.Path(ReceivedFileName(foreign_.id)), OpenMode::kReadWrite));
  ASSERT_OK(file->WriteAt(120'000, Slice(foreign_.bytes).substr(120'000, 80'000)));
  bed_.files().FailSyncs(true);
  ASSERT_THAT(file->Sync(), HasCode(ErrorCode::kStorageError));
  bed_.files().ClearFaults();
  ASSERT_OK(bed_.Open());
  const auto receiving = store().receiving();
  ASSERT_TRUE(receiving.has_value());
  EXPECT_GT(receiving->received, 130'000u);
  sim::SimRandom random(1);
  SnapshotTestBed after(bed_.files().CrashImage(sim::CrashMode::kLoseAll, random));
  ASSERT_OK(after.Open());
  EXPECT_EQ(after.store().receiving(), receiving);
}

TEST_F(SnapshotReceptionTest, OffsetZeroDiscardsWhatThereWas) {
  ASSERT_OK(bed_.Receive(foreign_, 40'000, 120'000));
  const ForeignSnapshot other(At(6, 600), SampleBody(1'000, 9));
  ASSERT_OK(bed_.Receive(other, 500));
  EXPECT_EQ(store().receiving()->id, other.id);
  EXPECT_THAT(bed_.Names(), ElementsAre(ReceivedFileName(other.id)));
  ASSERT_OK(store().AppendReceived(other.id, 0, "again"));
  EXPECT_EQ(store().receiving()->received, 5u);
}

TEST_F(SnapshotReceptionTest, OnlyTheNextPieceIsTaken) {
  const SnapshotId& id = foreign_.id;
  EXPECT_THAT(store().AppendReceived(id, 10, "x"), HasCode(ErrorCode::kInvalidRequest));
  ASSERT_OK(bed_.Receive(foreign_, 40'000, 80'000));
  for (const uint64_t offset : {uint64_t{79'999}, uint64_t{80'001}, id.bytes, UINT64_MAX}) {
    EXPECT_THAT(store().AppendReceived(id, offset, "x"), HasCode(ErrorCode::kInvalidRequest));
  }
  EXPECT_THAT(store().AppendReceived(id, 80'000, ""), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(store().AppendReceived(id, 80'000, SampleBody(300'000)),
              HasCode(ErrorCode::kInvalidRequest));
  SnapshotId other = id;
  other.checksum ^= 1;
  EXPECT_THAT(store().AppendReceived(other, 80'000, "x"), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_EQ(store().receiving()->received, 80'000u);
  EXPECT_OK(bed_.Receive(foreign_, 40'000));
}

TEST_F(SnapshotReceptionTest, PeersNumbersAreBounded) {
  EXPECT_THAT(store().AppendReceived({At(5, 500), kSnapshotBytesMax + 1, 0}, 0, "x"),
              HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(store().AppendReceived({At(0, 0), 100, 0}, 0, "x"),
              HasCode(ErrorCode::kInvalidRequest));
}

TEST_F(SnapshotReceptionTest, WhatIsNotWhatTheIdSaysIsNotValid) {
  const auto verify = [&](const SnapshotId& id, Slice bytes) {
    EXPECT_OK(store().AppendReceived(id, 0, bytes));
    auto valid = store().VerifyReceived(id);
    EXPECT_OK(valid);
    EXPECT_THAT(store().InstallReceived(id).ok(), *valid);
    return *valid;
  };
  SnapshotId id = foreign_.id;
  EXPECT_FALSE(*store().VerifyReceived(id));
  EXPECT_FALSE(verify(id, Slice(foreign_.bytes).substr(0, 200'000)));
  std::string damaged = foreign_.bytes;
  damaged[150'000] ^= 8;
  EXPECT_FALSE(verify(id, damaged));
  id.checksum ^= 1;
  EXPECT_FALSE(verify(id, foreign_.bytes));
  id = foreign_.id;
  id.last = At(5, 501);
  EXPECT_FALSE(verify(id, foreign_.bytes));
  id = foreign_.id;
  id.bytes += 1;
  EXPECT_FALSE(verify(id, foreign_.bytes + "x"));
  EXPECT_EQ(store().newest(), std::nullopt);
  EXPECT_TRUE(verify(foreign_.id, foreign_.bytes));
}

TEST_F(SnapshotReceptionTest, UnverifiedIsNotInstalled) {
  EXPECT_THAT(store().InstallReceived(foreign_.id), HasCode(ErrorCode::kInvalidRequest));
  ASSERT_OK(bed_.Receive(foreign_, 40'000));
  EXPECT_THAT(store().InstallReceived(foreign_.id), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_EQ(store().newest(), std::nullopt);
}

TEST_F(SnapshotReceptionTest, ReceivedOfANewerProgramIsUnsupportedAndNotInvalid) {
  std::string bytes = foreign_.bytes;
  bytes[4] = 2;
  StoreLittle<uint32_t>(bytes.data() + kSnapshotHeaderBytes - kSnapshotCrcBytes,
                        MaskSnapshotCrc(Crc32c(Slice(bytes).substr(0, 52))));
  const SnapshotId id{At(5, 500), bytes.size(), Crc32c(bytes)};
  ASSERT_OK(store().AppendReceived(id, 0, bytes));
  EXPECT_THAT(store().VerifyReceived(id), HasCode(ErrorCode::kUnsupportedFormatVersion));
}

TEST_F(SnapshotReceptionTest, OlderThanTheOwnIsNotInstalledAndNotKept) {
  ASSERT_OK(bed_.Receive(foreign_, 40'000));
  ASSERT_TRUE(*store().VerifyReceived(foreign_.id));
  Write(At(5, 700));
  EXPECT_THAT(store().InstallReceived(foreign_.id), HasCode(ErrorCode::kInvalidRequest));
  ASSERT_OK(bed_.Open());
  EXPECT_EQ(store().receiving(), std::nullopt);
  EXPECT_THAT(bed_.Names(), ElementsAre(SnapshotFileName(At(5, 700))));
}

TEST_F(SnapshotReceptionTest, AfterAFailedWriteItBeginsAgain) {
  ASSERT_OK(bed_.Receive(foreign_, 40'000, 80'000));
  bed_.files().FailCallAt(bed_.files().calls() + 2, sim::SimFault::kIoError);
  EXPECT_THAT(bed_.Receive(foreign_, 40'000, 120'000), HasCode(ErrorCode::kStorageError));
  EXPECT_EQ(store().receiving(), std::nullopt);
  EXPECT_THAT(bed_.Names(), IsEmpty());
  ASSERT_OK(bed_.Receive(foreign_, 40'000));
  EXPECT_TRUE(*store().VerifyReceived(foreign_.id));
}

TEST_F(SnapshotReceptionTest, DamagedPartIsReceivedAgainFromThere) {
  ASSERT_OK(bed_.Receive(foreign_, 40'000, 240'000));
  bed_.Close();
  bed_.files().FlipBit(bed_.Path(ReceivedFileName(foreign_.id)), 100'000 * 8);
  ASSERT_OK(bed_.Open());
  EXPECT_LT(store().receiving()->received, 100'000u);
  ASSERT_OK(bed_.Receive(foreign_, 40'000));
  EXPECT_TRUE(*store().VerifyReceived(foreign_.id));
}

}  // namespace
}  // namespace millrace::raft
