// What readers see while one of several log directories does not answer (S-37): the partitions on
// the others, without delay, and those on it as soon as it does.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "broker/fetch_stream.h"
#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::Contains;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int kPartitions = 8;

// By number of shards. Nothing is in memory after a start, so that all reads go to the disks.
class HungDiskTest : public ::testing::TestWithParam<int> {
 protected:
  HungDiskTest() : f_(GetParam(), {"a", "b"}) {
    f_.Start(10);
    f_.CreateTopic("t", kPartitions);
    for (int i = 0; i < kPartitions; ++i) {
      EXPECT_TRUE(f_.Produce("t", batch_, i).outcome.ok());
      (f_.files->Exists(absl::StrCat("a/t-", i)).value() ? hung_ : healthy_).push_back(i);
    }
    EXPECT_THAT(hung_, SizeIs(kPartitions / 2));
    f_.Crash();
    f_.shards.clear();
    for (int i = 0; i < GetParam(); ++i) {
      f_.shards.push_back(f_.loop.MakeExecutor(absl::StrCat("shard", i), &f_.clock));
    }
    for (const std::string log_dir : {"a", "b"}) {
      f_.cold_by_dir[log_dir] = f_.loop.MakeExecutor(absl::StrCat("cold-", log_dir), &f_.clock);
    }
    f_.Start(50);
    for (int i = 0; i < kPartitions; ++i) f_.Elect(i, 2);
    f_.cold_by_dir["a"]->Pause();
  }

  api::FetchRequest FetchOfAll(absl::Duration max_wait) const {
    api::FetchRequest request;
    for (const std::vector<int>& of : {hung_, healthy_}) {
      for (const int i : of) request.partitions.push_back({.name = {"t", {}, PartitionIndex(i)}});
    }
    request.max_wait = max_wait;
    return request;
  }
  // Bytes by partition; -1: refused as one whose disk does not answer.
  static std::map<int, int64_t> BytesOf(const api::FetchResponse& response) {
    std::map<int, int64_t> bytes;
    for (const api::FetchPartitionResult& result : response.partitions) {
      const bool late = result.outcome.code == ErrorCode::kRequestTimedOut;
      EXPECT_TRUE(late || result.outcome.ok()) << result.outcome.message;
      bytes[result.name.partition.value()] =
          late ? -1 : static_cast<int64_t>(api::TotalBytes(result.batches));
    }
    return bytes;
  }
  int64_t batch_bytes() const { return static_cast<int64_t>(batch_.size()); }

  const Bytes batch_ = MakeBatch(2, 100);
  BrokerFixture f_;
  std::vector<int> hung_;
  std::vector<int> healthy_;
};

TEST_P(HungDiskTest, S37_AFetchIsAnsweredWithWhatTheOthersHave) {
  const MonotonicTime before = f_.clock.Now();
  std::map<int, int64_t> bytes = BytesOf(f_.Fetch(FetchOfAll(absl::Minutes(1))));
  EXPECT_LT(f_.clock.Now() - before, absl::Seconds(2));
  for (const int i : hung_) EXPECT_EQ(bytes[i], -1) << i;
  for (const int i : healthy_) EXPECT_EQ(bytes[i], batch_bytes()) << i;
  // It is known now, and costs no time.
  const MonotonicTime again = f_.clock.Now();
  bytes = BytesOf(f_.Fetch(FetchOfAll(absl::Minutes(1))));
  EXPECT_LT(f_.clock.Now() - again, absl::Milliseconds(50));
  for (const int i : healthy_) EXPECT_EQ(bytes[i], batch_bytes()) << i;
  f_.cold_by_dir["a"]->Resume();
  f_.Run(absl::Seconds(1));
  bytes = BytesOf(f_.Fetch(FetchOfAll(absl::ZeroDuration())));
  for (int i = 0; i < kPartitions; ++i) EXPECT_EQ(bytes[i], batch_bytes()) << i;
}

