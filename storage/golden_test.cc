// Every persistent format against files written by an earlier build: they stay readable, and what
// is written today is the same bytes. With STORAGE_GOLDEN_OUT set to a directory, writes them anew.

#include <cstdlib>
#include <map>
#include <string>

#include "base/posix_file_system.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/dir_identity.h"
#include "storage/epoch_checkpoint.h"
#include "storage/producer_snapshot.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

std::string ReadGolden(const std::string& name) {
  PosixFileSystem files;
  return FileContents(files, "storage/testdata/" + name);
}

// A directory with one log of a few segments, cleanly closed: deterministic to the byte.
std::map<std::string, std::string> MakeFiles() {
  LogFixture world;
  world.config.segment_bytes = 400;
  world.config.index_interval_bytes = 80;
  EXPECT_OK(world.Open());
  EXPECT_OK(world.Begin(5));
  absl::StatusOr<std::unique_ptr<Log>> log = world.OpenLog();
  EXPECT_OK(log);
  if (!log.ok()) return {};
  for (int i = 0; i < 8; ++i) {
    EXPECT_OK((*log)->StageAsLeader(MakeBatch("v", 2, kTestTime + i, ProducerId(i % 2), i / 2 * 2),
                                    LeaderEpoch(1 + i / 4), world.Now()));
  }
  world.Run();
  EXPECT_OK(world.Close(**log));
  EXPECT_OK(world.CloseDir());
  std::map<std::string, std::string> files;
  for (const std::string& directory : {std::string("data"), std::string("data/topic-0")}) {
    const auto entries = world.files->ListDirectory(directory);
    EXPECT_OK(entries);
    for (const DirectoryEntry& entry : entries.value()) {
      if (entry.is_directory || entry.name == ".lock") continue;
      auto contents = ReadWholeFile(*world.files, JoinPath(directory, entry.name), 1 << 20);
      EXPECT_OK(contents);
      // Room allocated ahead is zeros, which say nothing.
      while (contents->size() % 8 == 0 && contents->size() >= 4096 &&
             contents->substr(contents->size() - 8) == std::string(8, '\0')) {
        contents->resize(contents->size() - 8);
      }
      files[entry.name] = *contents;
    }
  }
  return files;
}

TEST(GoldenTest, FilesAreWrittenAsBefore) {
  const auto files = MakeFiles();
  EXPECT_GT(files.size(), 8u);
  for (const auto& [name, contents] : files) {
    if (const char* out = std::getenv("STORAGE_GOLDEN_OUT")) {
      PosixFileSystem real;
      EXPECT_OK(ReplaceFile(real, JoinPath(out, name), contents));
      continue;
    }
    EXPECT_EQ(contents, ReadGolden(name)) << name;
  }
}

// With the sync journal as it was before it said where rounds end, too.
class EarlierBuild : public testing::TestWithParam<std::string> {};

TEST_P(EarlierBuild, ADirectoryOfItStaysReadable) {
  auto files = std::make_shared<sim::SimFileSystem>();
  ASSERT_OK(files->CreateDirectory("data"));
  ASSERT_OK(files->CreateDirectory("data/topic-0"));
  for (const auto& [name, contents] : MakeFiles()) {
    const bool of_partition =
        name[0] == '0' || name == "leader-epoch-checkpoint" || name == "partition.metadata";
    ASSERT_OK(ReplaceFile(*files, (of_partition ? "data/topic-0/" : "data/") + name,
                          ReadGolden(name == "sync-journal" ? GetParam() : name)));
  }
  LogFixture world(files);
  ASSERT_OK(world.Open());
  EXPECT_TRUE(world.dir->opened().clean);
  EXPECT_EQ(world.dir->opened().last_broker_epoch, BrokerEpoch(5));
  ASSERT_OK(world.Begin(6));
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log, world.OpenLog());
  EXPECT_EQ(log->end_offset(), Offset(16));
  EXPECT_EQ(log->epochs().latest(), LeaderEpoch(2));
  EXPECT_EQ(log->producers().producers().size(), 2u);
  EXPECT_NE(ReadAll(*log, Offset(0), Offset(16)).find("v#1"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(GoldenTest, EarlierBuild,
                         testing::Values("sync-journal", "sync-journal-without-round-ends"));

}  // namespace
}  // namespace millrace::storage
