#include "node/broker_session.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/sim/sim_random.h"
#include "base/status.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::node {
namespace {

using State = BrokerSession::State;
using metadata::BrokerState;

absl::Status NotController(int leader = -1) {
  ErrorDetail detail;
  if (leader >= 0) {
    detail.leader = LeaderHint{.leader = NodeId(leader),
                               .leader_epoch = LeaderEpoch(7),
                               .address = absl::StrCat("c", leader, ":1")};
  }
  return MakeError(ErrorCode::kNotController, "another leads", std::move(detail));
}

absl::Status Refused() { return MakeError(ErrorCode::kBrokerNotAvailable, "connection refused"); }

class BrokerSessionTest : public ::testing::Test {
 protected:
  explicit BrokerSessionTest(BrokerSessionOptions options = Options())
      : session_(std::move(options), &random_, now_) {}

  static BrokerSessionOptions Options() {
    BrokerSessionOptions options;
    options.controllers = {{NodeId(1), "c1:1"}, {NodeId(2), "c2:1"}, {NodeId(3), "c3:1"}};
    return options;
  }

  // What the session wants now; the address of a stream to open, if any, is kept.
  BrokerSessionReady Take() {
    const BrokerSessionReady ready = session_.TakeReady();
    if (ready.open.has_value()) {
      opened_ = *ready.open;
      stream_ = ready.open->stream;
      address_ = ready.open->address;
    }
    return ready;
  }
  void Pass(absl::Duration time) {
    now_ = now_ + time;
    session_.Tick(now_);
  }
  void Answer(std::optional<BrokerState> state, bool may_stop = false) {
    session_.OnAnswer(stream_, {.broker = state, .may_stop = may_stop, .term = Term(5)}, now_);
  }
  // Said by a controller that had heard the heartbeat `number`, and later ones not yet.
  void AnswerTo(int64_t number) {
    session_.OnAnswer(stream_,
                      {.broker = BrokerState::kActive, .term = Term(5), .heartbeat = number}, now_);
  }
  void AnswerOfTerm(int64_t term) {
    session_.OnAnswer(
        stream_,
        {.broker = BrokerState::kActive, .term = Term(term), .heartbeat = session_.heartbeat()},
        now_);
  }
  void End(const absl::Status& status) { session_.OnStreamEnded(stream_, status, now_); }
  // Until a stream is to be opened; how long that took.
  absl::Duration UntilOpened() {
    const MonotonicTime began = now_;
    while (!Take().open.has_value()) {
      CHECK(session_.next_deadline() != MonotonicTime::Never());
      now_ = std::max(now_, session_.next_deadline());
      session_.Tick(now_);
    }
    return now_ - began;
  }
  // A registered broker that is active at `address_`.
  void BecomeActive() {
    Take();
    Answer(std::nullopt);
    session_.Register(now_);
    const BrokerSessionReady ready = Take();
    ASSERT_TRUE(ready.register_broker.has_value());
    session_.OnRegistered(ready.register_broker->attempt, BrokerEpoch(40), now_);
    Take();
    session_.Activate(now_);
    session_.OnMetadata(stream_, LogIndex(41), now_);
    Answer(BrokerState::kActive);
    Take();
    ASSERT_EQ(session_.state(), State::kActive);
  }
  // By the own voter, in a term above that of the session; where it is asked then.
  std::string SayThatAnotherLeads() {
    const int other = address_ == "c2:1" ? 3 : 2;
    session_.OnLeader({NodeId(other), LeaderEpoch(6), absl::StrCat("c", other, ":1")}, now_);
    EXPECT_TRUE(Take().open.has_value());
    EXPECT_EQ(address_, absl::StrCat("c", other, ":1"));
    return address_;
  }

