#include "broker/service/log_service.h"

#include <string>

#include "broker/service/testing/log_service_fixture.h"

namespace millrace::broker {
namespace {

using UnaryCallsTest = LogServiceTest;

TEST_P(UnaryCallsTest, PlainRecordsGoInAndComeOut) {
  v1::ProduceRequest produce;
  v1::ProducePartition* partition = produce.add_partitions();
  partition->set_topic("t");
  v1::Record* record = partition->add_records();
  record->set_key("k");
  record->set_value("v");
  partition->add_records()->set_value("w");
  const v1::ProduceResponse produced = Produce(produce);
  ASSERT_EQ(produced.partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED)
      << produced.partitions(0).message();
  EXPECT_EQ(produced.partitions(0).level(), v1::DURABILITY_LEVEL_DURABLE);

  v1::FetchRequest fetch;
  fetch.add_partitions()->set_topic("t");
  fetch.mutable_partitions(0)->set_offset(1);
  const v1::FetchResponse fetched = Fetch(fetch);
  ASSERT_EQ(fetched.partitions(0).records_size(), 1);
  EXPECT_EQ(fetched.partitions(0).records(0).value(), "w");
  EXPECT_EQ(fetched.partitions(0).records(0).offset(), 1);
  EXPECT_FALSE(fetched.partitions(0).records(0).has_key());
  EXPECT_GT(fetched.partitions(0).records(0).timestamp_ms(), 0);
}

TEST_P(UnaryCallsTest, BatchesComeBackAsTheyWereSent) {
  v1::ProduceRequest produce;
  produce.add_partitions()->set_topic("t");
  const std::string batch = Batch(std::string(100000, 'x'));
  produce.mutable_partitions(0)->set_batches(batch);
  ASSERT_EQ(Produce(produce).partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED);
  v1::FetchRequest fetch;
  fetch.add_partitions()->set_topic("t");
  fetch.set_format(v1::RECORD_FORMAT_BATCHES);
  const std::string stored = Fetch(fetch).partitions(0).batches();
  ASSERT_EQ(stored.size(), batch.size());
  EXPECT_EQ(stored.substr(16), batch.substr(16)) << "all that the checksum covers, and the magic";
}

TEST_P(UnaryCallsTest, ErrorsArePerPartition) {
  v1::ProduceRequest produce;
  for (const char* topic : {"t", "nope"}) {
    produce.add_partitions()->set_topic(topic);
    produce.mutable_partitions(produce.partitions_size() - 1)->set_batches(Batch("x"));
  }
  produce.add_partitions()->set_topic("t");
  produce.mutable_partitions(2)->set_batches("garbage");
  const v1::ProduceResponse response = Produce(produce);
  EXPECT_EQ(response.partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED);
  EXPECT_EQ(response.partitions(1).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  EXPECT_EQ(response.partitions(2).code(), v1::ERROR_CODE_CORRUPT_MESSAGE);
}

TEST_P(UnaryCallsTest, ALeaderTellsWhereAnEpochEnds) {
  v1::ProduceRequest produce;
  produce.add_partitions()->set_topic("t");
  produce.mutable_partitions(0)->set_batches(Batch("x"));
  ASSERT_EQ(Produce(produce).partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED);
  v1::OffsetForLeaderEpochRequest request;
  request.add_partitions()->set_topic("t");
  request.mutable_partitions(0)->set_leader_epoch(7);
  grpc::ClientContext context;
  v1::OffsetForLeaderEpochResponse response;
  ASSERT_TRUE(stub_->OffsetForLeaderEpoch(&context, request, &response).ok());
  ASSERT_EQ(response.partitions_size(), 1);
  EXPECT_EQ(response.partitions(0).leader_epoch(), 1);
  EXPECT_EQ(response.partitions(0).end_offset(), 1);
}

TEST_P(UnaryCallsTest, AMalformedTypedRequestIsRefusedWithItsField) {
  grpc::ClientContext context;
  v1::ListOffsetsRequest request;
  request.add_partitions()->set_topic_id("short");
  v1::ListOffsetsResponse response;
  const grpc::Status status = stub_->ListOffsets(&context, request, &response);
  EXPECT_THAT(rpc::FromGrpcStatus(status), IsError(ErrorCode::kInvalidRequest, "16 bytes"));
}

TEST_P(UnaryCallsTest, AVanishedLongPollCostsNobodyAnything) {
  v1::ProduceRequest produce;
  produce.add_partitions()->set_topic("t");
  produce.mutable_partitions(0)->set_batches(Batch("x"));
  Produce(produce);
  v1::FetchRequest fetch;
  fetch.add_partitions()->set_topic("t");
  fetch.mutable_partitions(0)->set_offset(1);
  fetch.set_max_wait_ms(60000);
  grpc::ClientContext context;
  context.set_deadline(gpr_time_from_millis(50, GPR_TIMESPAN));
  v1::FetchResponse response;
  EXPECT_EQ(stub_->Fetch(&context, fetch, &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(Produce(produce).partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED);
}

TEST_P(UnaryCallsTest, S37_WithoutAnyMemoryLeftProducersAloneWait) {
  v1::ProduceRequest produce;
  produce.add_partitions()->set_topic("t");
  produce.mutable_partitions(0)->set_batches(Batch("x"));
  Produce(produce);
  Reservation hung = inbound_.ReserveAlways(inbound_.limit_bytes());
  {
    grpc::ClientContext context;
    context.set_deadline(gpr_time_from_millis(50, GPR_TIMESPAN));
    v1::ProduceResponse response;
    EXPECT_EQ(stub_->Produce(&context, produce, &response).error_code(),
              grpc::StatusCode::DEADLINE_EXCEEDED);
  }
  v1::FetchRequest fetch;
  fetch.add_partitions()->set_topic("t");
  EXPECT_EQ(Fetch(fetch).partitions(0).records_size(), 1);
  {
    grpc::ClientContext context;
    v1::ListOffsetsRequest request;
    request.add_partitions()->set_topic("t");
    v1::ListOffsetsResponse response;
    EXPECT_TRUE(stub_->ListOffsets(&context, request, &response).ok());
  }
  {
    grpc::ClientContext context;
    v1::WatchTopicsRequest request;
    request.add_topics("t");
    const auto watch = stub_->WatchTopics(&context, request);
    v1::WatchTopicsResponse response;
    EXPECT_TRUE(watch->Read(&response));
    context.TryCancel();
  }
  {
    grpc::ClientContext context;
    const auto stream = stub_->FetchStream(&context);
    v1::FetchStreamRequest open;
    open.add_assign()->set_topic("t");
    open.set_credit_bytes(1 << 20);
    ASSERT_TRUE(stream->Write(open));
    v1::FetchStreamResponse response;
    EXPECT_TRUE(stream->Read(&response));
    context.TryCancel();
  }
  hung.Release();
  EXPECT_EQ(Produce(produce).partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED);
}

INSTANTIATE_TEST_SUITE_P(Shards, UnaryCallsTest, ::testing::Values(1, 2));

}  // namespace
}  // namespace millrace::broker
