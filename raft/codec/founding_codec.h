// What founding nodes tell each other (FoundingState, S-18), from and to its proto message
// (raft_service.proto).
//
// Thread: any (pure functions).
// Source: S-18.
#ifndef RAFT_CODEC_FOUNDING_CODEC_H_
#define RAFT_CODEC_FOUNDING_CODEC_H_

#include "absl/status/statusor.h"
#include "millrace/internal/v1/raft_service.pb.h"
#include "raft/host/founding_state.h"

namespace millrace::raft {

inline constexpr int kFoundingVersion = 1;

millrace::internal::v1::FoundingState EncodeFoundingState(const FoundingState& state);

// Errors: CORRUPT_MESSAGE naming the field whose value does not fit; UNSUPPORTED_VERSION.
absl::StatusOr<FoundingState> DecodeFoundingState(
    const millrace::internal::v1::FoundingState& state);

}  // namespace millrace::raft

#endif  // RAFT_CODEC_FOUNDING_CODEC_H_
