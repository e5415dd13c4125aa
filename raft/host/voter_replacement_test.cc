#include "raft/host/voter_replacement.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::raft {
namespace {

using Kind = VoterChange::Kind;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kWait = absl::Minutes(10);
constexpr absl::Duration kLook = absl::Seconds(5);

VoterId Id(int node, uint64_t directory) {
  return {NodeId(node), DirectoryId(Uuid(static_cast<uint64_t>(node), directory))};
}

// Node 1 leads {1, 2, 3}, each on its directory 1; node 3 has lost it and asks on directory 2.
class VoterReplacementTest : public ::testing::Test {
 protected:
  VoterReplacementTest() {
    view_.self = NodeId(1);
    view_.settled = true;
    for (int node = 1; node <= 3; ++node) {
      view_.members.push_back({.id = Id(node, 1), .well = node == 2, .last_contact = now_});
    }
    view_.heard = {Connected(Id(2, 1), 1), {.id = Id(3, 1), .hellos = 2}, Asking(Id(3, 2), 3)};
  }

  static HeardPeer Connected(const VoterId& id, uint64_t hellos) {
    return {.id = id, .address = "there:9093", .connected = true, .hellos = hellos};
  }
  static HeardPeer Asking(const VoterId& id, uint64_t hellos) {
    HeardPeer peer = Connected(id, hellos);
    peer.asks_to_join = true;
    return peer;
  }
  HeardPeer& Heard(const VoterId& id) {
    for (HeardPeer& peer : view_.heard) {
      if (peer.id == id) return peer;
    }
    return view_.heard.emplace_back(HeardPeer{.id = id});
  }
  ReplacementView::Member& Member(const VoterId& id) {
    for (ReplacementView::Member& member : view_.members) {
      if (member.id == id) return member;
    }
    return view_.members.emplace_back(ReplacementView::Member{.id = id});
  }
  void AddLearner(const VoterId& id, bool well) {
    Member(id) = {.id = id, .learner = true, .well = well, .last_contact = now_};
  }
  void Remove(const VoterId& id) {
    std::erase_if(view_.members, [&](const auto& member) { return member.id == id; });
  }

  // Looks every so often, with the well ones answering; the first change that comes of it.
  std::optional<VoterChange> LookFor(absl::Duration duration) {
    const MonotonicTime end = now_ + duration;
    while (true) {
      if (auto change = replacement_.Next(view_, now_)) return change;
      if (now_ >= end) return std::nullopt;
      now_ = now_ + kLook;
      for (auto& member : view_.members) {
        if (member.well) member.last_contact = now_;
      }
    }
  }
  std::optional<VoterChange> Look() { return LookFor(absl::ZeroDuration()); }

