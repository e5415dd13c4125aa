// What a peer has sent as a FollowRequest or FollowResponse of replica_service.proto, taken apart
// (frames as in replication_format.h).
//
// The bytes may be anything: no size in them is believed before that much has been seen. Each
// push's batches are copied, once, into memory of exactly their size, which the log may keep. What
// values mean is the replicas' to judge.
//
// Thread: any (pure functions).
#ifndef BROKER_CODEC_REPLICATION_DECODER_H_
#define BROKER_CODEC_REPLICATION_DECODER_H_

#include <optional>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "broker/replica_channel.h"

namespace millrace::broker {

// One FollowRequest.
struct FollowRequest {
  std::optional<FollowerHello> hello;
  FollowerMessage message;
};
// One FollowResponse.
struct FollowResponse {
  std::optional<LeaderHello> hello;
  ReceivedLeaderMessage message;
};

// Fields that a newer version may have added are skipped. Errors: CORRUPT_MESSAGE, with what could
// not be read and where; UNSUPPORTED_VERSION for a hello of another version of the frames.
absl::StatusOr<FollowRequest> DecodeFollowRequest(absl::Span<const Slice> message);
absl::StatusOr<FollowResponse> DecodeFollowResponse(absl::Span<const Slice> message);

}  // namespace millrace::broker

#endif  // BROKER_CODEC_REPLICATION_DECODER_H_
