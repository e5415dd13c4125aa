#include "raft/host/quorum_log.h"

#include <optional>
#include <string>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "raft/host/snapshot_format.h"
#include "raft/host/testing/quorum_bed.h"
#include "raft/host/wal_recovery.h"

namespace millrace::raft {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::QuorumBed;
using ::testing::StartsWith;

// Three voters that have a leader.
class QuorumLogTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(bed_.Settle()); }
  void TearDown() override { EXPECT_THAT(bed_.violation(), IsEmpty()); }

  // Appends, and waits until all that live have applied it.
  void Commit(const std::string& payload) {
    ASSERT_OK(bed_.Append(payload));
    ASSERT_TRUE(bed_.Settle());
    EXPECT_THAT(bed_.machine(bed_.leader()).state, HasSubstr(absl::StrCat("=", payload, "\n")));
  }
  int AFollower() const {
    for (int node : bed_.nodes()) {
      if (node != bed_.leader() && bed_.alive(node)) return node;
    }
    return 0;
  }
  bool HasApplied(int node, const std::string& payload) {
    return bed_.machine(node).state.find(absl::StrCat("=", payload, "\n")) != std::string::npos;
  }

  QuorumBed bed_;
};

TEST_F(QuorumLogTest, WhatTheLeaderAppendsIsAppliedByAll) {
  for (int i = 0; i < 20; ++i) Commit(absl::StrCat("change", i));
  EXPECT_EQ(bed_.machine(1).state, bed_.machine(2).state);
  EXPECT_EQ(bed_.machine(1).state, bed_.machine(3).state);
}

TEST_F(QuorumLogTest, AFollowerAnswersNotControllerWithTheLeadersAddress) {
  const absl::Status status = bed_.log(AFollower()).Append(Bytes::Copy("x")).status();
  EXPECT_THAT(status, HasCode(ErrorCode::kNotController));
  ASSERT_TRUE(DetailOf(status).leader.has_value());
  EXPECT_EQ(DetailOf(status).leader->leader, NodeId(bed_.leader()));
  EXPECT_EQ(DetailOf(status).leader->address, absl::StrCat("node", bed_.leader(), ":9093"));
}

TEST_F(QuorumLogTest, TheQuorumGoesOnWithoutItsLeader) {
  Commit("before");
  const int old = bed_.leader();
  bed_.Crash(old);
  ASSERT_TRUE(bed_.RunUntil([&] { return bed_.leader() != 0; }));
  Commit("between");
  bed_.Start(old);
  ASSERT_TRUE(bed_.Settle());
  EXPECT_TRUE(HasApplied(old, "before"));
  EXPECT_TRUE(HasApplied(old, "between"));
}

TEST_F(QuorumLogTest, WhatWasAppliedAnywhereSurvivesAPowerLossOfAll) {
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 7; ++i) ASSERT_OK(bed_.Append(absl::StrCat("r", round, "i", i)));
    bed_.RunFor(absl::Milliseconds(round));
    const auto applied = bed_.history();
    for (int node : bed_.nodes()) {
      bed_.Crash(node, round % 2 == 0 ? sim::CrashMode::kTorn : sim::CrashMode::kLoseAll);
    }
    for (int node : bed_.nodes()) bed_.Start(node);
    ASSERT_TRUE(bed_.Settle());
    for (const auto& [index, line] : applied) {
      EXPECT_THAT(bed_.machine(1).state, HasSubstr(line));
    }
  }
}

TEST_F(QuorumLogTest, ALeaderCutOffFromTheMajorityStopsLeading_KAFKA15489) {
  const int old = bed_.leader();
  bed_.Isolate(old);
  bool refused = false;
  bed_.log(old).ConfirmLeadership([&](absl::Status status) {
    EXPECT_THAT(status, HasCode(ErrorCode::kNotController));
    refused = true;
  });
  ASSERT_OK(bed_.log(old).Append(Bytes::Copy("lost")));
  ASSERT_TRUE(bed_.RunUntil([&] { return refused && bed_.machine(old).led == Term(); }));
  ASSERT_TRUE(bed_.RunUntil([&] { return bed_.leader() != 0 && bed_.leader() != old; }));
  bed_.Heal();
  Commit("after");
  EXPECT_FALSE(HasApplied(old, "lost"));
  EXPECT_TRUE(HasApplied(old, "after"));
}

TEST_F(QuorumLogTest, S12_LeadershipIsConfirmedByAMajority) {
  bool confirmed = false;
  bed_.log(bed_.leader()).ConfirmLeadership([&](absl::Status status) {
    EXPECT_OK(status);
    confirmed = true;
  });
  EXPECT_FALSE(confirmed);
  ASSERT_TRUE(bed_.RunUntil([&] { return confirmed; }, absl::Milliseconds(100)));
}

