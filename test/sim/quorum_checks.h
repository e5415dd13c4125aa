// QuorumChecks: what must hold of a simulated quorum at every moment, whatever happens to it:
// Raft's invariants, one history of entries, equal states at equal index, one founding entry,
// voters that the WAL remembers, and commits that a majority has on its disks.
//
// It remembers the first violation, and what was reached in the run.
//
// Thread: one.
// Source: Raft paper figure 3; S-09, S-10, S-17, S-18.
#ifndef TEST_SIM_QUORUM_CHECKS_H_
#define TEST_SIM_QUORUM_CHECKS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/types/span.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "controller/state.h"
#include "metadata/image.h"
#include "raft/host/quorum_log.h"
#include "raft/invariants.h"
#include "rsm/commit_log.h"
#include "rsm/record.h"

namespace millrace::sim {

class QuorumChecks {
 public:
  // `disk_of` gives a voter's disk, also one that was replaced since; null if there is none.
  using DiskOf = std::function<const SimFileSystem*(const raft::VoterId&)>;

  QuorumChecks(SimRandom random, raft::VoterSet founders, DiskOf disk_of)
      : random_(random), founders_(std::move(founders)), disk_of_(std::move(disk_of)) {}

  // ---- What happens; see QuorumObserver ----
  void OnOpened(const raft::VoterId& id, const raft::WalRecovery& found,
                const raft::SnapshotOffer* snapshot);
  void OnReady(const raft::Node& core, const raft::Ready& ready);
  void OnDelivered(const raft::VoterId& id, absl::Span<const rsm::CommittedEntry> entries);
  void OnApplied(const raft::VoterId& id, LogIndex index, const controller::State& state,
                 absl::Span<const rsm::Record> records);
  // A state came from a snapshot.
  void OnLoaded(const raft::VoterId& id, LogIndex index, const controller::State& state);
  void OnSend(const raft::Message& message);
  // A client was told something that is true at `index`.
  void OnAnswered(LogIndex index);
  void OnFailed(const raft::VoterId& id, const absl::Status& status, bool disk_failed);

  void Report(const std::string& what) { invariants_.Report(what); }
  const std::string& violation() const { return invariants_.violation(); }
  LogIndex committed() const { return invariants_.committed(); }
  void Reach(const std::string& what) { ++reached_[what]; }
  const std::map<std::string, int64_t>& reached() const { return reached_; }

 private:
  struct Delivered {
    EntryId id;
    bool internal = false;
    uint64_t hash = 0;
    friend bool operator==(const Delivered&, const Delivered&) = default;
  };

  // What a voter's messages said, which its disk must know.
  struct Said {
    Term term;
    LogIndex acknowledged;
    std::optional<std::pair<Term, raft::VoterId>> vote;
    // What its WAL named when it was opened last.
    std::optional<raft::VoterSet> voters;
  };

  void CheckVoters(const raft::VoterId& id, const raft::WalRecovery& found,
                   const raft::SnapshotOffer* snapshot);
  void NoteCut(const raft::VoterId& id, const raft::Ready& ready);
  void NoteReady(const raft::Node& core, const raft::Ready& ready);
  void NoteRole(const raft::VoterId& id, const raft::RoleState& role);
  void CheckOnDisks(const raft::Node& core);
  void CompareState(const raft::VoterId& id, LogIndex index, const controller::State& state);

  SimRandom random_;
  const raft::VoterSet founders_;
  const DiskOf disk_of_;
  raft::Invariants invariants_;
  std::map<raft::VoterId, Said> said_;
  std::map<LogIndex, Delivered> entries_;
  std::map<LogIndex, metadata::Image> images_;
  LogIndex founded_at_;
  // Known to a leader.
  LogIndex checked_commit_;
  // Who stood in a term, and in which terms one of them won.
  std::map<Term, std::set<raft::VoterId>> candidates_;
  std::set<Term> led_;
  std::map<std::string, int64_t> reached_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_QUORUM_CHECKS_H_
