// Calls that ask for what is not there or makes no sense: each has its named error with the value,
// and costs nobody else anything.
#include <grpcpp/generic/generic_stub.h>

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/status_mapping.h"
#include "test/cluster/shared_server_test.h"

namespace millrace::test {
namespace {

constexpr char kTopic[] = "requests";

class BadRequestTest : public SharedServerTest {
 protected:
  static void SetUpTestSuite() {
    StartServer({});
    ASSERT_OK(other_->CreateTopic(kTopic, 2));
    ASSERT_OK(other_->ProduceValues(kTopic, 0, {"a", "b", "c"}));
  }
  void SetUp() override {
    SharedServerTest::SetUp();
    client_ = std::make_unique<ApiClient>(server_->address());
  }

  // Sends bytes as the request of a unary method, whether they are a message or not.
  grpc::Status CallWithBytes(const std::string& method, const std::string& bytes) {
    grpc::GenericStub stub(client_->channel());
    grpc::CompletionQueue queue;
    auto context = NewContext();
    const grpc::Slice slice(bytes);
    auto call = stub.PrepareUnaryCall(context.get(), method, grpc::ByteBuffer(&slice, 1), &queue);
    call->StartCall();
    grpc::ByteBuffer response;
    grpc::Status status;
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status;
  }

