// The messages of Fetch and FetchStream, from and to bytes, for both sides of a call.
//
// Batches go out by reference, piece by piece between the fields, and come in as shares of the
// message's memory; the same holds for runs of plain records. Errors of all decoders:
// INVALID_REQUEST, naming the message type.
//
// Thread: any (pure functions). Format: proto/millrace/v1/log_service.proto.
#ifndef API_CODEC_FETCH_CODEC_H_
#define API_CODEC_FETCH_CODEC_H_

#include "absl/status/statusor.h"
#include "api/codec/wire_writer.h"
#include "api/fetch.h"
#include "base/bytes.h"

namespace millrace::api {

absl::StatusOr<FetchRequest> DecodeFetchRequest(const Bytes& message);
absl::StatusOr<FetchStreamRequest> DecodeFetchStreamRequest(const Bytes& message);
absl::StatusOr<FetchResponse> DecodeFetchResponse(const Bytes& message);
absl::StatusOr<FetchStreamResponse> DecodeFetchStreamResponse(const Bytes& message);

MessagePieces EncodeFetchRequest(const FetchRequest& request);
MessagePieces EncodeFetchStreamRequest(const FetchStreamRequest& request);
MessagePieces EncodeFetchResponse(const FetchResponse& response);
MessagePieces EncodeFetchStreamResponse(const FetchStreamResponse& response);

}  // namespace millrace::api

#endif  // API_CODEC_FETCH_CODEC_H_
