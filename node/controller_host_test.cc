#include "node/controller_host.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/record_types.h"
#include "rsm/entry_codec.h"
#include "storage/fake_kv_store.h"

namespace millrace::node {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ControllerHostTest : public ::testing::Test {
 protected:
  // A process over the same disk and image store.
  void Open(bool with_images = true) {
    ASSERT_OK(TryOpen(with_images));
    bool led = false;
    owner_->RunNow([&] {
      host_->Start([&] { led = true; }, [this](const absl::Status& status) { failed_ = status; });
    });
    ASSERT_TRUE(loop_.RunUntil([&] { return led; }, absl::Seconds(10)));
  }

  absl::Status TryOpen(bool with_images) {
    dir_ = MetadataDir::Open(files_.get(), "m", NodeId(1), &random_).value();
    QuorumPlace alone;
    alone.founders.voters = {raft::Voter{{NodeId(1), dir_->directory_id()}}};
    alone.snapshot_after_bytes = snapshot_after_bytes_;
    auto opened = ControllerHost::Open(*dir_, NodeId(1), std::make_shared<controller::Settings>(),
                                       std::move(alone),
                                       {.files = files_.get(),
                                        .clock = &clock_,
                                        .random = &random_,
                                        .metrics = &metrics_,
                                        .owner = owner_.get(),
                                        .disk = disk_.get(),
                                        .image_disk = images_disk_.get(),
                                        .images = with_images ? &images_ : nullptr,
                                        .leaders = &leaders_,
                                        .election_random = std::make_unique<sim::SimRandom>(3)});
    RETURN_IF_ERROR(opened.status());
    host_ = *std::move(opened);
    return absl::OkStatus();
  }

  void Close() {
    host_.reset();
    dir_.reset();
    ASSERT_TRUE(loop_.RunUntilIdle());
  }

  ClusterId Found() {
    const controller::FoundClusterCommand command{ClusterId::Draw(random_)};
    std::optional<ClusterId> id;
    owner_->RunNow([&] {
      host_->Submit(command, [&](absl::StatusOr<controller::FoundClusterReply> reply, LogIndex) {
        id = reply->cluster_id;
      });
    });
    EXPECT_TRUE(loop_.RunUntil([&] { return id.has_value(); }, absl::Seconds(10)));
    return *id;
  }

  template <class Request>
  void Ask(const Request& request) {
    std::optional<absl::Status> outcome;
    owner_->RunNow(
        [&] { host_->Submit(request, [&](auto reply, LogIndex) { outcome = reply.status(); }); });
    ASSERT_TRUE(loop_.RunUntil([&] { return outcome.has_value(); }, absl::Seconds(10)));
    EXPECT_OK(*outcome);
  }
  BrokerEpoch EpochOf(int broker) const {
    return host_->committed_image().FindBroker(NodeId(broker))->epoch;
  }
  void Register(int broker) {
    internal::v1::RegisterBrokerRequest request;
    request.set_broker_id(broker);
    request.set_incarnation_id(IncarnationId(Uuid(broker, 1)).ToBytes());
    request.add_log_dirs()->set_directory_id(DirectoryId(Uuid(broker, 2)).ToBytes());
    auto* listener = request.add_listeners();
    listener->set_name("PLAINTEXT");
    listener->set_host("localhost");
    listener->set_port(9);
    request.set_feature_level_min(metadata::kFeatureLevelMin);
    request.set_feature_level_max(metadata::kFeatureLevelMax);
    Ask(request);
  }
  void Activate(int broker) {
    internal::v1::BrokerHeartbeatRequest request;
    request.set_broker_id(broker);
    request.set_broker_epoch(EpochOf(broker).value());
    request.set_applied_index(host_->committed_index().value());
    request.set_want_active(true);
    Ask(request);
  }
  void Fence(int broker) { Ask(controller::FenceBrokerCommand{NodeId(broker), EpochOf(broker)}); }

