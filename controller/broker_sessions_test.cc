#include "controller/broker_sessions.h"

#include <algorithm>
#include <vector>

#include "base/status.h"
#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using metadata::BrokerState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Kind = SessionDecision::Kind;

constexpr SessionStreamId kStream{1};

// Brokers 1 and 2, active; this node leads from time 0. Decisions become facts when asked to.
class BrokerSessionsTest : public ::testing::Test {
 protected:
  BrokerSessionsTest() {
    cluster_.Start(1, 1);
    cluster_.Start(2, 1);
    sessions_.Begin(cluster_.image(), now_);
  }

  BrokerEpoch EpochOf(int id) const { return cluster_.image().FindBroker(NodeId(id))->epoch; }
  BrokerState StateOf(int id) const { return cluster_.image().FindBroker(NodeId(id))->state; }

  void Open(int id, SessionStreamId stream = kStream) {
    sessions_.OnStreamOpened(NodeId(id), EpochOf(id), stream, now_);
  }
  BrokerHeartbeatReport Report(int id) const {
    return {.broker = NodeId(id),
            .epoch = EpochOf(id),
            .applied = cluster_.index(),
            .want_active = true};
  }
  void Beat(int id) { sessions_.OnHeartbeat(Report(id), now_); }
  void Break(int id, SessionStreamId stream = kStream) {
    sessions_.OnStreamBroken(NodeId(id), stream, now_);
  }

  // Lets time pass as the host does: its timer fires when it is due. Decisions that come due are
  // carried out; returns them.
  std::vector<SessionDecision> Pass(absl::Duration time) {
    const MonotonicTime end = now_ + time;
    std::vector<SessionDecision> all = CarryOut();
    while (sessions_.next_deadline() <= end) {
      now_ = std::max(now_, sessions_.next_deadline());
      sessions_.OnTime(now_);
      for (SessionDecision& decision : CarryOut()) all.push_back(std::move(decision));
    }
    now_ = end;
    return all;
  }
  // As Pass, with a heartbeat of `beating` every 500 ms.
  std::vector<SessionDecision> PassBeating(absl::Duration time, const std::vector<int>& beating) {
    std::vector<SessionDecision> all;
    for (const MonotonicTime end = now_ + time; now_ < end;) {
      for (const int id : beating) Beat(id);
      for (SessionDecision& decision : Pass(absl::Milliseconds(500))) {
        all.push_back(std::move(decision));
      }
    }
    return all;
  }

  std::vector<SessionDecision> CarryOut() {
    std::vector<SessionDecision> all;
    for (std::vector<SessionDecision> due = sessions_.TakeDecisions(); !due.empty();
         due = sessions_.TakeDecisions()) {
      for (const SessionDecision& decision : due) CarryOut(decision);
      all.insert(all.end(), due.begin(), due.end());
    }
    return all;
  }
  void CarryOut(const SessionDecision& decision) {
    const int id = decision.broker.value();
    bool may_stop = false;
    switch (decision.kind) {
      case Kind::kFence:
        cluster_.Fence(id);
        break;
      case Kind::kActivate:
        cluster_.Activate(id);
        break;
      case Kind::kShutDown:
        may_stop = cluster_.Heartbeat(id, false, true)->may_stop();
        break;
      case Kind::kSlowDirectories:
        EXPECT_OK(cluster_.Run(
            MarkSlowDirectoriesCommand{decision.broker, decision.epoch, decision.directories}));
        break;
      case Kind::kFailDirectories:
        break;
    }
    Committed(id);
    sessions_.OnDecided(decision, absl::OkStatus(), may_stop, now_);
  }
  // Whatever was committed about the broker is told.
  void Committed(int id) { sessions_.OnBroker(*cluster_.image().FindBroker(NodeId(id)), now_); }

  static std::vector<std::pair<int, Kind>> Of(const std::vector<SessionDecision>& decisions) {
    std::vector<std::pair<int, Kind>> all;
    for (const SessionDecision& decision : decisions) {
      all.emplace_back(decision.broker.value(), decision.kind);
    }
    return all;
  }

  TestCluster cluster_;
  // That of the broker of this process.
  static constexpr int kOwnRun = 2;
  static IncarnationId OwnRun() { return IncarnationId(Uuid(9, kOwnRun)); }
  BrokerSessions sessions_{BrokerSessionOptions(), OwnRun()};
  MonotonicTime now_ = MonotonicTime::FromNanos(1'000'000'000'000);
};

