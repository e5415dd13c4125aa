#include "node/service/controller_service.h"

#include <memory>
#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
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

  ControllerService service_;
  std::unique_ptr<Stub> stub_;
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

TEST_F(ControllerServiceTest, BrokersNeedThePermission) {
  authorizer_.refused = static_cast<int>(metadata::Operation::kClusterAction);
  EXPECT_THAT(CallOn(stub_.get(), &Stub::RegisterBroker, Registration(7)),
              HasCode(ErrorCode::kAuthorizationFailed));
}

}  // namespace
}  // namespace millrace::node
