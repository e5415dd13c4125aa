#include "node/service/controller_service.h"

#include <functional>
#include <memory>
#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/follower.h"
#include "metadata/image.h"
#include "node/service/service_test_bed.h"

namespace millrace::node {
namespace {

namespace api = ::millrace::internal::v1;
using Stub = api::ControllerService::StubInterface;

class ControllerServiceTest : public ServedNodeTest {
 protected:
  ControllerServiceTest() : service_(node_.get(), &authorizer_, access()) {
    service_.Register(server_.get());
    EXPECT_OK(server_->Start());
    stub_ = api::ControllerService::NewStub(Connect());
  }
  ~ControllerServiceTest() override { StopAll(); }

  // What a broker without a process says of itself.
  api::RegisterBrokerRequest Registration(int id) const {
    api::RegisterBrokerRequest request;
    request.set_broker_id(id);
    request.set_incarnation_id(IncarnationId(Uuid(1, id)).ToBytes());
    request.add_log_dirs()->set_directory_id(DirectoryId(Uuid(2, id)).ToBytes());
    api::BrokerListener* listener = request.add_listeners();
    listener->set_name("PLAINTEXT");
    listener->set_host("localhost");
    listener->set_port(1000 + id);
    request.set_feature_level_min(metadata::kFeatureLevelMin);
    request.set_feature_level_max(metadata::kFeatureLevelMax);
    return request;
  }

  int64_t Register(int id) {
    const auto registered = CallOn(stub_.get(), &Stub::RegisterBroker, Registration(id));
    EXPECT_OK(registered);
    return registered.ok() ? registered->broker_epoch() : 0;
  }

  ControllerService service_;
  std::unique_ptr<Stub> stub_;
};

// A broker's end of its stream, and the metadata that it makes of it.
class SessionClient {
 public:
  explicit SessionClient(Stub* stub) {
    context_.set_deadline(gpr_time_from_seconds(30, GPR_TIMESPAN));
    stream_ = stub->BrokerSession(&context_);
  }
  // Breaks it, if it is still there.
  ~SessionClient() { context_.TryCancel(); }

  void Say(int broker, int64_t epoch) {
    api::BrokerSessionRequest request;
    request.set_broker_id(broker);
    request.set_broker_epoch(epoch);
    request.set_applied_index(follower_.applied().value());
    request.set_want_active(true);
    EXPECT_TRUE(stream_->Write(request));
  }
  // Reads until `done`; false if the stream ends before.
  bool ReadUntil(const std::function<bool()>& done) {
    while (!done()) {
      api::BrokerSessionResponse response;
      if (!stream_->Read(&response)) return false;
      if (response.has_state()) state_ = response.state();
      if (response.has_image()) {
        EXPECT_OK(follower_.OnImageChunk(LogIndex(response.image().index()),
                                         response.image().data(), response.image().last()));
      }
      for (const api::MetadataEntry& entry : response.entries().entries()) {
        EXPECT_OK(follower_.OnEntry(LogIndex(entry.index()), Bytes::Copy(entry.payload())));
      }
    }
    return true;
  }
  absl::Status Finish() { return rpc::FromGrpcStatus(stream_->Finish()); }