  MonotonicTime now_ = MonotonicTime::FromNanos(1'000'000'000'000);
  sim::SimRandom random_{1};
  BrokerSession session_;
  BrokerSessionReady::Open opened_;
  uint64_t stream_ = 0;
  std::string address_;
};

TEST_F(BrokerSessionTest, ObservesFirstThenRegistersAndOpensItsOwnSession) {
  ASSERT_TRUE(Take().open.has_value());
  EXPECT_EQ(session_.state(), State::kFinding);
  session_.OnMetadata(stream_, LogIndex(3), now_);
  EXPECT_EQ(session_.state(), State::kFollowing);
  session_.Register(now_);
  BrokerSessionReady ready = Take();
  ASSERT_TRUE(ready.register_broker.has_value());
  EXPECT_EQ(ready.register_broker->address, address_);
  EXPECT_EQ(session_.state(), State::kRegistering);
  const std::string controller = address_;
  session_.OnRegistered(ready.register_broker->attempt, BrokerEpoch(40), now_);
  ready = Take();
  EXPECT_TRUE(ready.close);
  ASSERT_TRUE(ready.open.has_value());
  EXPECT_EQ(ready.open->address, controller);
  session_.Activate(now_);
  Answer(BrokerState::kFenced);
  EXPECT_EQ(session_.state(), State::kJoining);
  Take();
  // S-41: past the own registration, it tells at once that it is.
  session_.OnMetadata(stream_, LogIndex(40), now_);
  EXPECT_TRUE(Take().heartbeat);
  Answer(BrokerState::kActive);
  EXPECT_EQ(session_.state(), State::kActive);
}

TEST_F(BrokerSessionTest, HeartbeatsComeAtTheirInterval) {
  BecomeActive();
  for (int i = 0; i < 5; ++i) {
    Pass(absl::Milliseconds(499));
    EXPECT_FALSE(Take().heartbeat);
    Pass(absl::Milliseconds(1));
    EXPECT_TRUE(Take().heartbeat);
    Answer(BrokerState::kActive);
  }
}

TEST_F(BrokerSessionTest, S31_FirstReconnectAfterABreakIsAtOnceAndToTheSame) {
  BecomeActive();
  const std::string controller = address_;
  for (int i = 0; i < 4; ++i) {
    Pass(absl::Milliseconds(400));
    Answer(BrokerState::kActive);
  }
  Take();
  End(Refused());
  const BrokerSessionReady ready = Take();
  ASSERT_TRUE(ready.open.has_value());
  EXPECT_EQ(ready.open->address, controller);
  // Under the same epoch: it is not registered again.
  Answer(BrokerState::kActive);
  EXPECT_FALSE(Take().register_broker.has_value());
  EXPECT_EQ(session_.state(), State::kActive);
}

TEST_F(BrokerSessionTest, TriesEachControllerOnceAndThenWaitsWithJitter_KAFKA19605) {
  std::set<std::string> tried;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Take().open.has_value());
    tried.insert(address_);
    End(Refused());
  }
  EXPECT_EQ(tried.size(), 3u);
  EXPECT_FALSE(Take().open.has_value());
  absl::Duration longest;
  for (int i = 0; i < 30; ++i) {
    longest = std::max(longest, UntilOpened());
    End(Refused());
  }
  EXPECT_GT(longest, absl::Milliseconds(200));
  EXPECT_LE(longest, absl::Milliseconds(300));
  EXPECT_THAT(session_.Progress(), ::testing::HasSubstr("c1:1, c2:1, c3:1"));
}

TEST_F(BrokerSessionTest, S40_FollowsAHintAtOnce) {
  Take();
  const int leader = address_ == "c2:1" ? 3 : 2;
  End(NotController(leader));
  ASSERT_TRUE(Take().open.has_value());
  EXPECT_EQ(address_, absl::StrCat("c", leader, ":1"));
  Answer(std::nullopt);
  EXPECT_EQ(session_.leader().leader, NodeId(leader));
  EXPECT_EQ(session_.leader().leader_epoch, LeaderEpoch(5));
}

TEST_F(BrokerSessionTest, HintToAControllerOutsideTheConfigIsFollowed) {
  Take();
  End(NotController(9));
  ASSERT_TRUE(Take().open.has_value());
  EXPECT_EQ(address_, "c9:1");
}

