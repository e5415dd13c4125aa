// What a peer has sent as a ReplicateRequest of raft_service.proto, taken apart: its hello, or its
// Raft messages (frames as in message_format.h).
//
// The bytes may be anything: what comes out has the form that message_form.h checks, and no size or
// count in them is believed before that much has been seen. Entries and snapshot chunks share the
// request's memory.
//
// Thread: any (pure functions).
#ifndef RAFT_CODEC_MESSAGE_DECODER_H_
#define RAFT_CODEC_MESSAGE_DECODER_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "raft/host/hello.h"
#include "raft/messages.h"

namespace millrace::raft {

struct ReplicateRequest {
  std::optional<Hello> hello;
  std::vector<Message> messages;
};

// Fields that a newer version may have added are skipped. Errors: CORRUPT_MESSAGE;
// UNSUPPORTED_VERSION for a frame of another version.
absl::StatusOr<ReplicateRequest> DecodeReplicateRequest(const Bytes& request);

// One frame. Errors: as DecodeReplicateRequest.
absl::StatusOr<Message> DecodeMessage(const Bytes& frame);

}  // namespace millrace::raft

#endif  // RAFT_CODEC_MESSAGE_DECODER_H_
