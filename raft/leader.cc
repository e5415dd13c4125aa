#include "raft/leader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"
#include "raft/quorum.h"

namespace millrace::raft {

Leader::Leader(ServerState* state)
    : state_(*state),
      next_heartbeat_(state->now + state->options.heartbeat_interval),
      told_commit_(state->commit()) {
  state_.role = Role::kLeader;
  state_.leader = state_.self;
  SyncPeers(state_.log.last().index + 1);
  // Paper 8: what is committed is known only when an entry of the own term is.
  own_term_begin_ = Append(EntryType::kNoOp, Bytes()).index;
}

// ---- What is asked of the leader ----

absl::StatusOr<EntryId> Leader::Propose(Bytes payload) {
  if (transfer_.active()) {
    return MakeError(ErrorCode::kNotController, "leadership is being handed over; retry");
  }
  if (state_.log.bytes() + payload.size() > state_.options.log_bytes_max) state_.MakeRoom();
  RETURN_IF_ERROR(CheckRoom(payload.size()));
  return Append(EntryType::kPayload, std::move(payload));
}

absl::Status Leader::CheckRoom(uint64_t cost) const {
  const Options& options = state_.options;
  const struct {
    absl::string_view what;
    uint64_t bytes;
    uint64_t bytes_max;
  } bounds[] = {
      {"wait for commit", state_.log.BytesAfter(state_.commit()), options.uncommitted_bytes_max},
      {"wait for this node's disk", state_.log.BytesAfter(state_.log.stable()),
       options.unpersisted_bytes_max},
      {"are in the log since the last snapshot", state_.log.bytes(), options.log_bytes_max},
  };
  for (const auto& bound : bounds) {
    // An entry as large as the bound still fits when nothing is there before it.
    if (bound.bytes == 0 || bound.bytes + cost <= bound.bytes_max) continue;
    return MakeError(ErrorCode::kResourceExhausted,
                     absl::StrCat(bound.bytes, " bytes of the metadata log ", bound.what,
                                  "; the bound is ", bound.bytes_max, "; retry later"),
                     {.name = "bytes", .value = absl::StrCat(bound.bytes)});
  }
  return absl::OkStatus();
}

EntryId Leader::Append(EntryType type, Bytes payload) {
  Entry entry{.term = state_.term(),
              .index = state_.log.last().index + 1,
              .type = type,
              .payload = std::move(payload)};
  const EntryId id = entry.id();
  CHECK(state_.membership.Append(entry).ok()) << "this leader has encoded it";
  state_.log.Append(std::move(entry));
  // Thesis 4.1: a configuration is in force as soon as it is in the log.
  if (type == EntryType::kVoters) SyncPeers(id.index);
  return id;
}

absl::StatusOr<EntryId> Leader::ChangeMembership(const VoterChange& change) {
  const VoterSet& latest = state_.membership.latest();
  // The correction of 2015: two leaders that each change their predecessor's uncommitted set would
  // have majorities that do not meet.
  if (state_.commit() < own_term_begin_ && !MUTANT("raft.change-before-own-term")) {
    return MakeError(ErrorCode::kResourceExhausted,
                     "this leader has not committed an entry of its term yet; retry");
  }
  if (latest.id.index > state_.commit() && !MUTANT("raft.two-changes-at-once")) {
    return MakeError(ErrorCode::kResourceExhausted,
                     "another change of voters is under way; retry when it is done");
  }
  if (transfer_.active()) {
    return MakeError(ErrorCode::kNotController, "leadership is being handed over; retry");
  }
  if (change.kind == VoterChange::Kind::kPromote) {
    RETURN_IF_ERROR(CheckCaughtUp(change.id));
  }
  ASSIGN_OR_RETURN(const VoterSet changed, ChangeVoters(latest, change));
  ASSIGN_OR_RETURN(std::string payload, EncodeVoters(changed.voters));
  return Append(EntryType::kVoters, Bytes::FromString(std::move(payload)));
}

// A voter that does not answer makes every majority larger and none easier: a short log alone does
// not show that a learner is there.
absl::Status Leader::CheckCaughtUp(const VoterId& learner) const {
  const auto peer = peers_.find(learner);
  // ChangeVoters says what is wrong with it.
  if (peer == peers_.end()) return absl::OkStatus();
  const Progress& progress = peer->second;
  const bool answers = progress.state() == Progress::State::kReplicate && !progress.lost_log() &&
                       state_.now < progress.last_contact() + state_.options.election_timeout_max;
  const int64_t lag = state_.log.last().index - progress.match();
  if (answers && lag <= state_.options.promote_lag_max) return absl::OkStatus();
  return MakeError(
      ErrorCode::kResourceExhausted,
      answers ? absl::StrCat("the learner lacks ", lag, " entries; it may be promoted at ",
                             state_.options.promote_lag_max)
              : std::string("the learner does not take entries; it may be promoted when it does"));
}

absl::Status Leader::Read(ReadId id) {
  if (reads_.size() >= state_.options.reads_max) {
    return MakeError(ErrorCode::kResourceExhausted,
                     absl::StrCat(reads_.size(), " reads wait for confirmation; retry later"));
  }
  reads_.Add(id, state_.commit(), round_ + 1);
  everybody_ = true;
  ConfirmReads();
  return absl::OkStatus();
}

absl::Status Leader::TransferTo(const VoterId& target) {
  if (!IsCountedVoter(state_.membership.latest(), target) || target == state_.self) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("node ", target.node.value(), " is not another voter"),
                     {.name = "target", .value = absl::StrCat(target.node.value())});
  }
  transfer_.Begin(target, state_.now + state_.options.election_timeout_max);
  return absl::OkStatus();
}

