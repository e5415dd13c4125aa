#include "storage/fake_kv_store.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/kv_store_contract.h"

namespace millrace::storage {
namespace {

TEST(FakeKvStoreTest, KeepsTheContract) {
  for (const auto& check : {ExpectBatchIsAppliedInOrder, ExpectIterationIsByPrefixInOrderOfBytes,
                            ExpectVisitorsErrorStopsIteration, ExpectClearForgetsEverything}) {
    FakeKvStore store;
    check(&store);
  }
}

TEST(FakeKvStoreTest, CrashTakesBackWholeBatches) {
  FakeKvStore store;
  for (const char* value : {"1", "2", "3"}) {
    WriteBatch batch;
    batch.Put("a", value);
    batch.Put(value, "x");
    ASSERT_OK(store.Write(batch));
  }
  store.LoseLatest(2);
  EXPECT_EQ(AllOf(store, ""), (KeyValues{{"1", "x"}, {"a", "1"}}));
  store.LoseLatest(5);
  EXPECT_TRUE(AllOf(store, "").empty());
}

TEST(FakeKvStoreTest, FailsEveryCallWhenTold) {
  FakeKvStore store;
  store.FailWith(MakeError(ErrorCode::kStorageError, "the disk is gone"));
  EXPECT_THAT(store.Write({}), HasCode(ErrorCode::kStorageError));
  EXPECT_THAT(store.Get("a"), HasCode(ErrorCode::kStorageError));
  EXPECT_THAT(store.Clear(), HasCode(ErrorCode::kStorageError));
}

}  // namespace
}  // namespace millrace::storage
