#include "storage/journal.h"

#include <optional>

#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

using testing::ElementsAre;

class JournalTest : public testing::Test {
 protected:
  JournalContents Read() {
    const auto contents = ReadJournal(files_, "j", JournalKind::kSync);
    EXPECT_OK(contents);
    return contents.value_or(JournalContents());
  }
  void Write(const std::string& entry) {
    journal_.Add(entry);
    ASSERT_OK(journal_.Flush());
  }
  sim::SimFileSystem files_;
  Journal journal_{&files_, "j", JournalKind::kSync, 1000};
};

TEST_F(JournalTest, EntriesComeBackInOrderAndARewriteReplacesThem) {
  ASSERT_OK(journal_.Rewrite({"a"}));
  Write("b");
  journal_.Add("c");
  Write("d");
  EXPECT_THAT(Read().entries, ElementsAre("a", "b", "c", "d"));
  ASSERT_OK(journal_.Rewrite({"e"}));
  Write("f");
  EXPECT_THAT(Read().entries, ElementsAre("e", "f"));
  EXPECT_EQ(Read().sequence, journal_.sequence());
}

TEST_F(JournalTest, DamageBeforeAValidFrameIsToldFromATornEnd) {
  ASSERT_OK(journal_.Rewrite({}));
  Write("aaaaaaaa");
  Write("bbbbbbbb");
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadWholeFile(files_, "j", 1 << 20));
  files_.FlipBit("j", bytes.find("aaaaaaaa") * 8);
  EXPECT_NE(Read().damaged_at, 0u);
  EXPECT_THAT(Read().entries, ElementsAre("bbbbbbbb"));
  files_.FlipBit("j", bytes.find("aaaaaaaa") * 8);
  files_.FlipBit("j", bytes.find("bbbbbbbb") * 8);
  EXPECT_EQ(Read().damaged_at, 0u);
  EXPECT_NE(Read().torn_bytes, 0u);
  EXPECT_THAT(Read().entries, ElementsAre("aaaaaaaa"));
}

TEST_F(JournalTest, AFrameThatFoundNoRoomIsWrittenLaterWithWhatCameMeanwhile) {
  ASSERT_OK(journal_.Rewrite({"a"}));
  files_.SetCapacity(files_.used_bytes() + 4);
  for (const char* entry : {"b", "c"}) {
    journal_.Add(entry);
    EXPECT_THAT(journal_.Flush(), HasCode(ErrorCode::kStorageFull));
    EXPECT_TRUE(journal_.has_pending());
    EXPECT_THAT(Read().entries, ElementsAre("a"));
  }
  EXPECT_THAT(journal_.Rewrite({"all"}), HasCode(ErrorCode::kStorageFull));
  // Too little for the step ahead, and enough for the frame.
  files_.SetCapacity(files_.used_bytes() + 1000);
  ASSERT_OK(journal_.Flush());
  EXPECT_FALSE(journal_.has_pending());
  Write("d");
  EXPECT_THAT(Read().entries, ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(Read().sequence, journal_.sequence());
}

TEST_F(JournalTest, WhatThereIsOfAStepThatFindsTooLittleRoomIsGivenBack) {
  ASSERT_OK(journal_.Rewrite({"a"}));
  const uint64_t used = files_.used_bytes();
  files_.SetCapacity(used + 40'000);
  Write("b");
  EXPECT_LT(files_.used_bytes(), used + 100);
  // Unless that needs room as well.
  files_.SetFaults([](const sim::SimCall& call) {
    return call.kind == sim::SimCall::Kind::kTruncate ? std::optional(sim::SimFault::kNoSpace)
                                                      : std::nullopt;
  });
  Write("c");
  EXPECT_GT(files_.used_bytes(), used + 30'000);
  Write("d");
  sim::SimRandom random(1);
  const auto after = files_.CrashImage(sim::CrashMode::kLoseAll, random);
  ASSERT_OK_AND_ASSIGN(const auto found, ReadJournal(*after, "j", JournalKind::kSync));
  EXPECT_THAT(found.entries, ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(found.damaged_at + found.torn_bytes, 0u);
}

// Where too many files are open. What is appended from there on must be in the file of that name.
TEST_F(JournalTest, ARewriteThatHasBegunToTakeEffectNeverSaysThatNothingWasDone_S08) {
  using Kind = sim::SimCall::Kind;
  for (const Kind step : {Kind::kCreate, Kind::kOpen, Kind::kRename, Kind::kSyncDirectory}) {
    SCOPED_TRACE(static_cast<int>(step));
    ASSERT_OK(journal_.Rewrite({"a"}));
    files_.SetFaults([step](const sim::SimCall& call) {
      return call.kind == step ? std::optional(sim::SimFault::kNoSpace) : std::nullopt;
    });
    const absl::Status rewritten = journal_.Rewrite({"b"});
    files_.SetFaults(nullptr);
    // Of all else the owner dies.
    if (!rewritten.ok() && CodeOf(rewritten) != ErrorCode::kStorageFull) continue;
    Write("c");
    sim::SimRandom random(1);
    const auto after = files_.CrashImage(sim::CrashMode::kLoseAll, random);
    ASSERT_OK_AND_ASSIGN(const auto found, ReadJournal(*after, "j", JournalKind::kSync));
    EXPECT_THAT(found.entries, ElementsAre(rewritten.ok() ? "b" : "a", "c"));
    EXPECT_FALSE(after->Exists("j.tmp").value());
  }
}

TEST_F(JournalTest, AnotherKindIsRefused) {
  ASSERT_OK(journal_.Rewrite({"a"}));
  EXPECT_THAT(ReadJournal(files_, "j", JournalKind::kPartitions),
              HasCode(ErrorCode::kInvalidDirectory));
}

TEST_F(JournalTest, AsksToBeRewrittenWhenItHasGrown) {
  ASSERT_OK(journal_.Rewrite({}));
  for (int i = 0; i < 50; ++i) Write(std::string(20, 'x'));
  EXPECT_TRUE(journal_.grown());
  ASSERT_OK(journal_.Rewrite({}));
  EXPECT_FALSE(journal_.grown());
}

}  // namespace
}  // namespace millrace::storage
