// The values that Raft speaks of: entries, hard state, voters.
//
// Shared by the consensus core and its host (WAL, snapshots, transport). Not here: messages (the
// core's) and bytes on disk (raft/host/wal_format.h).
//
// Thread: any (values).
// Source: Raft thesis 3 (terms, entries, votes), 4.2.1 (learners); KIP-853 (a voter is a node and a
// directory).
#ifndef RAFT_TYPES_H_
#define RAFT_TYPES_H_

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/ids.h"

namespace millrace::raft {

// Numbers are persistent (the WAL's `entry type` byte) and never reused.
enum class EntryType : uint8_t {
  // The entry a leader begins its term with; empty.
  kNoOp = 1,
  // The state machine's; opaque here.
  kPayload = 2,
  // A change of voters; the payload is the whole new VoterSet, encoded.
  kVoters = 3,
};

struct Entry {
  Term term;
  LogIndex index;
  EntryType type = EntryType::kPayload;
  Bytes payload;

  EntryId id() const { return EntryId{term, index}; }
  friend bool operator==(const Entry&, const Entry&) = default;
};

// A voter is a node on a certain directory: a node with a wiped disk is another voter, which has
// promised nothing (S-17).
struct VoterId {
  NodeId node = kNoNode;
  DirectoryId directory;

  friend constexpr auto operator<=>(const VoterId&, const VoterId&) = default;
  friend std::ostream& operator<<(std::ostream& out, const VoterId& id) {
    return out << id.node << "/" << id.directory;
  }
};

// What a voter may never forget: durable before any message that follows from it leaves.
struct HardState {
  Term term;
  // In `term`; empty if no vote was given in it.
  std::optional<VoterId> voted_for;
  // A hint: everything up to here is known to be committed. May be behind, never ahead.
  LogIndex commit;

  friend bool operator==(const HardState&, const HardState&) = default;
};

struct Voter {
  VoterId id;
  // "host:port" of its controller listener, as last known.
  std::string address;
  // Receives the log and counts for nothing.
  bool learner = false;

  friend bool operator==(const Voter&, const Voter&) = default;
};

// Who counts. Takes effect when its entry is appended, not when that is committed (thesis 4.1).
struct VoterSet {
  // The entry that made it; zero for the founding set.
  EntryId id;
  // Sorted by VoterId; at most kVotersMax.
  std::vector<Voter> voters;

  const Voter* Find(const VoterId& voter) const;
  friend bool operator==(const VoterSet&, const VoterSet&) = default;
};

// Far above any sane quorum; bounds what is read from a disk or a peer, and keeps the start of a
// WAL segment small.
inline constexpr size_t kVotersMax = 64;
inline constexpr size_t kVoterAddressBytesMax = 512;

// The list of voters as bytes (without `id`, which travels with the entry or the record):
//   count (uint16) | per voter: node id (int32) | directory id (16 bytes) | flags (1: learner)
//   | address size (uint16) | address. Little-endian.
// Errors: INVALID_REQUEST beyond the maxima.
absl::StatusOr<std::string> EncodeVoters(const std::vector<Voter>& voters);
// Errors: CORRUPT_MESSAGE.
absl::StatusOr<std::vector<Voter>> DecodeVoters(absl::string_view bytes);

}  // namespace millrace::raft

#endif  // RAFT_TYPES_H_
