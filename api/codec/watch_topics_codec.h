// WatchTopics between its proto messages and the domain structs.
//
// Thread: any (pure functions).
#ifndef API_CODEC_WATCH_TOPICS_CODEC_H_
#define API_CODEC_WATCH_TOPICS_CODEC_H_

#include "absl/status/statusor.h"
#include "api/watch_topics.h"
#include "millrace/v1/log_service.pb.h"

namespace millrace::api {

WatchTopicsRequest FromProto(const v1::WatchTopicsRequest& proto);
// Errors: INVALID_REQUEST for a topic id that is not 16 bytes.
absl::StatusOr<WatchTopicsResponse> FromProto(const v1::WatchTopicsResponse& proto);
v1::WatchTopicsRequest ToProto(const WatchTopicsRequest& request);
v1::WatchTopicsResponse ToProto(const WatchTopicsResponse& response);

}  // namespace millrace::api

#endif  // API_CODEC_WATCH_TOPICS_CODEC_H_
