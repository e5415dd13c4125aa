#include "node/node.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_random.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/image_snapshot.h"
#include "metadata/test_image.h"
#include "node/testing/fake_controller_link.h"
#include "node/testing/silent_network.h"
#include "node/testing/sim_server.h"
#include "record/batch_builder.h"

namespace millrace::node {
namespace {

class NodeTest : public ::testing::Test {
 protected:
  void StartServer() {
    server_.Start();
    ASSERT_TRUE(loop_.RunUntil([&] { return server_.started().has_value(); }, absl::Seconds(30)));
  }
  void StartServing() {
    StartServer();
    ASSERT_TRUE(server_.serving()) << *server_.started();
    ASSERT_TRUE(loop_.RunUntil([&] { return server_.node().Ready().ok(); }, absl::Seconds(30)))
        << server_.node().Ready();
  }

  v1::CreateTopicsResponse CreateTopic(const std::string& name) {
    v1::CreateTopicsRequest request;
    request.add_topics()->set_name(name);
    std::optional<v1::CreateTopicsResponse> response;
    server_.node().CreateTopics(request, [&](auto reply, LogIndex) { response = *reply; });
    EXPECT_TRUE(loop_.RunUntil([&] { return response.has_value(); }, absl::Seconds(10)));
    // The broker follows the metadata by itself.
    EXPECT_TRUE(loop_.RunUntil([&] { return server_.node().Ready().ok(); }, absl::Seconds(10)));
    loop_.RunFor(absl::Seconds(1));
    return *response;
  }

  api::ProducePartitionResult Produce(const std::string& topic, const std::string& value) {
    record::BatchBuilder builder({});
    builder.Add(1, absl::nullopt, absl::string_view(value));
    api::ProduceRequest request;
    request.partitions.push_back({.name = {.topic = topic}, .batches = builder.Build()});
    std::optional<api::ProducePartitionResult> result;
    server_.shard().RunNow([&] {
      server_.node().broker().Produce(
          request, {}, [&](api::ProduceResponse response) { result = response.partitions.at(0); });
    });
    EXPECT_TRUE(loop_.RunUntil([&] { return result.has_value(); }, absl::Seconds(40)));
    return *result;
  }

  api::FetchPartitionResult Fetch(const std::string& topic) {
    api::FetchRequest request;
    request.format = api::RecordFormat::kBatches;
    request.partitions.push_back({.name = {.topic = topic}});
    std::optional<api::FetchPartitionResult> result;
    server_.shard().RunNow([&] {
      server_.node().broker().Fetch(
          request, {}, [&](api::FetchResponse response) { result = response.partitions.at(0); });
    });
    EXPECT_TRUE(loop_.RunUntil([&] { return result.has_value(); }, absl::Seconds(40)));
    return *result;
  }

  ClusterId cluster_id() {
    std::optional<ClusterId> id;
    server_.node().Submit(v1::DescribeClusterRequest(), [&](auto reply, LogIndex) {
      id = ClusterId::FromString(reply->cluster_id()).value();
    });
    EXPECT_TRUE(loop_.RunUntil([&] { return id.has_value(); }, absl::Seconds(10)));
    return *id;
  }

  sim::SimLoop loop_{3};
  sim::SimServer server_{&loop_, sim::SimRandom(3), {{"http.listener", ""}}};
};

TEST_F(NodeTest, FoundsAClusterAndBelongsToItForGood) {
  StartServing();
  const ClusterId id = cluster_id();
  server_.LosePower(sim::CrashMode::kLoseAll);
  StartServing();
  EXPECT_EQ(cluster_id(), id);
}

TEST_F(NodeTest, KeepsWhatItAcknowledgedThroughAPowerLoss) {
  StartServing();
  EXPECT_EQ(CreateTopic("t").topics(0).code(), v1::ERROR_CODE_UNSPECIFIED);
  const api::ProducePartitionResult produced = Produce("t", "hello");
  ASSERT_TRUE(produced.outcome.ok()) << produced.outcome.message;
  EXPECT_EQ(produced.base_offset, Offset(0));
  EXPECT_EQ(produced.level, api::DurabilityLevel::kDurable);
  server_.LosePower(sim::CrashMode::kLoseAll);
  StartServing();
  const api::FetchPartitionResult fetched = Fetch("t");
  ASSERT_TRUE(fetched.outcome.ok()) << fetched.outcome.message;
  EXPECT_EQ(fetched.high_watermark, Offset(1));
  EXPECT_GT(api::TotalBytes(fetched.batches), 0u);
}

// S-01: a new incarnation leads in a new epoch, though the same broker is elected again.
TEST_F(NodeTest, S01EveryIncarnationLeadsInAnEpochOfItsOwn) {
  StartServing();
  CreateTopic("t");
  const auto epoch = [&] {
    v1::DescribeTopicsRequest request;
    request.add_names("t");
    std::optional<int32_t> value;
    server_.node().Submit(request, [&](auto reply, LogIndex) {
      value = reply->topics(0).partitions(0).leader_epoch();
    });
    EXPECT_TRUE(loop_.RunUntil([&] { return value.has_value(); }, absl::Seconds(10)));
    return *value;
  };
  const int32_t before = epoch();
  server_.Kill();
  StartServing();
  EXPECT_GT(epoch(), before);
}

// S-20: what is missing in the metadata is not deleted from the disks.
TEST_F(NodeTest, S20ALostMetadataLogIsRefusedInsteadOfFoundingAnew) {
  StartServing();
  CreateTopic("t");
  ASSERT_TRUE(Produce("t", "hello").outcome.ok());
  server_.Kill();
  ASSERT_TRUE(RemoveTree(server_.disk(), "data/metadata/wal").ok());
  StartServer();
  EXPECT_FALSE(server_.serving());
  EXPECT_EQ(CodeOf(*server_.started()), ErrorCode::kInvalidDirectory);
}

TEST_F(NodeTest, ACleanStopIsFollowedByAStartWithEverythingThere) {
  StartServing();
  CreateTopic("t");
  ASSERT_TRUE(Produce("t", "hello").outcome.ok());
  std::optional<absl::Status> stopped;
  server_.Stop([&](absl::Status status) { stopped = status; });
  ASSERT_TRUE(loop_.RunUntil([&] { return stopped.has_value(); }, absl::Seconds(10)));
  EXPECT_TRUE(stopped->ok()) << *stopped;
  server_.Kill();
  StartServing();
  EXPECT_EQ(Fetch("t").high_watermark, Offset(1));
}

TEST_F(NodeTest, AnotherNodesDirectoryIsRefusedByName) {
  StartServing();
  server_.Kill();
  sim::SimServer other(&loop_, sim::SimRandom(4), {{"http.listener", ""}, {"node.id", "2"}});
  other.UseDiskOf(&server_);
  other.Start();
  ASSERT_TRUE(loop_.RunUntil([&] { return other.started().has_value(); }, absl::Seconds(10)));
  EXPECT_EQ(CodeOf(*other.started()), ErrorCode::kInconsistentNodeId);
}

// A controller beside a broker; both are told that others lead, by a controller that is not there.
class NodeInAQuorumTest : public ::testing::Test {
 protected:
  NodeInAQuorumTest() {
    server_.SetNetwork([this] { return Node::Network{.quorum = &quorum_, .controllers = &link_}; });
  }

