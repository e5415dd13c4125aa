#include "api/codec/delete_records_codec.h"

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
    if constexpr (requires { proto.partitions(0).leader(); }) {
      // A hint's topic id is its result's.
      for (auto& partition : *proto.mutable_partitions()) {
        if (!partition.has_leader()) continue;
        partition.mutable_leader()->set_topic_id(partition.topic_id());
      }
    }
    const auto decoded = FromProto(proto);
    const Proto back = ToProto(Value(decoded));
    ASSERT_TRUE(google::protobuf::util::MessageDifferencer::Equals(proto, back))
        << proto.DebugString() << "----\n"
        << back.DebugString();
  }
}

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
