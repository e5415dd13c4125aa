#include "node/controller_role.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/founding_file.h"
#include "node/testing/silent_network.h"
#include "node/testing/sim_env.h"
#include "storage/dir_identity.h"

namespace millrace::node {
namespace {

using ::testing::HasSubstr;
using ::testing::Ne;

class ControllerRoleTest : public ::testing::Test {
 protected:
  ~ControllerRoleTest() override { role_.reset(); }

  absl::Status Start() {
    quorum_ = std::make_unique<RaftQuorumControl>(sim_.env.controller, sim_.env.clock, &leaders_);
    role_ = std::make_unique<ControllerRole>(ParseNodeConfig({}, "d").value(), sim_.env, nullptr,
                                             nullptr, &leaders_, quorum_.get());
    RETURN_IF_ERROR(role_->Open());
    std::optional<absl::Status> started;
    sim_.On([&] { role_->Start([&](absl::Status status) { started = status; }); });
    EXPECT_TRUE(sim_.Until([&] { return started.has_value(); }));
    return *started;
  }
  void End() {
    role_.reset();
    ASSERT_TRUE(sim_.loop.RunUntilIdle());
  }

  SimEnv sim_;
  controller::LeaderWatch leaders_;
  std::unique_ptr<RaftQuorumControl> quorum_;
  std::unique_ptr<ControllerRole> role_;
};

TEST_F(ControllerRoleTest, AloneItFoundsItsClusterOnce) {
  ASSERT_TRUE(Start().ok());
  EXPECT_TRUE(role_->led());
  EXPECT_EQ(role_->start_count(), 1);
  const ClusterId cluster = role_->host()->committed_image().cluster_id();
  EXPECT_FALSE(cluster.is_zero());
  End();
  ASSERT_TRUE(Start().ok());
  EXPECT_EQ(role_->start_count(), 2);
  EXPECT_EQ(role_->host()->committed_image().cluster_id(), cluster);
}

TEST_F(ControllerRoleTest, LostLogIsNotANewCluster) {
  ASSERT_TRUE(Start().ok());
  End();
  ASSERT_TRUE(RemoveTree(sim_.files, "d/metadata/wal").ok());
  EXPECT_EQ(CodeOf(Start()), ErrorCode::kInvalidDirectory);
}

// A controller in a process of its own: `voters` as in controller.quorum.voters.
class DedicatedControllerTest : public ::testing::Test {
 protected:
  ~DedicatedControllerTest() override { End(); }

  static NodeConfig Config(const std::string& voters) {
    return ParseNodeConfig({{"node.id", "1"},
                            {"process.roles", "controller"},
                            {"listeners", "PLAINTEXT://localhost:9092,C://localhost:9093"},
                            {"controller.listener.names", "C"},
                            {"log.dirs", "d/logs"},
                            {"controller.quorum.voters", voters}},
                           "d")
        .value();
  }
  absl::Status Open(const std::string& voters = "1@localhost:9093") {
    End();
    leaders_ = std::make_unique<controller::LeaderWatch>();
    quorum_ =
        std::make_unique<RaftQuorumControl>(sim_.env.controller, sim_.env.clock, leaders_.get());
    role_ = std::make_unique<ControllerRole>(Config(voters), sim_.env, nullptr, &network_,
                                             leaders_.get(), quorum_.get());
    return role_->Open();
  }
  absl::Status Start() {
    RETURN_IF_ERROR(Open());
    std::optional<absl::Status> started;
    sim_.On([&] { role_->Start([&](absl::Status status) { started = status; }); });
    EXPECT_TRUE(sim_.Until([&] {
      return started.has_value() && role_->host() != nullptr &&
             !role_->host()->committed_image().cluster_id().is_zero();
    }));
    return *started;
  }
  void End() {
    role_.reset();
    quorum_.reset();
    ASSERT_TRUE(sim_.loop.RunUntilIdle());
  }
  // One bit of the log's first group, which later ones say was durable.
  void Damage() {
    auto file =
        files().Open("d/metadata/wal/00000000000000000001.wal", OpenMode::kReadWrite).value();
    char byte = 0;
    ASSERT_OK(file->ReadAt(40, absl::MakeSpan(&byte, 1)).status());
    byte = static_cast<char>(byte ^ 4);
    ASSERT_OK(file->WriteAt(40, Slice(&byte, 1)));
  }
  FileSystem& files() { return *sim_.env.files; }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const std::vector<DirectoryEntry> entries = files().ListDirectory("d/metadata").value();
    for (const DirectoryEntry& entry : entries) names.push_back(entry.name);
    return names;
  }