void Leader::HandOver() {
  if (transfer_.active()) return;
  const std::optional<VoterId> successor = BestSuccessor();
  if (successor.has_value()) {
    transfer_.Begin(*successor, state_.now + state_.options.election_timeout_max);
  }
}

std::optional<VoterId> Leader::BestSuccessor() const {
  std::optional<VoterId> best;
  LogIndex best_match;
  for (const auto& [id, progress] : peers_) {
    const bool answers = state_.now < progress.last_contact() + state_.options.election_timeout_min;
    if (!answers || progress.lost_log() || !IsCountedVoter(state_.membership.latest(), id)) {
      continue;
    }
    if (best.has_value() && progress.match() <= best_match) continue;
    best = id;
    best_match = progress.match();
  }
  return best;
}

// ---- What followers answer ----

void Leader::OnAppendResponse(const VoterId& from, const AppendResponse& response) {
  auto it = peers_.find(from);
  if (it == peers_.end()) return;
  Progress& progress = it->second;
  if (progress.ProvesLostLog(response)) {
    if (!progress.lost_log()) state_.lost_log.push_back(from);
    progress.OnLostLog(response);
  }
  progress.OnContact(response.round, state_.now);
  if (response.accepted) {
    // Nobody can match what is not there; and what a snapshot must bring first is not matched yet.
    if (response.match > state_.log.last().index) return;
    const bool snapshot_needed =
        progress.state() == Progress::State::kSnapshot && response.match < state_.log.start().index;
    if (!snapshot_needed) progress.OnAccepted(response.match, round_);
    if (!snapshot_needed && response.full) progress.OnFull();
    TryCommit();
  } else {
    const EntryId start = state_.log.start();
    const LogIndex meets =
        response.hint.index < start.index
            ? response.hint.index
            : state_.log.LastAtOrBelow(response.hint.index, response.hint.term).index;
    progress.OnRefused(response, meets, round_);
  }
  ConfirmReads();
}

void Leader::OnSnapshotResponse(const VoterId& from, const SnapshotResponse& response) {
  auto it = peers_.find(from);
  if (it == peers_.end()) return;
  it->second.OnContact(response.round, state_.now);
  if (it->second.snapshot() == response.id) {
    it->second.OnSnapshotReceived(response.received, response.round);
  }
  ConfirmReads();
}

void Leader::OnUnreachable(NodeId node) {
  for (auto& [id, progress] : peers_) {
    if (id.node == node) progress.OnUnreachable();
  }
}

// ---- Commitment ----

void Leader::OnPersisted() {
  TryCommit();
  ConfirmReads();
}

