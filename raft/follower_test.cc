// A follower's side of snapshots, and what it does with what a leader should not send. The paper's
// rules for appends stand in paper_test.
#include "raft/follower.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using testing::E;
using ::testing::ElementsAre;
using testing::Id;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::Start;
using testing::Terms;
using testing::TestNode;
using testing::V;
using testing::Voters;

SnapshotOffer Offer(EntryId last, uint64_t bytes = 10) {
  return SnapshotOffer{SnapshotId{last, bytes, 1}, Voters({1, 2, 3}, {4}, Id(2, 3)), Round(1)};
}
SnapshotChunk Chunk(const SnapshotOffer& offer, uint64_t offset, uint64_t size) {
  return SnapshotChunk{offer.id, offset, size, Bytes::FromString(std::string(size, 'x')), Round(1)};
}

TEST(Follower, ASnapshotReplacesTheLogOnceItIsVerified) {
  TestNode node(1, Start(Voters({1, 2, 3}), 5, Terms({1, 1, 1})));
  const SnapshotOffer offer = Offer(Id(4, 9));
  node.Receive(2, 5, offer);
  EXPECT_EQ(node.SentOf<SnapshotResponse>().at(0).received, 0u);
  node.Receive(2, 5, Chunk(offer, 0, 6));
  EXPECT_EQ(node.SentOf<SnapshotResponse>().at(0).received, 6u);
  node.Receive(2, 5, Chunk(offer, 6, 4));
  EXPECT_EQ(node.SentOf<SnapshotResponse>().at(0).received, 10u);
  EXPECT_THAT(node.LogTerms(), ElementsAre(1, 1, 1));

  node->SnapshotReceived(offer.id, true, node.now());
  node.Tick();
  EXPECT_EQ(node->log().start(), Id(4, 9));
  EXPECT_EQ(node->commit(), LogIndex(9));
  EXPECT_EQ(node->voters().voters, offer.voters.voters);
  EXPECT_EQ(node.SentOf<AppendResponse>().at(0).match, LogIndex(9));
  ASSERT_TRUE(node.taken.back().install.has_value());
  EXPECT_EQ(node.taken.back().voters->id, Id(2, 3));
  // And it goes on from there.
  node.Receive(2, 5, AppendRequest{Id(4, 9), {E(5, 10)}, LogIndex(10), Round(2)});
  EXPECT_THAT(node.committed, ElementsAre(E(5, 10)));
}

TEST(Follower, ASnapshotOfWhatIsThereIsNotFetched) {
  TestNode node(1, Start(Voters({1, 2, 3}), 5, Terms({1, 1, 1})));
  node.Receive(2, 5, Offer(Id(1, 2)));
  EXPECT_EQ(node.SentOf<AppendResponse>().at(0).match, LogIndex(2));
  EXPECT_EQ(node->commit(), LogIndex(2));
  EXPECT_THAT(node.LogTerms(), ElementsAre(1, 1, 1));
}

TEST(Follower, AVerifiedSnapshotThatCameTooLateIsDropped) {
  TestNode node(1, Start(Voters({1, 2, 3}), 5, Terms({1, 1, 1})));
  const SnapshotOffer offer = Offer(Id(5, 4));
  node.Receive(2, 5, offer);
  node.Receive(2, 5, Chunk(offer, 0, 10));
  node.Receive(2, 5, AppendRequest{Id(1, 3), {E(5, 4), E(5, 5)}, LogIndex(5), Round(1)});
  node->SnapshotReceived(offer.id, true, node.now());
  node.Tick();
  EXPECT_EQ(node->log().last(), Id(5, 5));
  EXPECT_THAT(node.committed, SizeIs(5));
}

TEST(Follower, ADamagedSnapshotIsFetchedAgainFromTheStart) {
  TestNode node(1, Start(Voters({1, 2, 3}), 5));
  const SnapshotOffer offer = Offer(Id(4, 9));
  node.Receive(2, 5, offer);
  node.Receive(2, 5, Chunk(offer, 0, 10));
  node->SnapshotReceived(offer.id, false, node.now());
  node.Sent();
  node.Receive(2, 5, offer);
  EXPECT_EQ(node.SentOf<SnapshotResponse>().at(0).received, 0u);
}

TEST(Follower, ATransferGoesOnWithTheNextLeaderAndAfterARestart) {
  InitialState initial = Start(Voters({1, 2, 3}), 5);
  initial.receiving = Offer(Id(4, 9)).id;
  initial.received = 6;
  TestNode node(1, initial);
  node.Receive(3, 6, Offer(Id(4, 9)));
  EXPECT_EQ(node.SentOf<SnapshotResponse>().at(0).received, 6u);
}

TEST(Follower, AHeartbeatBelowWhatIsCommittedNeedsNoComparison) {
  TestNode node(1, Start(Voters({1, 2, 3}), 1));
  node.Receive(2, 1, AppendRequest{Id(0, 0), {E(1, 1), E(1, 2)}, LogIndex(2), Round(1)});
  node->SnapshotTaken(SnapshotId{Id(1, 1), 5, 5}, node.now());
  node->SnapshotTaken(SnapshotId{Id(1, 2), 5, 5}, node.now());
  EXPECT_EQ(node->log().start(), Id(1, 1));
  node.Sent();
  node.Receive(2, 1, AppendRequest{Id(0, 0), {E(1, 1), E(1, 2), E(1, 3)}, LogIndex(2), Round(1)});
  EXPECT_EQ(node.SentOf<AppendResponse>().at(0).match, LogIndex(3));
}

TEST(Follower, EntriesThatNoLeaderMaySendAreDropped) {
  TestNode node(1, Start(Voters({1, 2, 3}), 5));
  const auto receive = [&node](std::vector<Entry> entries) {
    node.Receive(2, 5, AppendRequest{Id(0, 0), std::move(entries), LogIndex(9), Round(1)});
    EXPECT_THAT(node.Sent(), IsEmpty());
    EXPECT_THAT(node.LogTerms(), IsEmpty());
  };
  receive({E(1, 2)});           // A gap.
  receive({E(2, 1), E(1, 2)});  // Terms that fall.
  receive({E(6, 1)});           // A term that has not begun.
  Entry voters = testing::VotersEntry(1, 1, Voters({1}));
  voters.payload = Bytes::Copy("?");
  receive({voters});
}

TEST(Follower, TakesNoMoreThanItsMemoryBound) {
  Options options;
  options.log_bytes_max = 3 * Log::CostOf(E(1, 1));
  options.uncommitted_bytes_max = 1;
  TestNode node(1, Start(Voters({1, 2, 3}), 1), options);
  node.Receive(2, 1, AppendRequest{Id(0, 0), Terms({1, 1, 1, 1, 1}), LogIndex(5), Round(1)});
  EXPECT_EQ(node.SentOf<AppendResponse>().at(0).match, LogIndex(3));
  EXPECT_EQ(node->commit(), LogIndex(3));
  // Snapshots make room.
  EXPECT_EQ(node->log().start(), Id(0, 0));
  node->SnapshotTaken(SnapshotId{Id(1, 3), 5, 5}, node.now());
  node.Receive(2, 1, AppendRequest{Id(1, 3), {E(1, 4), E(1, 5)}, LogIndex(5), Round(1)});
  EXPECT_EQ(node.SentOf<AppendResponse>().at(0).match, LogIndex(5));
}

}  // namespace
}  // namespace millrace::raft
