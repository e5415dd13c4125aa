// The messages of Produce and ProduceStream, from and to bytes, for both sides of a call.
//
// An encoded batch goes out by reference between the pieces. Requests are decoded as the server
// takes them in (produce_intake.h), here from one piece and without a reservation. Decoders accept
// exactly what the generated parsers accept, and demand in addition that topic ids have 16 bytes;
// plain records are parsed when they are packed, not here.
//
// Errors of all decoders: INVALID_REQUEST, naming the message type.
//
// Thread: any (pure functions). Format: proto/millrace/v1/log_service.proto.
#ifndef API_CODEC_PRODUCE_CODEC_H_
#define API_CODEC_PRODUCE_CODEC_H_

#include "absl/status/statusor.h"
#include "api/codec/wire_writer.h"
#include "api/produce.h"
#include "base/bytes.h"

namespace millrace::api {

absl::StatusOr<ProduceRequest> DecodeProduceRequest(const Bytes& message);
absl::StatusOr<ProduceStreamRequest> DecodeProduceStreamRequest(const Bytes& message);
absl::StatusOr<ProduceResponse> DecodeProduceResponse(const Bytes& message);
absl::StatusOr<ProduceStreamResponse> DecodeProduceStreamResponse(const Bytes& message);

MessagePieces EncodeProduceRequest(const ProduceRequest& request);
MessagePieces EncodeProduceStreamRequest(const ProduceStreamRequest& request);
MessagePieces EncodeProduceResponse(const ProduceResponse& response);
MessagePieces EncodeProduceStreamResponse(const ProduceStreamResponse& response);

}  // namespace millrace::api

#endif  // API_CODEC_PRODUCE_CODEC_H_
