#include "broker/service/log_streams.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "broker/service/testing/log_service_fixture.h"

namespace millrace::broker {
namespace {

using StreamsTest = LogServiceTest;

TEST_P(StreamsTest, AProduceStreamAnswersAllAndEndsWithItsClient) {
  v1::ProduceRequest first;
  first.add_partitions()->set_topic("t");
  first.mutable_partitions(0)->set_batches(Batch("first"));
  Produce(first);
  grpc::ClientContext context;
  auto stream = stub_->ProduceStream(&context);
  for (uint64_t n = 1; n <= 100; ++n) {
    v1::ProduceStreamRequest request;
    request.set_request_number(n);
    v1::ProducePartition* partition = request.mutable_request()->add_partitions();
    partition->set_topic("t");
    partition->set_partition(static_cast<int>(n % 2));
    partition->set_batches(Batch(absl::StrCat("value ", n)));
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  uint64_t last[2] = {0, 0};
  int answers = 0;
  v1::ProduceStreamResponse response;
  while (stream->Read(&response)) {
    for (const v1::ProducePartitionResult& result : response.partitions()) {
      ++answers;
      EXPECT_EQ(result.code(), v1::ERROR_CODE_UNSPECIFIED) << result.message();
      EXPECT_LT(last[result.partition()], response.request_number());
      last[result.partition()] = response.request_number();
    }
  }
  EXPECT_EQ(answers, 100);
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_P(StreamsTest, AFetchStreamPushesWhatComes) {
  v1::ProduceRequest produce;
  produce.add_partitions()->set_topic("t");
  produce.mutable_partitions(0)->set_batches(Batch("one"));
  Produce(produce);
  grpc::ClientContext context;
  auto stream = stub_->FetchStream(&context);
  v1::FetchStreamRequest open;
  open.add_assign()->set_topic("t");
  open.set_credit_bytes(1 << 20);
  open.set_assignment_number(3);
  ASSERT_TRUE(stream->Write(open));
  v1::FetchStreamResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.assignment_number(), 3u);
  EXPECT_EQ(response.partitions(0).records(0).value(), "one");
  produce.mutable_partitions(0)->set_batches(Batch("two"));
  Produce(produce);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.partitions(0).records(0).value(), "two");
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_P(StreamsTest, AWatchTellsTheLeaders) {
  grpc::ClientContext context;
  v1::WatchTopicsRequest request;
  request.add_topics("t");
  request.set_metadata_index(2);
  auto stream = stub_->WatchTopics(&context, request);
  v1::WatchTopicsResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.metadata_index(), 2);
  ASSERT_EQ(response.topics_size(), 1);
  EXPECT_EQ(response.topics(0).partitions_size(), 2);
  EXPECT_EQ(response.topics(0).partitions(1).leader_id(), 1);
  EXPECT_EQ(response.topics(0).topic_id(), kTopic.ToBytes());
  context.TryCancel();
}

INSTANTIATE_TEST_SUITE_P(Shards, StreamsTest, ::testing::Values(1, 2));

}  // namespace
}  // namespace millrace::broker