TEST_F(BrokerSessionTest, HintsInACircleWait) {
  int opened = 0;
  const MonotonicTime until = now_ + absl::Seconds(1);
  while (now_ < until) {
    UntilOpened();
    ++opened;
    End(NotController(address_ == "c1:1" ? 2 : 1));
  }
  EXPECT_LT(opened, 40);
}

TEST_F(BrokerSessionTest, StreamThatBreaksAsSoonAsItIsMadeDoesNotSpin) {
  int opened = 0;
  const MonotonicTime until = now_ + absl::Seconds(1);
  while (now_ < until) {
    UntilOpened();
    ++opened;
    Answer(std::nullopt);
    End(MakeError(ErrorCode::kCorruptLog, "damaged"));
  }
  EXPECT_LT(opened, 40);
}

TEST_F(BrokerSessionTest, SilentControllerIsGivenUpForAnother) {
  BecomeActive();
  const std::string controller = address_;
  for (int i = 0; i < 3; ++i) {
    Pass(absl::Milliseconds(500));
    Answer(BrokerState::kActive);
  }
  Take();
  Pass(absl::Milliseconds(1499));
  EXPECT_FALSE(Take().open.has_value());
  Pass(absl::Milliseconds(1));
  const BrokerSessionReady ready = Take();
  EXPECT_TRUE(ready.close);
  ASSERT_TRUE(ready.open.has_value());
  EXPECT_NE(ready.open->address, controller);
}

TEST_F(BrokerSessionTest, ControllerThatNeverAnswersIsGivenUp) {
  Take();
  const std::string controller = address_;
  Pass(absl::Seconds(1));
  ASSERT_TRUE(Take().open.has_value());
  EXPECT_NE(address_, controller);
}

// KIP-601: where connections take long to be made, they are given the time in the end.
TEST_F(BrokerSessionTest, AControllerThatSaysSomethingOnlyAfterTwoSecondsIsEstablishedInTheEnd) {
  const MonotonicTime until = now_ + absl::Seconds(20);
  while (session_.state() == State::kFinding && now_ < until) {
    UntilOpened();
    Pass(std::min(opened_.connect_max, absl::Seconds(2)));
    if (opened_.connect_max > absl::Seconds(2)) Answer(std::nullopt);
  }
  EXPECT_EQ(session_.state(), State::kFollowing);
}

// The network gives up a connection by itself, before the session does.
TEST_F(BrokerSessionTest, AConnectionThatIsNotMadeInTimeIsGivenMore) {
  const MonotonicTime until = now_ + absl::Seconds(20);
  while (session_.state() == State::kFinding && now_ < until) {
    UntilOpened();
    const absl::Duration time = opened_.connect_max - absl::Milliseconds(500);
    Pass(std::min(time, absl::Seconds(2)));
    if (time > absl::Seconds(2)) {
      Answer(std::nullopt);
    } else {
      End(Refused());
    }
  }
  EXPECT_EQ(session_.state(), State::kFollowing);
}

TEST_F(BrokerSessionTest, OneThatRefusesIsGivenNoMoreTime) {
  for (int i = 0; i < 30; ++i) {
    UntilOpened();
    EXPECT_EQ(opened_.connect_max, absl::Seconds(1));
    Pass(absl::Milliseconds(10));
    End(Refused());
  }
}

TEST_F(BrokerSessionTest, TimeToConnectIsBoundedAndBeginsAnewAfterASuccess) {
  absl::Duration longest;
  for (int i = 0; i < 30; ++i) {
    UntilOpened();
    longest = std::max(longest, opened_.connect_max);
    Pass(opened_.connect_max - absl::Milliseconds(1));
    EXPECT_FALSE(Take().close);
    Pass(absl::Milliseconds(1));
  }
  EXPECT_EQ(longest, absl::Seconds(10));
  UntilOpened();
  Answer(std::nullopt);
  End(Refused());
  UntilOpened();
  EXPECT_EQ(opened_.connect_max, absl::Seconds(1));
}

