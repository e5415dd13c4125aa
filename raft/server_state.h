// ServerState: the box "State" of the paper's figure 2, shared by the parts of one node.
//
// Node owns it; Election, Follower and Leader each work on it by their own rules. It also collects
// what they want sent or reported, until Node::TakeReady hands it to the host.
//
// Thread: owner's executor.
// Source: Raft paper figure 2.
#ifndef RAFT_SERVER_STATE_H_
#define RAFT_SERVER_STATE_H_

#include <optional>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "raft/log.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/options.h"
#include "raft/quorum.h"
#include "raft/ready.h"
#include "raft/snapshots.h"
#include "raft/types.h"

namespace millrace::raft {

struct ServerState {
  ServerState(const Options& the_options, const VoterId& the_self, Random& the_random, Log the_log,
              Membership the_membership, std::optional<SnapshotOffer> snapshot)
      : options(the_options),
        self(the_self),
        random(the_random),
        log(std::move(the_log)),
        membership(std::move(the_membership)),
        snapshots(std::move(snapshot)) {}

  const Options options;
  const VoterId self;
  Random& random;

  // ---- Persistent state on all servers ----
  // currentTerm and votedFor, and commitIndex as far as it is known.
  HardState hard;
  Log log;
  Membership membership;
  SnapshotShelf snapshots;
  // The log lost something while its hard state is intact: until an entry of a term above this one
  // is durable here, this node neither votes nor stands (S-35).
  std::optional<Term> damaged_in;

  // ---- Volatile state on all servers ----
  MonotonicTime now;
  Role role = Role::kFollower;
  // Who leads in hard.term, if that is known.
  std::optional<VoterId> leader;
  // lastApplied: handed to the host.
  LogIndex applied;
  // The hard state that is on the disk.
  HardState durable;

  // ---- For the next Ready ----
  std::vector<Message> send_after_persist;
  std::vector<Message> send_now;
  std::vector<SnapshotChunk> chunks;
  std::optional<SnapshotOffer> install;
  std::vector<ReadResult> reads;
  std::vector<VoterId> lost_log;

  Term term() const { return hard.term; }
  LogIndex commit() const { return hard.commit; }
  bool is_voter() const { return IsCountedVoter(membership.latest(), self); }
  // Voting with a log that lost entries could elect a leader without them.
  bool may_vote() const {
    return !damaged_in.has_value() ||
           (log.last().term > *damaged_in && log.stable() == log.last().index);
  }

  // At the memory bound the part of the log that the newest snapshot holds is given up: it was kept
  // only so that followers a little behind need no snapshot.
  void MakeRoom() {
    if (log.bytes() < options.log_bytes_max / 2 || !snapshots.newest().has_value()) return;
    const LogIndex through = snapshots.newest()->id.last.index;
    if (through > log.stable()) return;
    log.CompactTo(through);
    membership.CompactTo(through);
  }

  // Answers and requests that promise something: sent when all before is durable.
  template <class Body>
  void Promise(const VoterId& to, Body body) {
    send_after_persist.push_back(Message{self, to, term(), std::move(body)});
  }
  // What only a leader says.
  template <class Body>
  void Tell(const VoterId& to, Body body) {
    send_now.push_back(Message{self, to, term(), std::move(body)});
  }

  // A time drawn from [min, max).
  absl::Duration Draw(absl::Duration min, absl::Duration max) {
    const int64_t range = absl::ToInt64Nanoseconds(max - min);
    return min + absl::Nanoseconds(random.Below(static_cast<uint64_t>(range)));
  }
};

}  // namespace millrace::raft

#endif  // RAFT_SERVER_STATE_H_