using Decided = std::pair<int, Kind>;

TEST_F(BrokerSessionsTest, SilenceForTheTimeoutFencesAndHeartbeatsKeepAlive) {
  Open(1);
  Open(2);
  EXPECT_THAT(PassBeating(absl::Seconds(20), {1, 2}), IsEmpty());
  // 2 was last heard of 500 ms ago.
  EXPECT_THAT(PassBeating(absl::Milliseconds(2000), {1}), IsEmpty());
  EXPECT_THAT(Of(PassBeating(absl::Milliseconds(500), {1})), ElementsAre(Decided(2, Kind::kFence)));
  EXPECT_EQ(StateOf(2), BrokerState::kFenced);
  // Once is enough.
  EXPECT_THAT(PassBeating(absl::Seconds(10), {1}), IsEmpty());
}

TEST_F(BrokerSessionsTest, S31_AfterAnElectionEveryBrokerHasAFullSession) {
  EXPECT_THAT(Pass(absl::Milliseconds(2999)), IsEmpty());
  EXPECT_THAT(Of(Pass(absl::Milliseconds(1))),
              ElementsAre(Decided(1, Kind::kFence), Decided(2, Kind::kFence)));
}

// A leader that was replaced and does not know it yet goes on to tell brokers that they are not
// fenced. Until they doubt it, nobody else may lead what they lead.
TEST_F(BrokerSessionsTest, S33_AfterAnElectionASessionOutlastsWhatTheLeaderBeforePromised) {
  BrokerSessions sessions({.former_leader_max = absl::Milliseconds(1200)}, OwnRun());
  sessions.Begin(cluster_.image(), now_);
  const auto due_after = [&, begun = now_](int milliseconds) {
    for (const MonotonicTime end = begun + absl::Milliseconds(milliseconds); now_ < end;) {
      now_ = std::min(now_ + absl::Milliseconds(100), end);
      sessions.OnTime(now_);
    }
    return Of(sessions.TakeDecisions());
  };
  EXPECT_THAT(due_after(500), IsEmpty());
  // Heard by way of another, 2 may have its stream to the leader before still; 1 has opened one.
  sessions.OnContact(NodeId(2), EpochOf(2), now_);
  sessions.OnStreamOpened(NodeId(1), EpochOf(1), kStream, now_);
  EXPECT_THAT(due_after(3499), IsEmpty());
  EXPECT_THAT(due_after(3500), ElementsAre(Decided(1, Kind::kFence)));
  EXPECT_THAT(due_after(4199), IsEmpty());
  EXPECT_THAT(due_after(4200), ElementsAre(Decided(2, Kind::kFence)));
}

TEST_F(BrokerSessionsTest, S31_BrokenStreamLeavesTheGraceAndNoMore) {
  Open(1);
  Open(2);
  Beat(1);
  Beat(2);
  Break(1);
  EXPECT_THAT(Pass(absl::Milliseconds(199)), IsEmpty());
  EXPECT_THAT(Of(Pass(absl::Milliseconds(1))), ElementsAre(Decided(1, Kind::kFence)));
}

TEST_F(BrokerSessionsTest, S31_TheSameProcessThatReconnectsInTimeResumesSilently) {
  Open(1);
  Open(2);
  Beat(1);
  Break(1);
  EXPECT_THAT(Pass(absl::Milliseconds(150)), IsEmpty());
  Open(1, SessionStreamId(2));
  EXPECT_THAT(PassBeating(absl::Seconds(10), {1, 2}), IsEmpty());
}

TEST_F(BrokerSessionsTest, S31_AStreamThatWasReplacedBreaksNothing) {
  Open(1);
  Open(2);
  Open(1, SessionStreamId(2));
  Break(1, kStream);
  EXPECT_THAT(PassBeating(absl::Seconds(4), {1, 2}), IsEmpty());
}

TEST_F(BrokerSessionsTest, S31_AStreamThatThisNodeClosedItselfLeavesTheFullSession) {
  Open(1);
  Open(2);
  Beat(1);
  sessions_.OnStreamClosed(NodeId(1), kStream, now_);
  EXPECT_THAT(PassBeating(absl::Milliseconds(2500), {2}), IsEmpty());
  EXPECT_THAT(Of(PassBeating(absl::Milliseconds(500), {2})), ElementsAre(Decided(1, Kind::kFence)));
}

