// DeleteRecords between its proto messages and the domain structs.
//
// Thread: any (pure functions).
#ifndef API_CODEC_DELETE_RECORDS_CODEC_H_
#define API_CODEC_DELETE_RECORDS_CODEC_H_

#include "absl/status/statusor.h"
#include "api/delete_records.h"
#include "millrace/v1/log_service.pb.h"

namespace millrace::api {

// Errors: INVALID_REQUEST for a topic id that is not 16 bytes.
absl::StatusOr<DeleteRecordsRequest> FromProto(const v1::DeleteRecordsRequest& proto);
absl::StatusOr<DeleteRecordsResponse> FromProto(const v1::DeleteRecordsResponse& proto);
v1::DeleteRecordsRequest ToProto(const DeleteRecordsRequest& request);
v1::DeleteRecordsResponse ToProto(const DeleteRecordsResponse& response);

}  // namespace millrace::api

#endif  // API_CODEC_DELETE_RECORDS_CODEC_H_
