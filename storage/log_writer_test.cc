#include "storage/log_writer.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

using Kind = sim::SimCall::Kind;

class LogWriterTest : public testing::Test {
 protected:
  void SetUp() override {
    world_.config.preallocate_bytes_min = 0;
    ASSERT_OK(world_.Open());
    ASSERT_OK(world_.Begin(5));
  }
  void TearDown() override { world_.files->SetOnCall(nullptr); }
  std::unique_ptr<Log> OpenLog(int partition, RecordingListener* listener = nullptr,
                               Executor* owner = nullptr) {
    std::unique_ptr<Log> log;
    world_.dir->OpenLog(LogFixture::Partition(partition), "topic", world_.config,
                        owner == nullptr ? world_.shard.get() : owner,
                        [&](absl::StatusOr<std::unique_ptr<Log>> opened) {
                          ASSERT_OK(opened);
                          log = *std::move(opened);
                        });
    world_.RunBriefly();
    log->SetListener(listener);
    return log;
  }
  void Stage(Log& log, const std::string& value = "v") {
    ASSERT_OK(log.StageAsLeader(MakeBatch(value), LeaderEpoch(1), world_.Now()));
  }
  void Record() {
    world_.files->SetOnCall([this](const sim::SimCall& call) { calls_.push_back(call); });
  }
  int Count(Kind kind, absl::string_view end_of_path) const {
    return static_cast<int>(
        std::count_if(calls_.begin(), calls_.end(), [&](const sim::SimCall& call) {
          return call.kind == kind && absl::EndsWith(call.path, end_of_path);
        }));
  }
  size_t FirstOf(Kind kind, absl::string_view part_of_path) const {
    size_t at = 0;
    while (at < calls_.size() &&
           !(calls_[at].kind == kind && absl::StrContains(calls_[at].path, part_of_path))) {
      ++at;
    }
    return at;
  }

  LogFixture world_;
  std::vector<sim::SimCall> calls_;
};

TEST_F(LogWriterTest, AppendsThatArriveTogetherShareOneRound) {
  RecordingListener listeners[3];
  std::vector<std::unique_ptr<Log>> logs;
  for (int i = 0; i < 3; ++i) {
    logs.push_back(OpenLog(i, &listeners[i]));
    Stage(*logs.back());
  }
  world_.Run();
  Record();
  for (int i = 0; i < 20; ++i) {
    for (const auto& log : logs) Stage(*log);
  }
  world_.RunBriefly();
  // One sync per log, of all its twenty appends, and one of the journal that vouches for others.
  EXPECT_EQ(Count(Kind::kSync, ".log"), 3);
  EXPECT_LE(Count(Kind::kSync, "sync-journal"), 1);
  EXPECT_EQ(Count(Kind::kSync, "partitions"), 0);
  for (const RecordingListener& listener : listeners) {
    EXPECT_EQ(listener.durable, Offset(21));
    EXPECT_EQ(listener.calls, 2);
  }
}

TEST_F(LogWriterTest, LogsThatBeginTogetherAreMadeTogether) {
  std::vector<std::unique_ptr<Log>> logs;
  for (int i = 0; i < 20; ++i) logs.push_back(OpenLog(i));
  Record();
  for (const auto& log : logs) Stage(*log);
  world_.RunBriefly();
  for (const auto& log : logs) EXPECT_EQ(log->durable_offset(), Offset(1));
  // Their names in the log directory are synced once; in each of their own, that of who it is
  // before those of its files.
  EXPECT_EQ(Count(Kind::kSyncDirectory, "data"), 1);
  for (int i = 0; i < 20; ++i) {
    const std::string directory = absl::StrCat("data/topic-", i);
    EXPECT_EQ(Count(Kind::kSyncDirectory, directory), 2);
    EXPECT_LT(FirstOf(Kind::kSyncDirectory, directory),
              FirstOf(Kind::kCreate, absl::StrCat(directory, "/0000")));
  }
  // All are named before the first is synced.
  EXPECT_LT(FirstOf(Kind::kRename, "data/topic-19/"),
            FirstOf(Kind::kSyncDirectory, "data/topic-0"));
  EXPECT_LT(FirstOf(Kind::kSyncDirectory, "data/topic-19"), FirstOf(Kind::kWrite, ".log"));
}

