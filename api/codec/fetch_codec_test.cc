#include "api/codec/fetch_codec.h"

#include <string>

#include "api/codec/partition_fields.h"
#include "api/codec/testing/hot_message_suite.h"

namespace millrace::api {
namespace {

using FetchMessages = ::testing::Types<
    Codec<v1::FetchRequest, &DecodeFetchRequest, &EncodeFetchRequest>,
    Codec<v1::FetchStreamRequest, &DecodeFetchStreamRequest, &EncodeFetchStreamRequest>,
    Codec<v1::FetchResponse, &DecodeFetchResponse, &EncodeFetchResponse>,
    Codec<v1::FetchStreamResponse, &DecodeFetchStreamResponse, &EncodeFetchStreamResponse>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Fetch, HotMessagesTest, FetchMessages);

TEST(FetchCodec, PiecesOfOnePartitionBecomeOneField) {
  const Bytes memory = Bytes::Copy(std::string(5000, 'c'));
  FetchResponse response;
  response.partitions.resize(1);
  response.partitions[0].batches = {memory.Sub(0, 1000), memory.Sub(1000, 4000)};
  const MessagePieces pieces = EncodeFetchResponse(response);
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[1].data(), memory.data());
  EXPECT_EQ(pieces[2].data(), memory.data() + 1000);
  v1::FetchResponse proto;
  ASSERT_TRUE(proto.ParseFromString(Join(pieces).ToString()));
  EXPECT_EQ(proto.partitions(0).batches(), memory.ToString());
}

TEST(FetchCodec, MorePartitionsThanAMessageMayNameAreRefused) {
  FetchRequest request;
  request.partitions.resize(kMessagePartitionsMax);
  EXPECT_TRUE(DecodeFetchRequest(Join(EncodeFetchRequest(request))).ok());
  request.partitions.resize(kMessagePartitionsMax + 1);
  const absl::Status refused = DecodeFetchRequest(Join(EncodeFetchRequest(request))).status();
  EXPECT_EQ(CodeOf(refused), ErrorCode::kInvalidRequest);
  EXPECT_NE(refused.message().find("100000 partitions at most"), std::string::npos) << refused;
}

}  // namespace
}  // namespace millrace::api