TEST_F(BrokerSessionsTest, S31_TheThirdBreakInAMinuteLeavesTheFullSession) {
  Open(2);
  for (uint64_t i = 1; i <= 3; ++i) {
    Open(1, SessionStreamId(i));
    EXPECT_THAT(PassBeating(absl::Seconds(1), {1, 2}), IsEmpty());
    Break(1, SessionStreamId(i));
    if (i == 3) break;
    EXPECT_THAT(Pass(absl::Milliseconds(100)), IsEmpty());
  }
  EXPECT_THAT(PassBeating(absl::Seconds(2), {2}), IsEmpty());
  EXPECT_THAT(Of(PassBeating(absl::Seconds(1), {2})), ElementsAre(Decided(1, Kind::kFence)));
}

TEST_F(BrokerSessionsTest, S31_BreaksOfMoreThanAMinuteAgoAreForgotten) {
  Open(2);
  for (uint64_t i = 1; i <= 3; ++i) {
    Open(1, SessionStreamId(i));
    EXPECT_THAT(PassBeating(absl::Seconds(31), {1, 2}), IsEmpty());
    Break(1, SessionStreamId(i));
    if (i == 3) break;
    EXPECT_THAT(Pass(absl::Milliseconds(100)), IsEmpty());
  }
  EXPECT_THAT(Of(Pass(absl::Milliseconds(200))), ElementsAre(Decided(1, Kind::kFence)));
}

TEST_F(BrokerSessionsTest, S31_UnfencingOfAFlappingBrokerWaitsTwiceAsLongEachTime) {
  Open(2);
  uint64_t stream = 10;
  const auto fence_by_breaks = [&] {
    for (int i = 0; i < 3; ++i) {
      Open(1, SessionStreamId(++stream));
      Beat(1);
      CarryOut();
      Break(1, SessionStreamId(stream));
    }
    EXPECT_THAT(Of(PassBeating(absl::Milliseconds(3500), {2})),
                ElementsAre(Decided(1, Kind::kFence)));
  };
  const auto held = [&] {
    Open(1, SessionStreamId(++stream));
    absl::Duration time;
    while (StateOf(1) == BrokerState::kFenced && time < absl::Minutes(1)) {
      PassBeating(absl::Milliseconds(500), {1, 2});
      time += absl::Milliseconds(500);
    }
    return time;
  };
  fence_by_breaks();
  const absl::Duration first = held();
  EXPECT_LE(first, absl::Seconds(1));
  fence_by_breaks();
  const absl::Duration second = held();
  EXPECT_GT(second, first);
  EXPECT_LE(second, absl::Seconds(2));
  fence_by_breaks();
  const absl::Duration third = held();
  EXPECT_GE(third, absl::Seconds(3));
  EXPECT_LE(third, absl::Seconds(4));
}

TEST_F(BrokerSessionsTest, S31_AStallOfTheControllerExtendsEverySession) {
  Open(1);
  Open(2);
  PassBeating(absl::Seconds(2), {1, 2});
  // The process was stopped: what was sent meanwhile waits to be read.
  now_ = now_ + absl::Seconds(60);
  sessions_.OnTime(now_);
  EXPECT_THAT(CarryOut(), IsEmpty());
  EXPECT_THAT(PassBeating(absl::Seconds(1), {1}), IsEmpty());
  // Silence after the stall counts as before.
  EXPECT_THAT(Of(PassBeating(absl::Seconds(3), {1})), ElementsAre(Decided(2, Kind::kFence)));
}

TEST_F(BrokerSessionsTest, S31_AStallIsNoticedByWhateverComesFirst) {
  Open(1);
  Open(2);
  PassBeating(absl::Seconds(2), {1, 2});
  now_ = now_ + absl::Seconds(60);
  // The heartbeat of 1 is read before the timer runs: 2 must not pay for that.
  Beat(1);
  sessions_.OnTime(now_);
  EXPECT_THAT(CarryOut(), IsEmpty());
}

TEST_F(BrokerSessionsTest, AllBrokersSilentIsNoStall) {
  Open(1);
  Open(2);
  Beat(1);
  Beat(2);
  EXPECT_THAT(Of(Pass(absl::Milliseconds(3001))),
              ElementsAre(Decided(1, Kind::kFence), Decided(2, Kind::kFence)));
}

