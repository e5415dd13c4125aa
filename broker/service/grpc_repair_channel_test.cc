#include "broker/service/grpc_repair_channel.h"

#include "broker/service/testing/replica_wire.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/testing/slow_link.h"

namespace millrace::broker {
namespace {

RangeQuery SampleQuery() {
  RangeQuery query;
  query.cluster_id = ClusterId(Uuid(1, 2));
  query.broker = NodeId(7);
  query.topic_partition = {TopicId(Uuid(3, 4)), PartitionIndex(5)};
  query.from = Offset(10);
  query.to = Offset(int64_t{1} << 40);
  query.bytes_max = 1000;
  return query;
}

TEST(GrpcRepairChannelTest, WhatIsAskedAndAnsweredArrivesAsItIs) {
  ReplicaWire wire;
  wire.range = Bytes::FromString(std::string(70 << 20, 'x'));
  const absl::StatusOr<Bytes> answer = wire.ReadRange(SampleQuery());
  ASSERT_OK(answer);
  EXPECT_EQ(*answer, *wire.range);
  wire.OnLeader([&] {
    ASSERT_EQ(wire.queries.size(), 1U);
    EXPECT_EQ(wire.queries[0], SampleQuery());
  });
}

TEST(GrpcRepairChannelTest, ARefusalKeepsItsCode) {
  ReplicaWire wire;
  wire.range = MakeError(ErrorCode::kCorruptLog, "damaged here too");
  EXPECT_THAT(wire.ReadRange(SampleQuery()), HasCode(ErrorCode::kCorruptLog));
}

// KIP-601.
TEST(GrpcRepairChannelTest, AConnectionThatTakesLongToBeMadeIsGivenTheTime) {
  ReplicaWire wire;
  wire.range = Bytes::Copy("records");
  const rpc::testdata::SlowLink link(wire.port(), absl::Milliseconds(1200));
  absl::StatusOr<Bytes> answer = absl::UnknownError("not asked");
  for (int i = 0; i < 10 && !answer.ok(); ++i) {
    answer = wire.ReadRange(SampleQuery(), link.address());
  }
  EXPECT_OK(answer.status());
}

TEST(GrpcRepairChannelTest, WhereNobodyListensThatIsTheAnswer) {
  ReplicaWire wire;
  EXPECT_THAT(wire.ReadRange(SampleQuery(), "127.0.0.1:1"),
              HasCode(ErrorCode::kBrokerNotAvailable));
}

}  // namespace
}  // namespace millrace::broker
