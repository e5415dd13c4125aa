#include "raft/follower.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace millrace::raft {
namespace {

// A peer's entries are used only if they are what Raft's rules let a leader send.
bool IsWellFormed(const AppendRequest& request, Term term) {
  EntryId before = request.previous;
  for (const Entry& entry : request.entries) {
    if (entry.index != before.index + 1 || entry.term < before.term || entry.term > term) {
      return false;
    }
    if (entry.type == EntryType::kVoters && !DecodeVoters(entry.payload).ok()) return false;
    before = entry.id();
  }
  return true;
}

}  // namespace

void Follower::OnAppend(const VoterId& leader, const AppendRequest& request) {
  if (!IsWellFormed(request, state_.term())) return;
  const News news = SkipCommitted(request);
  // Paper 5.3: "if it does not find an entry in its log with the same index and term, then it
  // refuses the new entries".
  const bool meets =
      state_.log.Has(news.previous) ||
      (MUTANT("raft.no-previous-check") && news.previous.index <= state_.log.last().index);
  if (!meets) return Refuse(leader, request);
  const LogIndex match = Merge(request, news);
  // Figure 2: the lower of leaderCommit and the last new entry; what comes after that one in the
  // own log may be anything.
  AdvanceCommit(MUTANT("raft.commit-beyond-match")
                    ? std::min(request.commit, state_.log.last().index)
                    : std::min(request.commit, match));
  const LogIndex end = request.previous.index + static_cast<int64_t>(request.entries.size());
  Accept(leader, MUTANT("raft.ack-whole-log") ? state_.log.last().index : match, request.round,
         /*full=*/match < end);
}

// What is committed here is in every later leader's log (leader completeness), so it needs no
// comparison, and may have been compacted away.
Follower::News Follower::SkipCommitted(const AppendRequest& request) const {
  News news{request.previous, 0};
  if (request.previous.index >= state_.commit()) return news;
  const auto committed = static_cast<size_t>(state_.commit() - request.previous.index);
  news.first = std::min(committed, request.entries.size());
  news.previous = EntryId{*state_.log.TermAt(state_.commit()), state_.commit()};
  return news;
}

LogIndex Follower::Merge(const AppendRequest& request, const News& news) {
  Log& log = state_.log;
  LogIndex match = news.previous.index;
  for (size_t i = news.first; i < request.entries.size(); ++i) {
    const Entry& entry = request.entries[i];
    // A late or repeated request must not cut what came after it: only a conflict does.
    const bool conflict =
        entry.index <= log.last().index && (!log.Has(entry.id()) || MUTANT("raft.always-truncate"));
    if (entry.index <= log.last().index && !conflict) {
      match = entry.index;
      continue;
    }
    // The memory bound: the rest comes when a snapshot has made room.
    const uint64_t cost = Log::CostOf(entry);
    if (log.bytes() + cost > state_.options.log_bytes_max) state_.MakeRoom();
    if (log.bytes() + cost > state_.options.log_bytes_max) break;
    if (conflict) {
      CHECK_GT(entry.index, state_.commit()) << "a leader without a committed entry";
      log.TruncateFrom(entry.index);
      state_.membership.TruncateFrom(entry.index);
    }
    log.Append(entry);
    CHECK(state_.membership.Append(entry).ok()) << "IsWellFormed has decoded it";
    match = entry.index;
  }
  return match;
}

void Follower::AdvanceCommit(LogIndex commit) {
  state_.hard.commit = std::max(state_.commit(), commit);
}

void Follower::Accept(const VoterId& leader, LogIndex match, Round round, bool full) {
  AppendResponse response{.accepted = true, .match = match, .full = full, .round = round};
  if (MUTANT("raft.ack-before-persist")) return state_.Tell(leader, response);
  state_.Promise(leader, response);
}

void Follower::Refuse(const VoterId& leader, const AppendRequest& request) {
  // One hint skips a whole term of conflicting entries, instead of one entry a round trip.
  const EntryId hint = state_.log.LastAtOrBelow(request.previous.index, request.previous.term);
  state_.Promise(leader, AppendResponse{.accepted = false,
                                        .refused = request.previous.index,
                                        .hint = hint,
                                        .last = state_.log.last().index,
                                        .round = request.round});
}

void Follower::OnSnapshotOffer(const VoterId& leader, const SnapshotOffer& offer) {
  // Figure 13, step 6: what the snapshot holds is here already. It holds committed entries only.
  if (state_.log.Has(offer.id.last)) AdvanceCommit(offer.id.last.index);
  if (offer.id.last.index <= state_.commit()) {
    receiver_.Abandon();
    return Accept(leader, state_.commit(), offer.round);
  }
  if (offer.id.bytes == 0) return;
  receiver_.Begin(offer);
  state_.Promise(leader, SnapshotResponse{offer.id, receiver_.received(), offer.round});
}

void Follower::OnSnapshotChunk(const VoterId& leader, const SnapshotChunk& chunk) {
  if (!receiver_.IsFor(chunk.id)) return;
  if (receiver_.Accept(chunk)) state_.chunks.push_back(chunk);
  state_.Promise(leader, SnapshotResponse{chunk.id, receiver_.received(), chunk.round});
}

// Figure 13, step 7: "discard the entire log", and take the configuration of the snapshot.
void Follower::OnSnapshotReceived(const SnapshotId& id, bool valid) {
  std::optional<SnapshotOffer> offer = receiver_.Finish(id, valid);
  if (!offer.has_value()) return;
  // The log may have caught up by another way while the file was checked.
  const bool behind = offer->id.last.index > state_.commit() && !state_.log.Has(offer->id.last);
  if (!behind) return;
  state_.log.Restart(offer->id.last);
  if (!MUTANT("raft.install-without-voters")) state_.membership.Restart(offer->voters);
  state_.hard.commit = offer->id.last.index;
  state_.applied = offer->id.last.index;
  state_.snapshots.Replace(*offer);
  state_.install = std::move(offer);
  if (state_.leader.has_value()) Accept(*state_.leader, state_.commit(), Round());
}

void Follower::ResumeSnapshot(const SnapshotId& id, uint64_t received) {
  receiver_.Resume(id, received);
}

}  // namespace millrace::raft