// Figure 2, the last rule for leaders; paper 5.4.2 and figure 8: an entry of an earlier term is
// committed only together with one of the own term, however many voters hold it.
void Leader::TryCommit() {
  std::vector<LogIndex> matches;
  for (const VoterId& voter : CountedVoters(state_.membership.latest())) {
    if (voter == state_.self) {
      // S-10: the own disk counts when it says so, not before.
      matches.push_back(MUTANT("raft.own-match-not-durable") ? state_.log.last().index
                                                             : state_.log.stable());
      continue;
    }
    auto peer = peers_.find(voter);
    const bool counts = peer != peers_.end() && !peer->second.lost_log();
    matches.push_back(counts ? peer->second.match() : LogIndex());
  }
  if (matches.empty()) return;
  if (MUTANT("raft.removed-leader-counts") &&
      !IsCountedVoter(state_.membership.latest(), state_.self)) {
    matches.back() = state_.log.stable();
  }
  const LogIndex reached = ReachedByMajority(std::move(matches));
  if (reached <= state_.commit()) return;
  if (state_.log.TermAt(reached) != state_.term() && !MUTANT("raft.commit-old-term")) return;
  state_.hard.commit = reached;
}

void Leader::ConfirmReads() {
  if (reads_.empty()) return;
  std::vector<Round> rounds;
  for (const VoterId& voter : CountedVoters(state_.membership.latest())) {
    if (voter == state_.self) {
      rounds.push_back(Round(std::numeric_limits<uint64_t>::max()));
      continue;
    }
    auto peer = peers_.find(voter);
    const bool counts = peer != peers_.end() && !peer->second.lost_log();
    rounds.push_back(counts ? peer->second.acked_round() : Round());
  }
  if (rounds.empty()) return;
  reads_.Confirm(ReachedByMajority(std::move(rounds)), own_term_begin_, state_.commit(),
                 &state_.reads);
}

// ---- Time ----

MonotonicTime Leader::HeardMajorityAt() const {
  if (MUTANT("raft.no-check-quorum")) return MonotonicTime::Never();
  std::vector<MonotonicTime> contacts;
  for (const VoterId& voter : CountedVoters(state_.membership.latest())) {
    if (voter == state_.self) {
      contacts.push_back(MonotonicTime::Never());
      continue;
    }
    auto peer = peers_.find(voter);
    const bool counts = peer != peers_.end() && !peer->second.lost_log();
    contacts.push_back(counts ? peer->second.last_contact() : MonotonicTime());
  }
  return contacts.empty() ? MonotonicTime::Never() : ReachedByMajority(std::move(contacts));
}

bool Leader::HeardMajority() const {
  return state_.now < HeardMajorityAt() + state_.options.election_timeout_min;
}

bool Leader::LostMajority() const {
  return state_.now >= HeardMajorityAt() + state_.options.election_timeout_max;
}

bool Leader::Removed() const {
  const VoterSet& latest = state_.membership.latest();
  return latest.id.index <= state_.commit() && !IsCountedVoter(latest, state_.self);
}

void Leader::SayGoodbye() {
  const std::optional<VoterId> successor = BestSuccessor();
  if (!successor.has_value()) return;
  if (peers_.at(*successor).match() == state_.log.last().index) {
    state_.Tell(*successor, TimeoutNow{});
  }
}

void Leader::Tick() {
  transfer_.Tick(state_.now);
  if (state_.now < next_heartbeat_) return;
  next_heartbeat_ = state_.now + state_.options.heartbeat_interval;
  everybody_ = true;
  transfer_.OnHeartbeatDue();
  for (auto& [id, progress] : peers_) progress.OnHeartbeatDue();
}

MonotonicTime Leader::next_deadline() const {
  const MonotonicTime heartbeat = peers_.empty() ? MonotonicTime::Never() : next_heartbeat_;
  const MonotonicTime majority = HeardMajorityAt() + state_.options.election_timeout_max;
  return std::min({heartbeat, majority, transfer_.deadline(), commit_notice_});
}

// ---- Sending ----

// Members of the newest set, and until that is committed also those it leaves out: they should
// learn that they are removed, instead of standing for election (thesis 4.2.3).
void Leader::SyncPeers(LogIndex next) {
  std::map<VoterId, Progress> peers;
  const auto keep = [&](const VoterSet& set) {
    for (const Voter& voter : set.voters) {
      if (voter.id == state_.self || peers.contains(voter.id)) continue;
      auto known = peers_.find(voter.id);
      peers.emplace(voter.id, known != peers_.end() ? known->second : Progress(next, state_.now));
    }
  };
  keep(state_.membership.latest());
  if (state_.membership.latest().id.index > told_commit_) keep(state_.membership.At(told_commit_));
  peers_ = std::move(peers);
}

bool Leader::CommitNoticeDue() {
  if (state_.commit() <= told_commit_) return false;
  if (commit_notice_ == MonotonicTime::Never()) {
    commit_notice_ = state_.now + state_.options.commit_notice_delay;
  }
  // Who is removed should learn it, and then be left alone.
  return state_.now >= commit_notice_ || VotersSettledAfter(told_commit_);
}