TEST_F(QuorumLogTest, S36_ALeaderWhoseDiskHangsHandsOver) {
  const int old = bed_.leader();
  bed_.disk(old).Pause();
  ASSERT_OK(bed_.Append("on its way"));
  ASSERT_TRUE(
      bed_.RunUntil([&] { return bed_.leader() != 0 && bed_.leader() != old; }, absl::Seconds(5)));
  bed_.disk(old).Resume();
  Commit("after");
}

TEST_F(QuorumLogTest, AFailedSyncStopsThatVoterAndNoOther) {
  const int old = bed_.leader();
  bed_.files(old).FailSyncs(true);
  ASSERT_OK(bed_.Append("doomed or not"));
  ASSERT_TRUE(bed_.RunUntil([&] { return !bed_.machine(old).failure.ok(); }));
  EXPECT_THAT(bed_.log(old).Append(Bytes::Copy("x")), Not(IsOk()));
  bed_.Crash(old);
  ASSERT_TRUE(bed_.RunUntil([&] { return bed_.leader() != 0; }));
  Commit("after");
  bed_.Start(old);
  ASSERT_TRUE(bed_.Settle());
}

// One record to a group, so that a crash parts what was written as one.
TEST_F(QuorumLogTest, WhateverACrashLeavesTheCommitIndexIsNotAheadOfTheLog) {
  bed_.options().wal.group_bytes_max = 1;
  for (int node : bed_.nodes()) bed_.Crash(node);
  for (int node : bed_.nodes()) bed_.Start(node);
  ASSERT_TRUE(bed_.Settle());
  const int old = bed_.leader();
  bed_.Isolate(old);
  for (int i = 0; i < 3; ++i) ASSERT_OK(bed_.log(old).Append(Bytes::Copy("lost")));
  ASSERT_TRUE(bed_.RunUntil([&] { return bed_.leader() != 0 && bed_.leader() != old; }));
  for (int i = 0; i < 5; ++i) ASSERT_OK(bed_.Append("kept"));
  ASSERT_TRUE(bed_.RunUntil([&] { return HasApplied(bed_.leader(), "kept"); }));
  LogIndex last;
  sim::SimRandom random(1);
  bed_.files(old).SetOnCall([&](const sim::SimCall& call) {
    const auto image = bed_.files(old).CrashImage(sim::CrashMode::kLoseAll, random);
    ASSERT_OK_AND_ASSIGN(const WalRecovered found, RecoverWal(bed_.options().wal, *image, {}));
    ASSERT_THAT(found.recovery.entries, Not(IsEmpty()));
    last = found.recovery.entries.back().index;
    for (const Entry& entry : found.recovery.entries) {
      if (entry.index > found.recovery.hard_state.commit) break;
      EXPECT_THAT(bed_.history()[entry.index],
                  StartsWith(absl::StrCat(entry.term.value(), ":", entry.index.value(), "=")))
          << call.ToString();
    }
  });
  bed_.Heal();
  ASSERT_TRUE(bed_.Settle());
  bed_.files(old).SetOnCall(nullptr);
  EXPECT_GT(last, LogIndex(5));
}

TEST_F(QuorumLogTest, ABatchOfProposalsSharesOneSync) {
  const uint64_t before = bed_.files(bed_.leader()).calls();
  for (int i = 0; i < 100; ++i) ASSERT_OK(bed_.Append(absl::StrCat("p", i)));
  ASSERT_TRUE(bed_.Settle());
  EXPECT_LT(bed_.files(bed_.leader()).calls() - before, 20u);
}

TEST_F(QuorumLogTest, S17_AMemberIsAddedAsALearnerAndThenPromoted) {
  Commit("before");
  bed_.Start(4);
  const VoterId four = bed_.id(4);
  std::vector<absl::Status> done;
  const auto change = [&](VoterChange::Kind kind) {
    bed_.log(bed_.leader()).ChangeMembership({kind, four, "node4:9093"}, [&](absl::Status status) {
      done.push_back(status);
    });
  };
  change(VoterChange::Kind::kAddLearner);
  ASSERT_TRUE(bed_.Settle());
  change(VoterChange::Kind::kPromote);
  ASSERT_TRUE(bed_.Settle());
  ASSERT_EQ(done.size(), 2u);
  EXPECT_OK(done[0]);
  EXPECT_OK(done[1]);
  EXPECT_TRUE(HasApplied(4, "before"));
  EXPECT_EQ(bed_.log(4).node().voters().voters.size(), 4u);
}

