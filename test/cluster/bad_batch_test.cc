// Batches that are not what they should be: each is refused with an error that names what is wrong,
// or appended unharmed, and the log holds nothing but good records afterwards.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "record/format.h"
#include "test/cluster/batches.h"
#include "test/cluster/shared_server_test.h"

namespace millrace::test {
namespace {

using testing::HasSubstr;

constexpr char kTopic[] = "batches";

class BadBatchTest : public SharedServerTest {
 protected:
  static void SetUpTestSuite() {
    StartServer({});
    ASSERT_OK(other_->CreateTopic(kTopic));
  }
  void SetUp() override {
    SharedServerTest::SetUp();
    client_ = std::make_unique<ApiClient>(server_->address());
  }

  absl::StatusOr<v1::ProducePartitionResult> Produce(const std::string& batches) {
    return client_->ProduceBatches(kTopic, 0, batches);
  }
  int64_t LogEnd() {
    const auto end = client_->ListOffsets(kTopic, 0, v1::OFFSET_POSITION_LATEST);
    EXPECT_OK(end);
    return end.ok() ? end->offset() : -1;
  }
  // Refused with `code` and `text`, and nothing was appended.
  void ExpectRefused(const std::string& batches, ErrorCode code, const std::string& text) {
    const int64_t end = LogEnd();
    EXPECT_THAT(Produce(batches), IsError(code, text));
    EXPECT_EQ(LogEnd(), end);
  }

