// Messages: what voters say to each other.
//
// Plain values; bytes on the wire are raft/codec's, and the cluster id that goes with every message
// (S-18) is the transport's. A heartbeat is an append without entries: it proves that the leader
// lives, carries the commit index, and finds out at once if something before it was lost.
//
// Thread: any (values).
// Source: Raft paper figure 2 (RequestVote, AppendEntries) and figure 13 (InstallSnapshot); thesis
// 3.10 (TimeoutNow), 6.4 (rounds), 9.6 (pre-vote).
#ifndef RAFT_MESSAGES_H_
#define RAFT_MESSAGES_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "raft/types.h"

namespace millrace::raft {

// Counts a leader's sendings within its term. An answer echoes the round of what it answers, so
// that the leader knows what was confirmed after a given moment.
using Round = StrongId<struct RoundTag, uint64_t>;

// "Would you vote for me?" and "Vote for me."
struct VoteRequest {
  // Asks whether a vote in `campaign_term` would be given; nobody's term or vote changes by it.
  bool pre_vote = false;
  // A pre-vote's is one above the sender's own.
  Term campaign_term;
  // The end of the candidate's log.
  EntryId last;
  // The old leader asked for this election, so that holding on to it is no reason to refuse.
  bool leadership_transfer = false;

  friend bool operator==(const VoteRequest&, const VoteRequest&) = default;
};

struct VoteResponse {
  bool pre_vote = false;
  // The request's.
  Term campaign_term;
  bool granted = false;

  friend bool operator==(const VoteResponse&, const VoteResponse&) = default;
};

// "After `previous` come `entries`"; without entries: a heartbeat.
struct AppendRequest {
  EntryId previous;
  std::vector<Entry> entries;
  // The leader's commit index.
  LogIndex commit;
  Round round;

  friend bool operator==(const AppendRequest&, const AppendRequest&) = default;
};

struct AppendResponse {
  bool accepted = false;
  // If accepted: the follower's log is durable and equals the leader's through here.
  LogIndex match;
  // Entries after `match` were not taken: no room before the next snapshot.
  bool full = false;
  // If refused: index of the `previous` that was refused, ...
  LogIndex refused;
  // ... the last entry at or below it whose term is not above the one asked for, ...
  EntryId hint;
  // ... and the end of the follower's log (S-19).
  LogIndex last;
  Round round;

  friend bool operator==(const AppendResponse&, const AppendResponse&) = default;
};

// Names one snapshot file. Equal ids mean equal bytes, so that a transfer broken off with one
// leader goes on with the next.
struct SnapshotId {
  // The last entry that it holds.
  EntryId last;
  uint64_t bytes = 0;
  uint32_t checksum = 0;

  friend constexpr auto operator<=>(const SnapshotId&, const SnapshotId&) = default;
};

// "What you lack I have only as this snapshot: how much of it do you have?"
struct SnapshotOffer {
  SnapshotId id;
  // In force at its last entry.
  VoterSet voters;
  Round round;

  friend bool operator==(const SnapshotOffer&, const SnapshotOffer&) = default;
};

struct SnapshotChunk {
  SnapshotId id;
  uint64_t offset = 0;
  // Bytes of the file in `data`. The leader's core sends the message without data; its host reads
  // them from the snapshot store when it sends.
  uint64_t size = 0;
  Bytes data;
  Round round;

  friend bool operator==(const SnapshotChunk&, const SnapshotChunk&) = default;
};

// "I have the first `received` bytes of it, durably."
struct SnapshotResponse {
  SnapshotId id;
  uint64_t received = 0;
  Round round;

  friend bool operator==(const SnapshotResponse&, const SnapshotResponse&) = default;
};

// "Stand for election now, without waiting."
struct TimeoutNow {
  friend bool operator==(const TimeoutNow&, const TimeoutNow&) = default;
};

struct Message {
  VoterId from;
  VoterId to;
  // The sender's current term, whatever the body.
  Term term;
  std::variant<VoteRequest, VoteResponse, AppendRequest, AppendResponse, SnapshotOffer,
               SnapshotChunk, SnapshotResponse, TimeoutNow>
      body;

  friend bool operator==(const Message&, const Message&) = default;
};

// "1>2 t3 append prev=2:7 entries=[3:8 3:9] commit=6": for traces, tests and logs.
std::string Describe(const Message& message);
std::string Describe(const Entry& entry);
std::ostream& operator<<(std::ostream& out, const Message& message);
std::ostream& operator<<(std::ostream& out, const SnapshotId& id);

}  // namespace millrace::raft

#endif  // RAFT_MESSAGES_H_
