#include "raft/host/voter_replacement.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace millrace::raft {
namespace {

using Member = ReplacementView::Member;

const Member* Find(const ReplacementView& view, const VoterId& id) {
  const auto found = std::find_if(view.members.begin(), view.members.end(),
                                  [&](const Member& member) { return member.id == id; });
  return found == view.members.end() ? nullptr : &*found;
}

// The leader waits for its other voters' acknowledgements: with one more of them missing, nothing
// may be tried.
bool AllOthersAreWell(const ReplacementView& view, NodeId node) {
  return std::all_of(view.members.begin(), view.members.end(), [&](const Member& member) {
    return member.learner || member.well || member.id.node == node || member.id.node == view.self;
  });
}

}  // namespace

ReplacementView ViewOf(const Node& leader, std::vector<HeardPeer> heard, MonotonicTime now) {
  const VoterSet& set = leader.voters();
  const Options& options = leader.state().options;
  ReplacementView view;
  view.self = leader.self().node;
  view.settled = set.id.index <= leader.commit() &&
                 leader.commit() >= leader.leadership()->own_term_begin() &&
                 !leader.leadership()->transferring();
  for (const Voter& voter : set.voters) {
    Member member{.id = voter.id, .learner = voter.learner, .last_contact = now};
    const auto peer = leader.leadership()->peers().find(voter.id);
    if (peer != leader.leadership()->peers().end()) {
      const Progress& progress = peer->second;
      member.last_contact = progress.last_contact();
      member.well = progress.state() == Progress::State::kReplicate && !progress.lost_log() &&
                    now < progress.last_contact() + options.election_timeout_max &&
                    leader.log().last().index - progress.match() <= options.promote_lag_max;
    }
    view.members.push_back(member);
  }
  view.heard = std::move(heard);
  return view;
}

void VoterReplacement::OnLed() {
  waiting_.clear();
  hellos_.clear();
}

std::vector<const HeardPeer*> VoterReplacement::Newcomers(const ReplacementView& view) const {
  std::vector<const HeardPeer*> newcomers;
  for (const HeardPeer& peer : view.heard) {
    if (!peer.connected || !peer.asks_to_join || peer.id.node == view.self) continue;
    const Member* const member = Find(view, peer.id);
    if (member != nullptr && !member->learner) continue;
    // Two processes that say that they are one node: an operator has to say which.
    const auto same = std::count_if(view.heard.begin(), view.heard.end(), [&](const HeardPeer& p) {
      return p.connected && p.id.node == peer.id.node;
    });
    if (same == 1) newcomers.push_back(&peer);
  }
  std::stable_partition(newcomers.begin(), newcomers.end(),
                        [&](const HeardPeer* peer) { return Find(view, peer->id) != nullptr; });
  return newcomers;
}

std::optional<VoterChange> VoterReplacement::Next(const ReplacementView& view, MonotonicTime now) {
  const std::vector<const HeardPeer*> newcomers = Newcomers(view);
  // Whoever went away, or was taken in, waits anew.
  std::erase_if(waiting_, [&](const auto& waiting) {
    return std::none_of(newcomers.begin(), newcomers.end(),
                        [&](const HeardPeer* peer) { return peer->id == waiting.first; });
  });
  std::optional<VoterChange> next;
  for (const HeardPeer* newcomer : newcomers) {
    // All of them are looked at, for the time that they wait.
    std::optional<VoterChange> change = NextFor(*newcomer, view, now);
    const bool under_way = Find(view, newcomers.front()->id) != nullptr;
    const bool first = newcomer == newcomers.front();
    if (!next.has_value() && (first || !under_way)) next = std::move(change);
  }
  return view.settled ? next : std::nullopt;
}

std::optional<VoterChange> VoterReplacement::NextFor(const HeardPeer& newcomer,
                                                     const ReplacementView& view,
                                                     MonotonicTime now) {
  const Member* const member = Find(view, newcomer.id);
  Members others;
  for (const Member& other : view.members) {
    if (other.id.node == newcomer.id.node && other.id != newcomer.id) others.push_back(&other);
  }
  if (others.empty()) {
    const bool may_vote = member != nullptr && member->well;
    if (!may_vote) return std::nullopt;
    return VoterChange{VoterChange::Kind::kPromote, newcomer.id};
  }
  if (!AreGone(newcomer, others, view, now)) return std::nullopt;
  if (member == nullptr) {
    return VoterChange{VoterChange::Kind::kAddLearner, newcomer.id, newcomer.address};
  }
  if (!member->well) return std::nullopt;
  // Learners that were left behind first: they cost nothing.
  std::stable_partition(others.begin(), others.end(), [](const Member* m) { return m->learner; });
  return VoterChange{VoterChange::Kind::kRemove, others.front()->id};
}

bool VoterReplacement::AreGone(const HeardPeer& newcomer, const Members& others,
                               const ReplacementView& view, MonotonicTime now) {
  MonotonicTime& since = waiting_.try_emplace(newcomer.id, now).first->second;
  bool silent = AllOthersAreWell(view, newcomer.id.node);
  for (const Member* other : others) {
    since = std::max(since, other->last_contact);
    silent = IsSilent(*other, view) && silent;
  }
  if (!silent) since = now;
  if (MUTANT("host.replaced-at-once")) return true;
  return now >= since + silence_min_;
}

bool VoterReplacement::IsSilent(const Member& member, const ReplacementView& view) {
  const auto heard = std::find_if(view.heard.begin(), view.heard.end(),
                                  [&](const HeardPeer& peer) { return peer.id == member.id; });
  const uint64_t newest = heard == view.heard.end() ? 0 : heard->hellos;
  const auto [known, first] = hellos_.try_emplace(member.id, newest);
  const bool news = std::exchange(known->second, newest) != newest;
  return !news && (heard == view.heard.end() || !heard->connected);
}

}  // namespace millrace::raft