  const std::vector<std::string> values_ = {"one", "two", "three"};
  const std::string good_ = MakeBatch(values_);
  std::unique_ptr<ApiClient> client_;
};

TEST_F(BadBatchTest, EveryTruncationIsRefused) {
  const int64_t end = LogEnd();
  for (size_t size = 1; size < good_.size(); ++size) {
    EXPECT_THAT(Produce(good_.substr(0, size)), HasCode(ErrorCode::kCorruptMessage)) << size;
  }
  EXPECT_EQ(LogEnd(), end);
}

TEST_F(BadBatchTest, EveryFlippedBitIsRefusedOrHarmless) {
  for (size_t bit = 0; bit < good_.size() * 8; ++bit) {
    std::string batch = good_;
    batch[bit / 8] = static_cast<char>(batch[bit / 8] ^ (1 << (bit % 8)));
    const auto produced = Produce(batch);
    const size_t byte = bit / 8;
    // What a broker stamps itself lies outside the checksum: a wrong value there changes nothing.
    const bool stamped = byte < record::kBatchLengthAt ||
                         (byte >= record::kLeaderEpochAt && byte < record::kMagicAt);
    if (!stamped) {
      EXPECT_FALSE(produced.ok()) << "bit " << bit << " was not noticed";
      continue;
    }
    // Not all of it: an offset below zero is no offset.
    if (!produced.ok()) {
      EXPECT_THAT(produced, HasCode(ErrorCode::kCorruptMessage)) << "bit " << bit;
      continue;
    }
    const auto values = client_->ReadValues(kTopic, 0, produced->base_offset());
    ASSERT_OK(values);
    EXPECT_EQ(*values, values_) << "bit " << bit;
  }
}

TEST_F(BadBatchTest, WrongCrcIsNamedWithBothValues) {
  std::string batch = good_;
  StoreBig<uint32_t>(batch.data() + record::kCrcAt, 0x01020304);
  ExpectRefused(batch, ErrorCode::kCorruptMessage, "crc is 16909060");
}

TEST_F(BadBatchTest, OtherMagicIsNamed) {
  std::string batch = good_;
  batch[record::kMagicAt] = 1;
  ExpectRefused(batch, ErrorCode::kUnsupportedVersion, "message format 1");
  batch[record::kMagicAt] = 3;
  EXPECT_FALSE(Produce(batch).ok());
}

TEST_F(BadBatchTest, CountThatContradictsTheOffsetsIsRefused) {
  for (const int32_t count : {-1, 0, 2, 4, 1 << 30}) {
    std::string batch = good_;
    StoreBig<int32_t>(batch.data() + record::kRecordCountAt, count);
    FixCrc(&batch);
    EXPECT_FALSE(Produce(batch).ok()) << count;
  }
  for (const int32_t delta : {-1, 1, 3, 1 << 30}) {
    std::string batch = good_;
    StoreBig<int32_t>(batch.data() + record::kLastOffsetDeltaAt, delta);
    FixCrc(&batch);
    EXPECT_FALSE(Produce(batch).ok()) << delta;
  }
}

TEST_F(BadBatchTest, UnknownAttributesAndCodecsAreRefused) {
  std::string codec = good_;
  StoreBig<int16_t>(codec.data() + record::kAttributesAt, 5);
  FixCrc(&codec);
  ExpectRefused(codec, ErrorCode::kUnsupportedCompressionType, "5");
  std::string attributes = good_;
  StoreBig<int16_t>(attributes.data() + record::kAttributesAt, 0x400);
  FixCrc(&attributes);
  EXPECT_FALSE(Produce(attributes).ok());
}

TEST_F(BadBatchTest, ControlBatchesComeFromBrokersOnly) {
  std::string batch = good_;
  StoreBig<int16_t>(batch.data() + record::kAttributesAt, record::kControlBit);
  FixCrc(&batch);
  ExpectRefused(batch, ErrorCode::kInvalidRecord, "control");
}

TEST_F(BadBatchTest, GarbageAfterAGoodBatchRefusesBoth) {
  ExpectRefused(good_ + "garbage", ErrorCode::kCorruptMessage, "");
  ExpectRefused(good_ + good_.substr(0, good_.size() / 2), ErrorCode::kCorruptMessage, "");
}

TEST_F(BadBatchTest, BatchAboveMaxMessageBytesNamesTheLimit) {
  ExpectRefused(MakeBatch({std::string(2 << 20, 'x')}), ErrorCode::kMessageTooLarge,
                "max.message.bytes of the topic is 1048588");
}

TEST_F(BadBatchTest, PlainRecordAboveMaxMessageBytesNamesTheLimit) {
  EXPECT_THAT(client_->ProduceValues(kTopic, 0, {std::string(2 << 20, 'x')}),
              IsError(ErrorCode::kMessageTooLarge, "max.message.bytes of the topic is 1048588"));
}

TEST_F(BadBatchTest, MessageAboveTheReceiveLimitIsAnErrorOfItsCallOnly) {
  const std::string huge = MakeBatch({std::string(size_t{101} << 20, 'x')});
  EXPECT_THAT(Produce(huge), HasCode(ErrorCode::kMessageTooLarge));
  EXPECT_OK(Produce(good_)) << "the connection was lost";
}

TEST_F(BadBatchTest, ChecksumOfAnotherTopicIsRefused) {
  ASSERT_OK_AND_ASSIGN(const std::string topic_id, client_->TopicIdOf(kTopic));
  std::string covered = topic_id + std::string(4, '\0');
  covered += good_.substr(record::kCrcAt, 4);
  v1::ProducePartition partition;
  partition.set_topic(kTopic);
  partition.set_batches(good_);
  partition.set_topic_checksum(Crc32c(covered));
  EXPECT_OK(client_->Produce(partition));
  partition.set_topic_checksum(Crc32c(covered) ^ 1);
  const int64_t end = LogEnd();
  EXPECT_THAT(client_->Produce(partition), HasCode(ErrorCode::kWrongTopicChecksum));
  EXPECT_EQ(LogEnd(), end);
}

TEST_F(BadBatchTest, NothingOrTwoFormsAtOnceIsAnInvalidRequest) {
  v1::ProducePartition partition;
  partition.set_topic(kTopic);
  EXPECT_THAT(client_->Produce(partition), IsError(ErrorCode::kInvalidRecord, "nothing to append"));
  partition.set_batches(good_);
  partition.add_records()->set_value("plain");
  EXPECT_THAT(client_->Produce(partition), HasCode(ErrorCode::kInvalidRequest));
}

TEST_F(BadBatchTest, ABadBatchOnAStreamFailsItsPartitionAndNoOther) {
  ASSERT_OK(client_->CreateTopic("stream-order", 2));
  auto context = NewContext();
  auto stream = client_->log().ProduceStream(context.get());
  const auto send = [&](uint64_t number, int partition, const std::string& batch,
                        uint32_t restart) {
    v1::ProduceStreamRequest message;
    message.set_request_number(number);
    v1::ProducePartition* to = message.mutable_request()->add_partitions();
    to->set_topic("stream-order");
    to->set_partition(partition);
    to->set_batches(batch);
    to->set_restart(restart);
    stream->Write(message);
    v1::ProduceStreamResponse response;
    EXPECT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.request_number(), number);
    return response.partitions_size() == 1 ? response.partitions(0).code()
                                           : v1::ERROR_CODE_UNKNOWN_SERVER_ERROR;
  };
  EXPECT_EQ(send(1, 0, good_, 0), v1::ERROR_CODE_UNSPECIFIED);
  EXPECT_EQ(send(2, 0, good_.substr(1), 0), v1::ERROR_CODE_CORRUPT_MESSAGE);
  // What follows must not overtake what failed, until the client has seen the failure.
  EXPECT_EQ(send(3, 0, good_, 0), v1::ERROR_CODE_STREAM_ORDER_BROKEN);
  EXPECT_EQ(send(4, 1, good_, 0), v1::ERROR_CODE_UNSPECIFIED);
  EXPECT_EQ(send(5, 0, good_, 1), v1::ERROR_CODE_UNSPECIFIED);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

}  // namespace
}  // namespace millrace::test
