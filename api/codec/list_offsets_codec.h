// ListOffsets between its proto messages and the domain structs: a cold call, so the generated
// messages carry it.
//
// Thread: any (pure functions).
#ifndef API_CODEC_LIST_OFFSETS_CODEC_H_
#define API_CODEC_LIST_OFFSETS_CODEC_H_

#include "absl/status/statusor.h"
#include "api/list_offsets.h"
#include "millrace/v1/log_service.pb.h"

namespace millrace::api {

// Errors: INVALID_REQUEST for a topic id that is not 16 bytes.
absl::StatusOr<ListOffsetsRequest> FromProto(const v1::ListOffsetsRequest& proto);
absl::StatusOr<ListOffsetsResponse> FromProto(const v1::ListOffsetsResponse& proto);
v1::ListOffsetsRequest ToProto(const ListOffsetsRequest& request);
v1::ListOffsetsResponse ToProto(const ListOffsetsResponse& response);

}  // namespace millrace::api

#endif  // API_CODEC_LIST_OFFSETS_CODEC_H_
