// The Hello of a stream of Raft messages, from and to its proto message (raft_service.proto): cold,
// once per connection.
//
// Thread: any (pure functions).
#ifndef RAFT_CODEC_HELLO_CODEC_H_
#define RAFT_CODEC_HELLO_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "raft/host/hello.h"

namespace millrace::raft {

// A whole ReplicateRequest that holds the hello alone; it opens a stream.
std::string EncodeHelloRequest(const Hello& hello);
// A whole ReplicateResponse.
std::string EncodeHelloResponse(const Hello& hello);
// Errors: CORRUPT_MESSAGE naming the field.
absl::StatusOr<Hello> DecodeHelloResponse(Slice response);

// The message Hello alone. Errors: CORRUPT_MESSAGE naming the field.
absl::StatusOr<Hello> DecodeHello(Slice bytes);

}  // namespace millrace::raft

#endif  // RAFT_CODEC_HELLO_CODEC_H_
