// ExpectRoundTrip: random messages, decoded and encoded again, are the same messages.
//
// Thread: the test's.
#ifndef API_CODEC_TESTING_ROUND_TRIP_H_
#define API_CODEC_TESTING_ROUND_TRIP_H_

#include <google/protobuf/util/message_differencer.h>

#include "absl/status/statusor.h"
#include "api/codec/testing/random_messages.h"
#include "base/sim/sim_random.h"
#include "gmock/gmock.h"

namespace millrace::api {
namespace internal {

template <class T>
const T& Value(const T& value) {
  return value;
}
template <class T>
const T& Value(const absl::StatusOr<T>& value) {
  return *value;
}

}  // namespace internal

// The codec is to be included before this: its FromProto and ToProto have to be known here.
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
    const Proto back = ToProto(internal::Value(decoded));
    ASSERT_TRUE(google::protobuf::util::MessageDifferencer::Equals(proto, back))
        << proto.DebugString() << "----\n"
        << back.DebugString();
  }
}

}  // namespace millrace::api

#endif  // API_CODEC_TESTING_ROUND_TRIP_H_