  SimEnv sim_;
  SilentNetwork network_;
  std::unique_ptr<controller::LeaderWatch> leaders_;
  std::unique_ptr<RaftQuorumControl> quorum_;
  std::unique_ptr<ControllerRole> role_;
};

TEST_F(DedicatedControllerTest, AloneItFoundsItsClusterOnce) {
  ASSERT_OK(Start());
  const ClusterId cluster = role_->host()->committed_image().cluster_id();
  ASSERT_OK(Start());
  EXPECT_EQ(role_->host()->committed_image().cluster_id(), cluster);
}

TEST_F(DedicatedControllerTest, S20LostLogIsNotANewCluster) {
  ASSERT_OK(Start());
  End();
  ASSERT_OK(RemoveTree(files(), "d/metadata/wal"));
  EXPECT_THAT(Start(), HasCode(ErrorCode::kInvalidDirectory));
  // Nor at the next try, for what the first one left.
  EXPECT_THAT(Start(), HasCode(ErrorCode::kInvalidDirectory));
}

// It has a listener for controllers, but there is nobody to pass a request on to.
TEST_F(DedicatedControllerTest, S40TheOnlyVoterSaysThatItsDiskHasFailed) {
  ASSERT_OK(Start());
  ASSERT_TRUE(sim_.Until([&] { return role_->host()->leading(); }));
  const auto submit = [&] {
    std::optional<absl::Status> outcome;
    sim_.On([&] {
      role_->host()->Submit(
          controller::FoundClusterCommand{role_->host()->committed_image().cluster_id()},
          [&](const absl::StatusOr<controller::FoundClusterReply>& reply, LogIndex) {
            outcome = reply.status();
          });
    });
    EXPECT_TRUE(sim_.Until([&] { return outcome.has_value(); }));
    return *outcome;
  };
  ASSERT_OK(submit());
  sim_.On([&] { role_->host()->log().Stop(MakeError(ErrorCode::kStorageError, "the disk")); });
  EXPECT_THAT(submit(), IsError(ErrorCode::kStorageError, "the disk"));
}

// One of several: the others may count on what it promised.
TEST_F(DedicatedControllerTest, S17AVoterWhoseLogIsLostComesBackAsAnotherOne) {
  ASSERT_OK(Start());
  const raft::VoterId before = role_->voter_id();
  End();
  ASSERT_OK(RemoveTree(files(), "d/metadata/wal"));
  ASSERT_OK(Open("1@localhost:9093,2@localhost:9094"));
  EXPECT_THAT(role_->voter_id(), Ne(before));
}

// It was set aside once, while others voted, and has led since.
TEST_F(DedicatedControllerTest, S17ALogThatIsLostAloneIsRefusedAlsoWhereOneWasSetAside) {
  ASSERT_OK(Start());
  const ClusterId cluster = role_->host()->committed_image().cluster_id();
  End();
  ASSERT_OK(CreateDirectories(files(), "d/metadata/damaged-before"));
  raft::FoundingRecord founding = ReadFoundingFile(files(), "d/metadata", cluster).value();
  founding.voters.clear();
  ASSERT_OK(WriteFoundingFile(files(), "d/metadata", founding));
  ASSERT_OK(Start());
  ASSERT_TRUE(
      sim_.Until([&] { return files().Exists("d/metadata/damaged-before/led-since").value(); }));
  End();
  ASSERT_OK(RemoveTree(files(), "d/metadata/wal"));
  EXPECT_THAT(Open(), HasCode(ErrorCode::kInvalidDirectory));
}

TEST_F(DedicatedControllerTest, S35DamageToTheOnlyVotersLogIsRefusedAndNothingIsSetAside) {
  ASSERT_OK(Start());
  const raft::VoterId before = role_->voter_id();
  End();
  Damage();
  const std::vector<std::string> names = Names();
  const absl::Status refused = Open();
  EXPECT_THAT(refused, HasCode(ErrorCode::kCorruptLog));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("only voter"));
  EXPECT_EQ(role_->voter_id(), before);
  EXPECT_EQ(Names(), names);
  // That others are configured does not make them voters: its log says that it is alone.
  EXPECT_THAT(Open("1@localhost:9093,2@localhost:9094"), HasCode(ErrorCode::kCorruptLog));
}

// One whose metadata disk was replaced, or a broker that becomes a controller too.
TEST_F(DedicatedControllerTest, S18LogDirectoriesOfAClusterAreRefusedOnlyWhereNobodyCanKnowIt) {
  ASSERT_OK(CreateDirectories(files(), "d/logs"));
  const std::string identity =
      storage::EncodeDirIdentity({.cluster_id = ClusterId::Draw(sim_.random),
                                  .node_id = NodeId(1),
                                  .directory_id = DirectoryId::Draw(sim_.random)});
  ASSERT_OK(ReplaceFile(files(), "d/logs/meta.properties", identity));
  EXPECT_THAT(Open(), HasCode(ErrorCode::kInconsistentClusterId));
  const std::string several = "1@localhost:9093,2@localhost:9094";
  EXPECT_OK(Open(several));
  // A promise stands: others may have founded on it.
  raft::FoundingRecord promise{.phase = raft::FoundingPhase::kPrepared};
  promise.voters = {{role_->voter_id(), "localhost:9093"},
                    {{NodeId(2), DirectoryId(Uuid(50, 2))}, "localhost:9094"}};
  End();
  ASSERT_OK(WriteFoundingFile(files(), "d/metadata", promise));
  EXPECT_THAT(Open(several), HasCode(ErrorCode::kInconsistentClusterId));
}

// The log comes before the cluster's id in meta.properties: no crash looks as if it were lost.
TEST_F(DedicatedControllerTest, ACrashAtAnyMomentOfTheFoundingIsNoLostLog) {
  std::vector<std::unique_ptr<sim::SimFileSystem>> images;
  sim_.files.SetOnCall([&](const sim::SimCall&) {
    for (const auto mode :
         {sim::CrashMode::kKeepAll, sim::CrashMode::kLoseAll, sim::CrashMode::kTorn}) {
      images.push_back(sim_.files.CrashImage(mode, sim_.random));
    }
  });
  ASSERT_OK(Start());
  sim_.files.SetOnCall(nullptr);
  EXPECT_GE(images.size(), 60u);
  for (const auto& image : images) {
    End();
    sim_.env.files = image.get();
    ASSERT_OK(Start());
  }
  End();
}

TEST_F(ControllerRoleTest, DirectoryOfAnotherProcessIsRefusedAtTheOpening) {
  ASSERT_TRUE(Start().ok());
  ControllerRole second(ParseNodeConfig({}, "d").value(), sim_.env, nullptr, nullptr, &leaders_,
                        quorum_.get());
  EXPECT_EQ(CodeOf(second.Open()), ErrorCode::kDirectoryLocked);
}

}  // namespace
}  // namespace millrace::node
