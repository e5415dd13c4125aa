#include "base/sim/sim_file_system.h"

#include <set>

#include "base/status_matchers.h"

namespace millrace::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::unique_ptr<File> Create(FileSystem& files, const std::string& path) {
  auto file = files.Open(path, OpenMode::kTruncateCreate);
  EXPECT_OK(file);
  return *std::move(file);
}

// The contents, or "(none)".
std::string Contents(FileSystem& files, const std::string& path) {
  absl::StatusOr<std::string> contents = ReadWholeFile(files, path, 1 << 30);
  return contents.ok() ? *contents : "(none)";
}

std::vector<std::string> Names(FileSystem& files, const std::string& path) {
  std::vector<std::string> names;
  auto entries = files.ListDirectory(path);
  EXPECT_OK(entries);
  for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
  return names;
}

// What `path` may hold after a crash now, over many torn images.
std::set<std::string> TornContents(const SimFileSystem& files, const std::string& path,
                                   int images = 500) {
  std::set<std::string> seen;
  SimRandom random(1);
  for (int i = 0; i < images; ++i) {
    seen.insert(Contents(*files.CrashImage(CrashMode::kTorn, random), path));
  }
  return seen;
}

class SimFileSystemTest : public ::testing::Test {
 protected:
  // A durable file with these contents.
  std::unique_ptr<File> Durable(const std::string& path, const std::string& contents) {
    auto file = Create(files_, path);
    EXPECT_OK(file->WriteAt(0, contents));
    files_.SyncAll();
    return file;
  }
  std::string After(CrashMode mode, const std::string& path) {
    return Contents(*files_.CrashImage(mode, random_), path);
  }

  SimRandom random_{7};
  SimFileSystem files_;
};

TEST_F(SimFileSystemTest, UnsyncedDataIsKeptOrLost) {
  auto file = Durable("f", "old");
  ASSERT_OK(file->WriteAt(0, "new!"));
  EXPECT_EQ(Contents(files_, "f"), "new!");
  EXPECT_EQ(After(CrashMode::kKeepAll, "f"), "new!");
  EXPECT_EQ(After(CrashMode::kLoseAll, "f"), "old");
}

TEST_F(SimFileSystemTest, SyncedDataSurvivesEveryCrash) {
  auto file = Durable("f", "old");
  ASSERT_OK(file->WriteAt(3, " and new"));
  ASSERT_OK(file->Sync());
  EXPECT_EQ(After(CrashMode::kLoseAll, "f"), "old and new");
  EXPECT_THAT(TornContents(files_, "f"), ElementsAre("old and new"));
}

TEST_F(SimFileSystemTest, NameNeedsItsDirectorySynced) {
  auto file = Create(files_, "f");
  ASSERT_OK(file->WriteAt(0, "data"));
  ASSERT_OK(file->Sync());
  EXPECT_EQ(After(CrashMode::kLoseAll, "f"), "(none)");
  EXPECT_THAT(TornContents(files_, "f"), ElementsAre("(none)", "data"));
  ASSERT_OK(files_.SyncDirectory("/"));
  EXPECT_EQ(After(CrashMode::kLoseAll, "f"), "data");
}

TEST_F(SimFileSystemTest, NameWithoutSyncedDataIsAnEmptyFile) {
  auto file = Create(files_, "f");
  ASSERT_OK(file->WriteAt(0, "data"));
  ASSERT_OK(files_.SyncDirectory("/"));
  EXPECT_EQ(After(CrashMode::kLoseAll, "f"), "");
}

TEST_F(SimFileSystemTest, FileInADirectoryThatWasLostIsLost) {
  ASSERT_OK(files_.CreateDirectory("d"));
  auto file = Create(files_, "d/f");
  ASSERT_OK(file->Sync());
  ASSERT_OK(files_.SyncDirectory("d"));
  EXPECT_THAT(Names(*files_.CrashImage(CrashMode::kLoseAll, random_), "/"), IsEmpty());
  ASSERT_OK(files_.SyncDirectory("."));
  EXPECT_THAT(Names(*files_.CrashImage(CrashMode::kLoseAll, random_), "d"), ElementsAre("f"));
}

