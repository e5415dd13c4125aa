// A log directory that fails takes its own partitions offline, and nothing else.

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/error_code.h"
#include "base/log.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/sim/cluster_state.h"
#include "test/sim/record_clients.h"
#include "test/sim/world_state.h"

namespace millrace::sim {
namespace {

constexpr int kPartitions = 6;
constexpr absl::Duration kBound = absl::Seconds(20);

class LogDirsTest : public ::testing::Test {
 protected:
  ~LogDirsTest() override {
    world_.clients->Shutdown();
    if (world_.server.running()) world_.server.Kill();
  }

  void Start() {
    world_.server.Start();
    ASSERT_TRUE(world_.loop.RunUntil([this] { return world_.server.serving(); }, kBound));
    if (topic_.has_value()) return;
    v1::CreateTopicsRequest request;
    request.add_topics()->set_name("topic");
    request.mutable_topics(0)->set_partitions(kPartitions);
    world_.server.node().CreateTopics(
        request, [this](absl::StatusOr<v1::CreateTopicsResponse> response, LogIndex) {
          ASSERT_OK(response);
          topic_ = TopicId::FromBytes(response->topics(0).topic_id()).value();
        });
    ASSERT_TRUE(world_.loop.RunUntil([this] { return topic_.has_value(); }, kBound));
  }

  // Tries again what may be tried again: after a start not all is open at once.
  ErrorCode Produce(int partition) {
    std::optional<ErrorCode> code;
    for (int i = 0; i < 50; ++i) {
      code.reset();
      const TopicPartition name = {*topic_, PartitionIndex(partition)};
      const SimBatch batch = records_.BuildBatch(name, 0);
      api::ProduceRequest request;
      request.timeout = absl::Seconds(5);
      request.partitions.push_back(
          {.name = {.topic_id = name.topic_id, .partition = name.partition},
           .batches = batch.bytes});
      world_.server.shard().RunNow([&] {
        world_.server.node().broker().Produce(request, broker::Caller(),
                                              [&](const api::ProduceResponse& response) {
                                                code = response.partitions.at(0).outcome.code;
                                              });
      });
      EXPECT_TRUE(world_.loop.RunUntil([&] { return code.has_value(); }, kBound));
      if (!code || *code == ErrorCode::kNone) break;
      world_.loop.RunFor(absl::Milliseconds(20));
    }
    return code.value_or(ErrorCode::kUnknownServerError);
  }

  double CounterOf(const std::string& name) {
    for (const MetricSample& sample : world_.server.metrics().Collect()) {
      if (sample.name == name) return sample.value;
    }
    ADD_FAILURE() << "there is no " << name;
    return 0;
  }

  bool IsIn(const std::string& log_dir, int partition) {
    return world_.server.disk().Exists(absl::StrCat(log_dir, "/topic-", partition)).value();
  }

  LogCapture quiet_{LogLevel::kError};
  WorldState world_{{}, {{"log.dirs", "disk-a,disk-b"}, {"log.dir.reserve.bytes", "65536"}}};
  RecordClients records_{&world_};
  std::optional<TopicId> topic_;
};

TEST_F(LogDirsTest, AFailedOneTakesItsOwnPartitionsOnlyAlsoAcrossAStart) {
  ASSERT_NO_FATAL_FAILURE(Start());
  std::set<int> bad;
  for (int i = 0; i < kPartitions; ++i) {
    ASSERT_EQ(Produce(i), ErrorCode::kNone);
    if (IsIn("disk-a", i)) bad.insert(i);
    EXPECT_NE(IsIn("disk-a", i), IsIn("disk-b", i));
  }
  ASSERT_FALSE(bad.empty());
  ASSERT_LT(bad.size(), size_t{kPartitions});
  world_.server.disk().SetFaults([](const SimCall& call) -> std::optional<SimFault> {
    if (!absl::StrContains(call.path, "disk-a")) return std::nullopt;
    return SimFault::kIoError;
  });
  for (const bool restarted : {false, true}) {
    SCOPED_TRACE(restarted);
    if (restarted) {
      world_.server.Kill();
      ASSERT_NO_FATAL_FAILURE(Start());
    }
    for (int i = 0; i < kPartitions; ++i) {
      if (bad.count(i) != 0) {
        EXPECT_NE(Produce(i), ErrorCode::kNone) << i;
        EXPECT_FALSE(IsIn("disk-b", i)) << i;
      } else {
        EXPECT_EQ(Produce(i), ErrorCode::kNone) << i;
      }
    }
  }
  // With the disk well again, all of it comes back.
  world_.server.Kill();
  world_.server.disk().SetFaults(nullptr);
  ASSERT_NO_FATAL_FAILURE(Start());
  for (int i = 0; i < kPartitions; ++i) EXPECT_EQ(Produce(i), ErrorCode::kNone) << i;
  // By right: nothing was lost.
  EXPECT_EQ(CounterOf("millrace_controller_unclean_elections_total"), 0);
}

// A cluster's broker asks its log directories which cluster that is, before it opens any.
TEST(ClusterLogDirsTest, ABrokerOfAClusterStartsThoughOneOfItsDirectoriesCannotBeRead) {
  LogCapture quiet{LogLevel::kError};
  ClusterState world({.controllers = 1, .brokers = 1});
  constexpr int kBroker = 2;
  const auto start = [&] {
    world.Start(kBroker);
    ASSERT_TRUE(world.loop.RunUntil([&] { return world.serving(kBroker); }, kBound));
  };
  world.Start(1);
  ASSERT_NO_FATAL_FAILURE(start());
  for (const std::string failed : {"disk-a", "disk-b"}) {
    SCOPED_TRACE(failed);
    world.Kill(kBroker);
    world.server(kBroker).disk().SetFaults([&](const SimCall& call) -> std::optional<SimFault> {
      if (!absl::StrContains(call.path, failed)) return std::nullopt;
      return SimFault::kIoError;
    });
    ASSERT_NO_FATAL_FAILURE(start());
    const metadata::Image* const image = world.committed_image();
    ASSERT_NE(image, nullptr);
    const std::vector<metadata::LogDirImage>& dirs = image->FindBroker(NodeId(kBroker))->log_dirs;
    ASSERT_EQ(dirs.size(), 2u);
    EXPECT_FALSE(dirs[0].failed);
    EXPECT_TRUE(dirs[1].failed);
    EXPECT_TRUE(dirs[1].absent());
  }
  world.Kill(kBroker);
  // Neither tells, and neither can be opened: that is no broker.
  world.server(kBroker).disk().SetFaults([](const SimCall& call) -> std::optional<SimFault> {
    if (!absl::StrContains(call.path, "disk-")) return std::nullopt;
    return SimFault::kIoError;
  });
  world.Start(kBroker);
  ASSERT_TRUE(
      world.loop.RunUntil([&] { return world.server(kBroker).started().has_value(); }, kBound));
  EXPECT_FALSE(world.server(kBroker).started()->ok());
  world.Kill(kBroker);
  world.server(kBroker).disk().SetFaults(nullptr);
  ASSERT_NO_FATAL_FAILURE(start());
}

}  // namespace
}  // namespace millrace::sim
