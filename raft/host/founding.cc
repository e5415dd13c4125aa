#include "raft/host/founding.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"

namespace millrace::raft {
namespace {

// Enough to say what is wrong; not a place for the whole network to be remembered in.
constexpr size_t kStrangersMax = 8;
constexpr absl::Duration kStrangersFor = absl::Seconds(5);

}  // namespace

Founding::Founding(const VoterId& self, std::vector<Peer> configured, FoundingRecord record,
                   const FoundingOptions& options, Random* random, MonotonicTime now)
    : options_(options), random_(random) {
  view_.self = self;
  view_.record = std::move(record);
  view_.join_only = options_.join_only;
  std::sort(configured.begin(), configured.end(),
            [](const Peer& a, const Peer& b) { return a.node < b.node; });
  bool has_self = false;
  for (Peer& peer : configured) {
    if (peer.node == self.node) {
      has_self = true;
      view_.address = std::move(peer.address);
    } else {
      view_.peers.push_back({.peer = std::move(peer), .answer = {}});
    }
  }
  CHECK(has_self) << "node " << self.node << " is not among the configured voters";
  schedule_.resize(view_.peers.size());
  if (!belongs()) AskAllAnew(now);
  Decide();
  Tick(now);
}

size_t Founding::IndexOf(NodeId peer) const {
  size_t i = 0;
  while (i < view_.peers.size() && view_.peers[i].peer.node != peer) ++i;
  return i;
}

void Founding::OnAnswer(NodeId peer, uint64_t round, const FoundingState& theirs,
                        MonotonicTime now) {
  const size_t i = IndexOf(peer);
  if (i == view_.peers.size() || belongs()) return;
  // A late answer to an older question may describe a directory that is gone.
  if (round != schedule_[i].round && !MUTANT("founding.old-answer-counts")) return;
  view_.peers[i].answer = theirs;
  view_.peers[i].fresh = true;
  view_.peers[i].answering = true;
  ScheduleAfterAnswer(i, now);
  Decide();
  Tick(now);
}

void Founding::OnNoAnswer(NodeId peer, uint64_t round, MonotonicTime now) {
  const size_t i = IndexOf(peer);
  if (i == view_.peers.size() || belongs() || round != schedule_[i].round) return;
  view_.peers[i].answering = false;
  ScheduleAfterAnswer(i, now);
  Tick(now);
}

void Founding::OnQuestion(const FoundingState& theirs, MonotonicTime now) {
  const size_t i = IndexOf(theirs.self.node);
  if (i == view_.peers.size()) {
    const bool room = view_.strangers.size() < kStrangersMax ||
                      view_.strangers.find(theirs.self) != view_.strangers.end();
    if (theirs.self != view_.self && room) view_.strangers[theirs.self] = {theirs, now};
    return;
  }
  if (belongs() || view_.peers[i].answer == theirs) return;
  schedule_[i].hint = theirs;
  // A question that is under way may have passed the change: its answer says whether to ask again.
  if (schedule_[i].round == 0) schedule_[i].next = now;
  Tick(now);
}

void Founding::Persisted(MonotonicTime now) {
  CHECK(persisting_ && next_record_.has_value());
  persisting_ = false;
  view_.record = *std::exchange(next_record_, std::nullopt);
  if (belongs()) {
    for (Schedule& schedule : schedule_) schedule = {};
    questions_.clear();
    return;
  }
  // What was heard before this promise was durable proves nothing about what is promised now.
  if (!MUTANT("founding.stale-promise-counts")) {
    for (FoundingPeer& peer : view_.peers) peer.fresh = false;
  }
  AskAllAnew(now);
  Decide();
  Tick(now);
}

void Founding::Tick(MonotonicTime now) {
  if (belongs()) return;
  std::erase_if(view_.strangers,
                [now](const auto& entry) { return entry.second.last + kStrangersFor < now; });
  for (size_t i = 0; i < schedule_.size(); ++i) {
    Schedule& schedule = schedule_[i];
    if (now < schedule.next) continue;
    // The last question, if there is one, was not answered in time.
    if (schedule.round != 0) view_.peers[i].answering = false;
    schedule.round = ++last_round_;
    schedule.next = now + options_.answer_timeout;
    schedule.hint.reset();
    questions_.push_back({.peer = view_.peers[i].peer.node,
                          .address = view_.peers[i].peer.address,
                          .round = schedule.round});
  }
}

void Founding::ScheduleAfterAnswer(size_t i, MonotonicTime now) {
  Schedule& schedule = schedule_[i];
  schedule.round = 0;
  const bool news = schedule.hint.has_value() && view_.peers[i].answer != schedule.hint;
  const int64_t span =
      absl::ToInt64Nanoseconds(options_.ask_interval_max - options_.ask_interval_min);
  const absl::Duration jitter =
      absl::Nanoseconds(span > 0 ? random_->Below(static_cast<uint64_t>(span)) : 0);
  schedule.next = news ? now : now + options_.ask_interval_min + jitter;
}

void Founding::AskAllAnew(MonotonicTime now) {
  for (Schedule& schedule : schedule_) {
    schedule.round = 0;
    schedule.next = now;
  }
  questions_.clear();
}

void Founding::Decide() {
  if (belongs() || next_record_.has_value()) return;
  next_record_ = Next();
}

std::optional<FoundingRecord> Founding::Next() const {
  std::vector<const FoundingState*> founded;
  for (const FoundingPeer& peer : view_.peers) {
    const FoundingState* const theirs = peer.Usable();
    if (theirs != nullptr && theirs->phase == FoundingPhase::kFounded) founded.push_back(theirs);
  }
  const auto is_other = [this](const FoundingState* theirs) {
    return theirs->cluster_id != view_.join_only;
  };
  if (!view_.join_only.is_zero() &&
      (founded.empty() || std::any_of(founded.begin(), founded.end(), is_other))) {
    return std::nullopt;
  }
  if (!founded.empty()) return FollowNewest(std::move(founded));
  const std::optional<std::vector<Voter>> voters = AllVoters();
  if (!voters.has_value()) return std::nullopt;
  if (view_.record.phase != FoundingPhase::kPrepared || !SameVoters(view_.record.voters, *voters)) {
    return Promise(*voters);
  }
  if (!AllPromised(view_.record.voters)) return std::nullopt;
  FoundingRecord record{.phase = FoundingPhase::kFounded, .voters = view_.record.voters};
  record.cluster_id = FoundingClusterId(record.voters);
  if (MUTANT("founding.own-cluster-id")) record.cluster_id = ClusterId(view_.self.directory.uuid());
  return record;
}

std::optional<std::vector<Voter>> Founding::AllVoters() const {
  std::vector<Voter> voters = {{.id = view_.self, .address = view_.address}};
  std::set<DirectoryId> directories = {view_.self.directory};
  for (const FoundingPeer& peer : view_.peers) {
    const FoundingState* const theirs = peer.Usable();
    if (theirs == nullptr) {
      if (MUTANT("founding.without-the-silent")) continue;
      return std::nullopt;
    }
    // A copied directory would be two voters under one identity.
    if (!directories.insert(theirs->self.directory).second) return std::nullopt;
    voters.push_back({.id = theirs->self, .address = theirs->address});
  }
  std::sort(voters.begin(), voters.end(),
            [](const Voter& a, const Voter& b) { return a.id < b.id; });
  return voters;
}

bool Founding::AllPromised(const std::vector<Voter>& voters) const {
  const auto promised = [&voters](const FoundingPeer& peer) {
    const FoundingState* const theirs = peer.Usable();
    return theirs != nullptr && theirs->phase == FoundingPhase::kPrepared &&
           SameVoters(theirs->voters, voters);
  };
  if (MUTANT("founding.majority-promised")) {
    const auto count = std::count_if(view_.peers.begin(), view_.peers.end(), promised);
    return static_cast<size_t>(count) + 1 > voters.size() / 2;
  }
  return std::all_of(view_.peers.begin(), view_.peers.end(), promised);
}

FoundingRecord Founding::Promise(std::vector<Voter> voters) const {
  FoundingRecord record{.phase = FoundingPhase::kPrepared, .voters = std::move(voters)};
  record.replaced = view_.record.replaced;
  if (view_.record.phase == FoundingPhase::kPrepared && !MUTANT("founding.promise-forgotten")) {
    record.replaced.push_back(view_.record.voters);
  }
  if (record.replaced.size() > kReplacedPromisesMax) {
    record.replaced.erase(record.replaced.begin());
  }
  return record;
}

// Of a quorum that was recovered there may be voters that were given up: who knows of the newest
// recovery counts, and nothing that was promised before it.
std::optional<FoundingRecord> Founding::FollowNewest(
    std::vector<const FoundingState*> founded) const {
  int64_t newest = 0;
  for (const FoundingState* theirs : founded) newest = std::max(newest, theirs->generation);
  if (newest == 0) return FollowFounded(founded);
  std::erase_if(founded, [&](const FoundingState* theirs) { return theirs->generation < newest; });
  const ClusterId cluster_id = founded.front()->cluster_id;
  for (const FoundingState* theirs : founded) {
    if (theirs->cluster_id != cluster_id) return std::nullopt;
  }
  return FoundingRecord{
      .phase = FoundingPhase::kFounded, .cluster_id = cluster_id, .generation = newest};
}

std::optional<FoundingRecord> Founding::FollowFounded(
    const std::vector<const FoundingState*>& founded) const {
  const ClusterId cluster_id = founded.front()->cluster_id;
  bool has_self = false;
  for (const FoundingState* theirs : founded) {
    if (theirs->cluster_id != cluster_id) return std::nullopt;
    const bool names_set = !theirs->voters.empty();
    if (names_set && FoundingClusterId(theirs->voters) != cluster_id) return std::nullopt;
    has_self = has_self || ContainsVoter(theirs->voters, view_.self);
  }
  FoundingRecord record{.phase = FoundingPhase::kFounded, .cluster_id = cluster_id};
  const FoundingRecord& mine = view_.record;
  if (mine.phase == FoundingPhase::kPrepared && FoundingClusterId(mine.voters) == cluster_id &&
      !MUTANT("founding.join-own-cluster")) {
    record.voters = mine.voters;
    return record;
  }
  for (const std::vector<Voter>& promise : mine.replaced) {
    if (FoundingClusterId(promise) != cluster_id) continue;
    // It was founded although replaced here. The promise in force must not have been founded too:
    // it was not if one of its voters belongs to this cluster, or if everybody does.
    const bool superseded =
        founded.size() == view_.peers.size() ||
        std::any_of(founded.begin(), founded.end(), [&mine](const FoundingState* theirs) {
          return ContainsVoter(mine.voters, theirs->self);
        });
    if (!superseded) return std::nullopt;
    record.voters = promise;
    return record;
  }
  // A voter that does not know its own promise is not one that can be trusted (S-18, S-19).
  if (has_self && !MUTANT("founding.join-own-cluster")) return std::nullopt;
  return record;
}

FoundingReady Founding::TakeReady() {
  FoundingReady ready;
  if (next_record_.has_value() && !persisting_) {
    persisting_ = true;
    ready.persist = next_record_;
  }
  ready.ask = std::exchange(questions_, {});
  return ready;
}

MonotonicTime Founding::next_deadline() const {
  MonotonicTime deadline = MonotonicTime::Never();
  if (belongs()) return deadline;
  for (const Schedule& schedule : schedule_) deadline = std::min(deadline, schedule.next);
  return deadline;
}

FoundingState Founding::state() const {
  const FoundingRecord* record = &view_.record;
  if (MUTANT("founding.told-before-durable") && next_record_.has_value()) record = &*next_record_;
  return {.self = view_.self,
          .address = view_.address,
          .phase = record->phase,
          .voters = record->voters,
          .cluster_id = record->cluster_id,
          .generation = record->generation};
}

std::optional<FoundingResult> Founding::result() const {
  if (!belongs()) return std::nullopt;
  return FoundingResult{.cluster_id = view_.record.cluster_id,
                        .voters = view_.record.voters,
                        .generation = view_.record.generation};
}

}  // namespace millrace::raft
