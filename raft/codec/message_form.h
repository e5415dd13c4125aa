// CheckForm: whether a message has the form that Raft's rules give it: numbers in range, entries
// that follow each other with terms that never fall, pieces that lie inside their snapshot.
//
// Asked before a message is sent and after one was received, so that neither an own fault nor a
// peer's gets into a core. Not what a message means: that is the core's.
//
// Thread: any (pure functions).
// Source: Raft paper figure 2 (AppendEntries), 5.3 (log matching).
#ifndef RAFT_CODEC_MESSAGE_FORM_H_
#define RAFT_CODEC_MESSAGE_FORM_H_

#include <cstdint>

#include "absl/status/status.h"
#include "raft/messages.h"

namespace millrace::raft {

// Terms, log indexes and sizes stay far below overflow.
inline constexpr int64_t kPositionMax = int64_t{1} << 62;

// Errors: CORRUPT_MESSAGE naming the field that does not fit.
absl::Status CheckForm(const Message& message);

}  // namespace millrace::raft

#endif  // RAFT_CODEC_MESSAGE_FORM_H_