  // A change of a config, decided.
  void SetRetention(int value) {
    v1::IncrementalAlterConfigsRequest request;
    auto* resource = request.add_resources();
    resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_BROKER);
    auto* alteration = resource->add_alterations();
    alteration->set_name("log.retention.ms");
    alteration->set_operation(v1::CONFIG_OPERATION_SET);
    alteration->set_value(absl::StrCat(100'000 + value));
    bool done = false;
    owner_->RunNow([&] {
      host_->Submit(request, [&](auto reply, LogIndex) {
        EXPECT_OK(reply);
        EXPECT_EQ(reply->resources(0).message(), "");
        done = true;
      });
    });
    ASSERT_TRUE(loop_.RunUntil([&] { return done; }, absl::Seconds(10)));
  }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  sim::SimRandom random_{1};
  MetricRegistry metrics_;
  controller::LeaderWatch leaders_;
  uint64_t snapshot_after_bytes_ = 20 << 20;
  std::unique_ptr<sim::SimFileSystem> files_ = std::make_unique<sim::SimFileSystem>();
  storage::FakeKvStore images_;
  std::unique_ptr<sim::SimExecutor> owner_ = loop_.MakeExecutor("owner", &clock_);
  std::unique_ptr<sim::SimExecutor> disk_ = loop_.MakeExecutor("disk", &clock_);
  std::unique_ptr<sim::SimExecutor> images_disk_ = loop_.MakeExecutor("images", &clock_);
  absl::Status failed_;
  std::unique_ptr<MetadataDir> dir_;
  std::unique_ptr<ControllerHost> host_;
};

TEST_F(ControllerHostTest, WhatWasDecidedIsThereAfterALossOfPower) {
  Open();
  const ClusterId id = Found();
  Close();
  files_ = files_->CrashImage(sim::CrashMode::kLoseAll, random_);
  Open();
  EXPECT_EQ(host_->committed_image().cluster_id(), id);
}

TEST_F(ControllerHostTest, TheStoredImageGivesTheSameStateAsTheLog) {
  Open();
  Found();
  ASSERT_TRUE(loop_.RunUntilIdle());
  Close();
  ASSERT_FALSE(images_.content().empty());
  Open(/*with_images=*/true);
  const metadata::Image with_store = host_->committed_image();
  Close();
  Open(/*with_images=*/false);
  EXPECT_EQ(host_->committed_image(), with_store);
}

TEST_F(ControllerHostTest, AStartFromASnapshotGivesTheSameState) {
  snapshot_after_bytes_ = 100;
  Open(/*with_images=*/false);
  const ClusterId id = Found();
  loop_.RunFor(absl::Seconds(1));
  const auto& newest = host_->log().node().state().snapshots.newest();
  ASSERT_TRUE(newest.has_value());
  const metadata::Image before = host_->committed_image();
  Close();
  Open(/*with_images=*/false);
  EXPECT_EQ(host_->committed_image().cluster_id(), id);
  EXPECT_EQ(host_->committed_image(), before);
}

// The entries that the stored image holds count towards the next snapshot, which is named after
// what it holds: replaying the log over it would apply them twice (etcd #13766).
TEST_F(ControllerHostTest, ASnapshotThatIsDueAtTheStartIsNamedAfterTheStoredImage) {
  Open();
  Found();
  for (int i = 0; i < 10; ++i) {
    ASSERT_NO_FATAL_FAILURE(SetRetention(i));
  }
  ASSERT_TRUE(loop_.RunUntilIdle());
  const metadata::Image image = host_->committed_image();
  Close();
  snapshot_after_bytes_ = 300;  // Of what is in the log already.
  Open();
  loop_.RunFor(absl::Seconds(1));
  const auto& newest = host_->log().node().state().snapshots.newest();
  ASSERT_TRUE(newest.has_value());
  EXPECT_GE(newest->id.last.index, image.index());
  EXPECT_EQ(host_->committed_image(), image);
  Close();
  Open(/*with_images=*/false);
  EXPECT_EQ(host_->committed_image(), image);
}

TEST_F(ControllerHostTest, ALoneControllerIsKnownToLead) {
  Open();
  EXPECT_EQ(leaders_.leader().leader, NodeId(1));
}

// S-36: the image store is a cache; one of another log is not used.
TEST_F(ControllerHostTest, S36AnImageOfAnotherLogIsThrownAway) {
  Open();
  Found();
  ASSERT_TRUE(loop_.RunUntilIdle());
  Close();
  files_ = std::make_unique<sim::SimFileSystem>();
  Open();
  EXPECT_TRUE(host_->committed_image().cluster_id().is_zero());
}

TEST_F(ControllerHostTest, AStoreThatCannotBeWrittenCostsNoCommand) {
  Open();
  images_.FailWith(MakeError(ErrorCode::kStorageError, "no"));
  EXPECT_FALSE(Found().is_zero());
}

// A program that does not know the cluster's level takes no part with it.
TEST_F(ControllerHostTest, ALevelThatIsNotKnownStopsItAndIsRefusedAtTheNextStart) {
  snapshot_after_bytes_ = 100;
  Open(/*with_images=*/false);
  Found();
  metadata::records::FeatureLevelRecord level;
  level.set_feature_level(metadata::kFeatureLevelMax + 1);
  const rsm::Record record = metadata::Encode(level);
  owner_->RunNow([&] { ASSERT_OK(host_->log().Append(*rsm::EncodeEntry({&record, 1}))); });
  ASSERT_TRUE(loop_.RunUntil([&] { return !failed_.ok(); }, absl::Seconds(10)));
  EXPECT_EQ(CodeOf(failed_), ErrorCode::kUnsupportedVersion);
  // Its log has stopped with it: no snapshot says that the machine has what it lacks.
  EXPECT_TRUE(host_->log().failed());
  owner_->RunNow([&] { EXPECT_FALSE(host_->log().Append(*rsm::EncodeEntry({})).ok()); });
  loop_.RunFor(absl::Seconds(1));
  const auto& newest = host_->log().node().state().snapshots.newest();
  EXPECT_TRUE(!newest.has_value() || newest->id.last.index <= host_->committed_index());
  snapshot_after_bytes_ = 20 << 20;
  Close();
  const absl::Status refused = TryOpen(/*with_images=*/false);
  EXPECT_THAT(refused, IsError(ErrorCode::kUnsupportedVersion,
                               absl::StrCat("feature level ", metadata::kFeatureLevelMax + 1)));
  EXPECT_THAT(refused, IsError(ErrorCode::kUnsupportedVersion,
                               absl::StrCat("levels up to ", metadata::kFeatureLevelMax)));
}

TEST_F(ControllerHostTest, WhatIsDecidedInQuickSuccessionIsSavedTogether) {
  Open();
  Found();
  ASSERT_TRUE(loop_.RunUntilIdle());
  const int64_t before = images_.writes();
  for (int i = 0; i < 20; ++i) {
    ASSERT_NO_FATAL_FAILURE(SetRetention(i));
  }
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_EQ(images_.writes() - before, 1);
  const metadata::Image image = host_->committed_image();
  Close();
  Open();
  EXPECT_EQ(host_->committed_image(), image);
}

// Whoever looks for lost records finds in the log of each controller where they were lost; a start
// does not say again what was said before it.
TEST_F(ControllerHostTest, S32_AnElectionWithoutProofIsLoggedOnceWhicheverEntryItIsIn) {
  Open(/*with_images=*/false);
  Found();
  for (const int broker : {7, 8}) {
    Register(broker);
    Activate(broker);
  }
  controller::CreateTopicsCommand create;
  create.fresh_ids.push_back(TopicId(Uuid(3, 3)));
  auto* topic = create.request.add_topics();
  topic->set_name("orders");
  auto* assignment = topic->add_assignments();
  for (const int broker : {7, 8}) assignment->add_replicas(broker);
  const std::vector<std::pair<std::string, std::string>> configs = {
      {"min.insync.replicas", "1"}, {"unclean.leader.election.enable", "true"}};
  for (const auto& [name, value] : configs) {
    auto* config = topic->add_configs();
    config->set_name(name);
    config->set_value(value);
  }
  Ask(create);
  Fence(8);
  Activate(8);
  {
    LogCapture log(LogLevel::kWarn);
    Fence(7);
    EXPECT_THAT(log.lines(),
                ElementsAre(AllOf(HasSubstr("may lack acknowledged records (S-32)"),
                                  HasSubstr("topic=orders partition=0 leader=8 leader_epoch=1"),
                                  HasSubstr("isr_before=7"), HasSubstr("elr_before="))));
  }
  LogCapture log(LogLevel::kWarn);
  Close();
  Open(/*with_images=*/false);
  EXPECT_EQ(host_->committed_image().FindTopic("orders")->FindPartition(PartitionIndex(0))->leader,
            NodeId(8));
  EXPECT_THAT(log.lines(), IsEmpty());
}

}  // namespace
}  // namespace millrace::node
