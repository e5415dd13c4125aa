#include "broker/cold_reads.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/testing/shard_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Room = ColdReads::Room;

class ColdReadsTest : public ::testing::Test {
 protected:
  ColdReadsTest() {
    reads_ = std::make_shared<ColdReads>(
        executor_.get(), &clock_,
        ColdReads::MetricsIn(&metrics_, {{"a", a_.get()}, {"b", b_.get()}}),
        [this](const TopicPartition&, Offset, const absl::Status& why) {
          failures_.push_back(CodeOf(why));
        });
  }
  ~ColdReadsTest() override {
    executor_->Shutdown();
    for (sim::SimExecutor* pool : {a_.get(), b_.get()}) pool->Shutdown();
  }

  static TopicPartition Partition(int index) { return ShardFixture::Partition(index); }
  static ColdReads::Key Key(int partition) {
    return {Partition(partition), Offset(0), LeaderEpoch(1)};
  }
  void On(const std::function<void()>& call) {
    executor_->IsCurrent() ? call() : executor_->RunNow(call);
  }
  // Ends as a line of events_: what came, or "late".
  void Begin(Executor* pool, int partition, absl::Status status = absl::OkStatus()) {
    LogRead read;
    read.cold_reads = pool;
    read.cold = [status]() -> absl::StatusOr<storage::ReadResult> {
      RETURN_IF_ERROR(status);
      storage::ReadResult result;
      result.pieces = {Bytes::Copy("records")};
      result.bytes = 7;
      result.next_offset = Offset(1);
      return result;
    };
    const auto done = [this, partition](std::optional<ColdReads::Answer> answer) {
      events_.push_back(absl::StrCat(
          partition, " ",
          answer.has_value() ? absl::StatusCodeToString(answer->read.status().code()) : "late"));
    };
    On([&] {
      reads_->Begin(Key(partition), std::move(read), 10, memory_->TryTake(10, reader_), done);
    });
  }

  double LateIn(const std::string& directory) const {
    for (const MetricSample& metric : metrics_.Collect()) {
      const MetricLabels labels = {{"directory", directory}};
      if (metric.name == "millrace_log_dir_late_reads" && metric.labels == labels) {
        return metric.value;
      }
    }
    return -1;
  }

  MetricRegistry metrics_;
  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  std::unique_ptr<sim::SimExecutor> executor_ = loop_.MakeExecutor("shard", &clock_);
  std::unique_ptr<sim::SimExecutor> a_ = loop_.MakeExecutor("a", &clock_);
  std::unique_ptr<sim::SimExecutor> b_ = loop_.MakeExecutor("b", &clock_);
  MemoryBudget budget_{1000};
  std::shared_ptr<FetchMemory> memory_ = FetchMemory::Create(&budget_);
  std::shared_ptr<FetchReader> reader_ = std::make_shared<FetchReader>();
  std::vector<ErrorCode> failures_;
  std::vector<std::string> events_;
  std::shared_ptr<ColdReads> reads_;
};

TEST_F(ColdReadsTest, AnswersComeBack) {
  Begin(a_.get(), 0);
  Begin(a_.get(), 1, MakeError(ErrorCode::kCorruptLog, "rot"));
  EXPECT_THAT(events_, IsEmpty());
  EXPECT_EQ(budget_.used_bytes(), 20);
  loop_.RunFor(absl::Seconds(1));
  EXPECT_THAT(events_, ElementsAre("0 OK", "1 DATA_LOSS"));
  EXPECT_THAT(failures_, IsEmpty()) << "whoever asked knows";
  EXPECT_EQ(budget_.used_bytes(), 0);
}

TEST_F(ColdReadsTest, OneThatIsLateIsKeptForWhoAsksAgain) {
  a_->Pause();
  Begin(a_.get(), 0);
  EXPECT_FALSE(reader_->is_owed_nothing());
  loop_.RunFor(ColdReads::kPatience + absl::Milliseconds(1));
  EXPECT_THAT(events_, ElementsAre("0 late"));
  EXPECT_EQ(reads_->RoomFor(a_.get(), Partition(1)), Room::kHangs);
  EXPECT_EQ(reads_->RoomFor(b_.get(), Partition(1)), Room::kNow);
  EXPECT_EQ(budget_.used_bytes(), 10) << "the disk may still write there";
  EXPECT_TRUE(reader_->is_owed_nothing());
  a_->Resume();
  loop_.RunFor(absl::Seconds(1));
  EXPECT_EQ(reads_->RoomFor(a_.get(), Partition(0)), Room::kNow);
  EXPECT_FALSE(reads_->TakeKept(a_.get(), Key(1), 100, true).has_value());
  EXPECT_FALSE(reads_->TakeKept(a_.get(), Key(0), 6, true).has_value()) << "it does not fit";
  ColdReads::Key later = Key(0);
  later.epoch = LeaderEpoch(2);
  EXPECT_FALSE(reads_->TakeKept(a_.get(), later, 100, true).has_value());
  const auto kept = reads_->TakeKept(a_.get(), Key(0), 7, false);
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(kept->read->bytes, 7U);
  EXPECT_EQ(budget_.used_bytes(), 7);
  EXPECT_FALSE(reads_->TakeKept(a_.get(), Key(0), 7, false).has_value());
}

