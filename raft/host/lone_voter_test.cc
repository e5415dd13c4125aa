// A quorum of one: QuorumLog without peers, which the single server runs on.
#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "raft/host/quorum_log.h"
#include "raft/host/wal_test_bed.h"
#include "rsm/entry_codec.h"
#include "rsm/host.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Recorder : public rsm::CommitLog::Listener {
 public:
  void OnCommitted(absl::Span<const rsm::CommittedEntry> entries) override {
    EXPECT_THAT(failures, IsEmpty());
    for (const rsm::CommittedEntry& entry : entries) {
      committed.push_back(entry.id);
      payloads.push_back(entry.internal ? "(internal)" : entry.payload.ToString());
    }
  }
  void OnBecameLeader(Term term) override {
    led = term;
    committed_when_elected = committed.size();
  }
  void OnLostLeadership() override { FAIL(); }
  void OnFailed(const absl::Status& status) override { failures.push_back(status); }

  std::vector<EntryId> committed;
  std::vector<std::string> payloads;
  Term led;
  size_t committed_when_elected = 0;
  std::vector<absl::Status> failures;
};

EntryId Id(int64_t term, int64_t index) { return EntryId{Term(term), LogIndex(index)}; }

absl::StatusOr<std::unique_ptr<QuorumLog>> OpenLone(WalTestBed& bed, VoterId self) {
  QuorumLog::Options options;
  options.wal = SmallWalOptions();
  options.self = self;
  options.founders.voters = {Voter{self}};
  return QuorumLog::Open(std::move(options), {.wal = bed.dependencies(),
                                              .random = std::make_unique<sim::SimRandom>(7)});
}

class LoneVoterTest : public ::testing::Test {
 protected:
  absl::Status Open(VoterId self = kWalTestVoter) {
    log_.reset();
    recorder_ = Recorder();
    auto log = OpenLone(bed_, self);
    if (!log.ok()) return log.status();
    log_ = *std::move(log);
    return absl::OkStatus();
  }
  void Start() {
    log_->Start(&recorder_);
    bed_.Run();
  }

  WalTestBed bed_;
  Recorder recorder_;
  std::unique_ptr<QuorumLog> log_;
};

TEST_F(LoneVoterTest, ANewLogIsFoundedAndLedInTermOne) {
  ASSERT_OK(Open());
  Start();
  EXPECT_EQ(recorder_.led, Term(1));
  EXPECT_THAT(recorder_.committed, ElementsAre(Id(1, 1)));
  EXPECT_THAT(recorder_.payloads, ElementsAre("(internal)"));
  ASSERT_OK(Open());
  EXPECT_EQ(log_->recovery().hard_state.voted_for, kWalTestVoter);
  EXPECT_NE(log_->recovery().voters.Find(kWalTestVoter), nullptr);
}

TEST_F(LoneVoterTest, S10_TheVoteIsDurableBeforeTheNoOpIsWritten) {
  ASSERT_OK(Open());
  std::vector<std::unique_ptr<sim::SimFileSystem>> images;
  sim::SimRandom random(1);
  log_->Start(&recorder_);
  // A crash that keeps everything, at each call: never an entry of a term without its vote.
  bed_.files().SetOnCall([&](const sim::SimCall&) {
    images.push_back(bed_.files().CrashImage(sim::CrashMode::kKeepAll, random));
  });
  bed_.Run();
  bed_.files().SetOnCall(nullptr);
  ASSERT_FALSE(images.empty());
  for (auto& image : images) {
    WalTestBed bed(std::move(image));
    ASSERT_OK(bed.Open());
    for (const Entry& entry : bed.recovery().entries) {
      EXPECT_EQ(bed.recovery().hard_state.term, entry.term);
      EXPECT_EQ(bed.recovery().hard_state.voted_for, kWalTestVoter);
    }
  }
}

TEST_F(LoneVoterTest, S10_AnEntryCommitsWhenItIsDurableAndNotBefore) {
  ASSERT_OK(Open());
  Start();
  bed_.disk_strand().Pause();
  ASSERT_OK_AND_ASSIGN(const EntryId id, log_->Append(Bytes::Copy("x")));
  EXPECT_EQ(id, Id(1, 2));
  bed_.Run();
  EXPECT_THAT(recorder_.committed, SizeIs(1));
  bed_.disk_strand().Resume();
  bed_.Run();
  EXPECT_THAT(recorder_.committed, ElementsAre(Id(1, 1), Id(1, 2)));
  EXPECT_EQ(log_->node().commit(), LogIndex(2));
}

TEST_F(LoneVoterTest, S11_AStartDeliversTheWholeLogBeforeItLeads) {
  ASSERT_OK(Open());
  Start();
  for (int i = 0; i < 5; ++i) ASSERT_OK(log_->Append(Bytes::Copy(absl::StrCat("e", i))));
  bed_.Run();
  ASSERT_OK(Open());
  Start();
  EXPECT_EQ(recorder_.led, Term(2));
  EXPECT_EQ(recorder_.committed_when_elected, 7u);
  EXPECT_THAT(recorder_.payloads,
              ElementsAre("(internal)", "e0", "e1", "e2", "e3", "e4", "(internal)"));
  EXPECT_EQ(recorder_.committed.back(), Id(2, 7));
}

TEST_F(LoneVoterTest, BeforeItLeadsNothingCanBeAppended) {
  ASSERT_OK(Open());
  log_->Start(&recorder_);
  EXPECT_THAT(log_->Append(Bytes::Copy("x")), HasCode(ErrorCode::kNotController));
  bed_.Run();
  EXPECT_OK(log_->Append(Bytes::Copy("x")));
}

