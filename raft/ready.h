// Ready: what the core wants done, and in which order.
//
// For each Ready, in order of `seq`, the host
//   1. tells its listener of `role` (before any entry of another leader is delivered);
//   2. sends `send_now` and writes the part to be persisted, in parallel;
//   3. applies `committed` and answers `reads`;
//   4. when all that this and every earlier Ready had to persist is durable: calls Persisted(seq)
//      and sends `send_after_persist` (S-10).
// One Ready is one batch of the WAL. Storage is FIFO: a later Ready may overwrite an earlier one's
// entries while that is still on its way.
//
// Thread: any (a value).
// Source: Raft paper figure 2 ("updated on stable storage before responding to RPCs"); thesis
// 10.2.1; the shape is that of etcd's raft library.
#ifndef RAFT_READY_H_
#define RAFT_READY_H_

#include <optional>
#include <ostream>
#include <vector>

#include "base/ids.h"
#include "raft/log.h"
#include "raft/messages.h"
#include "raft/read_index.h"
#include "raft/types.h"

namespace millrace::raft {

enum class Role { kFollower, kPreCandidate, kCandidate, kLeader };

inline std::ostream& operator<<(std::ostream& out, Role role) {
  constexpr const char* kNames[] = {"follower", "pre-candidate", "candidate", "leader"};
  return out << kNames[static_cast<int>(role)];
}

// Who leads, as this node sees it.
struct RoleState {
  Role role = Role::kFollower;
  Term term;
  std::optional<VoterId> leader;

  friend bool operator==(const RoleState&, const RoleState&) = default;
};

struct Ready {
  ReadySeq seq;

  // Set when it changed. A leader's own no-op, once delivered in `committed`, is the sign that all
  // of its predecessors' entries were delivered too.
  std::optional<RoleState> role;

  // ---- To persist, in this order ----
  // A received and verified snapshot takes the place of log and state machine. Entries of this
  // Ready come after it.
  std::optional<SnapshotOffer> install;
  std::optional<HardState> hard_state;
  // Follow each other; the first may overwrite, which cuts the log from it on.
  std::vector<Entry> entries;
  // The set in force after `install` and `entries`, when it is another than before.
  std::optional<VoterSet> voters;
  // Pieces of the snapshot that is being received. Offset 0: whatever there was is discarded. After
  // the last one the host verifies the file and calls Node::SnapshotReceived.
  std::vector<SnapshotChunk> chunks;

  // ---- To send ----
  // A leader's appends, heartbeats and snapshots, in a term that is durable here.
  std::vector<Message> send_now;
  // Votes, acknowledgements, requests for votes: what promises something.
  std::vector<Message> send_after_persist;

  // ---- To apply ----
  // Durable here and committed; each entry once, in order, after `install` if there is one.
  std::vector<Entry> committed;
  std::vector<ReadResult> reads;

  // Alarms: voters that forgot what they had acknowledged. They are not counted any more (S-19).
  std::vector<VoterId> lost_log;

  bool NeedsPersist() const {
    return install.has_value() || hard_state.has_value() || !entries.empty() ||
           voters.has_value() || !chunks.empty();
  }
  bool empty() const {
    return !role.has_value() && !NeedsPersist() && send_now.empty() && send_after_persist.empty() &&
           committed.empty() && reads.empty() && lost_log.empty();
  }
};

}  // namespace millrace::raft

#endif  // RAFT_READY_H_