TEST_F(LogWriterTest, EachOwnerHearsOfItsOwnLogsOnItsOwnStrand) {
  const auto other_shard = world_.loop.MakeExecutor("other", &world_.clock);
  RecordingListener here;
  RecordingListener there;
  const auto mine = OpenLog(0, &here);
  const auto theirs = OpenLog(1, &there, other_shard.get());
  Stage(*mine);
  other_shard->RunNow([&] { Stage(*theirs); });
  other_shard->Pause();
  world_.Run();
  EXPECT_EQ(here.durable, Offset(1));
  EXPECT_EQ(there.durable, Offset(0));
  other_shard->Resume();
  world_.Run();
  EXPECT_EQ(there.durable, Offset(1));
  EXPECT_EQ(there.calls, 1);
  other_shard->Shutdown();
}

TEST_F(LogWriterTest, DurableEndsAreVouchedForByTheNextRoundOrWhenIdle) {
  const auto log = OpenLog(0);
  Stage(*log);
  world_.Run();
  Record();
  Stage(*log);
  world_.RunBriefly();
  EXPECT_EQ(log->durable_offset(), Offset(2));
  // Each round has a frame, which says where it ends; and how the one before it ended.
  EXPECT_EQ(Count(Kind::kWrite, "sync-journal"), 1);
  Stage(*log);
  world_.RunBriefly();
  EXPECT_EQ(Count(Kind::kWrite, "sync-journal"), 2);
  world_.Run(absl::Milliseconds(20));
  EXPECT_EQ(Count(Kind::kWrite, "sync-journal"), 3);
  world_.Run(absl::Seconds(10));
  EXPECT_EQ(Count(Kind::kWrite, "sync-journal"), 3);
}

TEST_F(LogWriterTest, ReplicatedLogsDoNotWaitForTheSyncsOfOthers) {
  const auto durable = OpenLog(0);
  world_.config.durability = Durability::kReplicated;
  RecordingListener listener;
  const auto replicated = OpenLog(1, &listener);
  Record();
  Stage(*durable);
  Stage(*replicated);
  world_.RunBriefly();
  EXPECT_LT(FirstOf(Kind::kWrite, "topic-1/00000000000000000000.log"),
            FirstOf(Kind::kSync, "topic-0/00000000000000000000.log"));
  EXPECT_EQ(FirstOf(Kind::kSync, "topic-1/00000000000000000000.log"), calls_.size());
  EXPECT_EQ(listener.written, Offset(1));
  EXPECT_EQ(listener.durable, Offset(0));
  EXPECT_EQ(durable->durable_offset(), Offset(1));
}

TEST_F(LogWriterTest, ReportsOfAnOlderGenerationAreClamped) {
  RecordingListener listener;
  const auto log = OpenLog(0, &listener);
  Stage(*log);
  world_.RunBriefly();
  // The strand has what was staged, and has not reported when the owner cuts it.
  Stage(*log);
  Stage(*log);
  ASSERT_TRUE(
      world_.loop.RunUntil([&] { return world_.disk->pending() > 0; }, absl::Milliseconds(1)));
  log->TruncateTo(Offset(1), Offset(1));
  Stage(*log, "other");
  while (log->durable_offset() < Offset(2)) {
    ASSERT_TRUE(world_.loop.RunOne());
    EXPECT_LE(log->written_offset(), log->end_offset());
  }
  EXPECT_EQ(log->end_offset(), Offset(2));
  EXPECT_NE(ReadAll(*log, Offset(1), Offset(2)).find("other"), std::string::npos);
}

TEST_F(LogWriterTest, AFailedSyncFailsAllLogsForGoodAndAnswersWhatWaits) {
  RecordingListener listeners[2];
  std::vector<std::unique_ptr<Log>> logs;
  for (int i = 0; i < 2; ++i) logs.push_back(OpenLog(i, &listeners[i]));
  Stage(*logs[0]);
  world_.Run();
  logs[0]->SetHighWatermark(Offset(1));
  world_.files->FailSyncs(true);
  Stage(*logs[1]);
  absl::Status raised;
  logs[0]->RaiseLogStart(Offset(1), [&](const absl::Status& status) { raised = status; });
  world_.Run();
  world_.files->FailSyncs(false);
  world_.Run();
  for (const RecordingListener& listener : listeners) {
    EXPECT_THAT(listener.failure, HasCode(ErrorCode::kStorageError));
  }
  EXPECT_THAT(raised, HasCode(ErrorCode::kStorageError));
  EXPECT_EQ(listeners[1].durable, Offset(0));
  EXPECT_TRUE(world_.dir->failed());
  EXPECT_THAT(world_.OpenLog(3), HasCode(ErrorCode::kStorageError));
}

}  // namespace
}  // namespace millrace::storage