// One that is off, while the others elect: it must not hold up for long whoever waits for them.
TEST_F(BrokerSessionTest, OneThatIsSilentIsGivenNoMoreTimeWhileOthersAnswer) {
  const MonotonicTime until = now_ + absl::Seconds(30);
  while (now_ < until) {
    UntilOpened();
    EXPECT_EQ(opened_.connect_max, absl::Seconds(1));
    if (address_ == "c2:1") {
      Pass(absl::Seconds(1));
    } else {
      End(NotController());
    }
  }
}

TEST_F(BrokerSessionTest, ALeaderThatIsFarAwayAndThatTheOthersNameIsEstablishedInTheEnd) {
  const MonotonicTime until = now_ + absl::Seconds(20);
  while (session_.state() == State::kFinding && now_ < until) {
    UntilOpened();
    if (address_ != "c2:1") {
      End(NotController(2));
      continue;
    }
    Pass(std::min(opened_.connect_max, absl::Seconds(2)));
    if (opened_.connect_max > absl::Seconds(2)) Answer(std::nullopt);
  }
  EXPECT_EQ(session_.state(), State::kFollowing);
}

TEST_F(BrokerSessionTest, NewsOfAFormerStreamIsIgnored) {
  Take();
  const uint64_t former = stream_;
  End(Refused());
  Take();
  session_.OnAnswer(former, {.broker = BrokerState::kActive, .term = Term(9)}, now_);
  session_.OnStreamEnded(former, NotController(3), now_);
  EXPECT_EQ(session_.state(), State::kFinding);
  EXPECT_TRUE(Take().empty());
}

TEST_F(BrokerSessionTest, VoterThatHearsOfANewLeaderIsBelieved) {
  BecomeActive();
  const int other = address_ == "c2:1" ? 3 : 2;
  const std::string there = absl::StrCat("c", other, ":1");
  // Older news than the session itself.
  session_.OnLeader({NodeId(other), LeaderEpoch(5), there}, now_);
  EXPECT_TRUE(Take().empty());
  session_.OnLeader({NodeId(other), LeaderEpoch(6), there}, now_);
  const BrokerSessionReady ready = Take();
  EXPECT_TRUE(ready.close);
  ASSERT_TRUE(ready.open.has_value());
  EXPECT_EQ(ready.open->address, there);
}

TEST_F(BrokerSessionTest, RegistrationWhoseAnswerWasLostIsAskedAgain) {
  Take();
  session_.Register(now_);
  Answer(std::nullopt);
  BrokerSessionReady ready = Take();
  ASSERT_TRUE(ready.register_broker.has_value());
  const uint64_t lost = ready.register_broker->attempt;
  End(Refused());
  Take();
  Answer(std::nullopt);
  ready = Take();
  ASSERT_TRUE(ready.register_broker.has_value());
  session_.OnRegistered(lost, BrokerEpoch(39), now_);
  EXPECT_EQ(session_.epoch(), kNoBrokerEpoch);
  session_.OnRegistered(ready.register_broker->attempt, BrokerEpoch(40), now_);
  EXPECT_EQ(session_.epoch(), BrokerEpoch(40));
}

TEST_F(BrokerSessionTest, RegistrationIsTriedAgainAfterATransientRefusal) {
  Take();
  session_.Register(now_);
  Answer(std::nullopt);
  BrokerSessionReady ready = Take();
  session_.OnRegistered(ready.register_broker->attempt, NotController(), now_);
  EXPECT_FALSE(Take().register_broker.has_value());
  Pass(absl::Milliseconds(100));
  EXPECT_TRUE(Take().register_broker.has_value());
}

TEST_F(BrokerSessionTest, RefusalForGoodEndsTheSession) {
  // The last one: this node has lost what was committed (S-20).
  for (const absl::Status& refusal :
       {MakeError(ErrorCode::kStaleBrokerEpoch, "never"),
        MakeError(ErrorCode::kBrokerIdNotRegistered, "never"),
        MakeError(ErrorCode::kInvalidRequest, "never", {.name = "applied_index"})}) {
    BrokerSession session(Options(), &random_, now_);
    const BrokerSessionReady::Open open = *session.TakeReady().open;
    session.OnStreamEnded(open.stream, refusal, now_);
    EXPECT_EQ(session.state(), State::kEnded) << refusal;
    EXPECT_THAT(session.failure(), IsError(CodeOf(refusal), open.address + ": never"));
    EXPECT_EQ(session.next_deadline(), MonotonicTime::Never());
    session.Tick(now_ + absl::Hours(1));
    EXPECT_FALSE(session.TakeReady().open.has_value());
  }
}

