#include "broker/fetch_run.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "broker/testing/shard_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class FetchRunTest : public ::testing::Test {
 protected:
  FetchRunTest() {
    f_.Lead(3);
    std::vector<ProduceReply> replies;
    for (int i = 0; i < 3; ++i) f_.Produce(i, batch_, &replies);
    f_.loop.RunFor(absl::Seconds(1));
  }
  void Fetch(size_t bytes_max) {
    std::vector<ShardFetchItem> items;
    for (int i = 0; i < 3; ++i) {
      items.push_back({.slot = static_cast<size_t>(i),
                       .topic_partition = f_.Partition(i),
                       .offset = Offset(0),
                       .bytes_max = 1 << 20});
    }
    f_.executor->RunNow([&] {
      f_.shard->Fetch(items, {bytes_max, true},
                      [&](std::vector<ShardFetchResult> results, FetchBudget left) {
                        results_ = std::move(results);
                        left_ = left;
                      });
    });
  }

  const Bytes batch_ = MakeBatch(1, 1000);
  ShardFixture f_;
  std::optional<std::vector<ShardFetchResult>> results_;
  FetchBudget left_;
};

TEST_F(FetchRunTest, ReadsOfTheTailAreAnsweredAtOnce) {
  Fetch(1 << 20);
  ASSERT_TRUE(results_.has_value());
  ASSERT_THAT(*results_, SizeIs(3));
  for (const ShardFetchResult& result : *results_) EXPECT_EQ(result.bytes, batch_.size());
  EXPECT_EQ(left_.bytes_left, (1 << 20) - 3 * batch_.size());
  EXPECT_FALSE(left_.nothing_yet);
}

TEST_F(FetchRunTest, TheBudgetIsSharedInOrder) {
  Fetch(batch_.size() + 10);
  EXPECT_EQ((*results_)[0].bytes, batch_.size());
  EXPECT_EQ((*results_)[1].bytes, 0u);
  EXPECT_EQ((*results_)[1].next_offset, Offset(0));
}

TEST_F(FetchRunTest, ColdReadsGoToThePoolAndHoldTheirMemory) {
  f_.logs[1]->set_cold(true);
  Fetch(1 << 20);
  EXPECT_FALSE(results_.has_value()) << "the disk is asked elsewhere";
  f_.loop.RunFor(absl::Seconds(1));
  ASSERT_TRUE(results_.has_value());
  EXPECT_EQ((*results_)[1].bytes, batch_.size());
  EXPECT_EQ((*results_)[2].bytes, batch_.size());
  EXPECT_GT(f_.budget.used_bytes(), 0) << "as long as the answer is held";
  results_.reset();
  EXPECT_EQ(f_.budget.used_bytes(), 0);
}

TEST_F(FetchRunTest, S37_ADiskThatHangsHoldsUpNoReadOfAnother) {
  const auto hangs = f_.loop.MakeExecutor("hangs", &f_.clock);
  hangs->Pause();
  f_.logs[0]->set_cold_reads(hangs.get());
  std::map<int, size_t> bytes;
  const auto fetch = [&](int i) {
    f_.logs[i]->set_cold(true);
    f_.executor->RunNow([&, i] {
      f_.shard->Fetch(
          {{.topic_partition = f_.Partition(i), .offset = Offset(0), .bytes_max = 1 << 20}},
          {1 << 20, true}, [&bytes, i](const std::vector<ShardFetchResult>& results, FetchBudget) {
            EXPECT_EQ(results[0].late, results[0].bytes == 0);
            EXPECT_TRUE(results[0].outcome.ok());
            bytes[i] = results[0].bytes;
          });
    });
  };
  fetch(0);
  fetch(1);
  f_.loop.RunFor(absl::Milliseconds(100));
  EXPECT_THAT(bytes, ElementsAre(Pair(1, batch_.size())));
  f_.loop.RunFor(absl::Minutes(1));
  EXPECT_THAT(bytes, ElementsAre(Pair(0, 0u), Pair(1, batch_.size()))) << "it is late";
  hangs->Resume();
  f_.loop.RunFor(absl::Seconds(1));
  // What it has brought after all is at hand.
  hangs->Pause();
  fetch(0);
  EXPECT_EQ(bytes[0], batch_.size());
}