TEST_F(SimFileSystemTest, TornWriteSplitsAtSectorsOnly) {
  auto file = Durable("f", std::string(8192, 'o'));
  ASSERT_OK(file->WriteAt(0, std::string(8192, 'n')));
  const std::set<std::string> seen = TornContents(files_, "f");
  EXPECT_TRUE(seen.count(std::string(8192, 'o')));
  EXPECT_TRUE(seen.count(std::string(8192, 'n')));
  EXPECT_TRUE(seen.count(std::string(4096, 'o') + std::string(4096, 'n')));
  EXPECT_GT(seen.size(), 50u);
  bool any_scattered = false;
  for (const std::string& contents : seen) {
    ASSERT_EQ(contents.size(), 8192u);
    for (size_t sector = 0; sector < 16; ++sector) {
      const std::string piece = contents.substr(sector * 512, 512);
      ASSERT_TRUE(piece == std::string(512, 'o') || piece == std::string(512, 'n'));
    }
    any_scattered |= contents.find("on") != std::string::npos;
  }
  EXPECT_TRUE(any_scattered);
}

TEST_F(SimFileSystemTest, SectorHoldsAPrefixOfTheWritesToIt) {
  auto file = Durable("f", "....");
  ASSERT_OK(file->WriteAt(0, "a"));
  ASSERT_OK(file->WriteAt(1, "b"));
  ASSERT_OK(file->WriteAt(2, "c"));
  EXPECT_THAT(TornContents(files_, "f"), ElementsAre("....", "a...", "ab..", "abc."));
}

TEST_F(SimFileSystemTest, SizeMayBeKeptWithoutTheDataAndTheOtherWayRound) {
  auto file = Durable("f", "a");
  ASSERT_OK(file->WriteAt(1, "bc"));
  EXPECT_THAT(TornContents(files_, "f"), ElementsAre("a", std::string("a\0\0", 3), "abc"));
}

TEST_F(SimFileSystemTest, ZeroFilledThenWrittenShowsZerosOrData) {
  auto file = Create(files_, "f");
  ASSERT_OK(file->ZeroFill(0, 4096));
  files_.SyncAll();
  ASSERT_OK(file->WriteAt(0, "x"));
  const std::set<std::string> seen = TornContents(files_, "f");
  EXPECT_THAT(seen, SizeIs(2));
  for (const std::string& contents : seen) EXPECT_EQ(contents.size(), 4096u);
}

TEST_F(SimFileSystemTest, TruncationMayBeLostAndWhatItCutNeverMixesWithWhatFollows) {
  auto file = Durable("f", "abcdef");
  ASSERT_OK(file->Truncate(2));
  ASSERT_OK(file->WriteAt(2, "XY"));
  EXPECT_EQ(Contents(files_, "f"), "abXY");
  EXPECT_EQ(After(CrashMode::kKeepAll, "f"), "abXY");
  EXPECT_EQ(After(CrashMode::kLoseAll, "f"), "abcdef");
  for (const std::string& contents : TornContents(files_, "f")) {
    EXPECT_THAT(contents, ::testing::AnyOf("abcdef", "ab", "abXY", std::string("ab\0\0", 4)));
  }
}

