#include "test/sim/quorum_checks.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "metadata/record_types.h"
#include "raft/host/snapshot_store.h"
#include "raft/host/wal_recovery.h"
#include "raft/quorum.h"
#include "test/sim/quorum_server.h"

namespace millrace::sim {
namespace {

// One look at all disks costs about as much as a hundred events.
constexpr uint64_t kDiskChecksOneIn = 40;

std::string Name(const raft::VoterId& id) { return absl::StrCat("node ", id.node.value()); }

// Whether a power loss now would leave the entry, or a snapshot that goes further.
bool HoldsDurably(const SimFileSystem& disk, const EntryId& id, SimRandom& random) {
  const std::unique_ptr<SimFileSystem> image = disk.CrashImage(CrashMode::kLoseAll, random);
  const auto store = raft::SnapshotStore::Open(image.get(), kQuorumSnapshots);
  if (!store.ok()) return false;
  EntryId snapshot;
  if ((*store)->newest().has_value()) snapshot = (*store)->newest()->id.last;
  if (snapshot.index >= id.index) return true;
  raft::WalOptions options;
  options.directory = kQuorumWal;
  const auto log = raft::RecoverWal(options, *image, snapshot);
  if (!log.ok()) return false;
  const std::vector<raft::Entry>& entries = log->recovery.entries;
  const int64_t at = id.index - snapshot.index - 1;
  return at < static_cast<int64_t>(entries.size()) && entries[at].id() == id;
}

}  // namespace

// What a process said before it ended must be known to the next one on its disk: terms, votes,
// acknowledged entries (S-09, S-10).
void QuorumChecks::OnOpened(const raft::VoterId& id, const raft::WalRecovery& found,
                            const raft::SnapshotOffer* snapshot) {
  if (found.cut.has_value()) Reach("torn tail cut");
  const Said& said = said_[id];
  LogIndex end;
  if (snapshot != nullptr) end = snapshot->id.last.index;
  if (!found.entries.empty()) end = found.entries.back().index;
  if (end < said.acknowledged) {
    Report(absl::StrCat("S-09: ", Name(id), " acknowledged ", said.acknowledged.value(),
                        " and comes back with ", end.value()));
  }
  if (found.hard_state.term < said.term) {
    Report(absl::StrCat("not durable: ", Name(id), " spoke in term ", said.term.value(),
                        " and comes back in ", found.hard_state.term.value()));
  }
  if (said.vote.has_value() && found.hard_state.term == said.vote->first &&
      found.hard_state.voted_for != said.vote->second) {
    Report(absl::StrCat("not durable: ", Name(id), " does not know its vote in term ",
                        said.term.value()));
  }
  CheckVoters(id, found, snapshot);
}

// The voters that the WAL names are those in force at its end, or where it was acknowledged last:
// an entry may be durable without the record that comes after it (S-09, S-17).
void QuorumChecks::CheckVoters(const raft::VoterId& id, const raft::WalRecovery& found,
                               const raft::SnapshotOffer* snapshot) {
  if (snapshot != nullptr && found.voters.id.index <= snapshot->id.last.index) return;
  if (found.entries.empty() && found.voters.voters.empty()) return;
  Said& said = said_[id];
  raft::VoterSet expected = founders_;
  if (founders_.Find(id) == nullptr) expected.voters.clear();
  bool fits = found.voters == expected;
  for (const raft::Entry& entry : found.entries) {
    if (entry.type != raft::EntryType::kVoters) continue;
    const raft::VoterSet set{entry.id(), *raft::DecodeVoters(entry.payload.slice())};
    fits = found.voters == set || (fits && entry.index > said.acknowledged);
  }
  if (fits) {
    said.voters = found.voters;
  } else if (said.voters != found.voters) {
    Report(absl::StrCat("S-17: the WAL of ", Name(id), " does not know its voters"));
  }
}

void QuorumChecks::OnSend(const raft::Message& message) {
  invariants_.OnSend(message);
  Said& said = said_[message.from];
  said.term = std::max(said.term, message.term);
  if (const auto* response = std::get_if<raft::AppendResponse>(&message.body)) {
    if (response->accepted) said.acknowledged = std::max(said.acknowledged, response->match);
  } else if (const auto* vote = std::get_if<raft::VoteResponse>(&message.body)) {
    if (vote->granted && !vote->pre_vote) said.vote = {vote->campaign_term, message.to};
  }
}

// Acknowledged entries may be overwritten, as long as they are not committed.
void QuorumChecks::NoteCut(const raft::VoterId& id, const raft::Ready& ready) {
  LogIndex& acknowledged = said_[id].acknowledged;
  if (ready.install.has_value()) {
    acknowledged = std::min(acknowledged, ready.install->id.last.index - 1);
  }
  if (ready.entries.empty() || ready.entries.front().index > acknowledged) return;
  Reach("truncation of an acknowledged tail");
  acknowledged = ready.entries.front().index - 1;
}

void QuorumChecks::OnReady(const raft::Node& core, const raft::Ready& ready) {
  if (ready.empty()) return invariants_.OnStart(core);
  NoteCut(core.self(), ready);
  NoteReady(core, ready);
  invariants_.OnEvent(core);
  invariants_.OnReady(core, ready);
  const raft::Leader* const leadership = core.leadership();
  if (leadership == nullptr || core.commit() <= checked_commit_) return;
  checked_commit_ = core.commit();
  if (random_.Below(kDiskChecksOneIn) == 0) CheckOnDisks(core);
}

// A leader commits what a majority of its voters has on the disk. Looked at on the disks.
void QuorumChecks::CheckOnDisks(const raft::Node& core) {
  const std::optional<Term> term = core.log().TermAt(core.commit());
  if (!term.has_value()) return;
  const EntryId id{*term, core.commit()};
  size_t holders = 0;
  const std::vector<raft::VoterId> voters = raft::CountedVoters(core.voters());
  for (const raft::VoterId& voter : voters) {
    const SimFileSystem* const disk = disk_of_(voter);
    if (disk != nullptr && HoldsDurably(*disk, id, random_)) ++holders;
  }
  if (holders > voters.size() / 2) return;
  Report(absl::StrCat("commitment: ", Name(core.self()), " commits ", id.term.value(), ":",
                      id.index.value(), ", which ", holders, " of ", voters.size(),
                      " voters have on their disks"));
}

void QuorumChecks::OnDelivered(const raft::VoterId& id,
                               absl::Span<const rsm::CommittedEntry> entries) {
  for (const rsm::CommittedEntry& entry : entries) {
    const Delivered delivered{entry.id, entry.internal, HashText(entry.payload.slice())};
    const auto [known, first] = entries_.emplace(entry.id.index, delivered);
    if (first || known->second == delivered) continue;
    Report(absl::StrCat("a committed entry changed: ", Name(id), " is given ",
                        entry.id.term.value(), ":", entry.id.index.value(), " where ",
                        known->second.id.term.value(), ":", entry.id.index.value(), " was"));
  }
}

void QuorumChecks::OnApplied(const raft::VoterId& id, LogIndex index,
                             const controller::State& state,
                             absl::Span<const rsm::Record> records) {
  for (const rsm::Record& record : records) {
    if (record.type != metadata::kClusterFounded) continue;
    if (founded_at_ != LogIndex() && founded_at_ != index) {
      Report(
          absl::StrCat("S-18: founded at ", founded_at_.value(), " and again at ", index.value()));
    }
    founded_at_ = index;
  }
  CompareState(id, index, state);
}

void QuorumChecks::OnLoaded(const raft::VoterId& id, LogIndex index,
                            const controller::State& state) {
  CompareState(id, index, state);
}

void QuorumChecks::CompareState(const raft::VoterId& id, LogIndex index,
                                const controller::State& state) {
  const auto [known, first] = images_.emplace(index, state.image);
  if (first || known->second == state.image) return;
  Report(absl::StrCat("state machine safety: the image of ", Name(id), " at ", index.value(),
                      " is not what it was elsewhere"));
}

void QuorumChecks::OnAnswered(LogIndex index) {
  if (index <= committed()) return;
  Report(absl::StrCat("S-12: answered at ", index.value(), ", and only ", committed().value(),
                      " is committed anywhere"));
}

void QuorumChecks::OnFailed(const raft::VoterId& id, const absl::Status& status, bool disk_failed) {
  Reach("log failed");
  if (disk_failed) return;
  Report(absl::StrCat(Name(id), " stops with a good disk: ", status.ToString()));
}

void QuorumChecks::NoteRole(const raft::VoterId& id, const raft::RoleState& role) {
  if (role.role == raft::Role::kLeader) {
    Reach("elected");
    led_.insert(role.term);
  }
  if (role.role != raft::Role::kCandidate) return;
  Reach("candidate");
  const auto term = candidates_.try_emplace(role.term).first;
  // Several stood before, and nobody won: it is tried again.
  const auto before = term == candidates_.begin() ? candidates_.end() : std::prev(term);
  const bool split = before != candidates_.end() && before->second.size() > 1;
  if (split && term->second.empty() && !led_.contains(before->first)) Reach("vote split");
  term->second.insert(id);
}

// The states that a run is expected to reach sooner or later.
void QuorumChecks::NoteReady(const raft::Node& core, const raft::Ready& ready) {
  if (ready.role.has_value()) NoteRole(core.self(), *ready.role);
  if (!ready.entries.empty() && entries_.contains(ready.entries.front().index - 1) &&
      core.leadership() == nullptr && ready.voters.has_value()) {
    Reach("voters changed at a follower");
  }
  if (ready.install.has_value()) Reach("snapshot installed");
  for (const raft::SnapshotChunk& chunk : ready.chunks) {
    if (chunk.offset > 0) Reach("snapshot in pieces");
  }
  for (const raft::Message& message : ready.send_now) {
    if (std::holds_alternative<raft::TimeoutNow>(message.body)) Reach("leadership transferred");
  }
  for (const raft::ReadResult& read : ready.reads) {
    Reach(read.confirmed ? "read confirmed" : "read refused");
  }
  for (const raft::VoterId& voter : ready.lost_log) {
    Report(absl::StrCat("S-19: ", Name(voter), " forgot nothing, and is accused by ",
                        Name(core.self())));
  }
}

}  // namespace millrace::sim
