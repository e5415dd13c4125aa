#include "storage/kv_rocksdb.h"

#include <memory>
#include <string>

#include "base/posix_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/kv_store_contract.h"

namespace millrace::storage {
namespace {

class RocksKvStoreTest : public ::testing::Test {
 protected:
  RocksKvStoreTest() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = ::testing::TempDir() + "/kv_" + info->name();
  }

  // Replaces the file's content.
  void Write(const std::string& path, const std::string& content) {
    ASSERT_OK_AND_ASSIGN(const auto file, files_.Open(path, OpenMode::kOpenOrCreate));
    ASSERT_OK(file->Truncate(0));
    ASSERT_OK(file->WriteAt(0, content));
  }
  std::unique_ptr<RocksKvStore> Open() {
    absl::StatusOr<std::unique_ptr<RocksKvStore>> store = RocksKvStore::Open(directory_);
    EXPECT_OK(store);
    return store.ok() ? *std::move(store) : nullptr;
  }

  PosixFileSystem files_;
  std::string directory_;
};

TEST_F(RocksKvStoreTest, KeepsTheContract) {
  for (const auto& check : {ExpectBatchIsAppliedInOrder, ExpectIterationIsByPrefixInOrderOfBytes,
                            ExpectVisitorsErrorStopsIteration, ExpectClearForgetsEverything}) {
    const std::unique_ptr<RocksKvStore> store = Open();
    ASSERT_NE(store, nullptr);
    ASSERT_OK(store->Clear());
    check(store.get());
  }
}

TEST_F(RocksKvStoreTest, ContentOutlivesTheProcessThatWroteIt) {
  WriteBatch batch;
  batch.Put("a", "1");
  ASSERT_OK(Open()->Write(batch));
  EXPECT_EQ(AllOf(*Open(), ""), (KeyValues{{"a", "1"}}));
}

TEST_F(RocksKvStoreTest, SecondOpenerIsRefusedByName) {
  const std::unique_ptr<RocksKvStore> first = Open();
  EXPECT_THAT(RocksKvStore::Open(directory_), HasCode(ErrorCode::kDirectoryLocked));
}

TEST_F(RocksKvStoreTest, DirectoryThatCannotBeMadeIsNamed) {
  Write(directory_, "a file");
  EXPECT_THAT(RocksKvStore::Open(directory_ + "/below"),
              IsError(ErrorCode::kDirectoryUnavailable, "below"));
}

TEST_F(RocksKvStoreTest, DamagedStoreIsBegunAnew) {
  {
    const std::unique_ptr<RocksKvStore> store = Open();
    WriteBatch batch;
    batch.Put("a", "1");
    ASSERT_OK(store->Write(batch));
  }
  // CURRENT names the manifest, without which nothing can be read.
  Write(directory_ + "/CURRENT", "garbage");
  EXPECT_TRUE(AllOf(*Open(), "").empty());
}

}  // namespace
}  // namespace millrace::storage
