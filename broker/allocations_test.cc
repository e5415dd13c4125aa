// Counts the memory allocations of one produce and one fetch through a whole broker: they must not
// depend on how many records the batch holds, since a broker never touches a record.
//
// A binary of its own, because it replaces the global operator new.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/testing/broker_fixture.h"

namespace {

// Written by the replaced operator alone.
std::atomic<int64_t> allocations{0};

void* CountedAllocation(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}

}  // namespace

void* operator new(size_t size) { return CountedAllocation(size); }
void* operator new[](size_t size) { return CountedAllocation(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace millrace::broker {
namespace {

struct Counts {
  int64_t produce = 0;
  int64_t fetch = 0;
};

// A batch of one record that has as many bytes as `like`: only the number of records differs.
Bytes OneRecordOfSize(size_t bytes) {
  for (size_t value = bytes; value > 0; --value) {
    Bytes batch = MakeBatch(1, value);
    if (batch.size() == bytes) return batch;
  }
  ADD_FAILURE() << "no batch of one record has " << bytes << " bytes";
  return {};
}

// The fewest of several tries: tables and queues grow now and then, whatever passes through them.
Counts CountsFor(const Bytes& batch) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  Counts least{INT64_MAX, INT64_MAX};
  for (int i = 0; i < 30; ++i) {
    api::ProduceRequest request;
    request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}});
    request.partitions[0].batches = Bytes::Copy(batch);
    std::optional<api::ProduceResponse> produced;
    int64_t before = allocations.load();
    f.SendProduce(std::move(request), &produced);
    CHECK(f.loop.RunUntil([&] { return produced.has_value(); }, absl::Minutes(1)));
    least.produce = std::min(least.produce, allocations.load() - before);
    EXPECT_TRUE(produced->partitions[0].outcome.ok()) << produced->partitions[0].outcome.message;

    api::FetchRequest fetch = f.FetchOf("t", produced->partitions[0].base_offset.value());
    std::optional<api::FetchResponse> fetched;
    before = allocations.load();
    f.SendFetch(std::move(fetch), &fetched);
    CHECK(f.loop.RunUntil([&] { return fetched.has_value(); }, absl::Minutes(1)));
    least.fetch = std::min(least.fetch, allocations.load() - before);
    EXPECT_EQ(api::TotalBytes(fetched->partitions[0].batches), batch.size());
  }
  return least;
}

TEST(AllocationsTest, AreAsManyForAThousandRecordsAsForOne) {
  const Bytes thousand = MakeBatch(1000, 20);
  const Counts many = CountsFor(thousand);
  const Counts one = CountsFor(OneRecordOfSize(thousand.size()));
  EXPECT_EQ(many.produce, one.produce);
  EXPECT_EQ(many.fetch, one.fetch);
  // The simulated loop, disk and strands are among them.
  EXPECT_LT(many.produce, 200);
  EXPECT_LT(many.fetch, 60);
  RecordProperty("produce", std::to_string(many.produce));
  RecordProperty("fetch", std::to_string(many.fetch));
}

}  // namespace
}  // namespace millrace::broker
