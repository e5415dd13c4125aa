#include "raft/membership.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using testing::Id;
using testing::V;
using testing::Voters;
using testing::VotersEntry;
using Kind = VoterChange::Kind;

TEST(ChangeVoters, AVoterJoinsAsALearnerAndIsPromoted) {
  ASSERT_OK_AND_ASSIGN(const VoterSet with,
                       ChangeVoters(Voters({1, 2}), {Kind::kAddLearner, V(3)}));
  EXPECT_EQ(with.voters, Voters({1, 2}, {3}).voters);
  ASSERT_OK_AND_ASSIGN(const VoterSet promoted, ChangeVoters(with, {Kind::kPromote, V(3)}));
  EXPECT_EQ(promoted.voters, Voters({1, 2, 3}).voters);
}

TEST(ChangeVoters, RefusesWhatDoesNotFit) {
  const VoterSet set = Voters({1, 2, 3}, {4});
  EXPECT_THAT(ChangeVoters(set, {Kind::kAddLearner, V(1)}), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(ChangeVoters(set, {Kind::kPromote, V(1)}), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(ChangeVoters(set, {Kind::kPromote, V(9)}), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(ChangeVoters(set, {Kind::kRemove, V(9)}), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(ChangeVoters(Voters({1}, {2}), {Kind::kRemove, V(1)}),
              HasCode(ErrorCode::kInvalidRequest));
  VoterSet full;
  for (int i = 0; i < static_cast<int>(kVotersMax); ++i) full.voters.push_back(Voter{V(i + 1)});
  EXPECT_THAT(ChangeVoters(full, {Kind::kAddLearner, V(99)}), HasCode(ErrorCode::kInvalidRequest));
}

// S-17: the replacement of a directory is two changes.
TEST(ChangeVoters, S17ANewDirectoryIsPromotedOnlyAfterTheOldOneWasRemoved) {
  ASSERT_OK_AND_ASSIGN(VoterSet set, ChangeVoters(Voters({1, 2, 3}), {Kind::kAddLearner, V(3, 2)}));
  EXPECT_THAT(ChangeVoters(set, {Kind::kPromote, V(3, 2)}), HasCode(ErrorCode::kInvalidRequest));
  ASSERT_OK_AND_ASSIGN(set, ChangeVoters(set, {Kind::kRemove, V(3)}));
  EXPECT_OK(ChangeVoters(set, {Kind::kPromote, V(3, 2)}));
}

TEST(ChangeVoters, AnAddressMayChange) {
  ASSERT_OK_AND_ASSIGN(const VoterSet set,
                       ChangeVoters(Voters({1, 2}), {Kind::kSetAddress, V(2), "b:1"}));
  EXPECT_EQ(set.Find(V(2))->address, "b:1");
}

TEST(Membership, ASetIsInForceWhenAppendedAndTakenBackWhenCut) {
  Membership membership(Voters({1, 2, 3}));
  ASSERT_OK(membership.Append(VotersEntry(1, 5, Voters({1, 2, 3}, {4}))));
  ASSERT_OK(membership.Append(testing::E(1, 6)));
  EXPECT_EQ(membership.latest().id, Id(1, 5));
  EXPECT_EQ(membership.At(LogIndex(4)).voters, Voters({1, 2, 3}).voters);
  EXPECT_EQ(membership.At(LogIndex(5)).voters, Voters({1, 2, 3}, {4}).voters);
  membership.TruncateFrom(LogIndex(5));
  EXPECT_EQ(membership.latest().voters, Voters({1, 2, 3}).voters);
}

TEST(Membership, CompactionKeepsTheSetInForce) {
  Membership membership(Voters({1}));
  ASSERT_OK(membership.Append(VotersEntry(1, 5, Voters({1}, {2}))));
  ASSERT_OK(membership.Append(VotersEntry(1, 9, Voters({1, 2}))));
  membership.CompactTo(LogIndex(7));
  EXPECT_EQ(membership.At(LogIndex(7)).id, Id(1, 5));
  EXPECT_EQ(membership.latest().id, Id(1, 9));
}

TEST(Membership, AnUnreadableSetIsAnErrorAndChangesNothing) {
  Membership membership(Voters({1}));
  Entry entry = VotersEntry(1, 5, Voters({1, 2}));
  entry.payload = Bytes::Copy("nonsense");
  EXPECT_FALSE(membership.Append(entry).ok());
  EXPECT_EQ(membership.latest().voters, Voters({1}).voters);
}

}  // namespace
}  // namespace millrace::raft
