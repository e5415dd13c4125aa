#include "raft/progress.h"

#include "gtest/gtest.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using testing::Id;

const MonotonicTime kNow = MonotonicTime::FromNanos(1);

AppendResponse Refusal(int64_t refused, int64_t last, uint64_t round) {
  return AppendResponse{
      .refused = LogIndex(refused), .last = LogIndex(last), .round = Round(round)};
}

TEST(Progress, ProbesWithOneMessageAtATime) {
  const Options options;
  Progress progress(LogIndex(10), kNow);
  EXPECT_TRUE(progress.CanSend(options));
  progress.OnSent(3, 100);
  EXPECT_FALSE(progress.CanSend(options));
  EXPECT_EQ(progress.next(), LogIndex(10));
  progress.OnHeartbeatDue();
  EXPECT_TRUE(progress.CanSend(options));
}

TEST(Progress, PipelinesWithinItsWindowOnceTheLogsMet) {
  Options options;
  options.window_bytes_max = 250;
  options.window_messages_max = 3;
  Progress progress(LogIndex(10), kNow);
  progress.OnAccepted(LogIndex(9), Round(1));
  EXPECT_EQ(progress.state(), Progress::State::kReplicate);
  progress.OnSent(1, 100);
  progress.OnSent(1, 100);
  EXPECT_TRUE(progress.CanSend(options));
  progress.OnSent(1, 100);
  EXPECT_EQ(progress.next(), LogIndex(13));
  EXPECT_FALSE(progress.CanSend(options));
  progress.OnAccepted(LogIndex(11), Round(1));
  EXPECT_TRUE(progress.CanSend(options));
}

TEST(Progress, MatchNeverFallsByAnOldAnswer) {
  Progress progress(LogIndex(10), kNow);
  progress.OnAccepted(LogIndex(12), Round(1));
  progress.OnAccepted(LogIndex(9), Round(2));
  EXPECT_EQ(progress.match(), LogIndex(12));
  EXPECT_EQ(progress.next(), LogIndex(13));
}

TEST(Progress, ARefusalWhilePipeliningGoesBackToWhatIsKnown) {
  Progress progress(LogIndex(10), kNow);
  progress.OnAccepted(LogIndex(9), Round(1));
  progress.OnSent(5, 100);
  EXPECT_TRUE(progress.OnRefused(Refusal(14, 11, 2), LogIndex(11), Round(2)));
  EXPECT_EQ(progress.state(), Progress::State::kProbe);
  EXPECT_EQ(progress.next(), LogIndex(10));
}

// Of a pipeline whose first message was lost, all the others are refused.
TEST(Progress, TheFirstRefusalSettlesAllThatWasSentBeforeIt) {
  Progress progress(LogIndex(10), kNow);
  progress.OnAccepted(LogIndex(9), Round(1));
  for (int i = 0; i < 3; ++i) progress.OnSent(1, 100);
  EXPECT_TRUE(progress.OnRefused(Refusal(11, 9, 2), LogIndex(9), Round(3)));
  progress.OnAccepted(LogIndex(10), Round(4));
  progress.OnSent(1, 100);
  EXPECT_FALSE(progress.OnRefused(Refusal(12, 9, 3), LogIndex(9), Round(5)));
  EXPECT_EQ(progress.state(), Progress::State::kReplicate);
}

// Found by the simulation: a follower without room and its leader, as fast as the network goes.
TEST(Progress, AFollowerWithoutRoomIsAskedAgainWithTheNextHeartbeat) {
  const Options options;
  Progress progress(LogIndex(10), kNow);
  progress.OnAccepted(LogIndex(9), Round(1));
  progress.OnFull();
  EXPECT_FALSE(progress.CanSend(options));
  progress.OnHeartbeatDue();
  EXPECT_TRUE(progress.CanSend(options));
  EXPECT_EQ(progress.next(), LogIndex(10));
}

TEST(Progress, AnOldRefusalIsIgnored) {
  Progress progress(LogIndex(10), kNow);
  EXPECT_FALSE(
      progress.OnRefused(Refusal(5, 3, 1), LogIndex(3), Round(1)));  // Not what is being probed.
  progress.OnAccepted(LogIndex(9), Round(1));
  EXPECT_FALSE(progress.OnRefused(Refusal(9, 3, 1), LogIndex(3), Round(1)));  // Below what matched.
  EXPECT_EQ(progress.state(), Progress::State::kReplicate);
}

