// What handlers see of the messages on the wire. A typed method (generated AsyncService) hands on
// its proto messages; a raw one (WithRawMethod_X) hands on the bytes, inbound as a ReceivedMessage
// (which turns into Bytes where a handler asks for those), outbound as a BytesList.
//
// Thread: any (pure functions over values).
#ifndef RPC_MESSAGE_H_
#define RPC_MESSAGE_H_

#include <google/protobuf/message_lite.h>
#include <grpcpp/support/byte_buffer.h>

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/memory_budget.h"
#include "base/status.h"
#include "rpc/raw_bytes.h"

namespace millrace::rpc {

// The proto message in `data`. Errors: INVALID_REQUEST.
template <class Message>
absl::StatusOr<Message> ParseMessage(Slice data) {
  Message message;
  if (!message.ParseFromArray(data.data(), static_cast<int>(data.size()))) {
    return MakeError(
        ErrorCode::kInvalidRequest,
        std::string(message.GetTypeName()) + " cannot be parsed: send a message of this type",
        {.name = std::string(message.GetTypeName())});
  }
  return message;
}

// The message's encoding, as one piece.
inline BytesList SerializeMessage(const google::protobuf::MessageLite& message) {
  Buffer buffer(message.ByteSizeLong());
  message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(buffer.data()));
  return {std::move(buffer).Freeze()};
}

// Wire is the type that the generated method is declared with.
template <class Wire>
struct MessageTraits {
  using Inbound = Wire;
  using Outbound = Wire;

  static int64_t Size(const Wire& wire) { return static_cast<int64_t>(wire.ByteSizeLong()); }
  // Leaves `reservation` to the caller, who keeps it as long as the call lives.
  static absl::StatusOr<Inbound> Receive(Wire* wire, Reservation*) { return std::move(*wire); }
  static Wire Send(Outbound message) { return message; }
};

template <>
struct MessageTraits<grpc::ByteBuffer> {
  using Inbound = ReceivedMessage;
  using Outbound = BytesList;

  static int64_t Size(const grpc::ByteBuffer& wire) { return static_cast<int64_t>(wire.Length()); }
  // The reservation goes with the message, and lives as long as it or its bytes do.
  static absl::StatusOr<Inbound> Receive(grpc::ByteBuffer* wire, Reservation* reservation) {
    absl::StatusOr<ReceivedMessage> message = ReceivedMessage::Open(*wire, std::move(*reservation));
    wire->Clear();
    return message;
  }
  static grpc::ByteBuffer Send(const BytesList& message) { return ToByteBuffer(message); }
};

}  // namespace millrace::rpc

#endif  // RPC_MESSAGE_H_
