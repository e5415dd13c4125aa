#include "broker/log_dir_set.h"

#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::SizeIs;

TEST(LogDirSetTest, AFailedDirectoryTakesOnlyItsPartitionsOffline) {
  BrokerFixture f(1, {"a", "b"});
  f.Start();
  f.CreateTopic("t", 2);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(f.Produce("t", MakeBatch(), i).outcome.ok());
  std::string failing;
  f.files->SetFaults([&](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    if (absl::StrContains(call.path, "a/")) return sim::SimFault::kIoError;
    return std::nullopt;
  });
  int ok = 0;
  for (int i = 0; i < 2; ++i) ok += f.Produce("t", MakeBatch(), i).outcome.ok() ? 1 : 0;
  EXPECT_EQ(ok, 1);
  f.Run(absl::Seconds(1));
  ok = 0;
  for (int i = 0; i < 2; ++i) {
    const api::PartitionOutcome outcome = f.Produce("t", MakeBatch(), i).outcome;
    ok += outcome.ok() ? 1 : 0;
    EXPECT_TRUE(outcome.ok() || outcome.code == ErrorCode::kStorageError) << outcome.message;
  }
  EXPECT_EQ(ok, 1);
}

// Nothing is in memory after a start, so that reads and lookups by time go to the disk.
TEST(LogDirSetTest, S37_ReadsOfADirectoryThatHangsTakeTheThreadsOfNoOther) {
  BrokerFixture f(1, {"a", "b"});
  f.Start(10);
  f.CreateTopic("t", 2);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(f.Produce("t", MakeBatch(2), i).outcome.ok());
  const int hung = f.files->Exists("a/t-0").value() ? 0 : 1;
  ASSERT_TRUE(f.files->Exists(absl::StrCat("b/t-", 1 - hung)).value());
  f.Crash();
  for (const std::string log_dir : {"a", "b"}) {
    f.cold_by_dir[log_dir] = f.loop.MakeExecutor(absl::StrCat("cold-", log_dir), &f.clock);
  }
  f.cold_by_dir["a"]->Pause();
  f.Start(50);
  for (int i = 0; i < 2; ++i) f.Elect(i, 2);
  std::optional<api::FetchResponse> fetched[2];
  std::optional<api::ListOffsetsResponse> listed[2];
  for (const int i : {hung, 1 - hung}) {
    f.SendFetch(BrokerFixture::FetchOf("t", 0, i), &fetched[i]);
    f.OnShard([&] {
      api::ListOffsetsRequest request;
      request.partitions.push_back({.name = {"t", {}, PartitionIndex(i)},
                                    .position = api::OffsetPosition::kTimestamp,
                                    .timestamp_ms = 1});
      f.broker->ListOffsets(std::move(request), f.caller,
                            [&, i](api::ListOffsetsResponse response) { listed[i] = response; });
    });
  }
  f.Run(absl::Seconds(10));
  ASSERT_TRUE(fetched[hung].has_value());
  EXPECT_EQ(fetched[hung]->partitions[0].outcome.code, ErrorCode::kRequestTimedOut);
  EXPECT_FALSE(listed[hung].has_value());
  ASSERT_TRUE(fetched[1 - hung].has_value());
  EXPECT_GT(api::TotalBytes(fetched[1 - hung]->partitions[0].batches), 0u);
  ASSERT_TRUE(listed[1 - hung].has_value());
  EXPECT_EQ(listed[1 - hung]->partitions[0].offset, Offset(0));
  f.cold_by_dir["a"]->Resume();
  f.Run(absl::Seconds(10));
  EXPECT_GT(api::TotalBytes(f.Fetch(BrokerFixture::FetchOf("t", 0, hung)).partitions[0].batches),
            0u);
  EXPECT_TRUE(listed[hung].has_value());
}

TEST(LogDirSetTest, ACleanShutdownIsFoundAndNothingIsLost) {
  BrokerFixture f;
  f.Start(10);
  f.CreateTopic("t");
  ASSERT_TRUE(f.Produce("t", MakeBatch(4)).outcome.ok());
  ASSERT_OK(f.Shutdown());
  f.Crash();
  f.Start(20);
  ASSERT_THAT(f.found, SizeIs(1));
  EXPECT_TRUE(f.found[0].state.clean);
  EXPECT_EQ(f.found[0].state.last_broker_epoch, BrokerEpoch(10));
  f.Elect(0, 2);
  EXPECT_EQ(f.Fetch(BrokerFixture::FetchOf("t", 0)).partitions[0].high_watermark, Offset(4));
  EXPECT_EQ(f.Produce("t", MakeBatch(1)).base_offset, Offset(4));
}

}  // namespace
}  // namespace millrace::broker