bool Leader::CommitTold() const {
  return std::all_of(peers_.begin(), peers_.end(), [&](const auto& peer) {
    return peer.second.told_commit() >= state_.commit();
  });
}

bool Leader::VotersSettledAfter(LogIndex index) const {
  const LogIndex latest = state_.membership.latest().id.index;
  return latest > index && latest <= state_.commit();
}

void Leader::FillMessages() {
  const bool force = CommitNoticeDue() || everybody_;
  const size_t before = state_.send_now.size();
  for (auto& [id, progress] : peers_) SendTo(id, &progress, force);
  everybody_ = false;
  if (state_.commit() > told_commit_ && (force || CommitTold())) {
    const bool voters_told = VotersSettledAfter(told_commit_);
    told_commit_ = state_.commit();
    commit_notice_ = MonotonicTime::Never();
    if (voters_told) SyncPeers(state_.log.last().index + 1);
  }
  if (transfer_.active()) {
    auto target = peers_.find(*transfer_.target());
    if (target == peers_.end()) {
      transfer_.Abort();
    } else if (transfer_.TakeTimeoutNow(target->second.match(), state_.log.last().index)) {
      state_.Tell(target->first, TimeoutNow{});
    }
  }
  if (state_.send_now.size() > before) ++round_;
}

void Leader::SendTo(const VoterId& peer, Progress* progress, bool force) {
  const Log& log = state_.log;
  // A snapshot that is no longer kept cannot be sent on: the newest takes its place.
  const bool outdated = progress->state() == Progress::State::kSnapshot &&
                        !state_.snapshots.Has(*progress->snapshot());
  const bool compacted =
      progress->state() != Progress::State::kSnapshot && progress->next() <= log.start().index;
  if ((outdated || compacted) && state_.snapshots.newest().has_value()) {
    progress->BeginSnapshot(state_.snapshots.newest()->id);
  }
  if (progress->state() == Progress::State::kSnapshot) return SendSnapshot(peer, progress, force);
  // One that fell behind hears of the commit when its answer shows that it can use it.
  const bool fell_behind = std::min(state_.commit(), progress->match()) > progress->told_commit();
  force = force || (fell_behind && commit_notice_ == MonotonicTime::Never());
  bool sent = false;
  while (progress->CanSend(state_.options) && progress->next() <= log.last().index) {
    const LogIndex next = progress->next();
    std::vector<Entry> entries = log.Slice(next, state_.options.append_bytes_max);
    uint64_t bytes = 0;
    for (const Entry& entry : entries) bytes += Log::CostOf(entry);
    progress->OnSent(static_cast<int64_t>(entries.size()), bytes);
    SendAppend(peer, progress, next, std::move(entries));
    sent = true;
  }
  if (!sent && force) SendAppend(peer, progress, progress->next(), {});
}

void Leader::SendAppend(const VoterId& peer, Progress* progress, LogIndex next,
                        std::vector<Entry> entries) {
  const LogIndex previous = next - 1;
  const LogIndex end = previous + static_cast<int64_t>(entries.size());
  progress->OnToldCommit(std::min(state_.commit(), end));
  state_.Tell(peer, AppendRequest{.previous = EntryId{*state_.log.TermAt(previous), previous},
                                  .entries = std::move(entries),
                                  .commit = state_.commit(),
                                  .round = round_ + 1});
}

void Leader::SendSnapshot(const VoterId& peer, Progress* progress, bool force) {
  const SnapshotOffer* snapshot = state_.snapshots.Find(*progress->snapshot());
  CHECK(snapshot != nullptr) << "SendTo chose one that is kept";
  if (progress->TakeOfferToSend(round_ + 1) || force) {
    // Also the heartbeat of this state: the answer says where to go on.
    SnapshotOffer offer = *snapshot;
    offer.round = round_ + 1;
    state_.Tell(peer, std::move(offer));
  }
  if (const std::optional<uint64_t> offset = progress->TakeChunkToSend()) {
    const uint64_t size =
        std::min(state_.options.snapshot_chunk_bytes, snapshot->id.bytes - *offset);
    state_.Tell(
        peer,
        SnapshotChunk{
            .id = snapshot->id, .offset = *offset, .size = size, .data = {}, .round = round_ + 1});
  }
}

}  // namespace millrace::raft
