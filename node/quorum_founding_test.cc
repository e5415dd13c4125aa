#include "node/quorum_founding.h"

#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/founding_file.h"
#include "node/metadata_dir.h"

namespace millrace::node {
namespace {

using raft::FoundingPhase;
using raft::FoundingState;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Address(int node) { return absl::StrCat("h", node, ":9093"); }

class World;

// One process and its disk; the disk outlives it.
struct Process final : raft::FoundingChannel {
  void Exchange(std::string address, FoundingState mine, Callback callback) override;

  World* world = nullptr;
  int node = 0;
  std::unique_ptr<sim::SimFileSystem> files = std::make_unique<sim::SimFileSystem>();
  std::unique_ptr<sim::SimExecutor> executor;
  std::unique_ptr<sim::SimExecutor> disk;
  std::unique_ptr<MetadataDir> dir;
  std::unique_ptr<QuorumFounding> founding;
  std::optional<absl::StatusOr<raft::FoundingResult>> result;
};

class World {
 public:
  explicit World(std::vector<int> voters = {1, 2, 3}) : voters_(std::move(voters)) {
    for (const int node : voters_) {
      processes_[node].world = this;
      processes_[node].node = node;
    }
  }

  // `join_only`: that its log directories belong to.
  void Start(int node, std::vector<int> voters = {}, ClusterId join_only = ClusterId()) {
    Process& p = processes_[node];
    p.executor = loop_.MakeExecutor(absl::StrCat("node", node));
    p.disk = loop_.MakeExecutor(absl::StrCat("disk", node));
    p.dir = MetadataDir::Open(p.files.get(), "metadata", NodeId(node), &random_).value();
    QuorumFoundingOptions options{.self = {NodeId(node), p.dir->directory_id()},
                                  .configured = {},
                                  .metadata_path = "metadata",
                                  .core = {.join_only = join_only}};
    for (const int voter : voters.empty() ? voters_ : voters) {
      options.configured.push_back({NodeId(voter), Address(voter)});
    }
    const raft::FoundingRecord record =
        ReadFoundingFile(*p.files, "metadata", p.dir->cluster_id()).value();
    p.founding = std::make_unique<QuorumFounding>(options, record,
                                                  QuorumFounding::Deps{.clock = &clock_,
                                                                       .random = &random_,
                                                                       .files = p.files.get(),
                                                                       .executor = p.executor.get(),
                                                                       .disk = p.disk.get(),
                                                                       .channel = &p});
    p.result.reset();
    p.executor->RunNow([&p] {
      p.founding->Start(
          [&p](absl::StatusOr<raft::FoundingResult> result) { p.result = std::move(result); });
    });
  }
  // As a power loss would; `wiped`: comes back with an empty disk.
  void Crash(int node, bool wiped = false) {
    Process& p = processes_[node];
    p.founding.reset();
    p.dir.reset();
    p.executor->Shutdown();
    p.disk->Shutdown();
    p.files = wiped ? std::make_unique<sim::SimFileSystem>()
                    : p.files->CrashImage(sim::CrashMode::kLoseAll, random_);
  }
  void RunFor(absl::Duration duration) { loop_.RunFor(duration); }
  [[nodiscard]] bool RunUntilDone(std::vector<int> nodes) {
    return loop_.RunUntil(
        [&] {
          for (const int node : nodes) {
            if (!processes_[node].result.has_value()) return false;
          }
          return true;
        },
        absl::Seconds(30));
  }
  Process& operator[](int node) { return processes_[node]; }
  const raft::FoundingResult& Result(int node) { return **processes_[node].result; }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  sim::SimRandom random_{3};
  // From, to: nothing passes.
  std::set<std::pair<int, int>> cut_;