TEST_F(BrokerSessionsTest, TheBrokerOfThisProcessIsNeverFencedForSilence) {
  cluster_.Start(9, kOwnRun);
  Committed(9);
  Open(1);
  Open(2);
  EXPECT_THAT(PassBeating(absl::Seconds(10), {1, 2}), IsEmpty());
}

TEST_F(BrokerSessionsTest, NothingIsDecidedAboutABrokerThatIsUnregistered) {
  cluster_.Register(3, 1);
  Committed(3);
  Open(3);
  Beat(3);
  EXPECT_EQ(sessions_.connected(), 1);
  sessions_.OnBrokerRemoved(NodeId(3));
  EXPECT_EQ(sessions_.connected(), 0);
  EXPECT_THAT(sessions_.TakeDecisions(), IsEmpty());
  Open(1);
  Open(2);
  EXPECT_THAT(PassBeating(absl::Seconds(10), {1, 2}), IsEmpty());
}

TEST_F(BrokerSessionsTest, WithNobodyToWatchNothingIsDue) {
  TestCluster alone;
  alone.Start(9, kOwnRun);
  BrokerSessions sessions{BrokerSessionOptions(), OwnRun()};
  sessions.Begin(alone.image(), now_);
  EXPECT_EQ(sessions.next_deadline(), MonotonicTime::Never());
}

// All had lost power. What it led then need not wait until this process has opened its logs.
TEST_F(BrokerSessionsTest, TheFormerRunOfTheBrokerOfThisProcessIsFencedForSilence) {
  cluster_.Start(9, kOwnRun - 1);
  sessions_.Begin(cluster_.image(), now_);
  Open(1);
  Open(2);
  EXPECT_THAT(PassBeating(absl::Milliseconds(2500), {1, 2}), IsEmpty());
  EXPECT_THAT(Of(PassBeating(absl::Milliseconds(500), {1, 2})),
              ElementsAre(Decided(9, Kind::kFence)));
  cluster_.Start(9, kOwnRun);
  Committed(9);
  EXPECT_THAT(PassBeating(absl::Seconds(10), {1, 2}), IsEmpty());
}

TEST_F(BrokerSessionsTest, ABrokerThatIsTheWholeClusterIsNotFencedForSilence) {
  TestCluster alone;
  alone.Start(9, kOwnRun - 1);
  BrokerSessions sessions{BrokerSessionOptions{.lone_broker = NodeId(9)}, OwnRun()};
  sessions.Begin(alone.image(), now_);
  EXPECT_EQ(sessions.next_deadline(), MonotonicTime::Never());
}

TEST_F(BrokerSessionsTest, S41_ActivatedOnceItsOwnRegistrationIsApplied) {
  cluster_.Register(3, 1);
  Committed(3);
  Open(3);
  BrokerHeartbeatReport report = Report(3);
  report.applied = LogIndex(EpochOf(3).value() - 1);
  sessions_.OnHeartbeat(report, now_);
  EXPECT_THAT(CarryOut(), IsEmpty());
  report.applied = LogIndex(EpochOf(3).value());
  sessions_.OnHeartbeat(report, now_);
  EXPECT_THAT(Of(CarryOut()), ElementsAre(Decided(3, Kind::kActivate)));
  EXPECT_EQ(StateOf(3), BrokerState::kActive);
  // From here on it is watched.
  EXPECT_THAT(PassBeating(absl::Milliseconds(2500), {1, 2}), IsEmpty());
  EXPECT_THAT(Of(PassBeating(absl::Milliseconds(500), {1, 2})),
              ElementsAre(Decided(3, Kind::kFence)));
}

TEST_F(BrokerSessionsTest, ABrokerThatWasFencedForSilenceIsActiveAgainWithItsNextHeartbeat) {
  Open(1);
  Open(2);
  ASSERT_THAT(Of(PassBeating(absl::Milliseconds(3500), {1})),
              ElementsAre(Decided(2, Kind::kFence)));
  Beat(2);
  EXPECT_THAT(Of(CarryOut()), ElementsAre(Decided(2, Kind::kActivate)));
}

