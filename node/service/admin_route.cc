#include "node/service/admin_route.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace millrace::node {
namespace {

std::string NameOf(const LeaderHint& leader) {
  return absl::StrCat("controller ", leader.leader.value(), " at ", leader.address);
}

// `answer`, with the leader that this node knows unless it names one.
absl::Status WithHint(const absl::Status& answer, const LeaderHint& known) {
  ErrorDetail detail = DetailOf(answer);
  if (detail.leader.has_value() || known.leader == kNoNode) return answer;
  detail.leader = known;
  return MakeError(CodeOf(answer), answer.message(), std::move(detail));
}

}  // namespace

AdminRoute::AdminRoute(const AdminRouteOptions& options, NodeId self, Request request,
                       MonotonicTime now)
    : options_(options),
      self_(self),
      request_(request),
      give_up_(std::min(now + options.leader_wait_max, request.deadline - options.answer_margin)) {}

AdminRoute::Step AdminRoute::OnAnsweredHere(const absl::Status& answer, const LeaderHint& known,
                                            MonotonicTime now) {
  CHECK(state_ == State::kAskedHere);
  if (CodeOf(answer) != ErrorCode::kNotController) return Reply(absl::OkStatus());
  AdoptKnown(known);
  if (const std::optional<LeaderHint> hint = DetailOf(answer).leader; hint.has_value()) {
    AdoptHint(*hint);
  }
  if (request_.forwarded) return Reply(WithHint(answer, leader_));
  // It leads and refuses: it is about to hand over, or the cluster is not founded yet.
  if (LeadsHere()) return Wait(now);
  return GoToLeader(now);
}

AdminRoute::Step AdminRoute::OnForwarded(Forwarded how, const absl::Status& answer,
                                         const LeaderHint& known, MonotonicTime now) {
  CHECK(state_ == State::kForwarded || state_ == State::kReplaced);
  if (how == Forwarded::kAnswered) return Reply(absl::OkStatus());
  if (how == Forwarded::kUnknown) {
    // The deadline is the caller's own, and a size is the same next time.
    const ErrorCode code = CodeOf(answer);
    if (code == ErrorCode::kRequestTimedOut || code == ErrorCode::kMessageTooLarge) {
      return Reply(absl::OkStatus());
    }
    if (!request_.read_only) return Reply(OutcomeUnknown());
  }
  AdoptKnown(known);
  if (leader_ == asked_) return Wait(now);
  return GoToLeader(now);
}

AdminRoute::Step AdminRoute::OnLeader(const LeaderHint& known, MonotonicTime now) {
  switch (state_) {
    case State::kWaiting:
      AdoptKnown(known);
      if (leader_.leader == kNoNode) return WaitFor(State::kWaiting, give_up_);
      return GoToLeader(now);
    case State::kForwarded:
      if (known.leader == kNoNode || known.leader == asked_.leader ||
          known.leader_epoch < asked_.leader_epoch) {
        break;
      }
      // Whoever was asked leads no more. It may be stopped or cut off, and not answer for long.
      if (!request_.read_only) {
        return WaitFor(State::kReplaced, now + options_.replaced_leader_grace);
      }
      AdoptKnown(known);
      give_up_ =
          std::min(now + options_.leader_wait_max, request_.deadline - options_.answer_margin);
      return GoToLeader(now);
    case State::kAskedHere:
    case State::kReplaced:
    case State::kDone:
      break;
  }
  return WaitFor(state_, until_);
}

AdminRoute::Step AdminRoute::OnTime(const LeaderHint& known, MonotonicTime now) {
  if (now < until_) return WaitFor(state_, until_);
  if (state_ == State::kReplaced) return Reply(OutcomeUnknown());
  if (state_ != State::kWaiting) return WaitFor(state_, MonotonicTime::Never());
  if (now >= give_up_) return Reply(NoController());
  AdoptKnown(known);
  return GoToLeader(now);
}

bool AdminRoute::LeadsHere() const { return leader_.leader != kNoNode && leader_.leader == self_; }

void AdminRoute::AdoptKnown(const LeaderHint& known) {
  if (known.leader_epoch < leader_.leader_epoch) return;
  if (known.leader_epoch == leader_.leader_epoch && known.leader == kNoNode) return;
  leader_ = known;
}

void AdminRoute::AdoptHint(const LeaderHint& hint) {
  const bool newer = hint.leader_epoch > leader_.leader_epoch;
  const bool only = leader_.leader == kNoNode && hint.leader_epoch == kNoLeaderEpoch;
  const bool first = leader_.leader == kNoNode && hint.leader_epoch == leader_.leader_epoch;
  if (newer || only || first) leader_ = hint;
}

AdminRoute::Step AdminRoute::GoToLeader(MonotonicTime now) {
  if (LeadsHere()) {
    state_ = State::kAskedHere;
    return {.kind = Kind::kAskHere};
  }
  if (leader_.leader == kNoNode || leader_.address.empty()) return Wait(now);
  state_ = State::kForwarded;
  until_ = MonotonicTime::Never();
  asked_ = leader_;
  return {.kind = Kind::kForward, .address = leader_.address};
}

AdminRoute::Step AdminRoute::Wait(MonotonicTime now) {
  if (now >= give_up_) return Reply(NoController());
  const bool has_leader = leader_.leader != kNoNode;
  return WaitFor(State::kWaiting,
                 has_leader ? std::min(give_up_, now + options_.retry_after) : give_up_);
}

AdminRoute::Step AdminRoute::WaitFor(State state, MonotonicTime until) {
  state_ = state;
  until_ = until;
  return {.kind = Kind::kWait, .until = until};
}

AdminRoute::Step AdminRoute::Reply(absl::Status status) {
  state_ = State::kDone;
  return {.kind = Kind::kReply, .status = std::move(status)};
}

absl::Status AdminRoute::NoController() const {
  ErrorDetail detail;
  if (leader_.leader != kNoNode) detail.leader = leader_;
  const std::string what = leader_.leader == kNoNode ? "no controller leads the quorum"
                           : LeadsHere()             ? "this controller does not take requests yet"
                                         : absl::StrCat(NameOf(leader_), " cannot be reached");
  return MakeError(ErrorCode::kNotController,
                   absl::StrCat(what,
                                "; nothing was changed; retry, and if it stays so look at the logs "
                                "of the controllers: a majority of them must run"),
                   std::move(detail));
}

absl::Status AdminRoute::OutcomeUnknown() const {
  return MakeError(ErrorCode::kOutcomeUnknown,
                   absl::StrCat(NameOf(asked_),
                                " was lost while it had the request, which may or may not take "
                                "effect; describe before trying again"));
}

}  // namespace millrace::node
