#include "api/codec/offset_for_leader_epoch_codec.h"

#include "api/codec/testing/round_trip.h"
#include "base/status_matchers.h"

namespace millrace::api {
namespace {

TEST(OffsetForLeaderEpochCodec, LosesNothingInBothDirections) {
  ExpectRoundTrip<v1::OffsetForLeaderEpochRequest>();
  ExpectRoundTrip<v1::OffsetForLeaderEpochResponse>();
}

TEST(OffsetForLeaderEpochCodec, TopicIdsOfAnotherLengthAreRefused) {
  v1::OffsetForLeaderEpochRequest proto;
  proto.add_partitions()->set_topic_id("short");
  EXPECT_THAT(FromProto(proto), IsError(ErrorCode::kInvalidRequest, "16 bytes"));
}

}  // namespace
}  // namespace millrace::api