// A controller whose metadata this program does not understand.
TEST_F(BrokerSessionTest, WhatIsRefusedAfterItsMetadataCameEndsTheSession) {
  Take();
  session_.OnMetadata(stream_, LogIndex(0), now_);
  End(MakeError(ErrorCode::kUnsupportedVersion, "a record of a newer level"));
  EXPECT_EQ(session_.state(), State::kEnded);
}

// A follower's place is taken by a process of another cluster, by one that takes TLS only, or by
// one that is no controller.
TEST_F(BrokerSessionTest, OneControllerThatIsAstrayEndsNothing) {
  for (const ErrorCode code : {ErrorCode::kInconsistentClusterId, ErrorCode::kAuthorizationFailed,
                               ErrorCode::kUnsupportedVersion, ErrorCode::kInvalidRequest}) {
    // The others do not lead either, or do not answer.
    for (const absl::Status& other : {NotController(), Refused()}) {
      for (int i = 0; i < 20; ++i) {
        UntilOpened();
        End(address_ == "c3:1" ? MakeError(code, "not here") : other);
        ASSERT_OK(session_.failure()) << code;
      }
    }
  }
}

TEST_F(BrokerSessionTest, WhereAllAreOfAnotherClusterItEnds) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(session_.failure());
    UntilOpened();
    End(MakeError(ErrorCode::kInconsistentClusterId, "not here"));
  }
  EXPECT_EQ(session_.state(), State::kEnded);
}

TEST_F(BrokerSessionTest, WhereNoneIsAControllerItEndsAndSaysWhere) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(session_.failure());
    UntilOpened();
    End(MakeError(ErrorCode::kUnsupportedVersion, "no such service"));
  }
  EXPECT_THAT(session_.failure(),
              IsError(ErrorCode::kUnsupportedVersion, address_ + ": no such service"));
}

TEST_F(BrokerSessionTest, WhomAnotherNamesAsTheLeaderSpeaksForTheCluster) {
  for (int i = 0; i < 10 && session_.failure().ok(); ++i) {
    UntilOpened();
    End(address_ == "c3:1" ? MakeError(ErrorCode::kInconsistentClusterId, "not here")
                           : NotController(3));
  }
  EXPECT_EQ(session_.state(), State::kEnded);
}

// A follower of the other cluster leads to its leader, which refuses as well: both speak for
// theirs.
TEST_F(BrokerSessionTest, TheLeaderThatAnAstrayFollowerNamesEndsNothing) {
  const absl::Status names =
      MakeError(ErrorCode::kNotController, "another leads",
                {.leader = LeaderHint{
                     .leader = NodeId(7), .leader_epoch = LeaderEpoch(7), .address = "d2:1"}});
  int asked = 0;
  for (const absl::Status& other : {NotController(), Refused()}) {
    for (int i = 0; i < 20; ++i) {
      UntilOpened();
      if (address_ == "d2:1") {
        ++asked;
        End(MakeError(ErrorCode::kInconsistentClusterId, "not here"));
      } else {
        End(address_ == "c3:1" ? names : other);
      }
      ASSERT_OK(session_.failure());
    }
  }
  EXPECT_GT(asked, 4);
}

class BrokerSessionOfFiveTest : public BrokerSessionTest {
 protected:
  BrokerSessionOfFiveTest() : BrokerSessionTest(OfFive()) {}
  static BrokerSessionOptions OfFive() {
    BrokerSessionOptions options = Options();
    options.controllers.push_back({NodeId(4), "c4:1"});
    options.controllers.push_back({NodeId(5), "c5:1"});
    return options;
  }
};