TEST_F(QuorumLogTest, AVoterThatMovedIsLookedForWhereTheLogAndTheListSayThatItIs) {
  const int moved = AFollower();
  const Peer listed{NodeId(moved), absl::StrCat("node", moved, ":9093")};
  const Peer committed{NodeId(moved), "elsewhere:1"};
  EXPECT_THAT(bed_.peers(bed_.leader()), Contains(listed).Times(1));
  bed_.log(bed_.leader())
      .ChangeMembership({VoterChange::Kind::kSetAddress, bed_.id(moved), committed.address},
                        [](const absl::Status& status) { EXPECT_OK(status); });
  ASSERT_TRUE(bed_.Settle());
  for (int node : bed_.nodes()) {
    std::vector<Peer> of_moved;
    for (const Peer& peer : bed_.peers(node)) {
      if (peer.node == NodeId(moved)) of_moved.push_back(peer);
    }
    if (node == moved) {
      EXPECT_THAT(of_moved, IsEmpty());
    } else {
      EXPECT_THAT(of_moved, ElementsAre(committed, listed));
    }
  }
}

TEST_F(QuorumLogTest, AMemberThatHasJustJoinedKnowsWhereItsLeaderIs) {
  bed_.Start(4);
  bed_.RunFor(absl::Milliseconds(10));
  std::vector<LeaderHint> hints;
  bed_.log(4).SetOnLeaderChanged(
      [&](const RoleState&) { hints.push_back(bed_.log(4).leader_hint()); });
  bed_.log(bed_.leader())
      .ChangeMembership({VoterChange::Kind::kAddLearner, bed_.id(4), "node4:9093"},
                        [](absl::Status) {});
  ASSERT_TRUE(bed_.Settle());
  ASSERT_THAT(hints, Not(IsEmpty()));
  for (const LeaderHint& hint : hints) {
    EXPECT_EQ(hint.leader, NodeId(bed_.leader()));
    EXPECT_EQ(hint.address, absl::StrCat("node", bed_.leader(), ":9093"));
  }
}

TEST_F(QuorumLogTest, S17_AWipedVoterIsNotTheOldOneAndIsReplacedStepByStep) {
  const int wiped = AFollower();
  const VoterId old = bed_.id(wiped);
  bed_.Wipe(wiped);
  Commit("without it");
  bed_.Start(wiped);
  bed_.RunFor(absl::Seconds(3));
  EXPECT_FALSE(HasApplied(wiped, "without it"));
  int done = 0;
  const auto change = [&](VoterChange::Kind kind, const VoterId& id) {
    bed_.log(bed_.leader()).ChangeMembership({kind, id, "again:1"}, [&](absl::Status status) {
      EXPECT_OK(status);
      ++done;
    });
    ASSERT_TRUE(bed_.Settle());
  };
  change(VoterChange::Kind::kAddLearner, bed_.id(wiped));
  change(VoterChange::Kind::kRemove, old);
  change(VoterChange::Kind::kPromote, bed_.id(wiped));
  EXPECT_EQ(done, 3);
  EXPECT_TRUE(HasApplied(wiped, "without it"));
}

TEST_F(QuorumLogTest, ATransferOfLeadershipGoesToTheTarget) {
  const int target = AFollower();
  ASSERT_OK(bed_.log(bed_.leader()).TransferLeadership(bed_.id(target)));
  ASSERT_TRUE(bed_.RunUntil([&] { return bed_.leader() == target; }, absl::Milliseconds(200)));
}

TEST_F(QuorumLogTest, S11_AChangeThatLeadershipWasLostInHasAnUnknownOutcome) {
  const int old = bed_.leader();
  bed_.Isolate(old);
  absl::Status outcome;
  bed_.log(old).ChangeMembership(
      {VoterChange::Kind::kAddLearner, VoterId{NodeId(9), DirectoryId(Uuid(9, 9))}, "nine:1"},
      [&](absl::Status status) { outcome = status; });
  ASSERT_TRUE(bed_.RunUntil([&] { return !outcome.ok(); }));
  EXPECT_THAT(outcome, HasCode(ErrorCode::kOutcomeUnknown));
  bed_.Heal();
  ASSERT_TRUE(bed_.Settle());
}