  const metadata::Image& image() const { return follower_.image(); }
  const api::BrokerSessionState& state() const { return state_; }
  bool Sees(int broker, metadata::BrokerState state) const {
    const metadata::BrokerImage* const found = image().FindBroker(NodeId(broker));
    return found != nullptr && found->state == state;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<
      grpc::ClientReaderWriterInterface<api::BrokerSessionRequest, api::BrokerSessionResponse>>
      stream_;
  metadata::Feed feed_{std::make_shared<const metadata::Image>()};
  metadata::Follower follower_{&feed_};
  api::BrokerSessionState state_;
};

TEST_F(ControllerServiceTest, ABrokerRegistersAndBecomesActive) {
  ASSERT_OK_AND_ASSIGN(const api::RegisterBrokerResponse registered,
                       CallOn(stub_.get(), &Stub::RegisterBroker, Registration(7)));
  EXPECT_GT(registered.broker_epoch(), 0);
  // The same process again is the same broker.
  ASSERT_OK_AND_ASSIGN(const api::RegisterBrokerResponse again,
                       CallOn(stub_.get(), &Stub::RegisterBroker, Registration(7)));
  EXPECT_EQ(again.broker_epoch(), registered.broker_epoch());

  api::BrokerHeartbeatRequest heartbeat;
  heartbeat.set_broker_id(7);
  heartbeat.set_broker_epoch(registered.broker_epoch());
  heartbeat.set_applied_index(registered.broker_epoch());
  heartbeat.set_want_active(true);
  ASSERT_OK_AND_ASSIGN(const api::BrokerHeartbeatResponse beat,
                       CallOn(stub_.get(), &Stub::BrokerHeartbeat, heartbeat));
  EXPECT_EQ(beat.state(), api::BROKER_STATE_ACTIVE);

  api::AllocateProducerIdsRequest ids;
  ids.set_broker_id(7);
  ids.set_broker_epoch(registered.broker_epoch());
  ASSERT_OK_AND_ASSIGN(const api::AllocateProducerIdsResponse block,
                       CallOn(stub_.get(), &Stub::AllocateProducerIds, ids));
  EXPECT_GT(block.count(), 0);
}

TEST_F(ControllerServiceTest, WhatTheControllerRefusesIsTold) {
  api::BrokerHeartbeatRequest heartbeat;
  heartbeat.set_broker_id(8);
  EXPECT_THAT(CallOn(stub_.get(), &Stub::BrokerHeartbeat, heartbeat),
              HasCode(ErrorCode::kBrokerIdNotRegistered));
}

TEST_F(ControllerServiceTest, S31_ABrokerIsActiveByItsStreamAndFencedSoonAfterThatBreaks) {
  SessionClient observer(stub_.get());
  observer.Say(50, 0);
  const int64_t epoch = Register(7);
  {
    SessionClient broker(stub_.get());
    broker.Say(7, epoch);
    ASSERT_TRUE(broker.ReadUntil([&] { return broker.Sees(7, metadata::BrokerState::kFenced); }));
    broker.Say(7, epoch);
    ASSERT_TRUE(broker.ReadUntil([&] {
      return broker.state().state() == api::BROKER_STATE_ACTIVE &&
             broker.Sees(7, metadata::BrokerState::kActive);
    }));
    EXPECT_GE(broker.state().committed_index(), epoch);
  }
  ASSERT_TRUE(observer.ReadUntil([&] { return observer.Sees(7, metadata::BrokerState::kActive); }));
  ASSERT_TRUE(observer.ReadUntil([&] { return observer.Sees(7, metadata::BrokerState::kFenced); }));
  // The broker of this very process needs no stream.
  EXPECT_TRUE(observer.Sees(1, metadata::BrokerState::kActive));
}

TEST_F(ControllerServiceTest, AStreamOfAnotherProcessIsToldSo) {
  Register(7);
  SessionClient broker(stub_.get());
  broker.Say(7, 1);
  EXPECT_FALSE(broker.ReadUntil([] { return false; }));
  EXPECT_THAT(broker.Finish(), HasCode(ErrorCode::kStaleBrokerEpoch));
}

TEST_F(ControllerServiceTest, ANewcomerDoesNotTakeTheIdOfABrokerThatIsWell) {
  const int64_t epoch = Register(7);
  SessionClient broker(stub_.get());
  broker.Say(7, epoch);
  ASSERT_TRUE(broker.ReadUntil([&] { return broker.Sees(7, metadata::BrokerState::kFenced); }));
  broker.Say(7, epoch);
  api::RegisterBrokerRequest newcomer = Registration(7);
  newcomer.set_incarnation_id(IncarnationId(Uuid(1, 70)).ToBytes());
  api::RegisterBrokerRequest restarted = newcomer;
  newcomer.mutable_log_dirs(0)->set_directory_id(DirectoryId(Uuid(2, 70)).ToBytes());
  ASSERT_TRUE(broker.ReadUntil([&] { return broker.Sees(7, metadata::BrokerState::kActive); }));
  EXPECT_THAT(CallOn(stub_.get(), &Stub::RegisterBroker, newcomer),
              IsError(ErrorCode::kResourceExhausted, "node.id"));
  // On the same disk: the process before has gone.
  const auto again = CallOn(stub_.get(), &Stub::RegisterBroker, restarted);
  ASSERT_OK(again);
  EXPECT_GT(again->broker_epoch(), epoch);
}

TEST_F(ControllerServiceTest, ProposalsForInSyncSetsAreDecidedHere) {
  api::AlterPartitionRequest request;
  request.set_broker_id(7);
  request.set_broker_epoch(Register(7));
  api::AlterPartitionTopic* topic = request.add_topics();
  topic->set_topic_id(TopicId(Uuid(1, 1)).ToBytes());
  topic->add_partitions()->set_partition(3);
  ASSERT_OK_AND_ASSIGN(const api::AlterPartitionResponse response,
                       CallOn(stub_.get(), &Stub::AlterPartition, request));
  EXPECT_EQ(response.topics(0).partitions(0).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
}

TEST_F(ControllerServiceTest, WhereReplicasLieIsDecidedHere) {
  api::AssignReplicasToDirsRequest request;
  request.set_broker_id(7);
  request.set_broker_epoch(Register(7));
  api::ReplicaDirectory* replica = request.add_replicas();
  replica->set_topic_id(TopicId(Uuid(1, 1)).ToBytes());
  ASSERT_OK_AND_ASSIGN(const api::AssignReplicasToDirsResponse response,
                       CallOn(stub_.get(), &Stub::AssignReplicasToDirs, request));
  EXPECT_EQ(response.replicas(0).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
}

TEST_F(ControllerServiceTest, BrokersNeedThePermission) {
  authorizer_.refused = static_cast<int>(metadata::Operation::kClusterAction);
  SessionClient broker(stub_.get());
  EXPECT_FALSE(broker.ReadUntil([] { return false; }));
  EXPECT_THAT(broker.Finish(), HasCode(ErrorCode::kAuthorizationFailed));
  EXPECT_THAT(CallOn(stub_.get(), &Stub::RegisterBroker, Registration(7)),
              HasCode(ErrorCode::kAuthorizationFailed));
}

}  // namespace
}  // namespace millrace::node
