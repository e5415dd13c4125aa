#include "client/record_slot.h"

#include <atomic>

#include "absl/strings/numbers.h"
#include "base/check.h"
#include "base/status_matchers.h"
#include "base/thread_executor.h"
#include "record/record_reader.h"

namespace millrace::client {
namespace {

RecordSlot::Added AddValue(RecordSlot* slot, const std::string& value, size_t batch_bytes_max) {
  const RecordSlot::Record record{
      .timestamp_ms = 1,
      .key = absl::nullopt,
      .value = Slice(value),
      .headers = {},
      .bytes_max = record::BatchBuilder::RecordBytesMax(absl::nullopt, Slice(value))};
  return slot->Add(record, {}, batch_bytes_max, MonotonicTime::FromNanos(5));
}

std::vector<std::string> ValuesOf(const std::vector<SlotBatch>& batches) {
  std::vector<std::string> values;
  for (const SlotBatch& batch : batches) {
    const auto view = record::BatchView::Parse(batch.bytes);
    CHECK_OK(view);
    CHECK_EQ(static_cast<size_t>(view->record_count()), batch.callbacks.size());
    CHECK_OK(record::ForEachRecord(*view, {}, [&](const record::RecordView& record) {
      values.emplace_back(*record.value);
      return absl::OkStatus();
    }));
  }
  return values;
}

TEST(RecordSlot, TellsOfABatchsFirstRecordAndOfItsEnd) {
  RecordSlot slot(record::Compression::kNone);
  const std::string large(500, 'a');
  const RecordSlot::Added first = AddValue(&slot, large, 1000);
  EXPECT_TRUE(first.notify && first.began && !first.full);
  EXPECT_FALSE(AddValue(&slot, "b", 1000).notify);
  const RecordSlot::Added third = AddValue(&slot, std::string(600, 'c'), 1000);
  EXPECT_TRUE(third.notify && third.began && third.full);
  std::vector<SlotBatch> batches;
  EXPECT_TRUE(slot.Take(/*open_too=*/false, &batches));
  EXPECT_THAT(ValuesOf(batches), testing::ElementsAre(large, "b"));
  EXPECT_FALSE(slot.Take(/*open_too=*/true, &batches));
  EXPECT_EQ(ValuesOf(batches).size(), 3u);
}

TEST(RecordSlot, ABatchEndsWhenAnotherSuchRecordWouldNotFit) {
  RecordSlot slot(record::Compression::kNone);
  int records = 0;
  while (!AddValue(&slot, std::string(50, 'x'), 1000).ended) ++records;
  std::vector<SlotBatch> batches;
  // Nothing is filling: the last record left with the others.
  EXPECT_FALSE(slot.Take(/*open_too=*/false, &batches));
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].callbacks.size(), static_cast<size_t>(records) + 1);
  EXPECT_LE(batches[0].bytes.size(), 1000u);
  EXPECT_GE(batches[0].bytes.size(), 850u);
  EXPECT_TRUE(AddValue(&slot, "next", 1000).began);
}

TEST(RecordSlot, RecordLargerThanABatchIsABatchOfItsOwn) {
  RecordSlot slot(record::Compression::kNone);
  const RecordSlot::Added added = AddValue(&slot, std::string(500, 'x'), 100);
  EXPECT_TRUE(added.full);
  std::vector<SlotBatch> batches;
  EXPECT_FALSE(slot.Take(/*open_too=*/false, &batches));
  EXPECT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].created, MonotonicTime::FromNanos(5));
  EXPECT_GE(batches[0].memory, 500);
}

// Zstd makes so little of it that readers would take it for a bomb.
TEST(RecordSlot, ARecordThatCompressesTooWellCanBeRead) {
  RecordSlot slot(record::Compression::kZstd);
  const std::string value(9 << 20, 'a');
  AddValue(&slot, value, 1000);
  std::vector<SlotBatch> batches;
  slot.Take(/*open_too=*/true, &batches);
  EXPECT_TRUE(ValuesOf(batches).at(0) == value);
}

TEST(RecordSlot, TakingFromAnEmptySlotLeavesANote) {
  RecordSlot slot(record::Compression::kNone);
  std::vector<SlotBatch> batches;
  EXPECT_FALSE(slot.Take(/*open_too=*/true, &batches));
  AddValue(&slot, "a", 1000);
  EXPECT_FALSE(AddValue(&slot, "b", 1000).notify);
}

// What looks into a slot when a callback is moved for the `moves`th time: so the strand may look
// while Add, which moves it, has the state in hand.
struct Look {
  RecordSlot* slot = nullptr;
  int moves = 0;
  bool done = false;
  std::vector<SlotBatch> found;
};
class LooksWhenMoved {
 public:
  explicit LooksWhenMoved(Look* look) : look_(look) {}
  LooksWhenMoved(LooksWhenMoved&& other) noexcept : look_(other.look_) {
    if (--look_->moves != 0) return;
    look_->slot->Take(/*open_too=*/false, &look_->found);
    look_->done = true;
  }
  void operator()(const DeliveryReport&) {}

 private:
  Look* const look_;
};

TEST(RecordSlot, AFullBatchThatWasInTheCallersHandIsToldOfAgain) {
  RecordSlot slot(record::Compression::kNone);
  Look look{.slot = &slot};
  DeliveryCallback done = LooksWhenMoved(&look);
  ASSERT_TRUE(AddValue(&slot, std::string(2000, 'a'), 1000).full);
  const RecordSlot::Record record{.timestamp_ms = 1,
                                  .key = absl::nullopt,
                                  .value = Slice("b"),
                                  .headers = {},
                                  .bytes_max = 100};
  // Into the call, and into the batch.
  look.moves = 2;
  const RecordSlot::Added added =
      slot.Add(record, std::move(done), 1000, MonotonicTime::FromNanos(5));
  ASSERT_TRUE(look.done);
  ASSERT_TRUE(look.found.empty()) << "the state was not in hand";
  EXPECT_TRUE(added.notify);
  EXPECT_TRUE(added.full);
  std::vector<SlotBatch> batches;
  EXPECT_TRUE(slot.Take(/*open_too=*/false, &batches));
  EXPECT_EQ(batches.size(), 1u);
}

// The caller adds while the strand takes, at random: every record arrives once, in order, and none
// is left behind without the strand having been told.
TEST(RecordSlot, RecordsKeepTheirOrderWhileBothSidesWork) {
  constexpr int kRecords = 50'000;
  RecordSlot slot(record::Compression::kNone);
  std::atomic<int> notes{0};
  ThreadExecutor caller("caller");
  caller.Post([&] {
    for (int i = 0; i < kRecords; ++i) {
      if (AddValue(&slot, std::to_string(i), 300).notify) notes.fetch_add(1);
    }
  });
  std::vector<std::string> values;
  int taken_notes = 0;
  int round = 0;
  while (static_cast<int>(values.size()) < kRecords) {
    // As the strand would: it looks when it was told to.
    const int told = notes.load();
    if (told == taken_notes) continue;
    taken_notes = told;
    std::vector<SlotBatch> batches;
    const bool open_too = ++round % 2 == 0;
    const bool more = slot.Take(open_too, &batches);
    for (std::string& value : ValuesOf(batches)) values.push_back(std::move(value));
    if (more) notes.fetch_add(1);
  }
  caller.Shutdown();
  for (int i = 0; i < kRecords; ++i) ASSERT_EQ(values[static_cast<size_t>(i)], std::to_string(i));
}

}  // namespace
}  // namespace millrace::client
