#include "api/codec/delete_records_codec.h"

#include "api/codec/testing/round_trip.h"
#include "base/status_matchers.h"

namespace millrace::api {
namespace {

TEST(DeleteRecordsCodec, LosesNothingInBothDirections) {
  ExpectRoundTrip<v1::DeleteRecordsRequest>();
  ExpectRoundTrip<v1::DeleteRecordsResponse>();
}

TEST(DeleteRecordsCodec, TopicIdsOfAnotherLengthAreRefused) {
  v1::DeleteRecordsRequest proto;
  proto.add_partitions()->set_topic_id("short");
  EXPECT_THAT(FromProto(proto), IsError(ErrorCode::kInvalidRequest, "16 bytes"));
}

}  // namespace
}  // namespace millrace::api