TEST_F(BrokerSessionsTest, WhatABrokerWantedBeforeItsStreamBrokeDoesNotUnfenceIt) {
  Open(1);
  Open(2);
  Beat(1);
  Break(1);
  ASSERT_THAT(Of(Pass(absl::Milliseconds(200))), ElementsAre(Decided(1, Kind::kFence)));
  EXPECT_THAT(PassBeating(absl::Seconds(5), {2}), IsEmpty());
  EXPECT_EQ(StateOf(1), BrokerState::kFenced);
}

TEST_F(BrokerSessionsTest, OneDecisionPerBrokerIsUnderWayAndAFailedOneIsAskedAgain) {
  Open(2);
  PassBeating(absl::Milliseconds(500), {2});
  Open(1);
  Break(1);
  now_ = now_ + absl::Milliseconds(200);
  sessions_.OnTime(now_);
  std::vector<SessionDecision> due = sessions_.TakeDecisions();
  ASSERT_THAT(Of(due), ElementsAre(Decided(1, Kind::kFence)));
  sessions_.OnTime(now_);
  EXPECT_THAT(sessions_.TakeDecisions(), IsEmpty());
  sessions_.OnDecided(due[0], MakeError(ErrorCode::kResourceExhausted, "busy"), false, now_);
  EXPECT_THAT(sessions_.TakeDecisions(), IsEmpty());
  EXPECT_THAT(Of(Pass(absl::Milliseconds(200))), ElementsAre(Decided(1, Kind::kFence)));
}

TEST_F(BrokerSessionsTest, ANewRegistrationEndsTheSessionBeforeIt) {
  Open(1);
  Open(2);
  const BrokerHeartbeatReport old = Report(1);
  cluster_.Register(1, 2);
  Committed(1);
  // The old process is not heard any more, and its stream's end means nothing.
  sessions_.OnHeartbeat(old, now_);
  Break(1);
  EXPECT_THAT(PassBeating(absl::Seconds(4), {2}), IsEmpty());
  EXPECT_EQ(StateOf(1), BrokerState::kFenced);
}

TEST_F(BrokerSessionsTest, ShutdownIsRepeatedUntilItMayStop) {
  Open(1);
  Open(2);
  BrokerHeartbeatReport report = Report(1);
  report.want_shutdown = true;
  sessions_.OnHeartbeat(report, now_);
  std::vector<SessionDecision> due = sessions_.TakeDecisions();
  ASSERT_THAT(Of(due), ElementsAre(Decided(1, Kind::kShutDown)));
  sessions_.OnDecided(due[0], absl::OkStatus(), /*may_stop=*/false, now_);
  EXPECT_FALSE(sessions_.MayStop(NodeId(1)));
  sessions_.OnHeartbeat(report, now_);
  EXPECT_THAT(Of(CarryOut()), ElementsAre(Decided(1, Kind::kShutDown)));
  EXPECT_TRUE(sessions_.MayStop(NodeId(1)));
  sessions_.OnHeartbeat(report, now_);
  EXPECT_THAT(CarryOut(), IsEmpty());
  // When it has stopped it is fenced, as any that goes.
  Break(1);
  EXPECT_THAT(Of(Pass(absl::Milliseconds(200))), ElementsAre(Decided(1, Kind::kFence)));
}

TEST_F(BrokerSessionsTest, AFencedBrokerMayStopAtOnce) {
  cluster_.Register(3, 1);
  Committed(3);
  Open(3);
  BrokerHeartbeatReport report = Report(3);
  report.want_shutdown = true;
  sessions_.OnHeartbeat(report, now_);
  EXPECT_THAT(CarryOut(), IsEmpty());
  EXPECT_TRUE(sessions_.MayStop(NodeId(3)));
}

TEST_F(BrokerSessionsTest, KIP858_FailedDirectoriesAreDecidedOnceAndBeforeAllElse) {
  cluster_.Register(3, 1);
  Committed(3);
  Open(3);
  BrokerHeartbeatReport report = Report(3);
  report.failed_directories = {DirectoryId(Uuid(5, 5))};
  sessions_.OnHeartbeat(report, now_);
  const std::vector<SessionDecision> decisions = CarryOut();
  EXPECT_THAT(Of(decisions),
              ElementsAre(Decided(3, Kind::kFailDirectories), Decided(3, Kind::kActivate)));
  EXPECT_THAT(decisions[0].directories, ElementsAre(DirectoryId(Uuid(5, 5))));
  sessions_.OnHeartbeat(report, now_);
  EXPECT_THAT(CarryOut(), IsEmpty());
  report.failed_directories.insert(DirectoryId(Uuid(5, 6)));
  sessions_.OnHeartbeat(report, now_);
  EXPECT_THAT(CarryOut(), SizeIs(1));
}

