#include "tools/millrace/log_verify.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "storage/file_names.h"
#include "storage/partitions_journal.h"
#include "storage/sync_journal.h"
#include "storage/testing/log_fixture.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A log directory with two partitions, left by a clean stop.
class LogVerifyTest : public testing::Test {
 protected:
  LogVerifyTest() {
    EXPECT_OK(world_.Open());
    EXPECT_OK(world_.Begin(5));
    for (int partition = 0; partition < 2; ++partition) {
      auto log = world_.OpenLog(partition).value();
      EXPECT_OK(log->StageAsLeader(storage::MakeBatch("v", 3), LeaderEpoch(1), world_.Now()));
      world_.Run();
      EXPECT_OK(world_.Close(*log));
    }
    EXPECT_OK(world_.CloseDir());
  }

  std::vector<Problem> Verify(const std::string& path = "data") {
    report_ = {};
    EXPECT_OK(VerifyDirectory(*world_.files, path, {}, &report_));
    return report_.problems;
  }
  // The only problem is with this file.
  void ExpectOne(ProblemKind kind, const std::string& path, const std::string& what) {
    const std::vector<Problem> problems = Verify();
    ASSERT_EQ(problems.size(), 1u) << report_.ToText();
    EXPECT_EQ(problems[0].kind, kind) << report_.ToText();
    EXPECT_EQ(problems[0].place.path, path);
    EXPECT_THAT(problems[0].what, HasSubstr(what));
  }

  storage::LogFixture world_;
  VerifyReport report_;
};

TEST_F(LogVerifyTest, ADirectoryInUseIsRefused) {
  EXPECT_THAT(VerifyDirectory(*world_.files, "data", {}, &report_),
              IsError(ErrorCode::kDirectoryLocked, "stop it first"));
  EXPECT_THAT(VerifyDirectory(*world_.files, "data/topic-0", {}, &report_),
              IsError(ErrorCode::kDirectoryLocked, "stop it first"));
}

TEST_F(LogVerifyTest, WhatACleanStopLeavesHasNoProblems) {
  world_.Stop();
  EXPECT_THAT(Verify(), IsEmpty()) << report_.ToText();
  EXPECT_EQ(report_.partitions, 2);
  EXPECT_EQ(report_.records, 6);
  EXPECT_THAT(Verify("data/topic-1"), IsEmpty()) << report_.ToText();
  EXPECT_EQ(report_.records, 3);
}

TEST_F(LogVerifyTest, NothingIsChanged) {
  world_.Stop();
  const auto before = world_.files->ListDirectory("data").value();
  Verify();
  EXPECT_EQ(world_.files->ListDirectory("data").value(), before);
}

TEST_F(LogVerifyTest, DamagedFilesOfTheDirectoryAreNamed) {
  world_.Stop();
  for (const auto& [name, kind] : {std::pair(storage::kMetaPropertiesFile, ProblemKind::kDamage),
                                   std::pair(storage::kOpenRecordFile, ProblemKind::kDamage),
                                   std::pair(storage::kCleanShutdownFile, ProblemKind::kHint),
                                   std::pair(storage::kRecoveryPointsFile, ProblemKind::kHint)}) {
    const std::string path = JoinPath("data", name);
    world_.files->FlipBit(path, 8 * 30);
    ExpectOne(kind, path, "");
    world_.files->FlipBit(path, 8 * 30);
  }
}

TEST_F(LogVerifyTest, APartitionThatIsGoneAndOneThatNobodyNamesAreDamage) {
  world_.Stop();
  ASSERT_OK(world_.files->Rename("data/topic-0", "data/topic-7"));
  const auto problems = Verify();
  ASSERT_EQ(problems.size(), 2u) << report_.ToText();
  EXPECT_EQ(problems[0].place.path, "data/topic-0");
  EXPECT_THAT(problems[0].what, HasSubstr("is gone"));
  EXPECT_EQ(problems[1].place.path, "data/topic-7");
  EXPECT_THAT(problems[1].what, HasSubstr("does not name it"));
  EXPECT_EQ(report_.records, 6) << "it is read all the same";
}

