// CommitLog: the replicated log that a Host appends its decisions to, and hears of commits from.
//
// It says nothing of machines or records: an entry is opaque bytes at a (term, index). Implemented
// over the WAL alone by raft/host (a quorum of one) and over raft::Node; faked in tests.
//
// What is promised to the listener (all calls on the owner's executor, never from inside a call of
// CommitLog's own functions):
//   - OnCommitted delivers every entry above the starting point once, in order, without a gap,
//     internal ones (no-ops, voter changes) too. A committed entry never changes.
//   - OnBecameLeader(term) comes after the no-op of that term, and so all that any earlier leader
//     may have committed, has been delivered: a new leader has seen its whole log (S-11), and what
//     it reads is never older than its leadership (S-12).
//   - OnLostLeadership comes before any entry of another leader is delivered. Entries appended by
//     Append and not delivered by then may or may not be committed by somebody else, later.
//
// Thread: owner's executor.
// Source: Raft thesis 3.6.2 (a leader commits its predecessors' entries with its own), 6.4
// (ReadIndex).
#ifndef RSM_COMMIT_LOG_H_
#define RSM_COMMIT_LOG_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/ids.h"

namespace millrace::rsm {

// One committed entry as the machine's host sees it.
struct CommittedEntry {
  EntryId id;
  // What Append was given; empty if internal.
  Bytes payload;
  // An entry of the log's own, not for the machine: it only moves the index.
  bool internal = false;
};

class CommitLog {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;

    virtual void OnCommitted(absl::Span<const CommittedEntry> entries) = 0;
    virtual void OnBecameLeader(Term term) = 0;
    virtual void OnLostLeadership() = 0;
    // The log has stopped for good (a failed disk, damage): nothing is called any more. Entries
    // that were appended but not delivered have an unknown outcome.
    virtual void OnFailed(const absl::Status& status) = 0;
  };

  virtual ~CommitLog() = default;

  // Connects the listener and begins; called once. The listener outlives the log.
  virtual void Start(Listener* listener) = 0;

  // Puts an entry at the end of the log; its commit is heard of by OnCommitted with this id.
  // Errors, with nothing appended: NOT_CONTROLLER unless this node leads (between OnBecameLeader
  // and OnLostLeadership); ENTRY_TOO_LARGE; RESOURCE_EXHAUSTED at the bound of what may be
  // uncommitted; STORAGE_ERROR after OnFailed.
  virtual absl::StatusOr<EntryId> Append(Bytes payload) = 0;

  using ConfirmCallback = absl::AnyInvocable<void(absl::Status) &&>;
  // Calls back with OK once a majority has confirmed, in a round begun after this call, that this
  // node still leads in its term (ReadIndex); with NOT_CONTROLLER if it does not.
  virtual void ConfirmLeadership(ConfirmCallback done) = 0;

  // The machine cannot go on: the log stops for good, as after a failed disk, so that this node
  // neither leads nor counts, nor keeps a snapshot of a state that stands still. OnFailed is called
  // from inside, also from inside OnCommitted.
  virtual void Stop(const absl::Status& why) = 0;
};

}  // namespace millrace::rsm

#endif  // RSM_COMMIT_LOG_H_