TEST_F(BrokerSessionOfFiveTest, WhomAllNameAsTheLeaderSpeaksForTheCluster) {
  for (int i = 0; i < 20 && session_.failure().ok(); ++i) {
    UntilOpened();
    End(address_ == "c3:1" ? MakeError(ErrorCode::kInconsistentClusterId, "not here")
                           : NotController(3));
  }
  EXPECT_EQ(session_.state(), State::kEnded);
}

TEST_F(BrokerSessionTest, WhomTheOwnVoterNamesAsTheLeaderSpeaksForTheCluster) {
  BecomeActive();
  SayThatAnotherLeads();
  End(MakeError(ErrorCode::kInconsistentClusterId, "not here"));
  EXPECT_EQ(session_.state(), State::kEnded);
}

// Its place has been taken by another process since.
TEST_F(BrokerSessionTest, WhomTheOwnVoterNamedBeforeItFellSilentIsNotBelievedForThat) {
  BecomeActive();
  const std::string there = SayThatAnotherLeads();
  Answer(BrokerState::kActive);
  Pass(absl::Seconds(1));
  Answer(BrokerState::kActive);
  Pass(absl::Milliseconds(1500));
  for (int i = 0; i < 20; ++i) {
    UntilOpened();
    End(address_ == there ? MakeError(ErrorCode::kInconsistentClusterId, "not here") : Refused());
    ASSERT_OK(session_.failure());
  }
}

TEST_F(BrokerSessionTest, WhomTheOwnVoterNamedBeforeOthersKnewNoLeaderIsNotBelievedForThat) {
  BecomeActive();
  const std::string there = SayThatAnotherLeads();
  End(Refused());
  for (int i = 0; i < 20; ++i) {
    UntilOpened();
    End(address_ == there
            ? MakeError(ErrorCode::kInconsistentClusterId, "not here")
            : MakeError(ErrorCode::kNotController, "nobody leads", {.leader = LeaderHint()}));
    ASSERT_OK(session_.failure());
  }
}

TEST_F(BrokerSessionTest, FencedBrokerAsksToBeActiveAgain) {
  BecomeActive();
  Answer(BrokerState::kFenced);
  EXPECT_EQ(session_.state(), State::kJoining);
  EXPECT_TRUE(session_.want_active());
  EXPECT_THAT(session_.Progress(), ::testing::HasSubstr("fenced"));
}

TEST_F(BrokerSessionTest, LeavingWaitsUntilNothingIsLedHere) {
  BecomeActive();
  session_.Leave(now_);
  EXPECT_TRUE(Take().heartbeat);
  EXPECT_TRUE(session_.want_shutdown());
  Answer(BrokerState::kShuttingDown);
  EXPECT_EQ(session_.state(), State::kLeaving);
  Answer(BrokerState::kShuttingDown, /*may_stop=*/true);
  EXPECT_EQ(session_.state(), State::kMayStop);
}

TEST_F(BrokerSessionTest, BrokerThatNeverWasActiveMayStopAtOnce) {
  Take();
  session_.Leave(now_);
  EXPECT_EQ(session_.state(), State::kMayStop);
}

// By a controller that does not say which it heard.
TEST_F(BrokerSessionTest, S33_ContactLiesBeforeAHeartbeatThatWasAnswered) {
  EXPECT_EQ(session_.contact(), MonotonicTime());
  BecomeActive();
  const MonotonicTime opened = now_;
  EXPECT_EQ(session_.contact(), opened);
  Pass(absl::Milliseconds(500));
  EXPECT_TRUE(Take().heartbeat);
  Answer(BrokerState::kActive);
  EXPECT_EQ(session_.contact(), opened) << "it may have been said before the heartbeat came";
  Pass(absl::Milliseconds(500));
  EXPECT_TRUE(Take().heartbeat);
  Answer(BrokerState::kActive);
  EXPECT_EQ(session_.contact(), opened + absl::Milliseconds(500));
}