// A kill in the midst of a deletion, or of setting aside, leaves what the next start finishes.
TEST_F(LogVerifyTest, WhatTheNextStartFinishesIsNoDamage) {
  world_.Stop();
  storage::SyncJournal syncs(world_.files.get(), "data/sync-journal", 1 << 20);
  storage::PartitionsJournal partitions(world_.files.get(), "data/partitions", 1 << 20, &syncs);
  ASSERT_OK(syncs.Load());
  ASSERT_OK(partitions.Load());
  ASSERT_OK(syncs.Rewrite());
  ASSERT_OK(partitions.Rewrite());
  ASSERT_EQ(partitions.replicas().size(), 2u);
  partitions.Delete(partitions.replicas().begin()->first);
  ASSERT_OK(partitions.Flush());
  EXPECT_THAT(Verify(), IsEmpty()) << report_.ToText();
  EXPECT_EQ(report_.partitions, 1);
  partitions.SetStray(partitions.replicas().begin()->first);
  ASSERT_OK(partitions.Flush());
  EXPECT_THAT(Verify(), IsEmpty()) << report_.ToText();
  EXPECT_EQ(report_.partitions, 1);
}

TEST_F(LogVerifyTest, ALogDirectoryThatLostItsJournalIsDamagedAndIsRead) {
  world_.Stop();
  ASSERT_OK(world_.files->RemoveFile("data/partitions"));
  ExpectOne(ProblemKind::kDamage, "data/partitions", "its end is damaged");
  EXPECT_EQ(report_.records, 6);
  ASSERT_OK(world_.files->RemoveFile("data/sync-journal"));
  ExpectOne(ProblemKind::kDamage, "data/partitions", "it is gone");
  EXPECT_EQ(report_.records, 6);
}

TEST_F(LogVerifyTest, ADataDirectoryIsTheMetadataAndAllLogDirectoriesInIt) {
  world_.Stop();
  sim::SimFileSystem& files = *world_.files;
  for (const char* directory : {"home", "home/metadata", "home/metadata/wal", "home/photos"}) {
    ASSERT_OK(files.CreateDirectory(directory));
  }
  // A controller alone has no logs.
  Verify("home");
  EXPECT_EQ(report_.records, 0);
  ASSERT_OK(files.Rename("data", "home/disk1"));
  Verify("home");
  EXPECT_EQ(report_.records, 6) << report_.ToText();
}

TEST_F(LogVerifyTest, ADamagedBatchOfAPartitionIsFound) {
  world_.Stop();
  const std::string path = "data/topic-1/00000000000000000000.log";
  world_.files->FlipBit(path, 8 * 70);
  const auto problems = Verify();
  ASSERT_FALSE(problems.empty());
  EXPECT_EQ(problems[0].place.path, path);
  EXPECT_EQ(problems[0].place.position, 0u);
  EXPECT_EQ(problems[0].place.offset, Offset(0));
  EXPECT_FALSE(report_.Verdict().ok());
}

TEST_F(LogVerifyTest, SnapshotsAreFoundByFileByDirectoryAndInTheMetadataDirectory) {
  sim::SimFileSystem& files = *world_.files;
  const std::string path = "metadata/snapshots/00000000000000000001-00000000000000000001.snapshot";
  for (const char* directory : {"metadata", "metadata/wal", "metadata/snapshots"}) {
    ASSERT_OK(files.CreateDirectory(directory));
  }
  ASSERT_OK(ReplaceFile(files, path, "no snapshot"));
  for (const char* of : {path.c_str(), "metadata/snapshots", "metadata"}) {
    const std::vector<Problem> problems = Verify(of);
    EXPECT_EQ(report_.snapshots, 1) << of;
    EXPECT_EQ(std::count_if(problems.begin(), problems.end(),
                            [&](const Problem& problem) { return problem.place.path == path; }),
              1)
        << of << "\n"
        << report_.ToText();
  }
  ASSERT_OK_AND_ASSIGN(auto lock, files.Lock("metadata/lock"));
  EXPECT_THAT(VerifyDirectory(files, "metadata/snapshots", {}, &report_),
              HasCode(ErrorCode::kDirectoryLocked));
}

TEST_F(LogVerifyTest, ADirectoryOfAnotherKindIsRefused) {
  ASSERT_OK(world_.files->CreateDirectory("photos"));
  EXPECT_THAT(VerifyDirectory(*world_.files, "photos", {}, &report_),
              IsError(ErrorCode::kInvalidDirectory, "'photos' is neither"));
  EXPECT_THAT(VerifyDirectory(*world_.files, "nowhere", {}, &report_),
              HasCode(ErrorCode::kDirectoryUnavailable));
}

}  // namespace
}  // namespace millrace::tools