TEST(Progress, ProbingGoesBackToWhereTheLogsMayMeet) {
  Progress progress(LogIndex(10), kNow);
  EXPECT_TRUE(progress.OnRefused(Refusal(9, 7, 1), LogIndex(4), Round(1)));
  EXPECT_EQ(progress.next(), LogIndex(5));
  // At least one step, whatever the hint says.
  EXPECT_TRUE(progress.OnRefused(Refusal(4, 7, 2), LogIndex(7), Round(2)));
  EXPECT_EQ(progress.next(), LogIndex(4));
}

// S-19: asked after it acknowledged 12, its log ends at 5.
TEST(Progress, S19AVoterThatForgotWhatItAcknowledgedIsFoundOut) {
  Progress progress(LogIndex(10), kNow);
  progress.OnAccepted(LogIndex(12), Round(3));
  EXPECT_FALSE(progress.ProvesLostLog(Refusal(14, 5, 3)));  // Asked before it acknowledged.
  EXPECT_FALSE(progress.ProvesLostLog(Refusal(14, 12, 4)));
  const AppendResponse proof = Refusal(14, 5, 4);
  ASSERT_TRUE(progress.ProvesLostLog(proof));
  progress.OnLostLog(proof);
  EXPECT_TRUE(progress.lost_log());
  EXPECT_EQ(progress.match(), LogIndex(0));
  EXPECT_EQ(progress.next(), LogIndex(6));
}

TEST(Progress, ASnapshotIsOfferedAndSentPieceByPiece) {
  const SnapshotId id{Id(1, 50), 300, 7};
  Progress progress(LogIndex(10), kNow);
  progress.BeginSnapshot(id);
  EXPECT_FALSE(progress.CanSend(Options()));
  EXPECT_TRUE(progress.TakeOfferToSend(Round(1)));
  EXPECT_FALSE(progress.TakeOfferToSend(Round(2)));
  EXPECT_EQ(progress.TakeChunkToSend(), std::nullopt);
  progress.OnSnapshotReceived(100, Round(1));
  EXPECT_EQ(progress.TakeChunkToSend(), 100u);
  EXPECT_EQ(progress.TakeChunkToSend(), std::nullopt);
  progress.OnSnapshotReceived(300, Round(2));
  EXPECT_EQ(progress.TakeChunkToSend(), std::nullopt);
  progress.OnHeartbeatDue();
  EXPECT_TRUE(progress.TakeOfferToSend(Round(3)));
  progress.OnAccepted(LogIndex(50), Round(1));
  EXPECT_EQ(progress.state(), Progress::State::kReplicate);
  EXPECT_EQ(progress.next(), LogIndex(51));
}

TEST(Progress, APieceUnderWayIsSentAgainOnlyIfAHeartbeatBehindItIsAnsweredWithoutIt) {
  Progress progress(LogIndex(10), kNow);
  progress.BeginSnapshot(SnapshotId{Id(1, 50), 300, 7});
  EXPECT_TRUE(progress.TakeOfferToSend(Round(1)));
  progress.OnSnapshotReceived(0, Round(1));
  EXPECT_EQ(progress.TakeChunkToSend(), 0u);
  // An answer twice, or to an offer that went out between two heartbeats.
  progress.OnSnapshotReceived(0, Round(1));
  progress.OnSnapshotReceived(0, Round(3));
  EXPECT_EQ(progress.TakeChunkToSend(), std::nullopt);
  progress.OnHeartbeatDue();
  EXPECT_TRUE(progress.TakeOfferToSend(Round(4)));
  progress.OnSnapshotReceived(0, Round(3));
  EXPECT_EQ(progress.TakeChunkToSend(), std::nullopt);
  progress.OnSnapshotReceived(0, Round(4));
  EXPECT_EQ(progress.TakeChunkToSend(), 0u);
  progress.OnSnapshotReceived(0, Round(4));
  EXPECT_EQ(progress.TakeChunkToSend(), std::nullopt);
  // Both copies arrived: the second one's answer adds nothing.
  progress.OnSnapshotReceived(100, Round(2));
  EXPECT_EQ(progress.TakeChunkToSend(), 100u);
  progress.OnSnapshotReceived(100, Round(5));
  EXPECT_EQ(progress.TakeChunkToSend(), std::nullopt);
  // The follower lost all of it.
  progress.OnHeartbeatDue();
  EXPECT_TRUE(progress.TakeOfferToSend(Round(7)));
  progress.OnSnapshotReceived(0, Round(7));
  EXPECT_EQ(progress.TakeChunkToSend(), 0u);
}

}  // namespace
}  // namespace millrace::raft