// A sync on the disk of broker 1 takes so long, on that of 2 a millisecond.
class BrokerSessionsDiskTest : public BrokerSessionsTest {
 protected:
  std::vector<SessionDecision> PassWithSyncOf(int milliseconds, absl::Duration time) {
    std::vector<SessionDecision> all;
    for (const MonotonicTime end = now_ + time; now_ < end;) {
      for (const int id : {1, 2}) {
        BrokerHeartbeatReport report = Report(id);
        report.syncs[TestCluster::DirectoryOf(id)] = absl::Milliseconds(id == 1 ? milliseconds : 1);
        sessions_.OnHeartbeat(report, now_);
      }
      for (SessionDecision& decision : Pass(absl::Milliseconds(500))) {
        all.push_back(std::move(decision));
      }
    }
    return all;
  }
  bool IsSlow() const {
    return cluster_.image().FindBroker(NodeId(1))->HasSlowLogDir(TestCluster::DirectoryOf(1));
  }
};

TEST_F(BrokerSessionsDiskTest, ASlowDiskIsDecidedOnceAndSaysWhy) {
  const std::vector<SessionDecision> decisions = PassWithSyncOf(900, absl::Seconds(10));
  ASSERT_THAT(Of(decisions), ElementsAre(Decided(1, Kind::kSlowDirectories)));
  EXPECT_THAT(decisions[0].directories, ElementsAre(TestCluster::DirectoryOf(1)));
  EXPECT_THAT(decisions[0].why, testing::HasSubstr("takes 900 ms, 1 ms in the median"));
  EXPECT_TRUE(IsSlow());
  EXPECT_THAT(Of(PassWithSyncOf(1, absl::Minutes(1))),
              ElementsAre(Decided(1, Kind::kSlowDirectories)));
  EXPECT_FALSE(IsSlow());
}

TEST_F(BrokerSessionsDiskTest, ANewControllerTakesOverWhatIsSlow) {
  PassWithSyncOf(900, absl::Seconds(10));
  sessions_.End();
  sessions_.Begin(cluster_.image(), now_);
  EXPECT_THAT(PassWithSyncOf(900, absl::Minutes(1)), IsEmpty());
  EXPECT_THAT(PassWithSyncOf(1, absl::Seconds(6)), SizeIs(1));
  EXPECT_FALSE(IsSlow());
}

TEST_F(BrokerSessionsDiskTest, OfABrokerThatRegistersAnewNothingIsKnown) {
  PassWithSyncOf(900, absl::Seconds(10));
  cluster_.Start(1, 2);
  Committed(1);
  EXPECT_FALSE(IsSlow());
  EXPECT_THAT(PassWithSyncOf(900, absl::Seconds(4)), IsEmpty());
  EXPECT_THAT(PassWithSyncOf(900, absl::Seconds(4)), SizeIs(1));
}

TEST_F(BrokerSessionsTest, ContactOnAnotherWayKeepsABrokerWithoutAStreamAlive) {
  Open(2);
  for (int i = 0; i < 10; ++i) {
    sessions_.OnContact(NodeId(1), EpochOf(1), now_);
    EXPECT_THAT(PassBeating(absl::Seconds(1), {2}), IsEmpty());
  }
  EXPECT_THAT(Of(PassBeating(absl::Milliseconds(2500), {2})),
              ElementsAre(Decided(1, Kind::kFence)));
}

TEST_F(BrokerSessionsTest, WhoeverNoLongerLeadsDecidesNothing) {
  Open(1);
  Break(1);
  sessions_.End();
  EXPECT_EQ(sessions_.next_deadline(), MonotonicTime::Never());
  sessions_.OnTime(now_ + absl::Seconds(9));
  Open(1);
  Committed(1);
  EXPECT_THAT(sessions_.TakeDecisions(), IsEmpty());
  EXPECT_EQ(sessions_.connected(), 0);
}

}  // namespace
}  // namespace millrace::controller
