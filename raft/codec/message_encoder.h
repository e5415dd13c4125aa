// RequestWriter: Raft messages to one peer, gathered into one ReplicateRequest of
// raft_service.proto (frames as in message_format.h, in its field `messages`).
//
// Large entries and snapshot chunks are shared with who holds them; small ones are copied, because
// that is cheaper than to count a reference.
//
// Thread: one owner.
#ifndef RAFT_CODEC_MESSAGE_ENCODER_H_
#define RAFT_CODEC_MESSAGE_ENCODER_H_

#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "base/bytes.h"
#include "raft/codec/message_format.h"
#include "raft/messages.h"

namespace millrace::raft {

// One encoded message of the wire as the pieces it is made of, in order; what rpc/ calls a
// BytesList.
using Pieces = absl::InlinedVector<Bytes, 4>;

// A payload of at least this size is shared.
inline constexpr size_t kSharedPayloadBytesMin = 1024;

class RequestWriter {
 public:
  // Errors, with the writer unchanged: MESSAGE_TOO_LARGE beyond kMessageBytesMax; CORRUPT_MESSAGE
  // for one that no receiver would take.
  absl::Status Add(const Message& message);

  bool empty() const { return bytes_ == 0; }
  // The next message belongs into another request.
  bool full() const { return bytes_ >= kRequestBytesFull; }
  size_t bytes() const { return bytes_; }

  // The request; the writer is empty again.
  Pieces Finish();

 private:
  class Archive;

  // What is in tail_ becomes a piece.
  void CutTail();

  Pieces pieces_;
  std::string tail_;
  size_t bytes_ = 0;
};

}  // namespace millrace::raft

#endif  // RAFT_CODEC_MESSAGE_ENCODER_H_