  // The controller that the session is with refuses, and names this one, which does not.
  void Follow(int node, int term) {
    const LeaderHint leader{.leader = NodeId(node),
                            .leader_epoch = LeaderEpoch(term),
                            .address = absl::StrCat("host-", node, ":9093")};
    server_.controller().RunNow(
        [&] { link_.End(MakeError(ErrorCode::kNotController, "not here", {.leader = leader})); });
    ASSERT_TRUE(Until([&] { return link_.session().address == leader.address; }));
    internal::v1::BrokerSessionResponse response;
    const metadata::Image image = metadata::TestImage();
    response.mutable_image()->set_index(image.index().value());
    response.mutable_image()->set_data(metadata::EncodeImageSnapshot(image));
    response.mutable_image()->set_last(true);
    internal::v1::BrokerSessionResponse state;
    state.mutable_state()->set_controller_term(term);
    server_.controller().RunNow([&] {
      link_.Send(state);
      link_.Send(response);
    });
  }
  // A change.
  absl::Status Ask() {
    v1::IncrementalAlterConfigsRequest request;
    v1::AlterConfigsResource* resource = request.add_resources();
    resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_BROKER);
    v1::ConfigAlteration* alteration = resource->add_alterations();
    alteration->set_name("log.retention.ms");
    alteration->set_operation(v1::CONFIG_OPERATION_SET);
    alteration->set_value("1234567");
    std::optional<absl::Status> status;
    server_.node().Submit(request, [&](auto reply, LogIndex) { status = reply.status(); });
    EXPECT_TRUE(Until([&] { return status.has_value(); }));
    return *status;
  }
  int leader() { return server_.node().leaders().leader().leader.value(); }
  bool Until(const std::function<bool()>& done) { return loop_.RunUntil(done, absl::Seconds(30)); }

  sim::SimLoop loop_{3};
  SilentNetwork quorum_;
  FakeControllerLink link_;
  sim::SimServer server_{&loop_,
                         sim::SimRandom(3),
                         {{"http.listener", ""},
                          {"node.id", "1"},
                          {"listeners", "PLAINTEXT://localhost:9092,C://localhost:9093"},
                          {"controller.listener.names", "C"},
                          {"controller.quorum.voters", "1@localhost:9093"}}};
};

TEST_F(NodeInAQuorumTest, S40OnceItsLogHasStoppedTheLeaderIsWhomTheBrokerFollows) {
  server_.Start();
  ASSERT_TRUE(Until([&] { return leader() == 1 && !link_.sessions.empty(); }));
  ASSERT_NO_FATAL_FAILURE(Follow(2, 7));
  // The log knows better.
  EXPECT_EQ(leader(), 1);
  server_.disk().SetFaults([](const sim::SimCall& call) {
    return absl::StrContains(call.path, "metadata/wal") ? std::optional(sim::SimFault::kIoError)
                                                        : std::nullopt;
  });
  EXPECT_EQ(CodeOf(Ask()), ErrorCode::kOutcomeUnknown);
  ASSERT_TRUE(Until([&] { return !server_.node().Healthy().ok(); }));
  EXPECT_EQ(leader(), 2);
  const absl::Status refused = Ask();
  EXPECT_EQ(CodeOf(refused), ErrorCode::kNotController);
  ASSERT_TRUE(DetailOf(refused).leader.has_value());
  EXPECT_EQ(DetailOf(refused).leader->address, "host-2:9093");
  ASSERT_NO_FATAL_FAILURE(Follow(3, 8));
  EXPECT_EQ(leader(), 3);
}

}  // namespace
}  // namespace millrace::node