  MonotonicTime now_ = MonotonicTime() + absl::Hours(1);
  ReplacementView view_;
  VoterReplacement replacement_{kWait};
};

TEST_F(VoterReplacementTest, S17ALostDirectoryIsReplacedStepByStepAfterItsSilence) {
  EXPECT_FALSE(LookFor(kWait - kLook).has_value());
  EXPECT_THAT(replacement_.waiting(), SizeIs(1));
  // Nothing is removed before the new directory has all.
  const std::optional<VoterChange> learner = LookFor(kLook);
  ASSERT_TRUE(learner.has_value());
  EXPECT_EQ(learner->kind, Kind::kAddLearner);
  EXPECT_EQ(learner->id, Id(3, 2));
  EXPECT_EQ(learner->address, "there:9093");
  AddLearner(Id(3, 2), /*well=*/false);
  EXPECT_FALSE(LookFor(absl::Hours(1)).has_value());
  Member(Id(3, 2)).well = true;
  const std::optional<VoterChange> removed = Look();
  ASSERT_TRUE(removed.has_value());
  EXPECT_EQ(removed->kind, Kind::kRemove);
  EXPECT_EQ(removed->id, Id(3, 1));
  // One change at a time: the next only when that is committed.
  Remove(Id(3, 1));
  view_.settled = false;
  EXPECT_FALSE(Look().has_value());
  view_.settled = true;
  const std::optional<VoterChange> promoted = Look();
  ASSERT_TRUE(promoted.has_value());
  EXPECT_EQ(promoted->kind, Kind::kPromote);
  EXPECT_EQ(promoted->id, Id(3, 2));
  Member(Id(3, 2)).learner = false;
  EXPECT_FALSE(LookFor(absl::Hours(1)).has_value());
  EXPECT_THAT(replacement_.waiting(), IsEmpty());
}

TEST_F(VoterReplacementTest, WhoDoesNotAskIsNotTakenIn) {
  Heard(Id(3, 2)).asks_to_join = false;
  EXPECT_FALSE(LookFor(absl::Hours(24)).has_value());
}

TEST_F(VoterReplacementTest, ANodeThatIsNoVoterIsAddedByCommandOnly) {
  Remove(Id(3, 1));
  EXPECT_FALSE(LookFor(absl::Hours(24)).has_value());
  // Nor is one that was removed, and still runs.
  Heard(Id(3, 1)) = Asking(Id(3, 1), 4);
  Heard(Id(3, 2)).connected = false;
  EXPECT_FALSE(LookFor(absl::Hours(24)).has_value());
}

TEST_F(VoterReplacementTest, S17AnAnswerOfTheOldDirectoryBeginsTheWaitAnew) {
  EXPECT_FALSE(LookFor(kWait - kLook).has_value());
  Member(Id(3, 1)).last_contact = now_;
  EXPECT_FALSE(LookFor(kWait - kLook).has_value());
  EXPECT_TRUE(LookFor(2 * kLook).has_value());
}

// It opened a stream and closed it again, between two looks.
TEST_F(VoterReplacementTest, S17AHelloOfTheOldDirectoryBeginsTheWaitAnew) {
  EXPECT_FALSE(LookFor(kWait - kLook).has_value());
  Heard(Id(3, 1)).hellos = 9;
  EXPECT_FALSE(LookFor(kWait - kLook).has_value());
  EXPECT_TRUE(LookFor(2 * kLook).has_value());
}

TEST_F(VoterReplacementTest, S17AnOldDirectoryThatIsConnectedIsNeverReplaced) {
  Heard(Id(3, 1)).connected = true;
  EXPECT_FALSE(LookFor(absl::Hours(24)).has_value());
  Heard(Id(3, 1)).connected = false;
  EXPECT_FALSE(LookFor(kWait - kLook).has_value());
  EXPECT_TRUE(LookFor(2 * kLook).has_value());
}

TEST_F(VoterReplacementTest, S17AnotherVoterThatIsNotWellBeginsTheWaitAnew) {
  EXPECT_FALSE(LookFor(kWait - kLook).has_value());
  Member(Id(2, 1)).well = false;
  EXPECT_FALSE(LookFor(absl::Hours(1)).has_value());
  Member(Id(2, 1)).well = true;
  EXPECT_FALSE(LookFor(kWait - kLook).has_value());
  EXPECT_TRUE(LookFor(2 * kLook).has_value());
}

TEST_F(VoterReplacementTest, S17TheOldDirectoryIsHeardOfWhileTheNewOneCatchesUp) {
  ASSERT_TRUE(LookFor(absl::Hours(1)).has_value());
  AddLearner(Id(3, 2), /*well=*/true);
  Member(Id(3, 1)).last_contact = now_;
  EXPECT_FALSE(LookFor(kWait - kLook).has_value());
}

TEST_F(VoterReplacementTest, ANewLeaderWaitsAnewButEndsWhatItsPredecessorBegan) {
  EXPECT_FALSE(LookFor(kWait - kLook).has_value());
  replacement_.OnLed();
  EXPECT_FALSE(LookFor(kWait - kLook).has_value());
  // Once the old directory is out, nothing is left to wait for.
  replacement_.OnLed();
  Remove(Id(3, 1));
  AddLearner(Id(3, 2), /*well=*/true);
  const std::optional<VoterChange> change = Look();
  ASSERT_TRUE(change.has_value());
  EXPECT_EQ(change->kind, Kind::kPromote);
}

TEST_F(VoterReplacementTest, TwoProcessesOfOneNodeAreAnOperatorsMatter) {
  view_.heard.push_back(Asking(Id(3, 7), 4));
  EXPECT_FALSE(LookFor(absl::Hours(24)).has_value());
}

TEST_F(VoterReplacementTest, ANewcomerThatLosesItsDirectoryTooIsReplacedInItsTurn) {
  AddLearner(Id(3, 2), /*well=*/false);
  Heard(Id(3, 2)) = {.id = Id(3, 2), .hellos = 3};
  view_.heard.push_back(Asking(Id(3, 4), 5));
  EXPECT_FALSE(LookFor(kWait - kLook).has_value());
  ASSERT_EQ(LookFor(2 * kLook)->kind, Kind::kAddLearner);
  AddLearner(Id(3, 4), /*well=*/true);
  // The learner that was left behind goes first, then the voter.
  EXPECT_EQ(Look()->id, Id(3, 2));
  Remove(Id(3, 2));
  EXPECT_EQ(Look()->id, Id(3, 1));
  Remove(Id(3, 1));
  EXPECT_EQ(Look()->kind, Kind::kPromote);
}

// Of five, two lost their directories: which of them may be given up is an operator's choice.
TEST_F(VoterReplacementTest, S17TwoLossesAtOnceAreNotReplaced) {
  for (int node = 4; node <= 5; ++node) {
    view_.members.push_back({.id = Id(node, 1), .well = node == 4, .last_contact = now_});
  }
  view_.heard.push_back(Asking(Id(5, 2), 8));
  EXPECT_FALSE(LookFor(absl::Hours(24)).has_value());
}

TEST_F(VoterReplacementTest, OneReplacementIsDoneBeforeTheNextBegins) {
  for (int node = 4; node <= 5; ++node) {
    view_.members.push_back({.id = Id(node, 1), .well = true, .last_contact = now_});
  }
  Remove(Id(5, 1));
  AddLearner(Id(5, 2), /*well=*/false);
  view_.heard.push_back(Asking(Id(5, 2), 8));
  EXPECT_FALSE(LookFor(absl::Hours(1)).has_value());
  Member(Id(5, 2)).well = true;
  EXPECT_EQ(Look()->id, Id(5, 2));
  Member(Id(5, 2)).learner = false;
  EXPECT_EQ(Look()->id, Id(3, 2));
}

}  // namespace
}  // namespace millrace::raft
