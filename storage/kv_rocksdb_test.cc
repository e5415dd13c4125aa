#include "storage/kv_rocksdb.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/kv_store_contract.h"

namespace millrace::storage {
namespace {

namespace fs = std::filesystem;

class RocksKvStoreTest : public ::testing::Test {
 protected:
  RocksKvStoreTest() {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::path(::testing::TempDir()) / (std::string("kv_") + info->name());
    fs::remove_all(directory_);
  }
  ~RocksKvStoreTest() override { fs::remove_all(directory_); }

  std::unique_ptr<RocksKvStore> Open() {
    absl::StatusOr<std::unique_ptr<RocksKvStore>> store = RocksKvStore::Open(directory_.string());
    EXPECT_OK(store);
    return store.ok() ? *std::move(store) : nullptr;
  }

  fs::path directory_;
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
  EXPECT_THAT(RocksKvStore::Open(directory_.string()), HasCode(ErrorCode::kDirectoryLocked));
}

TEST_F(RocksKvStoreTest, DirectoryThatCannotBeMadeIsNamed) {
  std::ofstream(directory_) << "a file";
  EXPECT_THAT(RocksKvStore::Open((directory_ / "below").string()),
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
  std::ofstream(directory_ / "CURRENT", std::ios::trunc) << "garbage";
  EXPECT_TRUE(AllOf(*Open(), "").empty());
}

}  // namespace
}  // namespace millrace::storage
