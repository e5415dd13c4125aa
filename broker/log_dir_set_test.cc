#include "broker/log_dir_set.h"

#include <optional>
#include <string>

#include "absl/strings/match.h"
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