TEST_F(FetchRunTest, S37_APassGoesOnWithoutTheDiskThatHangs) {
  const auto hangs = f_.loop.MakeExecutor("hangs", &f_.clock);
  hangs->Pause();
  for (int i = 0; i < 2; ++i) {
    f_.logs[i]->set_cold_reads(hangs.get());
    f_.logs[i]->set_cold(true);
  }
  Fetch(1 << 20);
  f_.loop.RunFor(ColdReads::kPatience + absl::Milliseconds(1));
  ASSERT_TRUE(results_.has_value());
  EXPECT_TRUE((*results_)[0].late);
  EXPECT_TRUE((*results_)[1].late) << "it is not asked for long";
  EXPECT_FALSE((*results_)[2].late);
  EXPECT_EQ((*results_)[2].bytes, batch_.size());
  EXPECT_EQ(hangs->pending(), 1U);
}

TEST_F(FetchRunTest, AMissingReplicaIsItsOwnError) {
  f_.executor->RunNow([&] {
    f_.shard->RemoveReplica(f_.Partition(1), MakeError(ErrorCode::kUnknownTopicOrPartition, "x"));
  });
  Fetch(1 << 20);
  EXPECT_EQ((*results_)[1].outcome.code, ErrorCode::kNotLeaderOrFollower);
  EXPECT_TRUE((*results_)[2].outcome.ok());
  EXPECT_THAT((*results_)[1].batches, IsEmpty());
}

TEST_F(FetchRunTest, ReadsOfTheTailHoldTheirMemoryToo) {
  Fetch(1 << 20);
  EXPECT_EQ(f_.budget.used_bytes(), static_cast<int64_t>(3 * batch_.size()));
  results_.reset();
  EXPECT_EQ(f_.budget.used_bytes(), 0);
}

TEST_F(FetchRunTest, WithoutRoomOneBatchInTotalGoesBeyondAndTheNextWaits) {
  for (const bool cold : {false, true}) {
    f_.logs[0]->set_cold(cold);
    Reservation all = f_.budget.ReserveAlways(f_.budget.limit_bytes());
    Fetch(1 << 20);
    f_.loop.RunFor(absl::Seconds(1));
    ASSERT_TRUE(results_.has_value());
    EXPECT_EQ((*results_)[0].bytes, batch_.size());
    EXPECT_EQ((*results_)[1].bytes, 0u) << "what holds memory does not wait";
    EXPECT_EQ((*results_)[1].next_offset, Offset(0));
    EXPECT_TRUE((*results_)[1].outcome.ok());
    auto first = std::exchange(results_, std::nullopt);

    Fetch(1 << 20);
    f_.loop.RunFor(absl::Seconds(1));
    EXPECT_FALSE(results_.has_value());
    first.reset();
    f_.loop.RunFor(absl::Seconds(1));
    ASSERT_TRUE(results_.has_value()) << "the one that may exceed is free again";
    EXPECT_EQ((*results_)[0].bytes, batch_.size());
    all.Release();
    results_.reset();
    EXPECT_EQ(f_.budget.used_bytes(), 0);
  }
}

TEST_F(FetchRunTest, ThoseThatWaitGoOnInTheirOrder) {
  Reservation all = f_.budget.ReserveAlways(f_.budget.limit_bytes());
  Fetch(1 << 20);
  const auto beyond = std::exchange(results_, std::nullopt);
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) {
    f_.executor->RunNow([&] {
      f_.shard->Fetch({{.slot = 0,
                        .topic_partition = f_.Partition(i),
                        .offset = Offset(0),
                        .leader_epoch = std::nullopt,
                        .bytes_max = 1000}},
                      {1000, true},
                      [&order, i](std::vector<ShardFetchResult> results, FetchBudget) {
                        EXPECT_TRUE(results[0].outcome.ok());
                        order.push_back(i);
                      });
    });
  }
  f_.loop.RunFor(absl::Seconds(1));
  EXPECT_THAT(order, IsEmpty());
  all.Release();
  f_.loop.RunFor(absl::Seconds(1));
  EXPECT_THAT(order, ::testing::ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace millrace::broker
