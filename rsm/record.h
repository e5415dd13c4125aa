// Record: one fact in a replicated log, and Decision: what a machine answers to a request.
//
// A machine decides on a request by looking at its state: the answer is a reply and the records
// that make it true. Applying records is the only way state changes, on the node that decided and
// on every other one, now and when the log is read again. Decide may refuse; Apply is total.
//
// Records are facts ("partition 3 is led by 2 in epoch 7"), never commands. All records of one
// decision are one atomic entry of the log.
//
// Thread: any (values).
#ifndef RSM_RECORD_H_
#define RSM_RECORD_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/monotonic_time.h"
#include "base/strong_id.h"

namespace millrace::rsm {

// Which message a record's payload is; numbered by the machine that owns the log, never reused.
using RecordType = StrongId<struct RecordTypeTag, int16_t>;

struct Record {
  RecordType type;
  int16_t version = 0;
  // What the record is about, for logs that are compacted; empty elsewhere.
  Bytes key;
  Bytes payload;

  friend bool operator==(const Record&, const Record&) = default;
};

template <class Reply>
struct Decision {
  absl::StatusOr<Reply> reply;
  // Empty for a read or a refusal, which leaves only when all it saw is committed (S-12).
  std::vector<Record> records;
};

// The times a decision may use: drawn by the shell, so that the decision itself is repeatable.
struct Now {
  MonotonicTime monotonic;
  WallTime wall;
};

}  // namespace millrace::rsm

#endif  // RSM_RECORD_H_
