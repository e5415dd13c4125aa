#include "test/sim/faults.h"

#include <memory>
#include <optional>

#include "base/log.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::sim {
namespace {

// A server with one topic that promises the page cache only, and a record acknowledged in it.
class FaultsTest : public ::testing::Test {
 protected:
  FaultsTest() {
    auto topic = std::make_shared<SimTopic>();
    topic->name = "topic";
    topic->id = TopicId(Uuid(1, 2));
    topic->durable = false;
    topic->partitions = topic->partitions_max = 1;
    world_.topics.push_back(topic);
    partition_ = topic->Partition(0);
    // Nobody but the test starts the server again.
    world_.safety_phase = false;
  }
  ~FaultsTest() override {
    world_.clients->Shutdown();
    if (world_.server.running()) world_.server.Kill();
  }

  void Start() {
    world_.server.Start();
    ASSERT_TRUE(world_.loop.RunUntil([this] { return world_.server.serving(); }, absl::Seconds(9)));
  }
  void Stop() {
    faults_.StopCleanly();
    ASSERT_TRUE(
        world_.loop.RunUntil([this] { return !world_.server.running(); }, absl::Seconds(9)));
    ASSERT_EQ(world_.report.reached["clean-stop"], 1);
  }
  void Acknowledge() {
    ASSERT_OK(world_.history.OnAcknowledged(world_.history.OnSent(partition_, 0, 1), Offset(7)));
  }
  // Whether the history still insists on what was acknowledged.
  bool Promised() { return world_.history.high_watermark_floor(partition_) == Offset(8); }

  LogCapture quiet_{LogLevel::kError};
  WorldState world_{{.power_losses = false}, {{"log.dirs", "disk-a,disk-b"}}};
  Faults faults_{&world_};
  TopicPartition partition_;
};

TEST_F(FaultsTest, APowerLossAfterACleanStopTakesNothing) {
  Start();
  Acknowledge();
  Stop();
  faults_.LosePower(CrashMode::kLoseAll);
  EXPECT_TRUE(Promised());
}

TEST_F(FaultsTest, APowerLossTakesWhatOnlyThePageCacheHas) {
  Start();
  Acknowledge();
  faults_.LosePower(CrashMode::kLoseAll);
  EXPECT_FALSE(Promised());
}

// What one process left on the disk says nothing about what the next one acknowledges, whoever
// starts it: at the end of a run it is the verdict.
TEST_F(FaultsTest, ACleanStopCountsForTheProcessThatStoppedOnly) {
  Start();
  Stop();
  Start();
  Acknowledge();
  faults_.LosePower(CrashMode::kLoseAll);
  EXPECT_FALSE(Promised());
}

}  // namespace
}  // namespace millrace::sim