// It steps down with the commit of its own removal.
TEST_F(QuorumLogTest, TheRemovalOfTheLeaderIsToldAsDone) {
  const int old = bed_.leader();
  std::optional<absl::Status> outcome;
  bed_.log(old).ChangeMembership({VoterChange::Kind::kRemove, bed_.id(old)},
                                 [&](absl::Status status) { outcome = std::move(status); });
  ASSERT_TRUE(bed_.RunUntil([&] { return outcome.has_value(); }));
  EXPECT_OK(*outcome);
  ASSERT_TRUE(bed_.RunUntil([&] { return bed_.leader() != old && bed_.leader() != 0; }));
}

TEST_F(QuorumLogTest, AnEntryOverTheLimitIsRefusedByName) {
  EXPECT_THAT(bed_.Append(std::string(40 << 10, 'x')), HasCode(ErrorCode::kEntryTooLarge));
}

// Snapshots so often that a short test takes several.
class QuorumSnapshotTest : public QuorumLogTest {
 protected:
  void SetUp() override {
    bed_.options().snapshot_after_bytes = 16 << 10;
    for (int node : bed_.nodes()) bed_.Crash(node);
    for (int node : bed_.nodes()) bed_.Start(node);
    QuorumLogTest::SetUp();
  }
  void CommitMany(int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_OK(bed_.Append(absl::StrCat("many", ++made_, std::string(1000, '.'))));
      if (i % 5 == 0) {
        ASSERT_TRUE(bed_.Settle());
      }
    }
    ASSERT_TRUE(bed_.Settle());
  }
  LogIndex SnapshotOf(int node) {
    const auto& newest = bed_.log(node).node().state().snapshots.newest();
    return newest.has_value() ? newest->id.last.index : LogIndex();
  }
  int made_ = 0;
};

TEST_F(QuorumSnapshotTest, SnapshotsKeepTheLogShort) {
  CommitMany(300);
  for (int node : bed_.nodes()) {
    EXPECT_GT(SnapshotOf(node), LogIndex(250)) << node;
    EXPECT_LT(bed_.log(node).node().log().bytes(), 100u << 10) << node;
    ASSERT_OK_AND_ASSIGN(const auto files, bed_.files(node).ListDirectory("/wal"));
    EXPECT_LE(files.size(), 4u) << node;
  }
}

TEST_F(QuorumSnapshotTest, HoweverMuchMayBeCommittedBetweenTwoTheLogIsNeverFull) {
  bed_.options().snapshot_after_bytes = uint64_t{1} << 40;
  bed_.options().raft.log_bytes_max = 128 << 10;
  bed_.options().raft.uncommitted_bytes_max = 64 << 10;
  for (int node : bed_.nodes()) bed_.Crash(node);
  for (int node : bed_.nodes()) bed_.Start(node);
  ASSERT_TRUE(bed_.Settle());
  CommitMany(300);
  for (int node : bed_.nodes()) EXPECT_GT(SnapshotOf(node), LogIndex(200)) << node;
}

TEST_F(QuorumSnapshotTest, OneThatCannotBeWrittenIsTriedAgainWhenNothingElseHappens) {
  const int node = bed_.leader();
  bed_.files(node).SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    const bool writes =
        call.kind == sim::SimCall::Kind::kWrite && call.path.find("snapshots") != std::string::npos;
    return writes ? std::optional(sim::SimFault::kNoSpace) : std::nullopt;
  });
  CommitMany(50);
  bed_.RunFor(absl::Seconds(1));
  EXPECT_EQ(SnapshotOf(node), LogIndex());
  bed_.files(node).ClearFaults();
  ASSERT_TRUE(bed_.RunUntil([&] { return SnapshotOf(node) > LogIndex(40); }));
}

TEST_F(QuorumSnapshotTest, AStartGoesOnFromTheSnapshot) {
  CommitMany(100);
  const std::string state = bed_.machine(bed_.leader()).state;
  for (int node : bed_.nodes()) bed_.Crash(node, sim::CrashMode::kTorn);
  for (int node : bed_.nodes()) bed_.Start(node);
  for (int node : bed_.nodes()) EXPECT_GT(bed_.machine(node).applied, LogIndex(50)) << node;
  ASSERT_TRUE(bed_.Settle());
  EXPECT_THAT(bed_.machine(1).state, StartsWith(state));
}

TEST_F(QuorumSnapshotTest, AFollowerFarBehindIsSentASnapshot) {
  CommitMany(10);
  const int behind = AFollower();
  bed_.Crash(behind);
  CommitMany(200);
  bed_.Start(behind);
  ASSERT_TRUE(bed_.Settle());
  EXPECT_EQ(bed_.machine(behind).state, bed_.machine(bed_.leader()).state);
  CommitMany(10);
  // What was installed is what a start finds.
  bed_.Crash(behind);
  bed_.Start(behind);
  EXPECT_GT(bed_.machine(behind).applied, LogIndex(150));
  ASSERT_TRUE(bed_.Settle());
}

