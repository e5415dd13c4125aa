// What followers and leaders say to each other, as the bytes of FollowRequest and FollowResponse
// (replica_service.proto; frames as in replication_format.h).
//
// Batches go out by reference, but for small ones, whose copy is cheaper than a counted reference.
//
// Thread: any (pure functions).
#ifndef BROKER_CODEC_REPLICATION_ENCODER_H_
#define BROKER_CODEC_REPLICATION_ENCODER_H_

#include "absl/container/inlined_vector.h"
#include "base/bytes.h"
#include "broker/replica_channel.h"

namespace millrace::broker {

// One encoded message as the pieces it is made of, in order; what rpc/ calls a BytesList.
using MessagePieces = absl::InlinedVector<Bytes, 4>;

MessagePieces EncodeFollowerHello(const FollowerHello& hello);
MessagePieces EncodeFollowerMessage(const FollowerMessage& message);
MessagePieces EncodeLeaderHello(const LeaderHello& hello);
MessagePieces EncodeLeaderMessage(const LeaderMessage& message);

}  // namespace millrace::broker

#endif  // BROKER_CODEC_REPLICATION_ENCODER_H_
