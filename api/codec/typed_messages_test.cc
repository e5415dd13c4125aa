// The typed codecs lose nothing, in both directions.
#include <google/protobuf/util/message_differencer.h>

#include "api/codec/delete_records_codec.h"
#include "api/codec/list_offsets_codec.h"
#include "api/codec/random_messages.h"
#include "api/codec/watch_topics_codec.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"

namespace millrace::api {
namespace {

template <class Proto>
class TypedMessagesTest : public ::testing::Test {};

using Messages =
    ::testing::Types<v1::ListOffsetsRequest, v1::ListOffsetsResponse, v1::DeleteRecordsRequest,
                     v1::DeleteRecordsResponse, v1::WatchTopicsRequest, v1::WatchTopicsResponse>;
TYPED_TEST_SUITE(TypedMessagesTest, Messages);

template <class T>
const T& Value(const T& value) {
  return value;
}
template <class T>
const T& Value(const absl::StatusOr<T>& value) {
  return *value;
}

TYPED_TEST(TypedMessagesTest, RoundTripLosesNothing) {
  sim::SimRandom random(1);
  for (int i = 0; i < 300; ++i) {
    TypeParam proto;
    RandomMessage(random, &proto);
    if constexpr (requires { proto.partitions(0).leader(); }) {
      // A hint's topic id is its result's.
      for (auto& partition : *proto.mutable_partitions()) {
        if (!partition.has_leader()) continue;
        partition.mutable_leader()->set_topic_id(partition.topic_id());
      }
    }
    const auto decoded = FromProto(proto);
    const TypeParam back = ToProto(Value(decoded));
    ASSERT_TRUE(google::protobuf::util::MessageDifferencer::Equals(proto, back))
        << proto.DebugString() << "----\n"
        << back.DebugString();
  }
}

TEST(TypedMessages, TopicIdsOfAnotherLengthAreRefused) {
  v1::ListOffsetsRequest list;
  list.add_partitions()->set_topic_id("short");
  EXPECT_THAT(FromProto(list), IsError(ErrorCode::kInvalidRequest, "16 bytes"));
  v1::DeleteRecordsRequest erase;
  erase.add_partitions()->set_topic_id("short");
  EXPECT_THAT(FromProto(erase), HasCode(ErrorCode::kInvalidRequest));
  v1::WatchTopicsResponse watch;
  watch.add_topics()->set_topic_id("short");
  EXPECT_THAT(FromProto(watch), HasCode(ErrorCode::kInvalidRequest));
}

}  // namespace
}  // namespace millrace::api