TEST_F(LoneVoterTest, ALongLogIsDeliveredInParts) {
  ASSERT_OK(Open());
  Start();
  for (int i = 0; i < 3000; ++i) ASSERT_OK(log_->Append(Bytes::Copy("x")));
  bed_.Run();
  ASSERT_OK(Open());
  Start();
  EXPECT_THAT(recorder_.committed, SizeIs(3002));
  EXPECT_EQ(recorder_.led, Term(2));
}

TEST_F(LoneVoterTest, S17_ALogOfAnotherNodeOrDirectoryIsRefused) {
  ASSERT_OK(Open());
  Start();
  EXPECT_THAT(Open(VoterId{NodeId(2), kWalTestVoter.directory}),
              IsError(ErrorCode::kInvalidDirectory, "node 1"));
  EXPECT_THAT(Open(VoterId{NodeId(1), DirectoryId(Uuid(9, 9))}),
              IsError(ErrorCode::kInvalidDirectory, "another directory"));
}

TEST_F(LoneVoterTest, ALogOfAQuorumOfMoreIsRefused) {
  ASSERT_OK(bed_.Open());
  VoterSet voters;
  voters.voters = {Voter{kWalTestVoter, "", false},
                   Voter{VoterId{NodeId(2), DirectoryId(Uuid(3, 4))}, "", false}};
  bed_.Append(WalBatch{.voters = voters});
  bed_.Run();
  bed_.Close();
  EXPECT_THAT(Open(), IsError(ErrorCode::kInvalidDirectory, "quorum of 2"));
}

TEST_F(LoneVoterTest, AFailedSyncStopsTheLogOnce) {
  ASSERT_OK(Open());
  Start();
  bed_.files().FailSyncs(true);
  ASSERT_OK(log_->Append(Bytes::Copy("lost")));
  bed_.Run();
  EXPECT_THAT(recorder_.failures, SizeIs(1));
  EXPECT_THAT(recorder_.committed, SizeIs(1));
  EXPECT_THAT(log_->Append(Bytes::Copy("x")), HasCode(ErrorCode::kStorageError));
  bool answered = false;
  log_->ConfirmLeadership([&answered](absl::Status status) {
    answered = true;
    EXPECT_THAT(status, HasCode(ErrorCode::kNotController));
  });
  bed_.Run();
  EXPECT_TRUE(answered);
}

TEST_F(LoneVoterTest, LeadershipIsConfirmedByALaterTask) {
  ASSERT_OK(Open());
  Start();
  bool confirmed = false;
  log_->ConfirmLeadership([&confirmed](absl::Status status) { confirmed = status.ok(); });
  EXPECT_FALSE(confirmed);
  bed_.Run();
  EXPECT_TRUE(confirmed);
}

// A machine over the real log: what was answered is there after a power loss.
struct Words {
  std::vector<std::string> said;
};
struct Say {
  std::string word;
};
struct WordMachine {
  static rsm::Decision<size_t> Decide(const Words& state, const Say& say, rsm::Now) {
    return {state.said.size(), {rsm::Record{rsm::RecordType(1), 0, {}, Bytes::Copy(say.word)}}};
  }
  static Words Apply(const Words& state, LogIndex, absl::Span<const rsm::Record> records) {
    Words next = state;
    for (const rsm::Record& record : records) next.said.push_back(record.payload.ToString());
    return next;
  }
};
class Quiet : public rsm::HostListener<Words> {
 public:
  void OnCommitted(LogIndex, const std::shared_ptr<const Words>&,
                   absl::Span<const rsm::Record>) override {}
  void OnBecameLeader(Term) override {}
  void OnLostLeadership() override {}
  void OnFailed(const absl::Status& status) override { ADD_FAILURE() << status; }
};

TEST_F(LoneVoterTest, S09_WhatAHostAnsweredSurvivesAPowerLossAtAnyMoment) {
  using WordHost = rsm::Host<WordMachine, Words>;
  struct Crash {
    std::unique_ptr<sim::SimFileSystem> image;
    std::vector<std::string> answered;
  };
  std::vector<Crash> crashes;
  std::vector<std::string> answered;
  std::vector<std::string> all;
  sim::SimRandom random(5);
  ASSERT_OK(Open());
  Quiet quiet;
  WordHost host({}, log_.get(), &quiet, std::make_shared<const Words>(), LogIndex(0));
  log_->Start(&host);
  bed_.Run();
  bed_.files().SetOnCall([&](const sim::SimCall&) {
    crashes.push_back({bed_.files().CrashImage(sim::CrashMode::kTorn, random), answered});
  });
  for (int i = 0; i < 60; ++i) {
    all.push_back(absl::StrCat("word", i, std::string(i * 97 % 5000, '.')));
    host.Submit(Say{all.back()}, rsm::Now{}, [&, i](absl::StatusOr<size_t> reply, LogIndex) {
      ASSERT_OK(reply);
      EXPECT_EQ(*reply, static_cast<size_t>(i));
      answered.push_back(all[i]);
    });
    if (i % 4 == 0) bed_.Run();
  }
  bed_.Run();
  bed_.files().SetOnCall(nullptr);
  EXPECT_EQ(answered, all);
  for (Crash& crash : crashes) {
    WalTestBed bed(std::move(crash.image));
    ASSERT_OK_AND_ASSIGN(auto log, OpenLone(bed, kWalTestVoter));
    WordHost again({}, log.get(), &quiet, std::make_shared<const Words>(), LogIndex(0));
    log->Start(&again);
    bed.Run();
    ASSERT_TRUE(again.leading());
    const std::vector<std::string>& said = again.committed_state()->said;
    ASSERT_GE(said.size(), crash.answered.size());
    ASSERT_TRUE(std::equal(said.begin(), said.end(), all.begin()));
  }
}

}  // namespace
}  // namespace millrace::raft
