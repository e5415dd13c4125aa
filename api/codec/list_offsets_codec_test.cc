#include "api/codec/list_offsets_codec.h"

#include "api/codec/testing/round_trip.h"
#include "base/status_matchers.h"

namespace millrace::api {
namespace {

TEST(ListOffsetsCodec, LosesNothingInBothDirections) {
  ExpectRoundTrip<v1::ListOffsetsRequest>();
  ExpectRoundTrip<v1::ListOffsetsResponse>();
}

TEST(ListOffsetsCodec, TopicIdsOfAnotherLengthAreRefused) {
  v1::ListOffsetsRequest proto;
  proto.add_partitions()->set_topic_id("short");
  EXPECT_THAT(FromProto(proto), IsError(ErrorCode::kInvalidRequest, "16 bytes"));
}

}  // namespace
}  // namespace millrace::api
