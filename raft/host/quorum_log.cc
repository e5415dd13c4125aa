#include "raft/host/quorum_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "base/status.h"
#include "raft/quorum.h"

namespace millrace::raft {
namespace {

// Committed entries delivered in one task, so that a long log does not hold up the owner's strand.
constexpr size_t kDeliveredAtOnce = 1024;

// What the WAL may hold unsynced beyond the core's own bound for a leader: a follower takes as much
// as its leader's window lets through.
constexpr uint64_t kUnsyncedRoomBytes = 256 << 20;

// The log in memory holds what was committed since the snapshot before the newest, while the next
// one is written, and what is not committed: with a quarter of its bound from one to the next there
// is room for all of it.
constexpr uint64_t kSnapshotsInALog = 4;

absl::Status Foreign(const std::string& directory, absl::string_view whose, const VoterId& self) {
  return MakeError(
      ErrorCode::kInvalidDirectory,
      absl::StrCat("the metadata log in '", directory, "' belongs to ", whose, "; this is node ",
                   self.node.value(), " on directory ", self.directory.ToString()),
      {.name = directory, .value = absl::StrCat(self.node.value())});
}

bool SameMembers(const VoterSet& a, const VoterSet& b) {
  return std::equal(a.voters.begin(), a.voters.end(), b.voters.begin(), b.voters.end(),
                    [](const Voter& x, const Voter& y) { return x.id == y.id; });
}

// The log must be this voter's own, of the quorum that it was founded with.
absl::Status CheckVoters(const QuorumLog::Options& options, bool alone, const VoterSet& voters) {
  if (voters.voters.empty()) return absl::OkStatus();  // Not founded yet.
  const std::string& directory = options.wal.directory;
  if (voters.voters.size() > 1 && alone) {
    return MakeError(
        ErrorCode::kInvalidDirectory,
        absl::StrCat("the metadata log in '", directory, "' belongs to a quorum of ",
                     voters.voters.size(), " voters; configure controller.quorum.voters, or use ",
                     "another directory"),
        {.name = directory, .value = absl::StrCat(voters.voters.size())});
  }
  // A later set may have lost this voter; a founding set is the one it was founded with.
  const bool founding = voters.id == EntryId{};
  if (!founding || options.founders.voters.empty()) return absl::OkStatus();
  if (voters.Find(options.self) == nullptr) {
    const VoterId& first = voters.voters.front().id;
    return Foreign(directory,
                   first.node == options.self.node
                       ? "another directory of this node"
                       : absl::StrCat("node ", first.node.value(), " or its quorum"),
                   options.self);
  }
  if (SameMembers(voters, options.founders)) return absl::OkStatus();
  return Foreign(directory, "a quorum of other founding voters", options.self);
}

}  // namespace

QuorumLog::QuorumLog(Options options, Dependencies dependencies)
    : options_(std::move(options)), dependencies_(std::move(dependencies)) {}

QuorumLog::~QuorumLog() {
  if (dependencies_.transport != nullptr) dependencies_.transport->SetReceiver(nullptr);
}

absl::StatusOr<std::unique_ptr<QuorumLog>> QuorumLog::Open(Options options,
                                                           Dependencies dependencies) {
  const bool alone = dependencies.transport == nullptr;
  // A lone voter's log is the truth: a snapshot that is not on it is wrong, not newer (S-36).
  options.wal.refuse_conflicting_snapshot = alone;
  // The core's own bounds come first.
  options.wal.unsynced_bytes_max = std::max(
      options.wal.unsynced_bytes_max, options.raft.unpersisted_bytes_max + kUnsyncedRoomBytes);
  auto log = std::unique_ptr<QuorumLog>(new QuorumLog(std::move(options), std::move(dependencies)));
  QuorumLog* const self = log.get();
  const Options& o = self->options_;
  const SnapshotStore* const store = self->dependencies_.snapshots.get();
  EntryId snapshot;
  if (store != nullptr && store->newest().has_value()) snapshot = store->newest()->id.last;
  ASSIGN_OR_RETURN(self->wal_,
                   Wal::Open(
                       o.wal, self->dependencies_.wal, snapshot,
                       [self](const absl::Status& s) { self->Fail(s); }, &self->recovery_));
  RETURN_IF_ERROR(CheckVoters(o, alone, self->recovery_.voters));
  self->snapshot_index_ = snapshot.index;
  return log;
}

InitialState QuorumLog::TakeInitialState() {
  InitialState initial;
  initial.hard_state = recovery_.hard_state;
  initial.founders = options_.founders;
  // A quorum that grew out of a lone voter: its log has the set that it began with.
  if (initial.founders.voters.empty() && recovery_.voters.id == EntryId{}) {
    initial.founders = recovery_.voters;
  }
  initial.entries = std::exchange(recovery_.entries, {});
  initial.applied = machine_at_;
  const SnapshotStore* const store = dependencies_.snapshots.get();
  if (store == nullptr) return initial;
  initial.snapshot = store->newest();
  if (const auto receiving = store->receiving(); receiving.has_value()) {
    initial.receiving = receiving->id;
    initial.received = receiving->received;
  }
  return initial;
}

bool QuorumLog::others_may_lead() const {
  if (dependencies_.transport == nullptr) return false;
  return node_ == nullptr || CountedVoters(node_->voters()) != std::vector<VoterId>{options_.self};
}

void QuorumLog::Start(Listener* listener) {
  CHECK(listener_ == nullptr) << "started twice";
  listener_ = listener;
  // Not from inside this call.
  std::weak_ptr<const bool> alive = alive_;
  dependencies_.wal.owner->Post([this, alive] {
    if (alive.expired() || failed()) return;
    if (const absl::Status begun = Begin(); !begun.ok()) return Fail(begun);
    Pump();
  });
}

absl::Status QuorumLog::Begin() {
  const bool unfounded = recovery_.voters.voters.empty() && !options_.founders.voters.empty();
  uint64_t applied_bytes = 0;
  for (const Entry& entry : recovery_.entries) {
    if (entry.index <= machine_at_) applied_bytes += Log::CostOf(entry);
  }
  ASSIGN_OR_RETURN(node_, Node::Create(options_.raft, options_.self, TakeInitialState(),
                                       dependencies_.random.get(), now()));
  role_ = RoleState{Role::kFollower, node_->term(), std::nullopt};
  if (dependencies_.on_ready != nullptr) dependencies_.on_ready(*node_, Ready());
  writer_ = std::make_unique<ReadyWriter>(
      ReadyWriter::Dependencies{.wal = wal_.get(),
                                .owner = dependencies_.wal.owner,
                                .snapshot_disk = dependencies_.snapshot_disk,
                                .snapshots = dependencies_.snapshots,
                                .machine = dependencies_.machine},
      ReadyWriter::Events{.persisted = [this](Ready ready) { OnPersisted(std::move(ready)); },
                          .received =
                              [this](const SnapshotId& id, bool valid) {
                                node_->SnapshotReceived(id, valid, now());
                                Pump();
                              },
                          .failed = [this](const absl::Status& status) { Fail(status); }},
      unfounded ? std::optional<VoterSet>(options_.founders) : std::nullopt);
  taker_ = std::make_unique<SnapshotTaker>(
      SnapshotTaker::Dependencies{.owner = dependencies_.wal.owner,
                                  .snapshot_disk = dependencies_.snapshot_disk,
                                  .snapshots = dependencies_.snapshots,
                                  .machine = dependencies_.machine},
      std::min(options_.snapshot_after_bytes, options_.raft.log_bytes_max / kSnapshotsInALog),
      options_.snapshot_interval,
      [this](const absl::StatusOr<SnapshotOffer>& snapshot) { OnSnapshotEnded(snapshot); });
  // What the machine had applied is delivered no more, and in no snapshot.
  if (applied_bytes > 0) taker_->OnApplied(applied_bytes, now());
  timer_ = std::make_unique<DeadlineTimer>(dependencies_.wal.owner, [this] {
    node_->Tick(now());
    Pump();
  });
  if (dependencies_.transport != nullptr) {
    UpdatePeers();
    dependencies_.transport->SetReceiver(this);
  }
  return absl::OkStatus();
}

// ---- What happens ----

void QuorumLog::OnMessage(const Message& message) {
  if (failed()) return;
  node_->Step(message, now());
  Pump();
}

void QuorumLog::OnUnreachable(NodeId peer) {
  if (failed()) return;
  node_->PeerUnreachable(peer, now());
  Pump();
}

void QuorumLog::OnPersisted(Ready ready) {
  // Of one that was superseded; a disk that failed says nothing more.
  if (failed()) return;
  node_->Persisted(ready.seq, now());
  if (ready.install.has_value()) {
    snapshot_index_ = ready.install->id.last.index;
    taker_->OnInstalled();
    if (dependencies_.metrics != nullptr) {
      dependencies_.metrics->OnSnapshot(ready.install->id, dependencies_.wal.clock->WallNow().ms);
    }
  }
  Send(std::move(ready.send_after_persist));
  Pump();
}

// The log is kept from the snapshot before it on (S-09).
void QuorumLog::OnSnapshotEnded(const absl::StatusOr<SnapshotOffer>& snapshot) {
  if (failed()) return;
  if (snapshot.ok() && snapshot->id.last.index > snapshot_index_) {
    node_->SnapshotTaken(snapshot->id, now());
    const LogIndex before = std::exchange(snapshot_index_, snapshot->id.last.index);
    wal_->ReleaseBefore(MUTANT("host.wal-released-too-far") ? snapshot_index_ + 1 : before);
    if (dependencies_.metrics != nullptr) {
      dependencies_.metrics->OnSnapshot(snapshot->id, dependencies_.wal.clock->WallNow().ms);
    }
  }
  // The next one may be due, or has to be waited for.
  Pump();
}

// ---- What is asked ----

LeaderHint QuorumLog::leader_hint() const {
  LeaderHint hint;
  if (!role_.leader.has_value()) return hint;
  hint.leader = role_.leader->node;
  const Voter* const voter = node_->voters().Find(*role_.leader);
  if (voter != nullptr) hint.address = voter->address;
  if (!hint.address.empty()) return hint;
  // One who has just joined hears its leader before it has the log that names it.
  for (const Peer& peer : options_.known_peers) {
    if (peer.node == hint.leader) hint.address = peer.address;
  }
  return hint;
}

absl::Status QuorumLog::NotLeader() const {
  if (failed()) {
    return MakeError(ErrorCode::kNotController,
                     "the metadata log of this controller has stopped; ask another controller");
  }
  return MakeError(ErrorCode::kNotController,
                   "this node does not lead the metadata quorum; nothing was changed; ask the "
                   "leader",
                   {.leader = leader_hint()});
}

absl::StatusOr<EntryId> QuorumLog::Append(Bytes payload) {
  RETURN_IF_ERROR(failed_);
  if (!leading_) return NotLeader();
  if (payload.size() > options_.wal.entry_bytes_max) {
    return MakeError(ErrorCode::kEntryTooLarge,
                     absl::StrCat("an entry of ", payload.size(), " bytes is over the limit of ",
                                  options_.wal.entry_bytes_max, " of the metadata log"),
                     {.name = "entry_bytes", .value = absl::StrCat(payload.size())});
  }
  ASSIGN_OR_RETURN(const EntryId id, node_->Propose(std::move(payload), now()));
  if (dependencies_.metrics != nullptr) dependencies_.metrics->OnAppended(id.index, now());
  // What is proposed until then goes into the same group.
  SchedulePump();
  return id;
}

void QuorumLog::ConfirmLeadership(ConfirmCallback done) {
  absl::StatusOr<ReadId> id = leading_ ? node_->Read(now()) : absl::StatusOr<ReadId>(NotLeader());
  if (id.ok()) {
    reads_.emplace(*id, std::move(done));
    return SchedulePump();
  }
  // Not from inside this call.
  dependencies_.wal.owner->Post([status = id.status(), done = std::move(done)]() mutable {
    std::move(done)(std::move(status));
  });
}

void QuorumLog::ChangeMembership(const VoterChange& change, ChangeCallback done) {
  absl::StatusOr<EntryId> id =
      leading_ ? node_->ChangeMembership(change, now()) : absl::StatusOr<EntryId>(NotLeader());
  if (!id.ok()) return std::move(done)(id.status());
  changes_.emplace(*id, std::move(done));
  SchedulePump();
}

absl::Status QuorumLog::TransferLeadership(const VoterId& target) {
  if (!leading_) return NotLeader();
  RETURN_IF_ERROR(node_->TransferLeadership(target, now()));
  SchedulePump();
  return absl::OkStatus();
}

// ---- What comes out ----

void QuorumLog::SchedulePump() {
  if (std::exchange(pump_scheduled_, true)) return;
  std::weak_ptr<const bool> alive = alive_;
  dependencies_.wal.owner->Post([this, alive] {
    if (alive.expired()) return;
    pump_scheduled_ = false;
    Pump();
  });
}

void QuorumLog::Pump() {
  // What happens inside of it is seen by the loop that runs.
  if (pumping_ || failed()) return;
  pumping_ = true;
  std::weak_ptr<const bool> alive = alive_;
  bool more = true;
  while (more && !failed()) {
    Ready ready = node_->TakeReady();
    if (ready.empty()) break;
    more = ready.committed.size() < kDeliveredAtOnce;
    Take(std::move(ready));
    // A reply may have destroyed this log.
    if (alive.expired()) return;
  }
  pumping_ = false;
  if (failed()) return;
  if (!more) SchedulePump();
  // Else the machine's old state would be written under the index of the snapshot that replaces it.
  const bool may_take = !writer_->will_install();
  if (may_take && taker_->due(now())) {
    LogIndex applied = node_->applied();
    if (MUTANT("host.snapshot-of-an-entry-before")) applied = applied - 1;
    if (const std::optional<Term> term = node_->log().TermAt(applied); term.has_value()) {
      taker_->Take(EntryId{*term, applied}, node_->state().membership.At(applied), now());
    }
  }
  if (dependencies_.metrics != nullptr) dependencies_.metrics->Update(*node_);
  // An installation comes back here when it is durable.
  timer_->Set(may_take ? std::min(node_->next_deadline(), taker_->deadline())
                       : node_->next_deadline());
}

// In the order that ready.h asks for.
void QuorumLog::Take(Ready ready) {
  if (dependencies_.on_ready != nullptr) dependencies_.on_ready(*node_, ready);
  std::weak_ptr<const bool> alive = alive_;
  if (ready.role.has_value()) TakeRole(*ready.role);
  if (alive.expired() || failed()) return;
  for (const VoterId& voter : ready.lost_log) {
    LOG_ERROR("raft",
              "a voter forgot entries that it had acknowledged: it is not counted any more; "
              "replace it with a new directory",
              {{"node", voter.node.value()}, {"directory", voter.directory.ToString()}});
  }
  Send(std::move(ready.send_now));
  if (MUTANT("host.promises-sent-at-once")) Send(std::exchange(ready.send_after_persist, {}));
  const bool voters_changed = ready.voters.has_value() || ready.install.has_value();
  std::vector<Entry> committed = std::move(ready.committed);
  const std::vector<ReadResult> reads = std::move(ready.reads);
  writer_->Write(std::move(ready));
  if (voters_changed && !failed()) {
    if (!MUTANT("host.peers-not-updated")) UpdatePeers();
    // Its address may be another one, or known for the first time.
    if (on_leader_changed_ != nullptr) on_leader_changed_(role_);
  }
  Deliver(std::move(committed));
  if (alive.expired() || failed()) return;
  AnswerReads(reads);
}

void QuorumLog::TakeRole(const RoleState& role) {
  const bool stays = leading_ && role.role == Role::kLeader && role.term == role_.term;
  role_ = role;
  std::weak_ptr<const bool> alive = alive_;
  if (leading_ && !stays) {
    leading_ = false;
    if (dependencies_.metrics != nullptr) dependencies_.metrics->OnLostLeadership();
    if (!MUTANT("host.lost-leadership-untold")) listener_->OnLostLeadership();
    if (alive.expired()) return;
    EndCommittedChanges();
    if (alive.expired()) return;
    FailWaiting(NotLeader(),
                MakeError(ErrorCode::kOutcomeUnknown,
                          "leadership was lost before the change of the quorum was committed; it "
                          "may or may not take effect: describe the quorum before trying again"));
  }
  if (alive.expired()) return;
  if (role.role == Role::kLeader && !stays && dependencies_.metrics != nullptr) {
    dependencies_.metrics->OnElected();
  }
  if (MUTANT("host.leads-before-its-no-op") && role.role == Role::kLeader && !stays) {
    leading_ = true;
    listener_->OnBecameLeader(role.term);
  }
  if (on_leader_changed_ != nullptr) on_leader_changed_(role_);
}

void QuorumLog::Deliver(std::vector<Entry> committed) {
  if (committed.empty() || failed()) return;
  std::vector<rsm::CommittedEntry> entries;
  entries.reserve(committed.size());
  uint64_t bytes = 0;
  bool elected = false;
  for (Entry& entry : committed) {
    const bool internal = entry.type != EntryType::kPayload;
    bytes += Log::CostOf(entry);
    elected |=
        entry.type == EntryType::kNoOp && role_.role == Role::kLeader && entry.term == role_.term;
    entries.push_back(
        rsm::CommittedEntry{entry.id(), internal ? Bytes() : std::move(entry.payload), internal});
  }
  if (dependencies_.metrics != nullptr) {
    dependencies_.metrics->OnCommitted(entries.back().id.index, now());
  }
  taker_->OnApplied(bytes, now());
  std::weak_ptr<const bool> alive = alive_;
  listener_->OnCommitted(entries);
  for (const rsm::CommittedEntry& entry : entries) {
    if (alive.expired() || failed()) return;
    if (entry.internal) EndChange(entry.id);
  }
  if (alive.expired() || failed() || !elected) return;
  // With the no-op of its term all of its predecessors' entries were delivered too.
  leading_ = true;
  listener_->OnBecameLeader(role_.term);
}

void QuorumLog::EndChange(const EntryId& id) {
  const auto change = changes_.find(id);
  if (change == changes_.end()) return;
  ChangeCallback done = std::move(change->second);
  changes_.erase(change);
  std::move(done)(absl::OkStatus());
}

// A leader that is removed steps down with the commit of its removal, before that is delivered.
void QuorumLog::EndCommittedChanges() {
  std::vector<EntryId> committed;
  for (const auto& [id, done] : changes_) {
    if (id.index <= node_->commit() && TermAt(id.index) == id.term) committed.push_back(id);
  }
  std::weak_ptr<const bool> alive = alive_;
  for (const EntryId& id : committed) {
    EndChange(id);
    if (alive.expired()) return;
  }
}

void QuorumLog::AnswerReads(const std::vector<ReadResult>& reads) {
  std::weak_ptr<const bool> alive = alive_;
  for (const ReadResult& read : reads) {
    const auto waiting = reads_.find(read.id);
    // Failed already, with the leadership that it was asked of.
    if (waiting == reads_.end()) continue;
    ConfirmCallback done = std::move(waiting->second);
    reads_.erase(waiting);
    std::move(done)(read.confirmed ? absl::OkStatus() : NotLeader());
    if (alive.expired() || failed()) return;
  }
}

// ---- The network ----

void QuorumLog::Send(std::vector<Message> messages) {
  if (dependencies_.transport == nullptr || messages.empty()) return;
  const auto is_chunk = [](const Message& message) {
    return std::holds_alternative<SnapshotChunk>(message.body);
  };
  const auto chunks = std::stable_partition(messages.begin(), messages.end(),
                                            [&](const Message& m) { return !is_chunk(m); });
  for (auto chunk = chunks; chunk != messages.end(); ++chunk) SendChunk(std::move(*chunk));
  messages.erase(chunks, messages.end());
  if (!messages.empty()) dependencies_.transport->Send(std::move(messages));
}

// Its bytes are read on the snapshot strand first. To the core it is lost when an offer that was
// made behind it is answered without it; but until it was read, offers overtake it. Were it read
// again for each, every piece would wait for more copies of the one before than the last did.
void QuorumLog::SendChunk(Message message) {
  const auto& chunk = std::get<SnapshotChunk>(message.body);
  Piece& last = pieces_[message.to];
  const bool again = last.id == chunk.id && last.offset == chunk.offset;
  if (again && now() < last.due_again) return;
  last = {.id = chunk.id, .offset = chunk.offset, .due_again = MonotonicTime::Never()};
  std::weak_ptr<const bool> alive = alive_;
  dependencies_.snapshot_disk->Post(
      [this, alive, owner = dependencies_.wal.owner, store = dependencies_.snapshots, id = chunk.id,
       offset = chunk.offset, size = chunk.size, message = std::move(message)]() mutable {
        absl::StatusOr<Bytes> data = store->ReadChunk(id, offset, size);
        owner->Post([this, alive, data = std::move(data), message = std::move(message)]() mutable {
          if (!alive.expired() && !failed()) OnChunkRead(std::move(data), std::move(message));
        });
      });
}

void QuorumLog::OnChunkRead(absl::StatusOr<Bytes> data, Message message) {
  auto& chunk = std::get<SnapshotChunk>(message.body);
  Piece& last = pieces_[message.to];
  const bool newest = last.id == chunk.id && last.offset == chunk.offset;
  if (!data.ok()) {
    // The core asks again, or offers a newer snapshot.
    LOG_WARN("raft", "cannot read a piece of a snapshot for a follower",
             {{"node", message.to.node.value()}, {"error", data.status().ToString()}});
    if (newest) last = Piece();
    return;
  }
  // The offer behind it is the next heartbeat's.
  if (newest) last.due_again = now() + options_.raft.heartbeat_interval;
  chunk.data = *std::move(data);
  std::vector<Message> one;
  one.push_back(std::move(message));
  dependencies_.transport->Send(std::move(one));
}

void QuorumLog::UpdatePeers() {
  if (dependencies_.transport == nullptr) return;
  // What was committed first: it may be of a voter that was added after the list was written. But a
  // quorum that was moved while it was down has nothing newer than the list.
  std::vector<Peer> peers;
  const auto add = [&](NodeId node, const std::string& address) {
    if (node == options_.self.node || address.empty()) return;
    const Peer peer{node, address};
    if (std::find(peers.begin(), peers.end(), peer) == peers.end()) peers.push_back(peer);
  };
  const std::vector<Voter>& voters = node_->voters().voters;
  // Of a node's directories the last one of the set.
  for (auto voter = voters.rbegin(); voter != voters.rend(); ++voter) {
    add(voter->id.node, voter->address);
  }
  for (const Peer& peer : options_.known_peers) add(peer.node, peer.address);
  dependencies_.transport->SetPeers(std::move(peers));
}

// ---- The end ----

void QuorumLog::FailWaiting(const absl::Status& reads, const absl::Status& changes) {
  std::map<ReadId, ConfirmCallback> waiting = std::exchange(reads_, {});
  std::map<EntryId, ChangeCallback> open = std::exchange(changes_, {});
  for (auto& [id, done] : waiting) std::move(done)(reads);
  for (auto& [id, done] : open) std::move(done)(changes);
}

void QuorumLog::Fail(const absl::Status& status) {
  if (failed()) return;
  failed_ = status;
  leading_ = false;
  if (timer_ != nullptr) timer_->Clear();
  if (dependencies_.transport != nullptr) dependencies_.transport->SetReceiver(nullptr);
  std::weak_ptr<const bool> alive = alive_;
  if (listener_ != nullptr) listener_->OnFailed(status);
  if (alive.expired()) return;
  FailWaiting(NotLeader(),
              MakeError(ErrorCode::kOutcomeUnknown,
                        "the metadata log failed before the change of the quorum was committed"));
}

}  // namespace millrace::raft
