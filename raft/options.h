// Options: the times and bounds of the Raft core.
//
// Times are Raft's own; nothing here is a policy of what is replicated. Every queue of the core has
// its bound here. The defaults are those of tests; a node's times are
// in its settings.
//
// Thread: any (values).
// Source: Raft paper 5.6 (broadcast time << election timeout << time between failures).
#ifndef RAFT_OPTIONS_H_
#define RAFT_OPTIONS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace millrace::raft {

struct Options {
  // A leader lets each follower hear of it at least this often.
  absl::Duration heartbeat_interval = absl::Milliseconds(150);
  // How long the news that entries are committed may wait for an append that carries it; after that
  // it is sent by itself, with an answer to each. Nobody waits for it at a follower: what clients
  // ask is answered by the leader.
  absl::Duration commit_notice_delay = absl::ZeroDuration();
  // A follower that heard nothing for a time drawn from this range asks whether it may be elected.
  // The lower end is also how long it holds on to a leader it has heard; the upper end is how long
  // a leader goes on without hearing of a majority.
  absl::Duration election_timeout_min = absl::Milliseconds(800);
  absl::Duration election_timeout_max = absl::Milliseconds(1100);
  // The same, when the transport saw that the leader's process is gone. Also how long a voter that
  // has just promised its vote waits before it asks for votes itself.
  absl::Duration unreachable_delay_min = absl::Milliseconds(50);
  absl::Duration unreachable_delay_max = absl::Milliseconds(150);
  // How long a candidate waits for votes the first time; doubled by each failure in a row, up to
  // the election timeout.
  absl::Duration campaign_timeout_min = absl::Milliseconds(150);
  absl::Duration campaign_timeout_max = absl::Milliseconds(300);
  // A write that takes longer than this makes a leader hand over (S-36).
  absl::Duration disk_hang_after = absl::Seconds(1);

  // One append message carries no further entry beyond this many bytes.
  uint64_t append_bytes_max = 1 << 20;
  // On the way to one follower and not acknowledged: bytes and messages.
  uint64_t window_bytes_max = 8 << 20;
  uint64_t window_messages_max = 64;
  // A leader refuses proposals while this much waits for commit...
  uint64_t uncommitted_bytes_max = 64 << 20;
  // ...or for its own disk...
  uint64_t unpersisted_bytes_max = 64 << 20;
  // ...or while the log in memory is this large. A follower takes no entries beyond it.
  uint64_t log_bytes_max = 256 << 20;
  // Committed entries handed over at a time.
  uint64_t committed_bytes_max = 4 << 20;
  // Size of one piece of a snapshot on the way to a follower.
  uint64_t snapshot_chunk_bytes = 1 << 20;
  // Reads that wait for their confirmation; beyond it they are refused.
  uint64_t reads_max = 4096;
  // A learner may be promoted when it lacks at most this many entries.
  int64_t promote_lag_max = 1000;

  // Errors: INVALID_CONFIG names the option whose value does not fit.
  absl::Status Validate() const;
};

}  // namespace millrace::raft

#endif  // RAFT_OPTIONS_H_
