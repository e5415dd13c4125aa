#include "node/directory_replacer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"

namespace millrace::node {
namespace {

constexpr char kComponent[] = "quorum";
// Often enough that what is seen late does not matter beside the silence that is waited for.
constexpr absl::Duration kIntervalMin = absl::Milliseconds(100);
constexpr absl::Duration kIntervalMax = absl::Seconds(5);

absl::string_view NameOf(raft::VoterChange::Kind kind) {
  switch (kind) {
    case raft::VoterChange::Kind::kAddLearner:
      return "the new directory is added as a learner";
    case raft::VoterChange::Kind::kRemove:
      return "the old directory is removed";
    case raft::VoterChange::Kind::kPromote:
      return "the new directory votes";
    case raft::VoterChange::Kind::kSetAddress:
      break;
  }
  return "its address is changed";
}

}  // namespace

DirectoryReplacer::DirectoryReplacer(absl::Duration silence_min, const Clock* clock,
                                     Executor* executor, Heard heard, MayVote may_vote)
    : silence_min_(silence_min),
      interval_(std::clamp(silence_min / 10, kIntervalMin, kIntervalMax)),
      clock_(clock),
      heard_(std::move(heard)),
      may_vote_(std::move(may_vote)),
      replacement_(silence_min),
      timer_(executor, [this] { Look(); }) {}

void DirectoryReplacer::OnLed(raft::QuorumLog* log) {
  log_ = log;
  proposed_ = false;
  told_.clear();
  refused_.clear();
  replacement_.OnLed();
  timer_.Set(clock_->Now() + interval_);
}

void DirectoryReplacer::OnLostLeadership() {
  log_ = nullptr;
  timer_.Clear();
}

void DirectoryReplacer::Look() {
  if (log_ == nullptr || log_->node().leadership() == nullptr) return;
  timer_.Set(clock_->Now() + interval_);
  const std::optional<raft::VoterChange> change = replacement_.Next(
      raft::ViewOf(log_->node(), HeardThatMayVote(), clock_->Now()), clock_->Now());
  LogWaiting();
  if (change.has_value() && !proposed_) Propose(*change);
}

std::vector<raft::HeardPeer> DirectoryReplacer::HeardThatMayVote() {
  std::vector<raft::HeardPeer> heard = heard_();
  for (raft::HeardPeer& peer : heard) {
    if (!peer.asks_to_join) continue;
    const absl::Status may_vote = may_vote_(peer.id);
    if (may_vote.ok()) {
      refused_.erase(peer.id);
      continue;
    }
    peer.asks_to_join = false;
    if (!refused_.insert(peer.id).second) continue;
    LOG_WARN(kComponent, "a controller asks to vote on another directory, and may not",
             {{"node", peer.id.node.value()},
              {"directory", peer.id.directory.ToString()},
              {"error", may_vote.ToString()}});
  }
  return heard;
}

void DirectoryReplacer::LogWaiting() {
  std::set<raft::VoterId> waiting;
  for (const auto& [id, since] : replacement_.waiting()) {
    waiting.insert(id);
    if (told_.contains(id)) continue;
    LOG_WARN(
        kComponent,
        "a voter came back on another directory, and takes the place of the old one if nothing "
        "is heard of that",
        {{"node", id.node.value()},
         {"directory", id.directory.ToString()},
         {"after", absl::FormatDuration(silence_min_)}});
  }
  for (const raft::VoterId& id : told_) {
    if (waiting.contains(id) || log_->node().voters().Find(id) != nullptr) continue;
    LOG_INFO(kComponent, "a voter's other directory is gone again: the old one stays",
             {{"node", id.node.value()}, {"directory", id.directory.ToString()}});
  }
  told_ = std::move(waiting);
}

void DirectoryReplacer::Propose(const raft::VoterChange& change) {
  LOG_INFO(kComponent, "replacing a voter's lost directory",
           {{"step", NameOf(change.kind)},
            {"node", change.id.node.value()},
            {"directory", change.id.directory.ToString()}});
  proposed_ = true;
  std::weak_ptr<const bool> alive = alive_;
  log_->ChangeMembership(change, [this, alive, id = change.id](const absl::Status& status) {
    if (alive.expired()) return;
    proposed_ = false;
    // The next step follows from what the set is then, whoever leads.
    if (log_ != nullptr) timer_.Set(clock_->Now());
    if (status.ok()) return;
    if (log_ != nullptr) timer_.Set(clock_->Now() + interval_);
    LOG_WARN(kComponent, "a step of replacing a voter's lost directory is not done",
             {{"node", id.node.value()}, {"error", status.ToString()}});
  });
}

}  // namespace millrace::node
