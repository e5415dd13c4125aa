#include "api/codec/produce_codec.h"

#include <string>

#include "api/codec/testing/hot_message_suite.h"

namespace millrace::api {
namespace {

using ProduceMessages = ::testing::Types<
    Codec<v1::ProduceRequest, &DecodeProduceRequest, &EncodeProduceRequest>,
    Codec<v1::ProduceStreamRequest, &DecodeProduceStreamRequest, &EncodeProduceStreamRequest>,
    Codec<v1::ProduceResponse, &DecodeProduceResponse, &EncodeProduceResponse>,
    Codec<v1::ProduceStreamResponse, &DecodeProduceStreamResponse, &EncodeProduceStreamResponse>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Produce, HotMessagesTest, ProduceMessages);

TEST(ProduceCodec, EncodedBatchesAreSharedNotCopied) {
  const Bytes batch = Bytes::Copy(std::string(100000, 'b'));
  ProduceRequest request;
  request.partitions.resize(2);
  request.partitions[0].name.topic = "a";
  request.partitions[0].batches = batch;
  request.partitions[1].batches = batch.Sub(10, 1000);
  const MessagePieces pieces = EncodeProduceRequest(request);
  ASSERT_EQ(pieces.size(), 4u);
  EXPECT_EQ(pieces[1].data(), batch.data());
  EXPECT_EQ(pieces[3].data(), batch.data() + 10);
  EXPECT_LT(pieces[0].size() + pieces[2].size(), 40u);

  const Bytes wire = Join(pieces);
  ASSERT_OK_AND_ASSIGN(const ProduceRequest decoded, DecodeProduceRequest(wire));
  EXPECT_EQ(decoded, request);
}

TEST(ProduceCodec, ScatteredRecordsAreGathered) {
  // records, partition, records: legal, though no common encoder writes it.
  v1::ProducePartition first;
  first.add_records()->set_value("one");
  v1::ProducePartition second;
  second.set_partition(7);
  v1::ProducePartition third;
  third.add_records()->set_value("two");
  const std::string inner =
      first.SerializeAsString() + second.SerializeAsString() + third.SerializeAsString();
  std::string wire = "\x0a";
  wire.push_back(static_cast<char>(inner.size()));
  wire += inner;
  ASSERT_OK_AND_ASSIGN(const ProduceRequest decoded, DecodeProduceRequest(Bytes::FromString(wire)));
  PlainRecordReader reader(decoded.partitions.at(0).plain_records);
  record::RecordView record;
  ASSERT_TRUE(reader.Next(&record));
  EXPECT_EQ(record.value, Slice("one"));
  ASSERT_TRUE(reader.Next(&record));
  EXPECT_EQ(record.value, Slice("two"));
  EXPECT_FALSE(reader.Next(&record));
  EXPECT_TRUE(reader.ok());
}

}  // namespace
}  // namespace millrace::api