TEST_F(SimFileSystemTest, SyncedTruncationDoesNotBringOldBytesBack) {
  auto file = Durable("f", std::string(10'000, 'o'));
  ASSERT_OK(file->Truncate(10));
  ASSERT_OK(file->Truncate(10'000));
  ASSERT_OK(file->Sync());
  EXPECT_EQ(After(CrashMode::kLoseAll, "f"), std::string(10, 'o') + std::string(9990, '\0'));
}

TEST_F(SimFileSystemTest, RenameIsAtomicAndDurableWithItsDirectory) {
  Durable("a", "new");
  Durable("b", "old");
  ASSERT_OK(files_.Rename("a", "b"));
  EXPECT_THAT(Names(files_, "/"), ElementsAre("b"));
  EXPECT_EQ(After(CrashMode::kLoseAll, "b"), "old");
  EXPECT_THAT(TornContents(files_, "b"), ElementsAre("new", "old"));
  SimRandom random(3);
  for (int i = 0; i < 50; ++i) {
    auto image = files_.CrashImage(CrashMode::kTorn, random);
    EXPECT_EQ(Contents(*image, "a"), Contents(*image, "b") == "old" ? "new" : "(none)");
  }
  ASSERT_OK(files_.SyncDirectory("/"));
  EXPECT_EQ(After(CrashMode::kLoseAll, "b"), "new");
}

TEST_F(SimFileSystemTest, RenameBetweenDirectoriesIsAtomicToo) {
  ASSERT_OK(files_.CreateDirectory("x"));
  ASSERT_OK(files_.CreateDirectory("y"));
  Durable("x/f", "1");
  ASSERT_OK(files_.Rename("x/f", "y/f"));
  SimRandom random(3);
  std::set<bool> moved;
  for (int i = 0; i < 100; ++i) {
    auto image = files_.CrashImage(CrashMode::kTorn, random);
    EXPECT_EQ(Names(*image, "x").size() + Names(*image, "y").size(), 1u);
    moved.insert(Names(*image, "y").size() == 1);
  }
  EXPECT_EQ(moved.size(), 2u);
  ASSERT_OK(files_.SyncDirectory("y"));
  auto image = files_.CrashImage(CrashMode::kLoseAll, random);
  EXPECT_THAT(Names(*image, "x"), IsEmpty());
  EXPECT_EQ(Contents(*image, "y/f"), "1");
}

TEST_F(SimFileSystemTest, OfADirectorysChangesAPrefixSurvives) {
  for (const char* name : {"a", "b", "c"}) Create(files_, name);
  std::set<std::vector<std::string>> seen;
  for (int i = 0; i < 200; ++i) {
    seen.insert(Names(*files_.CrashImage(CrashMode::kTorn, random_), "/"));
  }
  EXPECT_THAT(seen, ElementsAre(std::vector<std::string>{}, std::vector<std::string>{"a"},
                                std::vector<std::string>{"a", "b"},
                                std::vector<std::string>{"a", "b", "c"}));
}

TEST_F(SimFileSystemTest, UnsyncedRemovalMayComeBack) {
  Durable("f", "data");
  ASSERT_OK(files_.RemoveFile("f"));
  EXPECT_EQ(Contents(files_, "f"), "(none)");
  EXPECT_EQ(After(CrashMode::kLoseAll, "f"), "data");
  ASSERT_OK(files_.SyncDirectory("/"));
  EXPECT_EQ(After(CrashMode::kLoseAll, "f"), "(none)");
}

TEST_F(SimFileSystemTest, ImageIsIndependentAndWhollyDurable) {
  auto file = Durable("f", "one");
  ASSERT_OK(file->WriteAt(0, "two"));
  auto image = files_.CrashImage(CrashMode::kKeepAll, random_);
  ASSERT_OK(file->WriteAt(0, "six"));
  EXPECT_EQ(Contents(*image, "f"), "two");
  auto image_of_image = image->CrashImage(CrashMode::kLoseAll, random_);
  EXPECT_EQ(Contents(*image_of_image, "f"), "two");
}

TEST_F(SimFileSystemTest, FailedSyncMakesDataCleanButNotDurable) {
  auto file = Durable("f", "old");
  ASSERT_OK(file->WriteAt(0, "new"));
  files_.FailSyncs(true);
  EXPECT_THAT(file->Sync(), HasCode(ErrorCode::kStorageError));
  files_.FailSyncs(false);
  EXPECT_EQ(Contents(files_, "f"), "new");
  // The trap: a second sync succeeds.
  ASSERT_OK(file->Sync());
  EXPECT_EQ(After(CrashMode::kLoseAll, "f"), "old");
  EXPECT_EQ(After(CrashMode::kKeepAll, "f"), "old");
}

TEST_F(SimFileSystemTest, DataOfAFailedSyncMayHaveReachedTheDisk) {
  auto file = Durable("f", "old");
  ASSERT_OK(file->WriteAt(0, "new"));
  files_.FailSyncs(true);
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_THAT(TornContents(files_, "f"), ElementsAre("new", "old"));
}

TEST_F(SimFileSystemTest, NthCallFailsOnceOrFromThenOn) {
  auto file = Create(files_, "f");
  files_.FailCallAt(files_.calls() + 2, SimFault::kIoError);
  EXPECT_OK(file->WriteAt(0, "a"));
  EXPECT_THAT(file->WriteAt(1, "b"), HasCode(ErrorCode::kStorageError));
  EXPECT_OK(file->WriteAt(1, "b"));
  files_.FailCallAt(files_.calls() + 1, SimFault::kIoError, /*sticky=*/true);
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_FALSE(files_.Exists("f").ok());
  EXPECT_FALSE(files_.Open("g", OpenMode::kCreate).ok());
  files_.ClearFaults();
  EXPECT_OK(file->Sync());
}

TEST_F(SimFileSystemTest, NoSpaceHitsOnlyWhatNeedsRoom) {
  auto file = Create(files_, "f");
  files_.FailCallAt(1, SimFault::kNoSpace);
  EXPECT_OK(file->Sync());
  EXPECT_OK(file->Size());
  EXPECT_THAT(file->WriteAt(0, "abcd"), HasCode(ErrorCode::kStorageFull));
  EXPECT_EQ(Contents(files_, "f"), "ab") << "a part of a failing write may be there";
}

TEST_F(SimFileSystemTest, FaultsMayBeChosenByCall) {
  auto good = Create(files_, "good");
  auto bad = Create(files_, "bad");
  files_.SetFaults([](const SimCall& call) -> std::optional<SimFault> {
    if (call.path == "bad" && call.kind == SimCall::Kind::kSync) return SimFault::kIoError;
    return std::nullopt;
  });
  std::vector<FileWrite> writes(2);
  writes[0] = {.file = bad.get(), .pieces = {"x"}};
  writes[1] = {.file = good.get(), .pieces = {"a", "b"}};
  files_.WriteAndSync(absl::MakeSpan(writes));
  EXPECT_THAT(writes[0].status, HasCode(ErrorCode::kStorageError));
  EXPECT_OK(writes[1].status);
  files_.SyncDirectory("/").IgnoreError();
  EXPECT_EQ(After(CrashMode::kLoseAll, "good"), "ab");
  EXPECT_EQ(After(CrashMode::kLoseAll, "bad"), "");
}

TEST_F(SimFileSystemTest, CapacityIsSharedAndComesBack) {
  files_.SetCapacity(100);
  auto a = Create(files_, "a");
  auto b = Create(files_, "b");
  ASSERT_OK(a->WriteAt(0, std::string(60, 'a')));
  EXPECT_THAT(b->WriteAt(0, std::string(60, 'b')), HasCode(ErrorCode::kStorageFull));
  EXPECT_OK(a->WriteAt(0, std::string(60, 'c'))) << "overwriting takes no room";
  ASSERT_OK(b->Truncate(0));
  EXPECT_THAT(b->ZeroFill(0, 41), HasCode(ErrorCode::kStorageFull));
  ASSERT_OK(b->Truncate(0));
  EXPECT_EQ(files_.Space("/")->free_bytes, 40u);
  ASSERT_OK(files_.RemoveFile("a"));
  EXPECT_EQ(files_.Space("/")->free_bytes, 40u) << "an open file keeps its room";
  a.reset();
  EXPECT_EQ(files_.Space("/")->free_bytes, 100u);
}

TEST_F(SimFileSystemTest, FlippedBitIsFlippedOnDiskToo) {
  Durable("f", "aaaa");
  files_.FlipBit("f", 2 * 8);
  EXPECT_EQ(Contents(files_, "f"), "aa`a");
  EXPECT_EQ(After(CrashMode::kLoseAll, "f"), "aa`a");
}

TEST_F(SimFileSystemTest, HookSeesEveryMutatingCallBeforeItHappens) {
  std::vector<std::string> seen;
  std::vector<std::string> before;
  files_.SetOnCall([&](const SimCall& call) {
    seen.push_back(call.ToString());
    auto image = files_.CrashImage(CrashMode::kKeepAll, random_);
    before.push_back(Contents(*image, "f"));
  });
  ASSERT_OK(ReplaceFile(files_, "f", "x"));
  EXPECT_THAT(seen, ElementsAre("#1 CREATE f.tmp", "#2 WRITE f.tmp 0+1", "#3 SYNC f.tmp",
                                "#4 RENAME f.tmp", "#5 SYNC_DIRECTORY ."));
  EXPECT_THAT(before, ElementsAre("(none)", "(none)", "(none)", "(none)", "x"));
  ASSERT_OK(files_.Exists("f"));
  EXPECT_THAT(seen, SizeIs(5)) << "reading changes nothing";
}

TEST_F(SimFileSystemTest, ReplacedFileIsOldOrNewAfterACrashAtAnyCall) {
  ASSERT_OK(ReplaceFile(files_, "f", std::string(5000, 'o')));
  std::set<char> found;
  files_.SetOnCall([&](const SimCall& call) {
    for (CrashMode mode : {CrashMode::kKeepAll, CrashMode::kLoseAll, CrashMode::kTorn}) {
      for (int i = 0; i < 20; ++i) {
        const std::string contents = Contents(*files_.CrashImage(mode, random_), "f");
        EXPECT_THAT(contents, ::testing::AnyOf(std::string(5000, 'o'), std::string(6000, 'n')))
            << call.ToString();
        found.insert(contents[0]);
      }
    }
  });
  ASSERT_OK(ReplaceFile(files_, "f", std::string(6000, 'n')));
  EXPECT_THAT(found, ElementsAre('n', 'o'));
  files_.SetOnCall(nullptr);
  EXPECT_EQ(After(CrashMode::kLoseAll, "f"), std::string(6000, 'n'));
}

TEST_F(SimFileSystemTest, FailedReplaceLeavesTheOldFileAndNoRemains) {
  ASSERT_OK(ReplaceFile(files_, "f", "old"));
  for (uint64_t n = 1; n <= 5; ++n) {
    files_.FailCallAt(files_.calls() + n, SimFault::kIoError);
    EXPECT_FALSE(ReplaceFile(files_, "f", "new").ok());
    files_.ClearFaults();
    if (n < 5) {
      EXPECT_EQ(Contents(files_, "f"), "old");
    }
    if (n < 4) {
      EXPECT_THAT(Names(files_, "/"), ElementsAre("f"));
    }
  }
}

TEST_F(SimFileSystemTest, LockExcludesAnotherUntilReleased) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<FileLock> lock, files_.Lock("lock"));
  EXPECT_THAT(files_.Lock("lock"), HasCode(ErrorCode::kDirectoryLocked));
  auto image = files_.CrashImage(CrashMode::kKeepAll, random_);
  EXPECT_OK(image->Lock("lock")) << "a lock dies with its process";
  lock.reset();
  EXPECT_OK(files_.Lock("lock"));
}

TEST_F(SimFileSystemTest, CountsOpenFiles) {
  auto a = Create(files_, "a");
  EXPECT_EQ(files_.open_files(), 1);
  {
    auto b = Create(files_, "b");
    EXPECT_EQ(files_.open_files(), 2);
  }
  EXPECT_EQ(files_.open_files(), 1);
}

TEST_F(SimFileSystemTest, PeekingIsNoCall) {
  auto file = Create(files_, "f");
  ASSERT_OK(file->WriteAt(0, "abc"));
  files_.FailCallAt(files_.calls() + 1, SimFault::kIoError, /*sticky=*/true);
  const uint64_t calls = files_.calls();
  std::string bytes(3, ' ');
  EXPECT_EQ(files_.PeekNames(""), std::vector<std::string>{"f"});
  EXPECT_EQ(files_.Peek("f", 1, absl::MakeSpan(bytes)), 2u);
  EXPECT_EQ(bytes.substr(0, 2), "bc");
  EXPECT_EQ(files_.Peek("none", 0, absl::MakeSpan(bytes)), 0u);
  EXPECT_EQ(files_.PeekNames("none"), std::vector<std::string>());
  EXPECT_EQ(files_.calls(), calls);
}

TEST_F(SimFileSystemTest, SameSeedSameImages) {
  auto file = Durable("f", std::string(100'000, 'o'));
  for (int i = 0; i < 30; ++i) ASSERT_OK(file->WriteAt(i * 3000, std::string(2000, 'n')));
  SimRandom one(5);
  SimRandom two(5);
  EXPECT_EQ(Contents(*files_.CrashImage(CrashMode::kTorn, one), "f"),
            Contents(*files_.CrashImage(CrashMode::kTorn, two), "f"));
}

TEST_F(SimFileSystemTest, LargePreallocatedFilesAreCheapToImage) {
  auto file = Create(files_, "f");
  ASSERT_OK(file->ZeroFill(0, uint64_t{64} << 20));
  files_.SyncAll();
  for (int i = 0; i < 200; ++i) {
    ASSERT_OK(file->WriteAt(i * 100, "x"));
    auto image = files_.CrashImage(CrashMode::kTorn, random_);
    EXPECT_EQ(image->used_bytes(), uint64_t{64} << 20);
  }
}

}  // namespace
}  // namespace millrace::sim