TEST_P(HungDiskTest, S37_ALongPollWaitsForTheDiskAsForRecordsAndNoLonger) {
  api::FetchRequest request = FetchOfAll(absl::Seconds(10));
  for (size_t i = 0; i < request.partitions.size(); ++i) {
    if (i >= hung_.size()) request.partitions[i].offset = Offset(2);
  }
  const MonotonicTime before = f_.clock.Now();
  std::map<int, int64_t> bytes = BytesOf(f_.Fetch(request));
  EXPECT_GE(f_.clock.Now() - before, absl::Seconds(10));
  EXPECT_LT(f_.clock.Now() - before, absl::Milliseconds(10'600));
  for (const int i : hung_) EXPECT_EQ(bytes[i], -1) << i;
  for (const int i : healthy_) EXPECT_EQ(bytes[i], 0) << i;
  // Whoever comes first ends it: a record elsewhere, or the disk.
  std::optional<api::FetchResponse> response;
  f_.SendFetch(request, &response);
  f_.Run(absl::Seconds(2));
  EXPECT_FALSE(response.has_value());
  ASSERT_TRUE(f_.Produce("t", batch_, healthy_[0]).outcome.ok());
  f_.Run(absl::Milliseconds(20));
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(BytesOf(*response)[healthy_[0]], batch_bytes());
  request.partitions[hung_.size()].offset = Offset(4);
  response.reset();
  f_.SendFetch(request, &response);
  f_.Run(absl::Seconds(2));
  EXPECT_FALSE(response.has_value());
  f_.cold_by_dir["a"]->Resume();
  f_.Run(absl::Milliseconds(20));
  ASSERT_TRUE(response.has_value());
  EXPECT_GT(BytesOf(*response)[hung_[0]], 0);
}

TEST_P(HungDiskTest, S37_AStreamPushesWhatTheOthersHave) {
  std::map<int, int64_t> bytes;
  std::unique_ptr<FetchStream> stream;
  f_.OnShard([&] {
    stream = f_.broker->OpenFetchStream(f_.caller, [&](const api::FetchStreamResponse& response) {
      for (const auto& [partition, pushed] : BytesOf({response.partitions})) {
        bytes[partition] += pushed;
      }
    });
    api::FetchStreamRequest request;
    request.assign = FetchOfAll(absl::ZeroDuration()).partitions;
    request.credit_bytes = 100 << 20;
    EXPECT_OK(stream->Handle(std::move(request)));
  });
  f_.Run(absl::Seconds(5));
  for (const int i : hung_) EXPECT_THAT(bytes, Not(Contains(::testing::Key(i))));
  for (const int i : healthy_) EXPECT_EQ(bytes[i], batch_bytes()) << i;
  // As long as it takes.
  f_.Run(absl::Minutes(10));
  for (const int i : healthy_) ASSERT_TRUE(f_.Produce("t", batch_, i).outcome.ok());
  f_.Run(absl::Milliseconds(20));
  for (const int i : healthy_) EXPECT_EQ(bytes[i], 2 * batch_bytes()) << i;
  f_.cold_by_dir["a"]->Resume();
  f_.Run(absl::Seconds(1));
  for (const int i : hung_) EXPECT_EQ(bytes[i], batch_bytes()) << i;
  f_.OnShard([&] { stream.reset(); });
}

TEST_P(HungDiskTest, S37_HoweverManyReadersItKeepsFewReadsAndLittleMemory) {
  std::map<int, int64_t> bytes;
  std::vector<std::unique_ptr<FetchStream>> streams(100);
  for (int n = 0; n < 100; ++n) {
    f_.OnShard([&] {
      streams[n] =
          f_.broker->OpenFetchStream(f_.caller, [&, n](const api::FetchStreamResponse& response) {
            for (const auto& [partition, pushed] : BytesOf({response.partitions})) {
              bytes[n] += pushed;
            }
          });
      api::FetchStreamRequest request;
      request.assign = FetchOfAll(absl::ZeroDuration()).partitions;
      request.credit_bytes = 100 << 20;
      EXPECT_OK(streams[n]->Handle(std::move(request)));
    });
  }
  f_.Run(absl::Seconds(20));
  for (int n = 0; n < 100; ++n) {
    EXPECT_EQ(bytes[n], static_cast<int64_t>(healthy_.size()) * batch_bytes()) << n;
  }
  EXPECT_LE(f_.cold_by_dir["a"]->pending(),
            static_cast<size_t>(GetParam() * ColdReads::kUnderWayMax));
  EXPECT_LE(f_.budget.used_bytes(), f_.budget.limit_bytes() / 4);
  f_.cold_by_dir["a"]->Resume();
  f_.Run(absl::Seconds(20));
  for (int n = 0; n < 100; ++n) EXPECT_EQ(bytes[n], kPartitions * batch_bytes()) << n;
  EXPECT_EQ(f_.budget.used_bytes(), 0);
  f_.OnShard([&] { streams.clear(); });
}

TEST_P(HungDiskTest, WhoWaitsForTheDiskHearsWhenThePartitionGoes) {
  std::map<int, ErrorCode> told;
  std::unique_ptr<FetchStream> stream;
  f_.OnShard([&] {
    stream = f_.broker->OpenFetchStream(f_.caller, [&](const api::FetchStreamResponse& response) {
      for (const api::FetchPartitionResult& result : response.partitions) {
        if (!result.outcome.ok()) told[result.name.partition.value()] = result.outcome.code;
      }
    });
    api::FetchStreamRequest request;
    request.assign = FetchOfAll(absl::ZeroDuration()).partitions;
    request.credit_bytes = 100 << 20;
    EXPECT_OK(stream->Handle(std::move(request)));
  });
  f_.Run(absl::Seconds(5));
  EXPECT_THAT(told, SizeIs(0));
  f_.RemoveTopic();
  f_.Run(absl::Seconds(1));
  EXPECT_THAT(told, SizeIs(kPartitions));
  f_.OnShard([&] { stream.reset(); });
}

INSTANTIATE_TEST_SUITE_P(Shards, HungDiskTest, ::testing::Values(1, 3));

}  // namespace
}  // namespace millrace::broker