  std::unique_ptr<ApiClient> client_;
};

TEST_F(BadRequestTest, UnknownTopicsAndPartitionsAreNamedByEveryCall) {
  const auto unknown = [](const std::string& name) {
    return IsError(ErrorCode::kUnknownTopicOrPartition, name);
  };
  EXPECT_THAT(client_->ProduceValues("nowhere", 0, {"x"}), unknown("nowhere"));
  EXPECT_THAT(client_->Fetch("nowhere", 0, 0), unknown("nowhere"));
  EXPECT_THAT(client_->ListOffsets("nowhere", 0, v1::OFFSET_POSITION_LATEST), unknown("nowhere"));
  EXPECT_THAT(client_->TopicIdOf("nowhere"), unknown("nowhere"));
  for (const int partition : {-1, 2, std::numeric_limits<int>::max()}) {
    const std::string value = absl::StrCat(partition);
    EXPECT_THAT(client_->ProduceValues(kTopic, partition, {"x"}), unknown(value));
    EXPECT_THAT(client_->Fetch(kTopic, partition, 0), unknown(value));
    EXPECT_THAT(client_->ListOffsets(kTopic, partition, v1::OFFSET_POSITION_LATEST),
                unknown(value));
  }
}

TEST_F(BadRequestTest, TopicIdsThatAreUnknownMalformedOrOfAnotherTopicAreRefused) {
  v1::ProducePartition partition;
  partition.add_records()->set_value("x");
  partition.set_topic_id(std::string(16, '\7'));
  EXPECT_THAT(client_->Produce(partition), HasCode(ErrorCode::kUnknownTopicId));
  partition.set_topic_id("short");
  EXPECT_THAT(client_->Produce(partition), HasCode(ErrorCode::kInvalidRequest));
  ASSERT_OK_AND_ASSIGN(const std::string id, client_->TopicIdOf(kTopic));
  partition.set_topic_id(id);
  EXPECT_OK(client_->Produce(partition));
  partition.set_topic(kOthersTopic);
  EXPECT_FALSE(client_->Produce(partition).ok());
}

TEST_F(BadRequestTest, OffsetsOutOfRangeAreNamedWithTheRange) {
  EXPECT_THAT(client_->Fetch(kTopic, 0, 1'000'000),
              IsError(ErrorCode::kOffsetOutOfRange, "1000000"));
  EXPECT_THAT(client_->Fetch(kTopic, 0, -1), HasCode(ErrorCode::kOffsetOutOfRange));
  // The end itself is where the next record will be.
  const auto end = client_->ListOffsets(kTopic, 1, v1::OFFSET_POSITION_LATEST);
  ASSERT_OK(end);
  EXPECT_OK(client_->Fetch(kTopic, 1, end->offset()));
}

TEST_F(BadRequestTest, AcksThatDoNotExistAreRefused) {
  v1::ProducePartition partition;
  partition.set_topic(kTopic);
  partition.add_records()->set_value("x");
  EXPECT_THAT(client_->Produce(partition, static_cast<v1::Acks>(17)),
              HasCode(ErrorCode::kInvalidRequiredAcks));
}

TEST_F(BadRequestTest, LeaderEpochsOfThePastAndTheFutureAreFenced) {
  v1::ProducePartition partition;
  partition.set_topic(kTopic);
  partition.add_records()->set_value("x");
  partition.set_leader_epoch(1'000);
  EXPECT_THAT(client_->Produce(partition), HasCode(ErrorCode::kUnknownLeaderEpoch));
}

TEST_F(BadRequestTest, TopicNamesThatAreNoNamesAreRefused) {
  for (const std::string& name :
       {std::string("a/b"), std::string("../etc"), std::string("."), std::string(".."),
        std::string("with space"), std::string("nul\0inside", 10), std::string("\xC3\xA4"),
        std::string("new\nline"), std::string(250, 'n')}) {
    EXPECT_THAT(client_->CreateTopic(name), HasCode(ErrorCode::kInvalidTopicName)) << name;
  }
  EXPECT_FALSE(client_->CreateTopic("").ok());
  EXPECT_OK(client_->CreateTopic(std::string(249, 'n')));
  EXPECT_OK(client_->ProduceValues(std::string(249, 'n'), 0, {"fits a directory name"}));
}

TEST_F(BadRequestTest, TopicsAreCreatedOnce) {
  EXPECT_THAT(client_->CreateTopic(kTopic), IsError(ErrorCode::kTopicAlreadyExists, kTopic));
}

TEST_F(BadRequestTest, PartitionCountsAndReplicationFactorsOutOfRangeAreNamed) {
  EXPECT_THAT(client_->CreateTopic("negative", -5), IsError(ErrorCode::kInvalidPartitions, "-5"));
  EXPECT_THAT(client_->CreateTopic("many", 10'000'000),
              IsError(ErrorCode::kInvalidPartitions, "10000000"));
  const ProcessResult replicas =
      server_->Run({"topic", "create", "replicas", "--replication-factor", "7"});
  EXPECT_EQ(replicas.exit_code, 1);
  EXPECT_THAT(replicas.err, testing::HasSubstr("INVALID_REPLICATION_FACTOR"));
  EXPECT_THAT(replicas.err, testing::HasSubstr("7"));
}

TEST_F(BadRequestTest, UnknownConfigsAreRefusedWithTheNearestName) {
  EXPECT_THAT(client_->CreateTopic("typo", 1, {{"retention.msec", "1000"}}),
              IsError(ErrorCode::kInvalidConfig, "retention.ms"));
  EXPECT_THAT(client_->SetTopicConfig(kTopic, "max.mesage.bytes", "1000"),
              IsError(ErrorCode::kInvalidConfig, "max.message.bytes"));
}

TEST_F(BadRequestTest, ConfigValuesOutOfRangeAreRefusedWithTheRange) {
  EXPECT_THAT(client_->SetTopicConfig(kTopic, "retention.ms", "-2"),
              IsError(ErrorCode::kInvalidConfig, "-2"));
  EXPECT_THAT(client_->SetTopicConfig(kTopic, "segment.bytes", "12"),
              IsError(ErrorCode::kInvalidConfig, "12"));
  EXPECT_THAT(client_->SetTopicConfig(kTopic, "max.message.bytes", "many"),
              IsError(ErrorCode::kInvalidConfig, "many"));
  EXPECT_THAT(client_->SetTopicConfig(kTopic, "durability", "perhaps"),
              IsError(ErrorCode::kInvalidConfig, "perhaps"));
  EXPECT_THAT(client_->SetTopicConfig(kTopic, "cleanup.policy", "compact"),
              IsError(ErrorCode::kInvalidConfig, "compact"));
}

TEST_F(BadRequestTest, BytesThatAreNoMessageAreAnInvalidRequest) {
  const std::string garbage = "\xFF\xFF\xFF\xFF\xFF this is no protobuf message";
  for (const char* method : {"LogService/Produce", "LogService/Fetch", "LogService/ListOffsets",
                             "AdminService/CreateTopics"}) {
    const grpc::Status status = CallWithBytes(absl::StrCat("/millrace.v1.", method), garbage);
    EXPECT_THAT(rpc::FromGrpcStatus(status), HasCode(ErrorCode::kInvalidRequest)) << method;
  }
}

TEST_F(BadRequestTest, MethodsThatDoNotExistAreUnimplemented) {
  EXPECT_EQ(CallWithBytes("/millrace.v1.LogService/Compact", "").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(CallWithBytes("/no.such.Service/Method", "").error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(BadRequestTest, AnErrorPerPartitionLeavesTheOthersOfItsRequestAlone) {
  v1::ProduceRequest request;
  for (const int partition : {0, 99, 1}) {
    v1::ProducePartition* to = request.add_partitions();
    to->set_topic(kTopic);
    to->set_partition(partition);
    to->add_records()->set_value("x");
  }
  v1::ProduceResponse response;
  ASSERT_TRUE(client_->log().Produce(NewContext().get(), request, &response).ok());
  ASSERT_EQ(response.partitions_size(), 3);
  EXPECT_EQ(response.partitions(0).code(), v1::ERROR_CODE_UNSPECIFIED);
  EXPECT_EQ(response.partitions(1).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  EXPECT_EQ(response.partitions(2).code(), v1::ERROR_CODE_UNSPECIFIED);
}

}  // namespace
}  // namespace millrace::test
