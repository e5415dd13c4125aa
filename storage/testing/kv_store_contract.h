// What every KvStore must do, as tests that its implementations run.
//
// Thread: tests only.
#ifndef STORAGE_TESTING_KV_STORE_CONTRACT_H_
#define STORAGE_TESTING_KV_STORE_CONTRACT_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/kv_store.h"

namespace millrace::storage {

using KeyValues = std::vector<std::pair<std::string, std::string>>;

inline KeyValues AllOf(const KvStore& store, Slice prefix) {
  KeyValues all;
  EXPECT_OK(store.ForEach(prefix, [&](Slice key, Slice value) {
    all.emplace_back(std::string(key), std::string(value));
    return absl::OkStatus();
  }));
  return all;
}

inline void ExpectBatchIsAppliedInOrder(KvStore* store) {
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Put("b", "2");
  batch.Delete("a");
  batch.Put("b", "3");
  batch.Delete("never there");
  ASSERT_OK(store->Write(batch));
  ASSERT_OK_AND_ASSIGN(const std::optional<std::string> a, store->Get("a"));
  EXPECT_EQ(a, std::nullopt);
  ASSERT_OK_AND_ASSIGN(const std::optional<std::string> b, store->Get("b"));
  EXPECT_EQ(b, "3");
}

inline void ExpectIterationIsByPrefixInOrderOfBytes(KvStore* store) {
  WriteBatch batch;
  const std::string high("p\xff\x01", 3);
  const std::string zero("p\0z", 3);
  for (const std::string& key :
       {high, zero, std::string("p"), std::string("q"), std::string("o")}) {
    batch.Put(key, "v");
  }
  ASSERT_OK(store->Write(batch));
  EXPECT_EQ(AllOf(*store, "p"), (KeyValues{{"p", "v"}, {zero, "v"}, {high, "v"}}));
  EXPECT_EQ(AllOf(*store, "").size(), 5u);
  EXPECT_TRUE(AllOf(*store, "x").empty());
}

inline void ExpectVisitorsErrorStopsIteration(KvStore* store) {
  WriteBatch batch;
  batch.Put("a", "1");
  batch.Put("b", "2");
  ASSERT_OK(store->Write(batch));
  int visited = 0;
  const absl::Status status = store->ForEach("", [&](Slice, Slice) {
    ++visited;
    return MakeError(ErrorCode::kCorruptLog, "enough");
  });
  EXPECT_THAT(status, HasCode(ErrorCode::kCorruptLog));
  EXPECT_EQ(visited, 1);
}

inline void ExpectClearForgetsEverything(KvStore* store) {
  WriteBatch batch;
  for (int i = 0; i < 1000; ++i) batch.Put(std::to_string(i), "v");
  ASSERT_OK(store->Write(batch));
  ASSERT_OK(store->Clear());
  EXPECT_TRUE(AllOf(*store, "").empty());
  WriteBatch again;
  again.Put("a", "1");
  ASSERT_OK(store->Write(again));
  EXPECT_EQ(AllOf(*store, "").size(), 1u);
}

}  // namespace millrace::storage

#endif  // STORAGE_TESTING_KV_STORE_CONTRACT_H_