TEST_F(ColdReadsTest, NothingIsKeptForLong) {
  a_->Pause();
  Begin(a_.get(), 0);
  loop_.RunFor(absl::Seconds(1));
  a_->Resume();
  loop_.RunFor(ColdReads::kKeptFor + absl::Seconds(1));
  EXPECT_EQ(budget_.used_bytes(), 0);
  EXPECT_FALSE(reads_->TakeKept(a_.get(), Key(0), 100, true).has_value());
}

TEST_F(ColdReadsTest, LateOnesAreCountedByDirectory) {
  EXPECT_EQ(LateIn("a"), 0);
  a_->Pause();
  b_->Pause();
  for (const int partition : {0, 1}) Begin(a_.get(), partition);
  Begin(b_.get(), 2);
  loop_.RunFor(ColdReads::kPatience - absl::Milliseconds(1));
  EXPECT_EQ(LateIn("a"), 0);
  b_->Resume();
  loop_.RunFor(absl::Milliseconds(2));
  EXPECT_EQ(LateIn("a"), 2);
  EXPECT_EQ(LateIn("b"), 0);
  a_->Resume();
  loop_.RunFor(absl::Milliseconds(100));
  EXPECT_EQ(LateIn("a"), 0);
  a_->Pause();
  Begin(a_.get(), 0);
  loop_.RunFor(absl::Seconds(1));
  EXPECT_EQ(LateIn("a"), 1);
  On([&] { reads_->Close(); });
  EXPECT_EQ(LateIn("a"), 0);
}

TEST_F(ColdReadsTest, FewAreUnderWayAndTheNextHaveTheirTurnInOrder) {
  std::vector<int> turns;
  for (int i = 0; i < ColdReads::kUnderWayMax; ++i) Begin(a_.get(), i);
  EXPECT_EQ(reads_->RoomFor(a_.get(), Partition(9)), Room::kBusy);
  EXPECT_EQ(reads_->RoomFor(b_.get(), Partition(9)), Room::kNow);
  for (const int i : {7, 8, 9}) {
    On([&, i] {
      reads_->AwaitRoom(a_.get(), [&, i] {
        turns.push_back(i);
        EXPECT_EQ(reads_->RoomFor(a_.get(), Partition(i)), Room::kNow);
        // One does not want its place any more.
        if (i != 8) Begin(a_.get(), i);
      });
    });
  }
  loop_.RunFor(absl::Milliseconds(100));
  EXPECT_THAT(turns, ElementsAre(7, 8, 9));
  EXPECT_EQ(events_.size(), 6U);
}

TEST_F(ColdReadsTest, WhoWaitsForItsTurnAtADiskThatHangsIsTold) {
  a_->Pause();
  for (int i = 0; i < ColdReads::kUnderWayMax; ++i) Begin(a_.get(), i);
  bool told = false;
  On([&] {
    reads_->AwaitRoom(a_.get(), [&] {
      told = true;
      EXPECT_EQ(reads_->RoomFor(a_.get(), Partition(9)), Room::kHangs);
    });
  });
  loop_.RunFor(ColdReads::kPatience + absl::Milliseconds(1));
  EXPECT_TRUE(told);
  EXPECT_EQ(events_.size(), 4U);
}

TEST_F(ColdReadsTest, WhoIsParkedWakesWhenTheDiskAnswers) {
  std::vector<int> woken;
  const auto park = [&](int id, int partition) {
    reads_->AwaitAnswer(a_.get(), Partition(partition), ParkId(id),
                        [&woken, id] { woken.push_back(id); });
  };
  park(1, 0);
  EXPECT_THAT(woken, ElementsAre(1)) << "there is nothing to wait for";
  a_->Pause();
  Begin(a_.get(), 0, MakeError(ErrorCode::kCorruptLog, "rot"));
  loop_.RunFor(absl::Seconds(1));
  for (const int id : {2, 3, 4}) park(id, id - 2);
  reads_->Forget(ParkId(3));
  loop_.RunFor(absl::Minutes(1));
  EXPECT_THAT(woken, ElementsAre(1));
  a_->Resume();
  loop_.RunFor(absl::Seconds(1));
  EXPECT_THAT(woken, ElementsAre(1, 2, 4));
  EXPECT_THAT(failures_, ElementsAre(ErrorCode::kCorruptLog)) << "nobody else would tell";
}

TEST_F(ColdReadsTest, AtTheEndAllAreTold) {
  a_->Pause();
  Begin(a_.get(), 0);
  for (int i = 1; i < ColdReads::kUnderWayMax; ++i) Begin(a_.get(), i);
  int told = 0;
  On([&] {
    reads_->AwaitRoom(a_.get(), [&] { ++told; });
    reads_->Close();
  });
  EXPECT_EQ(events_.size(), 4U);
  EXPECT_EQ(told, 1);
  EXPECT_EQ(budget_.used_bytes(), 0);
  a_->Resume();
  loop_.RunFor(absl::Seconds(1));
  EXPECT_EQ(events_.size(), 4U);
}

}  // namespace
}  // namespace millrace::broker
