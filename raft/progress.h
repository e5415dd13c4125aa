// Progress: what a leader knows of one follower, and how much it may send it.
//
// Three states. Probe: where the logs meet is not known; one message at a time, the next after an
// answer or a heartbeat. Replicate: they met; entries are sent without waiting, within a window of
// bytes and messages. Snapshot: what the follower lacks is no longer in the log.
//
//            accepted                 refused, unreachable
//   Probe -----------> Replicate ---------------------------> Probe
//   either -- the log no longer has what comes next --> Snapshot -- accepted --> Replicate
//
// Thread: owner's executor.
// Source: Raft paper 5.3 (nextIndex, matchIndex); thesis 10.2.1 (pipelining); S-19 (a voter that
// lost what it had acknowledged).
#ifndef RAFT_PROGRESS_H_
#define RAFT_PROGRESS_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/ids.h"
#include "base/monotonic_time.h"
#include "raft/messages.h"
#include "raft/options.h"

namespace millrace::raft {

class Progress {
 public:
  enum class State { kProbe, kReplicate, kSnapshot };

  // `next` is where the probing begins; a new leader takes the end of its own log (paper 5.3).
  Progress(LogIndex next, MonotonicTime now) : next_(next), last_contact_(now) {}

  State state() const { return state_; }
  // Durable at the follower, and equal to the leader's log, through here. Never falls.
  LogIndex match() const { return match_; }
  LogIndex next() const { return next_; }
  // The newest round that it answered: it held no higher term then.
  Round acked_round() const { return acked_round_; }
  MonotonicTime last_contact() const { return last_contact_; }
  // Its log ended below what it had acknowledged: it must not be counted any more (S-19).
  bool lost_log() const { return lost_log_; }

  // The commit index that it was last told and could use: not beyond what it was sent to compare.
  LogIndex told_commit() const { return told_commit_; }
  void OnToldCommit(LogIndex commit) { told_commit_ = std::max(told_commit_, commit); }

  // Whether entries may be sent now.
  bool CanSend(const Options& options) const;
  // `count` entries, the last of them at next() + count - 1, are on their way.
  void OnSent(int64_t count, uint64_t bytes);
  // The probe or the offer, if one was lost, may be repeated: it is time for a heartbeat.
  void OnHeartbeatDue();

  // An answer of any kind arrived.
  void OnContact(Round round, MonotonicTime now);
  // `round_now`: the leader's newest; what is sent after it was sent knowing this match.
  void OnAccepted(LogIndex match, Round round_now);
  // `meets`: the last entry of the leader's log where the two may agree. False if the refusal is
  // an old one, of something that has been settled since: of all that was in the pipeline behind a
  // lost message only the first counts.
  bool OnRefused(const AppendResponse& response, LogIndex meets, Round round_now);
  // It has no room for more: asked again with the next heartbeat, not at once.
  void OnFull();
  // Whether this refusal proves that the follower lost entries it had acknowledged: it was asked
  // after it acknowledged them, and its log ends before them.
  bool ProvesLostLog(const AppendResponse& response) const;
  void OnLostLog(const AppendResponse& response);
  void OnUnreachable();

  // Snapshot: what is being sent, and how much of it the follower has. One piece is under way at a
  // time; it is sent again when an offer that a heartbeat made behind it is answered without it.
  void BeginSnapshot(const SnapshotId& id);
  const std::optional<SnapshotId>& snapshot() const { return snapshot_; }
  // The piece that should be sent now, if one is due.
  std::optional<uint64_t> TakeChunkToSend();
  // Whether a heartbeat's offer is due; it is sent in `round`.
  bool TakeOfferToSend(Round round);
  // The answer to what was sent in `round`.
  void OnSnapshotReceived(uint64_t received, Round round);

 private:
  struct OnItsWay {
    LogIndex last;
    uint64_t bytes;
  };

  void BecomeProbe(LogIndex next);

  State state_ = State::kProbe;
  LogIndex match_;
  LogIndex next_;
  Round acked_round_;
  // The leader's round when `match_` was acknowledged.
  Round matched_in_round_;
  // ... and when a refusal last changed `next_`.
  Round refused_in_round_;
  LogIndex told_commit_;
  MonotonicTime last_contact_;
  bool lost_log_ = false;

  // Probe: one message is on its way.
  bool probe_sent_ = false;
  // Replicate: sent, not acknowledged.
  std::deque<OnItsWay> window_;
  uint64_t window_bytes_ = 0;

  std::optional<SnapshotId> snapshot_;
  bool offer_due_ = false;
  std::optional<uint64_t> chunk_due_;
  // Where the piece begins that was sent last...
  std::optional<uint64_t> chunk_sent_;
  // ... and the first round after it whose answers tell whether it was lost.
  std::optional<Round> chunk_asked_in_;
};

}  // namespace millrace::raft

#endif  // RAFT_PROGRESS_H_