TEST_F(QuorumSnapshotTest, ATransferInPiecesGoesOnAfterARestart) {
  bed_.options().raft.snapshot_chunk_bytes = 2000;
  for (int node : bed_.nodes()) bed_.Crash(node);
  for (int node : bed_.nodes()) bed_.Start(node);
  ASSERT_TRUE(bed_.Settle());
  const int behind = AFollower();
  bed_.Crash(behind);
  CommitMany(200);
  for (int i = 0; i < 6; ++i) {
    bed_.Start(behind);
    bed_.RunFor(absl::Milliseconds(150));
    bed_.Crash(behind, sim::CrashMode::kTorn);
  }
  bed_.Start(behind);
  ASSERT_TRUE(bed_.Settle());
  EXPECT_EQ(bed_.machine(behind).state, bed_.machine(bed_.leader()).state);
}

// The old state under the new index, and whole: no later check would find it.
TEST_F(QuorumSnapshotTest, OneThatComesDueDuringAnInstallationThatFailsIsNotTaken) {
  CommitMany(10);
  const int behind = AFollower();
  bed_.Crash(behind);
  CommitMany(200);
  bed_.options().snapshot_interval = absl::Seconds(5);
  bed_.Start(behind);
  bed_.RunFor(absl::ZeroDuration());
  // The core knows of it, the machine not yet.
  ASSERT_TRUE(bed_.RunUntil(
      [&] { return bed_.log(behind).node().applied() > bed_.machine(behind).applied; }));
  bed_.snapshot_disk(behind).Pause();
  bed_.RunFor(absl::Seconds(6));
  bed_.files(behind).SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    const bool installs = call.kind == sim::SimCall::Kind::kRename &&
                          absl::EndsWith(call.path, kReceivedSnapshotSuffix);
    return installs ? std::optional(sim::SimFault::kIoError) : std::nullopt;
  });
  bed_.snapshot_disk(behind).Resume();
  ASSERT_TRUE(bed_.RunUntil([&] { return !bed_.machine(behind).failure.ok(); }));
  bed_.RunFor(absl::Seconds(1));
  bed_.Crash(behind);
  bed_.Start(behind);
  std::string applied;
  for (const auto& [index, line] : bed_.history()) {
    if (index <= bed_.machine(behind).applied) applied += line;
  }
  EXPECT_EQ(bed_.machine(behind).state, applied);
  ASSERT_TRUE(bed_.Settle());
}

// A heartbeat comes twice in that time, and each shows the leader that the piece is not there yet.
TEST_F(QuorumSnapshotTest, APieceWhoseReadingTakesLongerThanAHeartbeatIsReadOnce) {
  constexpr absl::Duration kRead = absl::Milliseconds(300);
  bed_.options().raft.snapshot_chunk_bytes = 10'000;
  for (int node : bed_.nodes()) bed_.Crash(node);
  for (int node : bed_.nodes()) bed_.Start(node);
  ASSERT_TRUE(bed_.Settle());
  const int behind = AFollower();
  bed_.Crash(behind);
  CommitMany(200);
  const int leader = bed_.leader();
  const uint64_t bytes = bed_.log(leader).node().state().snapshots.newest()->id.bytes;
  const auto pieces = static_cast<int>((bytes + 9'999) / 10'000);
  ASSERT_GE(pieces, 15);
  bed_.files(leader).SetLatency([&](const sim::SimCall& call) {
    const bool reads =
        call.kind == sim::SimCall::Kind::kRead && absl::StrContains(call.path, "snapshots");
    if (reads) bed_.loop().Delay(kRead);
  });
  int sent = 0;
  bed_.SetOnSend([&](const Message& message) {
    sent += std::holds_alternative<SnapshotChunk>(message.body) ? 1 : 0;
  });
  bed_.Start(behind);
  EXPECT_TRUE(bed_.Settle(pieces * kRead * 2));
  EXPECT_EQ(sent, pieces);
}

TEST_F(QuorumSnapshotTest, ANewLearnerBeginsWithTheSnapshot) {
  CommitMany(200);
  bed_.Start(4);
  bed_.log(bed_.leader())
      .ChangeMembership({VoterChange::Kind::kAddLearner, bed_.id(4), "node4:9093"},
                        [](absl::Status status) { EXPECT_OK(status); });
  ASSERT_TRUE(bed_.Settle());
  EXPECT_NE(bed_.log(4).node().voters().Find(bed_.id(4)), nullptr);
}

}  // namespace
}  // namespace millrace::raft
