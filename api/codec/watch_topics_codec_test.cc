#include "api/codec/watch_topics_codec.h"

#include <google/protobuf/util/message_differencer.h>

#include "api/codec/testing/random_messages.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"

namespace millrace::api {
namespace {

template <class T>
const T& Value(const T& value) {
  return value;
}
template <class T>
const T& Value(const absl::StatusOr<T>& value) {
  return *value;
}

template <class Proto>
void ExpectRoundTrip() {
  sim::SimRandom random(1);
  for (int i = 0; i < 300; ++i) {
    Proto proto;
    RandomMessage(random, &proto);
    const auto decoded = FromProto(proto);
    const Proto back = ToProto(Value(decoded));
    ASSERT_TRUE(google::protobuf::util::MessageDifferencer::Equals(proto, back))
        << proto.DebugString() << "----\n"
        << back.DebugString();
  }
}

TEST(WatchTopicsCodec, LosesNothingInBothDirections) {
  ExpectRoundTrip<v1::WatchTopicsRequest>();
  ExpectRoundTrip<v1::WatchTopicsResponse>();
}

TEST(WatchTopicsCodec, TopicIdsOfAnotherLengthAreRefused) {
  v1::WatchTopicsResponse proto;
  proto.add_topics()->set_topic_id("short");
  EXPECT_THAT(FromProto(proto), HasCode(ErrorCode::kInvalidRequest));
}

}  // namespace
}  // namespace millrace::api
