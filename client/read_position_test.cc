#include "client/read_position.h"

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "record/batch_builder.h"

namespace millrace::client {
namespace {

constexpr std::optional<Offset> kNone;

std::string Batch(int64_t base, int records, int epoch) {
  record::BatchBuilder builder({.base_offset = Offset(base), .leader_epoch = LeaderEpoch(epoch)});
  for (int i = 0; i < records; ++i) builder.Add(1, absl::nullopt, Slice("value"));
  return builder.Build().ToString();
}

// Read up to `next`, from `epoch_from` on in `epoch`.
ReadPosition Read(int64_t next, int epoch, int64_t epoch_from) {
  return {Offset(next), LeaderEpoch(epoch), Offset(epoch_from)};
}
// Looked up, and nothing was read.
ReadPosition Found(int64_t next, int epoch) { return {Offset(next), LeaderEpoch(epoch)}; }

std::optional<Offset> Divergence(const ReadPosition& position, int epoch, int64_t end) {
  return DivergenceOf(position, LeaderEpoch(epoch), Offset(end));
}

TEST(ReadPosition, RemembersTheEpochOfTheLastRecordAndSinceWhen) {
  ReadPosition position = ReadPosition::At({.kind = Position::Kind::kOffset, .offset = Offset(3)});
  EXPECT_EQ(position.epoch, kNoLeaderEpoch);
  // It begins inside of the first batch.
  ASSERT_OK_AND_ASSIGN(BatchRun run, RunOf(absl::StrCat(Batch(0, 5, 1), Batch(5, 5, 1))));
  position.Pass(run);
  EXPECT_EQ(position, Read(10, 1, 3));
  ASSERT_OK_AND_ASSIGN(run, RunOf(absl::StrCat(Batch(10, 5, 1), Batch(15, 2, 4), Batch(17, 1, 4))));
  position.Pass(run);
  EXPECT_EQ(position, Read(18, 4, 15));
  ASSERT_OK_AND_ASSIGN(run, RunOf(Batch(18, 2, 4)));
  position.Pass(run);
  EXPECT_EQ(position, Read(20, 4, 15));
  EXPECT_THAT(RunOf(Slice(Batch(0, 1, 1)).substr(0, 70)), HasCode(ErrorCode::kCorruptMessage));
}

TEST(ReadPosition, ThatWasKeptVouchesForTheRecordBeforeIt) {
  const ReadPosition kept = ReadPosition::At(
      {.kind = Position::Kind::kOffset, .offset = Offset(7), .leader_epoch = LeaderEpoch(2)});
  EXPECT_EQ(kept, Read(7, 2, 6));
}

TEST(DivergenceOf, ALogThatReachesThePositionInItsEpochHasAllThatWasRead) {
  EXPECT_EQ(Divergence(Read(20, 3, 15), 3, 20), kNone);
  EXPECT_EQ(Divergence(Read(20, 3, 15), 3, 30), kNone);
  EXPECT_EQ(Divergence(Found(20, 3), 3, 20), kNone);
  EXPECT_EQ(Divergence(Found(20, 3), 2, 20), kNone);
}

TEST(DivergenceOf, ALogWhoseEpochEndsBeforeThePositionPartsThere) {
  EXPECT_EQ(Divergence(Read(20, 3, 15), 3, 17), Offset(17));
  EXPECT_EQ(Divergence(Found(20, 3), 2, 17), Offset(17));
}

TEST(DivergenceOf, ALogWithoutTheEpochPartsWhereTheEpochBegan) {
  EXPECT_EQ(Divergence(Read(20, 3, 15), 2, 10), Offset(10));
  // It has grown past the position with other records, which comparing ends would overlook.
  EXPECT_EQ(Divergence(Read(20, 3, 15), 2, 40), Offset(15));
}

TEST(DivergenceOf, ALogOfLaterEpochsAlonePartsWhereItBegins) {
  EXPECT_EQ(Divergence(Read(20, 3, 15), -1, 0), Offset(0));
  // What was read has been deleted since: nobody can compare it.
  EXPECT_EQ(Divergence(Read(20, 3, 15), -1, 20), kNone);
  EXPECT_EQ(Divergence(Read(20, 3, 15), -1, 25), kNone);
}

TEST(LogTruncated, SaysWherePositionAndLogPartAndCanBeTold) {
  const absl::Status status = LogTruncated(Read(20, 3, 15), Offset(17), LeaderEpoch(5));
  EXPECT_THAT(status, IsError(ErrorCode::kOffsetOutOfRange,
                              "the position is 20, and records from offset 17 on"));
  EXPECT_EQ(TruncatedAt(Annotate(status, "t-0")), Offset(17));
  EXPECT_EQ(TruncatedAt(MakeError(ErrorCode::kOffsetOutOfRange, "deleted", {.name = "offset"})),
            kNone);
}

}  // namespace
}  // namespace millrace::client
