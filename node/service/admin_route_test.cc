#include "node/service/admin_route.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::node {
namespace {

using Kind = AdminRoute::Kind;
using Forwarded = AdminRoute::Forwarded;

constexpr NodeId kSelf{1};

MonotonicTime At(int64_t ms) { return MonotonicTime::FromNanos(ms * 1'000'000); }

LeaderHint Leader(int node, int term) {
  return {.leader = NodeId(node),
          .leader_epoch = LeaderEpoch(term),
          .address = absl::StrCat("n", node, ":9093")};
}
LeaderHint Nobody(int term) { return {.leader_epoch = LeaderEpoch(term)}; }

absl::Status NotController(std::optional<LeaderHint> hint = std::nullopt) {
  return MakeError(ErrorCode::kNotController, "not here", {.leader = std::move(hint)});
}
absl::Status Broken() { return MakeError(ErrorCode::kBrokerNotAvailable, "connection reset"); }

AdminRoute Change(MonotonicTime deadline = MonotonicTime::Never()) {
  return AdminRoute({}, kSelf, {.deadline = deadline}, At(0));
}
AdminRoute Read() { return AdminRoute({}, kSelf, {.read_only = true}, At(0)); }

MATCHER_P(Forwards, address, "") { return arg.kind == Kind::kForward && arg.address == address; }
MATCHER_P(WaitsUntil, when, "") {
  *result_listener << "until " << arg.until;
  return arg.kind == Kind::kWait && arg.until == when;
}
// Answers with what the one who was asked has said.
MATCHER(PassesOn, "") { return arg.kind == Kind::kReply && arg.status.ok(); }
MATCHER_P2(Answers, code, text, "") {
  *result_listener << arg.status;
  return arg.kind == Kind::kReply && testing::Value(arg.status, IsError(code, text));
}

TEST(AdminRoute, WhatTheOwnControllerDecidesIsTheAnswer) {
  EXPECT_THAT(Change().OnAnsweredHere(absl::OkStatus(), Leader(1, 3), At(1)), PassesOn());
  EXPECT_THAT(
      Change().OnAnsweredHere(MakeError(ErrorCode::kInvalidRequest, "no"), Leader(2, 3), At(1)),
      PassesOn());
  // Appended before leadership was lost: it must not be sent again.
  EXPECT_THAT(
      Change().OnAnsweredHere(MakeError(ErrorCode::kOutcomeUnknown, "lost"), Leader(2, 3), At(1)),
      PassesOn());
}

TEST(AdminRoute, S40ARefusalForWantOfLeadershipIsPassedOnToTheLeaderOnce) {
  AdminRoute route = Change();
  EXPECT_THAT(route.OnAnsweredHere(NotController(), Leader(2, 3), At(1)), Forwards("n2:9093"));
  // Whatever it says, a refusal too, is the answer.
  EXPECT_THAT(
      route.OnForwarded(Forwarded::kAnswered, NotController(Leader(3, 4)), Leader(2, 3), At(2)),
      PassesOn());
}

TEST(AdminRoute, S40TheHintOfTheAnswerServesWhereItIsNewer) {
  AdminRoute newer = Change();
  EXPECT_THAT(newer.OnAnsweredHere(NotController(Leader(3, 4)), Leader(2, 3), At(1)),
              Forwards("n3:9093"));
  AdminRoute older = Change();
  EXPECT_THAT(older.OnAnsweredHere(NotController(Leader(3, 2)), Leader(2, 3), At(1)),
              Forwards("n2:9093"));
  AdminRoute only = Change();
  EXPECT_THAT(only.OnAnsweredHere(NotController(Leader(3, 2)), LeaderHint(), At(1)),
              Forwards("n3:9093"));
}

TEST(AdminRoute, AHintWithoutAnEpochServesOnlyWhereNobodyIsKnownToLead) {
  LeaderHint hint = Leader(3, 0);
  hint.leader_epoch = kNoLeaderEpoch;
  AdminRoute known = Change();
  EXPECT_THAT(known.OnAnsweredHere(NotController(hint), Leader(2, 3), At(1)), Forwards("n2:9093"));
  AdminRoute unknown = Change();
  EXPECT_THAT(unknown.OnAnsweredHere(NotController(hint), Nobody(4), At(1)), Forwards("n3:9093"));
  // The watch is believed as soon as it says anything else.
  unknown.OnForwarded(Forwarded::kNotSent, Broken(), Nobody(4), At(2));
  EXPECT_THAT(unknown.OnLeader(Leader(2, 5), At(3)), Forwards("n2:9093"));
}

TEST(AdminRoute, S40AForwardedRequestIsNotPassedOnAgain) {
  AdminRoute route({}, kSelf, {.forwarded = true}, At(0));
  const AdminRoute::Step step = route.OnAnsweredHere(NotController(), Leader(2, 3), At(1));
  EXPECT_EQ(step.kind, Kind::kReply);
  EXPECT_THAT(step.status, IsError(ErrorCode::kNotController, "not here"));
  EXPECT_EQ(DetailOf(step.status).leader, Leader(2, 3));
}

TEST(AdminRoute, WithoutALeaderItWaitsForTheNext) {
  AdminRoute route = Change();
  EXPECT_THAT(route.OnAnsweredHere(NotController(), Nobody(3), At(1)), WaitsUntil(At(5000)));
  EXPECT_THAT(route.OnLeader(Nobody(4), At(100)), WaitsUntil(At(5000)));
  EXPECT_THAT(route.OnLeader(Leader(2, 4), At(900)), Forwards("n2:9093"));
}

TEST(AdminRoute, TheNextLeaderMayBeThisNode) {
  AdminRoute route = Change();
  route.OnAnsweredHere(NotController(), Nobody(3), At(1));
  EXPECT_EQ(route.OnLeader(Leader(1, 4), At(900)).kind, Kind::kAskHere);
  EXPECT_THAT(route.OnAnsweredHere(absl::OkStatus(), Leader(1, 4), At(901)), PassesOn());
}

TEST(AdminRoute, WaitsAreBoundedAndSayThatNothingWasChanged) {
  AdminRoute route = Change();
  route.OnAnsweredHere(NotController(), Nobody(3), At(1));
  EXPECT_THAT(route.OnTime(Nobody(3), At(4999)), WaitsUntil(At(5000)));
  const AdminRoute::Step step = route.OnTime(Nobody(3), At(5000));
  EXPECT_EQ(step.kind, Kind::kReply);
  EXPECT_THAT(step.status, IsError(ErrorCode::kNotController, "nothing was changed"));
  EXPECT_TRUE(IsRetriable(CodeOf(step.status)));
}

TEST(AdminRoute, TheCallerHearsWhyBeforeItsDeadline) {
  AdminRoute route = Change(At(1000));
  EXPECT_THAT(route.OnAnsweredHere(NotController(), Nobody(3), At(1)), WaitsUntil(At(900)));
  AdminRoute late = Change(At(50));
  EXPECT_THAT(late.OnAnsweredHere(NotController(), Nobody(3), At(1)),
              Answers(ErrorCode::kNotController, ""));
}

TEST(AdminRoute, ALeaderThatRefusesIsAskedAgainAfterAWhile) {
  AdminRoute route = Change();
  EXPECT_THAT(route.OnAnsweredHere(NotController(), Leader(1, 3), At(100)), WaitsUntil(At(600)));
  EXPECT_EQ(route.OnTime(Leader(1, 3), At(600)).kind, Kind::kAskHere);
  // It was handing over.
  EXPECT_THAT(route.OnAnsweredHere(NotController(), Leader(2, 4), At(601)), Forwards("n2:9093"));
}

TEST(AdminRoute, WhatWasNeverSentGoesToTheNextLeader) {
  AdminRoute route = Change();
  route.OnAnsweredHere(NotController(), Leader(2, 3), At(1));
  EXPECT_THAT(route.OnForwarded(Forwarded::kNotSent, Broken(), Leader(2, 3), At(10)),
              WaitsUntil(At(510)));
  EXPECT_THAT(route.OnLeader(Leader(3, 4), At(300)), Forwards("n3:9093"));
}

TEST(AdminRoute, ALeaderThatCouldNotBeReachedIsTriedAgainUntilTheBound) {
  AdminRoute route = Change();
  route.OnAnsweredHere(NotController(), Leader(2, 3), At(1));
  route.OnForwarded(Forwarded::kNotSent, Broken(), Leader(2, 3), At(10));
  EXPECT_THAT(route.OnTime(Leader(2, 3), At(510)), Forwards("n2:9093"));
  EXPECT_THAT(route.OnForwarded(Forwarded::kNotSent, Broken(), Leader(2, 3), At(4900)),
              WaitsUntil(At(5000)));
  const AdminRoute::Step step = route.OnTime(Leader(2, 3), At(5000));
  EXPECT_EQ(step.kind, Kind::kReply);
  EXPECT_THAT(step.status, IsError(ErrorCode::kNotController, "controller 2 at n2:9093"));
  EXPECT_EQ(DetailOf(step.status).leader, Leader(2, 3));
}

TEST(AdminRoute, S23AChangeThatMayHaveBeenSeenIsNeverSentAgain) {
  AdminRoute route = Change();
  route.OnAnsweredHere(NotController(), Leader(2, 3), At(1));
  EXPECT_THAT(route.OnForwarded(Forwarded::kUnknown, Broken(), Leader(3, 4), At(10)),
              Answers(ErrorCode::kOutcomeUnknown, "controller 2 at n2:9093"));
}

TEST(AdminRoute, AReadThatMayHaveBeenSeenIsSentAgain) {
  AdminRoute route = Read();
  route.OnAnsweredHere(NotController(), Leader(2, 3), At(1));
  EXPECT_THAT(route.OnForwarded(Forwarded::kUnknown, Broken(), Leader(3, 4), At(10)),
              Forwards("n3:9093"));
}

TEST(AdminRoute, TheCallersOwnDeadlineEndsAForwardedCall) {
  AdminRoute route = Read();
  route.OnAnsweredHere(NotController(), Leader(2, 3), At(1));
  EXPECT_THAT(route.OnForwarded(Forwarded::kUnknown, MakeError(ErrorCode::kRequestTimedOut, "late"),
                                Leader(3, 4), At(10)),
              PassesOn());
}

TEST(AdminRoute, AReadLeavesALeaderThatWasReplaced) {
  AdminRoute route = Read();
  route.OnAnsweredHere(NotController(), Leader(2, 3), At(1));
  EXPECT_EQ(route.OnLeader(Nobody(4), At(6000)).kind, Kind::kWait);
  EXPECT_THAT(route.OnLeader(Leader(3, 4), At(7000)), Forwards("n3:9093"));
}

TEST(AdminRoute, AChangeAtALeaderThatWasReplacedHasAnUnknownOutcomeAfterAWhile) {
  AdminRoute silent = Change();
  silent.OnAnsweredHere(NotController(), Leader(2, 3), At(1));
  EXPECT_THAT(silent.OnLeader(Leader(3, 4), At(2000)), WaitsUntil(At(3000)));
  EXPECT_THAT(silent.OnTime(Leader(3, 4), At(3000)), Answers(ErrorCode::kOutcomeUnknown, ""));

  AdminRoute answers = Change();
  answers.OnAnsweredHere(NotController(), Leader(2, 3), At(1));
  answers.OnLeader(Leader(3, 4), At(2000));
  EXPECT_THAT(answers.OnForwarded(Forwarded::kAnswered, absl::OkStatus(), Leader(3, 4), At(2100)),
              PassesOn());
}

TEST(AdminRoute, AnEarlyTimerChangesNothing) {
  AdminRoute route = Change();
  route.OnAnsweredHere(NotController(), Leader(2, 3), At(1));
  EXPECT_THAT(route.OnTime(Leader(2, 3), At(100)), WaitsUntil(MonotonicTime::Never()));
}

}  // namespace
}  // namespace millrace::node
