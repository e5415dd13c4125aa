// OffsetForLeaderEpoch between its proto messages and the domain structs.
//
// Thread: any (pure functions).
#ifndef API_CODEC_OFFSET_FOR_LEADER_EPOCH_CODEC_H_
#define API_CODEC_OFFSET_FOR_LEADER_EPOCH_CODEC_H_

#include "absl/status/statusor.h"
#include "api/offset_for_leader_epoch.h"
#include "millrace/v1/log_service.pb.h"

namespace millrace::api {

// Errors: INVALID_REQUEST for a topic id that is not 16 bytes.
absl::StatusOr<OffsetForLeaderEpochRequest> FromProto(const v1::OffsetForLeaderEpochRequest& proto);
absl::StatusOr<OffsetForLeaderEpochResponse> FromProto(
    const v1::OffsetForLeaderEpochResponse& proto);
v1::OffsetForLeaderEpochRequest ToProto(const OffsetForLeaderEpochRequest& request);
v1::OffsetForLeaderEpochResponse ToProto(const OffsetForLeaderEpochResponse& response);

}  // namespace millrace::api

#endif  // API_CODEC_OFFSET_FOR_LEADER_EPOCH_CODEC_H_