TEST_F(BrokerSessionTest, S33_ContactIsTheHeartbeatThatTheControllerHadHeard) {
  BecomeActive();
  const MonotonicTime opened = now_;
  AnswerTo(session_.heartbeat());
  EXPECT_EQ(session_.contact(), opened);
  const int64_t heard = session_.heartbeat();
  // What is sent to the controller is lost; what it says comes: a change of the broker's record,
  // and metadata.
  for (int i = 0; i < 5; ++i) {
    Pass(absl::Milliseconds(500));
    EXPECT_TRUE(Take().heartbeat);
    session_.OnMetadata(stream_, LogIndex(42 + i), now_);
  }
  Pass(absl::Milliseconds(400));
  AnswerTo(heard);
  EXPECT_EQ(session_.contact(), opened) << "the controller fences from there on";
  // The fourth of the five got there after all: not the fifth.
  AnswerTo(heard + 4);
  EXPECT_EQ(session_.contact(), opened + absl::Seconds(2));
  // Late, or nonsense.
  AnswerTo(heard + 1);
  AnswerTo(heard + 100);
  EXPECT_EQ(session_.contact(), opened + absl::Seconds(2));
}

TEST_F(BrokerSessionTest, S33_ANewStreamCountsHeartbeatsOn) {
  BecomeActive();
  const int64_t former = session_.heartbeat();
  const MonotonicTime contact = session_.contact();
  Pass(absl::Milliseconds(100));
  End(Refused());
  ASSERT_TRUE(Take().open.has_value());
  EXPECT_GT(session_.heartbeat(), former);
  AnswerTo(former);
  EXPECT_EQ(session_.contact(), contact);
  AnswerTo(session_.heartbeat());
  EXPECT_EQ(session_.contact(), now_);
}

TEST_F(BrokerSessionTest, S33_WhatIsReadAfterAPauseIsNoContact) {
  BecomeActive();
  Pass(absl::Milliseconds(500));
  EXPECT_TRUE(Take().heartbeat);
  const MonotonicTime before = now_;
  // The process stands still; then its next heartbeat goes out, and it reads what came long ago.
  Pass(absl::Milliseconds(900));
  EXPECT_TRUE(Take().heartbeat);
  Answer(BrokerState::kActive);
  EXPECT_EQ(session_.contact(), before);
}

// It does not know that this broker was fenced by the one that leads since.
TEST_F(BrokerSessionTest, S33_WhoLeadsInAnOlderTermIsNoContactAndIsLeft) {
  BecomeActive();
  const MonotonicTime contact = session_.contact();
  Pass(absl::Milliseconds(100));
  End(Refused());
  ASSERT_TRUE(Take().open.has_value());
  const std::string former = address_;
  AnswerOfTerm(4);
  EXPECT_EQ(session_.contact(), contact);
  EXPECT_EQ(session_.state(), State::kFinding);
  const BrokerSessionReady ready = Take();
  EXPECT_TRUE(ready.close);
  ASSERT_TRUE(ready.open.has_value());
  EXPECT_NE(ready.open->address, former);
  AnswerOfTerm(5);
  EXPECT_EQ(session_.contact(), now_);
  EXPECT_EQ(session_.state(), State::kActive);
}

TEST_F(BrokerSessionTest, S20_ARecoveredQuorumOfAnOlderTermIsBelievedInTheEnd) {
  BecomeActive();
  End(Refused());
  const MonotonicTime until = now_ + absl::Minutes(1);
  while (session_.state() != State::kActive && now_ < until) {
    UntilOpened();
    AnswerOfTerm(4);
  }
  EXPECT_EQ(session_.leader().leader_epoch, LeaderEpoch(4));
  Pass(absl::Milliseconds(500));
  AnswerOfTerm(4);
  EXPECT_EQ(session_.state(), State::kActive);
}

TEST_F(BrokerSessionTest, S33_AFencedBrokerHasNoContact) {
  BecomeActive();
  const MonotonicTime contact = session_.contact();
  for (int i = 0; i < 3; ++i) {
    Pass(absl::Milliseconds(500));
    EXPECT_TRUE(Take().heartbeat);
    Answer(BrokerState::kFenced);
  }
  EXPECT_EQ(session_.contact(), contact);
}

}  // namespace
}  // namespace millrace::node