 private:
  const std::vector<int> voters_;
  std::map<int, Process> processes_;
};

void Process::Exchange(std::string address, FoundingState mine, Callback callback) {
  // S-18: what is told is what a power loss would leave.
  const auto crashed = files->CrashImage(sim::CrashMode::kLoseAll, world->random_);
  EXPECT_EQ(ReadFoundingFile(*crashed, "metadata", {}).value().phase, mine.phase);
  for (int to = 1; to <= 9; ++to) {
    if (Address(to) != address || world->cut_.count({node, to}) != 0) continue;
    Process& peer = (*world)[to];
    if (peer.founding == nullptr) break;
    peer.executor->PostAt(
        world->clock_.Now() + absl::Milliseconds(3),
        [this, &peer, mine = std::move(mine), callback = std::move(callback)]() mutable {
          if (peer.founding == nullptr) return;
          FoundingState theirs = peer.founding->OnExchange(mine);
          executor->PostAt(world->clock_.Now() + absl::Milliseconds(3),
                           [theirs, callback = std::move(callback)]() mutable {
                             std::move(callback)(std::move(theirs));
                           });
        });
    return;
  }
  executor->Post([callback = std::move(callback)]() mutable {
    std::move(callback)(MakeError(ErrorCode::kBrokerNotAvailable, "connection refused"));
  });
}

TEST(QuorumFounding, S18ThreeThatAreThereAndEmptyFoundOneCluster) {
  World world;
  for (const int node : {1, 2, 3}) world.Start(node);
  ASSERT_TRUE(world.RunUntilDone({1, 2, 3}));
  EXPECT_LT(world.clock_.Now(), MonotonicTime() + absl::Seconds(1));
  for (const int node : {1, 2, 3}) {
    EXPECT_EQ(world.Result(node).cluster_id, world.Result(1).cluster_id);
    EXPECT_EQ(world.Result(node).voters, world.Result(1).voters);
    EXPECT_EQ(world.Result(node).voters.size(), 3u);
    EXPECT_EQ(world.Result(node).voters[0].address, "h1:9093");
    EXPECT_EQ(world[node].founding->Progress(), "");
  }
}

TEST(QuorumFounding, S18NothingIsFoundedWhileOneIsMissing) {
  World world;
  LogCapture log;
  world.Start(1);
  world.Start(2);
  world.RunFor(absl::Seconds(30));
  EXPECT_FALSE(world[1].result.has_value());
  EXPECT_EQ(world[1].founding->Progress(), "waiting for controller 3 of controller.quorum.voters");
  int waiting = 0;
  for (const std::string& line : log.lines()) {
    if (line.find("waiting for controllers") != std::string::npos) ++waiting;
  }
  // Two nodes, after 1 s and then every 5 s.
  EXPECT_EQ(waiting, 12);
  world.Start(3);
  EXPECT_TRUE(world.RunUntilDone({1, 2, 3}));
}

TEST(QuorumFounding, ALoneVoterFoundsWithoutAskingAnybody) {
  World world({1});
  world.Start(1);
  ASSERT_TRUE(world.RunUntilDone({1}));
  EXPECT_FALSE(world.Result(1).joined());
}

TEST(QuorumFounding, S18ARestartAfterThePromiseGoesOn) {
  World world;
  world.cut_ = {{1, 3}, {2, 3}, {3, 1}};
  for (const int node : {1, 2, 3}) world.Start(node);
  world.RunFor(absl::Seconds(2));
  for (const int node : {1, 2, 3}) world.Crash(node);
  world.cut_.clear();
  for (const int node : {1, 2, 3}) world.Start(node);
  EXPECT_TRUE(world.RunUntilDone({1, 2, 3}));
}

TEST(QuorumFounding, WhatIsFoundedIsKnownAtTheNextStartAndStillAnswered) {
  World world;
  for (const int node : {1, 2, 3}) world.Start(node);
  ASSERT_TRUE(world.RunUntilDone({1, 2, 3}));
  const ClusterId cluster = world.Result(1).cluster_id;
  world.Crash(1);
  world.Start(1);
  ASSERT_TRUE(world.RunUntilDone({1}));
  EXPECT_EQ(world.Result(1).cluster_id, cluster);
  FoundingState answer;
  world[1].executor->RunNow([&] { answer = world[1].founding->OnExchange({}); });
  EXPECT_EQ(answer.phase, FoundingPhase::kFounded);
  EXPECT_EQ(answer.cluster_id, cluster);
}

TEST(QuorumFounding, S17AWipedDiskJoinsAsANewcomer) {
  World world;
  for (const int node : {1, 2, 3}) world.Start(node);
  ASSERT_TRUE(world.RunUntilDone({1, 2, 3}));
  world.Crash(2, /*wiped=*/true);
  world.Start(2);
  ASSERT_TRUE(world.RunUntilDone({2}));
  EXPECT_TRUE(world.Result(2).joined());
  EXPECT_EQ(world.Result(2).cluster_id, world.Result(1).cluster_id);
  // And stays one.
  world.Crash(2);
  world.Start(2);
  ASSERT_TRUE(world.RunUntilDone({2}));
  EXPECT_TRUE(world.Result(2).joined());
}

// Its log directories are not wiped.
TEST(QuorumFounding, S18AWipedMetadataDiskBesideRecordsJoinsTheirClusterAsANewcomer) {
  World world;
  for (const int node : {1, 2, 3}) world.Start(node);
  ASSERT_TRUE(world.RunUntilDone({1, 2, 3}));
  const ClusterId cluster = world.Result(1).cluster_id;
  world.Crash(2, /*wiped=*/true);
  world.Start(2, {}, cluster);
  ASSERT_TRUE(world.RunUntilDone({2}));
  EXPECT_TRUE(world.Result(2).joined());
  EXPECT_EQ(world.Result(2).cluster_id, cluster);
}

TEST(QuorumFounding, S18WhoHasRecordsOfAClusterNeitherFoundsAnotherNorFollowsOne) {
  World world;
  const ClusterId records = ClusterId::Draw(world.random_);
  world.Start(1, {}, records);
  for (const int node : {2, 3}) world.Start(node);
  world.RunFor(absl::Seconds(10));
  for (const int node : {1, 2, 3}) EXPECT_FALSE(world[node].result.has_value()) << node;
  EXPECT_EQ(ReadFoundingFile(*world[1].files, "metadata", {}).value().phase, FoundingPhase::kEmpty);
  EXPECT_THAT(world[1].founding->Progress(), HasSubstr("no other controller belongs to a cluster"));
  // Without them it founds; and they are put back.
  world.Crash(1);
  world.Start(1);
  ASSERT_TRUE(world.RunUntilDone({1, 2, 3}));
  world.Crash(1, /*wiped=*/true);
  world.Start(1, {}, records);
  world.RunFor(absl::Seconds(10));
  EXPECT_FALSE(world[1].result.has_value());
  EXPECT_THAT(world[1].founding->Progress(), HasSubstr(records.ToString()));
  EXPECT_THAT(world[1].founding->Progress(), HasSubstr(world.Result(2).cluster_id.ToString()));
}

// Its cluster has an id of its own, which is no hash of a set.
TEST(QuorumFounding, AQuorumOfOneThatGrowsIsJoinedByTheOthers) {
  World world;
  const ClusterId cluster = ClusterId::Draw(world.random_);
  {
    const auto dir =
        MetadataDir::Open(world[1].files.get(), "metadata", NodeId(1), &world.random_).value();
    ASSERT_TRUE(dir->SetClusterId(cluster).ok());
  }
  for (const int node : {1, 2, 3}) world.Start(node);
  ASSERT_TRUE(world.RunUntilDone({1, 2, 3}));
  for (const int node : {1, 2, 3}) {
    EXPECT_EQ(world.Result(node).cluster_id, cluster);
    EXPECT_TRUE(world.Result(node).joined());
  }
}

TEST(QuorumFounding, S18ADirectoryThatPromisedAndIsWipedIsReplacedInThePromise) {
  World world;
  // Node 3 hears nobody: all others promise, and wait for it.
  world.cut_ = {{3, 1}, {3, 2}};
  for (const int node : {1, 2, 3}) world.Start(node);
  world.RunFor(absl::Seconds(2));
  EXPECT_EQ(ReadFoundingFile(*world[1].files, "metadata", {}).value().phase,
            FoundingPhase::kPrepared);
  world.Crash(3, /*wiped=*/true);
  world.cut_.clear();
  world.Start(3);
  ASSERT_TRUE(world.RunUntilDone({1, 2, 3}));
  EXPECT_EQ(world.Result(1).voters[2].id.directory, world[3].dir->directory_id());
}

TEST(QuorumFounding, ListsThatDifferAreSaidByNameAndBothSidesWait) {
  World world;
  LogCapture log(LogLevel::kWarn);
  world.Start(1);
  world.Start(2, {1, 2});
  world.Start(3);
  world.RunFor(absl::Seconds(5));
  EXPECT_FALSE(world[1].result.has_value());
  EXPECT_THAT(world[1].founding->Progress(), HasSubstr("controller.quorum.voters differs"));
  EXPECT_THAT(absl::StrJoin(log.lines(), "\n"), HasSubstr("nodes 1 and 2"));
  // Repaired by the operator.
  world.Crash(2);
  world.Start(2);
  EXPECT_TRUE(world.RunUntilDone({1, 2, 3}));
}

TEST(QuorumFounding, AFailedDiskEndsItWithTheReasonAndNothingIsPromised) {
  World world;
  for (const int node : {1, 2, 3}) world.Start(node);
  world[2].files->FailSyncs(true);
  ASSERT_TRUE(world.RunUntilDone({2}));
  EXPECT_FALSE(world[2].result->ok());
  EXPECT_THAT(std::string(world[2].result->status().message()), HasSubstr("could not be written"));
  world.RunFor(absl::Seconds(5));
  EXPECT_FALSE(world[1].result.has_value());
  FoundingState answer;
  world[2].executor->RunNow([&] { answer = world[2].founding->OnExchange({}); });
  EXPECT_EQ(answer.phase, FoundingPhase::kEmpty);
}

TEST(QuorumFounding, AnswersThatMakeNoSenseAreNotUsed) {
  World world({1, 2});
  world.Start(1);
  FoundingState odd{.self = {NodeId(2), DirectoryId(Uuid(1, 1))},
                    .address = "h2:9093\nphase=founded",
                    .phase = FoundingPhase::kEmpty,
                    .voters = {},
                    .cluster_id = {}};
  world[1].executor->RunNow([&] { (void)world[1].founding->OnExchange(odd); });
  world.RunFor(absl::Seconds(2));
  EXPECT_THAT(world[1].founding->Progress(), HasSubstr("waiting for controller 2"));
  EXPECT_THAT(world[1].founding->Progress(), Not(HasSubstr("phase")));
}

TEST(QuorumFounding, MayBeDestroyedWhileAnswersAndWritesAreOnTheirWay) {
  World world;
  for (const int node : {1, 2, 3}) world.Start(node);
  for (int step = 0; step < 60; ++step) {
    world.RunFor(absl::Milliseconds(1));
    const int node = 1 + step % 3;
    world.Crash(node);
    world.Start(node);
  }
  EXPECT_TRUE(world.RunUntilDone({1, 2, 3}));
}

}  // namespace
}  // namespace millrace::node
