#include "rsm/host.h"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::rsm {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// A toy machine: named counters.
struct Counters {
  std::map<std::string, int64_t> values;
  // The index of the entry that last changed anything: what a broker epoch is to a registration.
  LogIndex changed_at;
};

struct Create {
  std::string name;
};
struct Get {
  std::string name;
};
struct CreateMany {
  std::vector<std::string> names;
};

constexpr RecordType kCreated{1};

struct ToyMachine {
  static Decision<int64_t> Decide(const Counters& state, const Create& request, Now) {
    if (state.values.contains(request.name)) {
      return {MakeError(ErrorCode::kTopicAlreadyExists, "exists"), {}};
    }
    return {static_cast<int64_t>(state.values.size()),
            {Record{kCreated, 0, {}, Bytes::Copy(request.name)}}};
  }
  static Decision<std::string> Decide(const Counters& state, const CreateMany& request, Now) {
    Decision<std::string> decision{std::string("done"), {}};
    for (const std::string& name : request.names) {
      if (!state.values.contains(name)) {
        decision.records.push_back(Record{kCreated, 0, {}, Bytes::Copy(name)});
      }
    }
    return decision;
  }
  static Decision<int64_t> Decide(const Counters& state, const Get& request, Now) {
    auto it = state.values.find(request.name);
    if (it == state.values.end()) return {MakeError(ErrorCode::kUnknownTopicId, "none"), {}};
    return {it->second, {}};
  }
  static Counters Apply(const Counters& state, LogIndex index, absl::Span<const Record> records) {
    Counters next = state;
    for (const Record& record : records) next.values[record.payload.ToString()] = index.value();
    next.changed_at = index;
    return next;
  }
  static absl::Status CheckRecord(const Record& record) {
    if (record.type == kCreated) return absl::OkStatus();
    return MakeError(ErrorCode::kUnsupportedVersion, "unknown record type");
  }
};

// A log that commits and confirms when the test says so.
class FakeLog : public CommitLog {
 public:
  void Start(Listener* listener) override { listener_ = listener; }
  absl::StatusOr<EntryId> Append(Bytes payload) override {
    if (!refusal.ok()) return refusal;
    entries.push_back(CommittedEntry{EntryId{term, TakeIndex()}, std::move(payload), false});
    return entries.back().id;
  }
  void ConfirmLeadership(ConfirmCallback done) override { rounds.push_back(std::move(done)); }
  void Stop(const absl::Status& why) override {
    stopped = true;
    listener_->OnFailed(why);
  }

  void Commit(size_t count = 1) {
    for (; count > 0; --count) {
      const CommittedEntry entry = entries.front();
      entries.pop_front();
      listener_->OnCommitted({&entry, 1});
    }
  }
  void Confirm(absl::Status status = absl::OkStatus()) {
    ConfirmCallback done = std::move(rounds.front());
    rounds.pop_front();
    std::move(done)(std::move(status));
  }
  // Elected in `t`: the no-op at the log's end is committed.
  void Elect(int64_t t) {
    term = Term(t);
    const CommittedEntry no_op{EntryId{term, TakeIndex()}, {}, true};
    listener_->OnCommitted({&no_op, 1});
    listener_->OnBecameLeader(term);
  }
  // Another leader overwrites what is not committed from here.
  void Lose() {
    next = entries.empty() ? next : entries.front().id.index;
    entries.clear();
    listener_->OnLostLeadership();
  }

  LogIndex TakeIndex() {
    const LogIndex index = next;
    ++next;
    return index;
  }

  Listener* listener_ = nullptr;
  Term term;
  LogIndex next{1};
  std::deque<CommittedEntry> entries;
  std::deque<ConfirmCallback> rounds;
  absl::Status refusal;
  bool stopped = false;
};

class Recorder : public HostListener<Counters> {
 public:
  void OnCommitted(LogIndex index, const std::shared_ptr<const Counters>& state,
                   absl::Span<const Record> records) override {
    committed.emplace_back(index.value(), state->values.size(), records.size());
  }
  void OnBecameLeader(Term term) override { terms.push_back(term.value()); }
  void OnLostLeadership() override { ++lost; }
  void OnFailed(const absl::Status& status) override { failures.push_back(status); }

  std::vector<std::tuple<int64_t, size_t, size_t>> committed;  // Index, size of state, records.
  std::vector<int64_t> terms;
  int lost = 0;
  std::vector<absl::Status> failures;
};

class HostTest : public ::testing::Test {
 protected:
  using ToyHost = Host<ToyMachine, Counters>;

  void SetUp() override { Make(HostOptions{}); }
  void Make(HostOptions options, LogIndex applied = LogIndex(0)) {
    log_ = FakeLog();
    host_ = std::make_unique<ToyHost>(std::move(options), &log_, &recorder_,
                                      std::make_shared<const Counters>(), applied);
    log_.Start(host_.get());
  }
  // Replies are noted as "name=value@index" or "name!ERROR".
  template <class Request>
  void Submit(const std::string& label, Request request) {
    host_->Submit(request, Now{}, [this, label](auto reply, LogIndex index) {
      if (reply.ok()) {
        replies_.push_back(absl::StrCat(label, "=", *reply, "@", index.value()));
      } else {
        replies_.push_back(absl::StrCat(label, "!", ErrorCodeName(CodeOf(reply.status()))));
      }
    });
  }
  std::vector<std::string> Replies() { return std::exchange(replies_, {}); }

  FakeLog log_;
  Recorder recorder_;
  std::unique_ptr<ToyHost> host_;
  std::vector<std::string> replies_;
};

TEST_F(HostTest, AReplyLeavesWhenItsEntryIsCommitted) {
  log_.Elect(1);
  Submit("a", Create{"a"});
  EXPECT_THAT(Replies(), IsEmpty());
  log_.Commit();
  EXPECT_THAT(Replies(), ElementsAre("a=0@2"));
}

TEST_F(HostTest, ADecisionSeesTheNewestUncommittedVersion) {
  log_.Elect(1);
  Submit("a", Create{"a"});
  Submit("b", Create{"b"});
  EXPECT_THAT(host_->newest_state()->values, SizeIs(2));
  EXPECT_THAT(host_->committed_state()->values, IsEmpty());
  log_.Commit(2);
  EXPECT_THAT(Replies(), ElementsAre("a=0@2", "b=1@3"));
}

TEST_F(HostTest, RecordsOfOneDecisionAreOneEntry_KIP868) {
  log_.Elect(1);
  Submit("m", CreateMany{{"x", "y", "z"}});
  EXPECT_THAT(log_.entries, SizeIs(1));
  log_.Commit();
  EXPECT_THAT(Replies(), ElementsAre("m=done@2"));
  EXPECT_THAT(recorder_.committed,
              ElementsAre(std::make_tuple(1, 0u, 0u), std::make_tuple(2, 3u, 3u)));
}

TEST_F(HostTest, StatesKnowTheIndexOfTheirEntry) {
  log_.Elect(1);
  Submit("a", Create{"a"});
  log_.Commit();
  EXPECT_EQ(host_->committed_state()->values.at("a"), 2);
  EXPECT_EQ(host_->committed_index(), LogIndex(2));
}

TEST_F(HostTest, S12_ARefusalWaitsForWhatItSawAndForAConfirmation) {
  log_.Elect(1);
  Submit("first", Create{"a"});
  Submit("second", Create{"a"});
  ASSERT_THAT(log_.rounds, SizeIs(1));
  log_.Confirm();
  EXPECT_THAT(Replies(), IsEmpty()) << "the refusal saw an entry that may yet be lost";
  log_.Commit();
  EXPECT_THAT(Replies(), ElementsAre("first=0@2", "second!TOPIC_ALREADY_EXISTS"));
}

TEST_F(HostTest, S12_ACommittedReadStillWaitsForAConfirmation) {
  log_.Elect(1);
  Submit("g", Get{"a"});
  EXPECT_THAT(Replies(), IsEmpty());
  log_.Confirm();
  EXPECT_THAT(Replies(), ElementsAre("g!UNKNOWN_TOPIC_ID"));
}

TEST_F(HostTest, S12_ARoundBegunBeforeAReadDoesNotConfirmIt) {
  log_.Elect(1);
  Submit("one", Get{"a"});
  Submit("two", Get{"a"});
  Submit("three", Get{"a"});
  ASSERT_THAT(log_.rounds, SizeIs(1));
  log_.Confirm();
  EXPECT_THAT(Replies(), ElementsAre("one!UNKNOWN_TOPIC_ID"));
  ASSERT_THAT(log_.rounds, SizeIs(1)) << "both later ones share the next round";
  log_.Confirm();
  EXPECT_THAT(Replies(), ElementsAre("two!UNKNOWN_TOPIC_ID", "three!UNKNOWN_TOPIC_ID"));
  EXPECT_THAT(log_.rounds, IsEmpty());
}

TEST_F(HostTest, AReadLeavesAfterTheWritesThatItSaw) {
  log_.Elect(1);
  Submit("w", Create{"a"});
  Submit("r", Get{"a"});
  Submit("later", Create{"b"});
  log_.Commit(2);
  EXPECT_THAT(Replies(), ElementsAre("w=0@2", "later=1@3"));
  log_.Confirm();
  EXPECT_THAT(Replies(), ElementsAre("r=2@2"));
}

TEST_F(HostTest, AnUnconfirmedReadIsAnsweredWithTheLogsError) {
  log_.Elect(1);
  Submit("g", Get{"a"});
  log_.Confirm(MakeError(ErrorCode::kNotController, "no majority"));
  EXPECT_THAT(Replies(), ElementsAre("g!NOT_CONTROLLER"));
  Submit("h", Get{"a"});
  log_.Confirm();
  EXPECT_THAT(Replies(), ElementsAre("h!UNKNOWN_TOPIC_ID"));
}

TEST_F(HostTest, WithoutLeadershipRequestsAreRefused) {
  Submit("a", Create{"a"});
  EXPECT_THAT(Replies(), ElementsAre("a!NOT_CONTROLLER"));
  EXPECT_THAT(log_.entries, IsEmpty());
}

TEST_F(HostTest, S11_LostLeadershipTellsAppendedFromUnappended) {
  log_.Elect(1);
  Submit("w", Create{"a"});
  Submit("r", Get{"a"});
  log_.Lose();
  EXPECT_THAT(Replies(), ElementsAre("w!OUTCOME_UNKNOWN", "r!NOT_CONTROLLER"));
  EXPECT_THAT(host_->newest_state()->values, IsEmpty()) << "the version was dropped";
  EXPECT_EQ(recorder_.lost, 1);
}

TEST_F(HostTest, S11_AWaiterIsNotReleasedByAnotherTermsEntryAtItsIndex) {
  log_.Elect(1);
  Submit("old", Create{"a"});  // Index 2, term 1.
  log_.Lose();
  EXPECT_THAT(Replies(), ElementsAre("old!OUTCOME_UNKNOWN"));
  log_.Elect(3);               // Its no-op takes index 2.
  Submit("new", Create{"b"});  // Index 3, term 3.
  EXPECT_THAT(Replies(), IsEmpty());
  log_.Commit();
  EXPECT_THAT(Replies(), ElementsAre("new=0@3"));
  EXPECT_FALSE(host_->committed_state()->values.contains("a"));
}

TEST_F(HostTest, S11_AChangeOfTermWithoutALossInBetweenFailsTheWaiters) {
  log_.Elect(1);
  Submit("old", Create{"a"});
  log_.entries.clear();
  log_.next = LogIndex(2);
  log_.term = Term(3);
  host_->OnBecameLeader(Term(3));
  EXPECT_THAT(Replies(), ElementsAre("old!OUTCOME_UNKNOWN"));
  Submit("new", Create{"b"});
  log_.Commit();
  EXPECT_THAT(Replies(), ElementsAre("new=0@2"));
}

TEST_F(HostTest, S12_AConfirmationOfAnEarlierLeadershipCountsForNothing) {
  log_.Elect(1);
  Submit("old", Get{"a"});
  log_.Lose();
  EXPECT_THAT(Replies(), ElementsAre("old!NOT_CONTROLLER"));
  log_.Elect(3);
  Submit("new", Get{"a"});
  ASSERT_THAT(log_.rounds, SizeIs(2));
  log_.Confirm();
  EXPECT_THAT(Replies(), IsEmpty());
  log_.Confirm();
  EXPECT_THAT(Replies(), ElementsAre("new!UNKNOWN_TOPIC_ID"));
}

TEST_F(HostTest, AFollowerAppliesWhatOthersCommitted) {
  ASSERT_OK_AND_ASSIGN(Bytes payload,
                       EncodeEntry(std::vector<Record>{{kCreated, 0, {}, Bytes::Copy("a")}}));
  const CommittedEntry entry{EntryId{Term(1), LogIndex(1)}, payload, false};
  host_->OnCommitted({&entry, 1});
  EXPECT_EQ(host_->committed_state()->values.at("a"), 1);
  EXPECT_THAT(recorder_.committed, ElementsAre(std::make_tuple(1, 1u, 1u)));
}

TEST_F(HostTest, EntriesThatTheImageHoldsAreNotAppliedAgain) {
  Make(HostOptions{}, LogIndex(5));
  ASSERT_OK_AND_ASSIGN(Bytes payload,
                       EncodeEntry(std::vector<Record>{{kCreated, 0, {}, Bytes::Copy("a")}}));
  std::vector<CommittedEntry> entries;
  for (int64_t i = 4; i <= 6; ++i) {
    entries.push_back(CommittedEntry{EntryId{Term(1), LogIndex(i)}, payload, false});
  }
  host_->OnCommitted(entries);
  EXPECT_THAT(recorder_.committed, ElementsAre(std::make_tuple(6, 1u, 1u)));
}

TEST_F(HostTest, ARecordOfANewerLevelStopsTheHost) {
  ASSERT_OK_AND_ASSIGN(Bytes payload,
                       EncodeEntry(std::vector<Record>{{RecordType(99), 0, {}, {}}}));
  const CommittedEntry entry{EntryId{Term(1), LogIndex(1)}, payload, false};
  host_->OnCommitted({&entry, 1});
  ASSERT_THAT(recorder_.failures, SizeIs(1));
  EXPECT_THAT(recorder_.failures[0], HasCode(ErrorCode::kUnsupportedVersion));
  EXPECT_TRUE(log_.stopped) << "a voter whose machine stands still must not lead";
  EXPECT_EQ(host_->committed_index(), LogIndex(0));
  host_->OnCommitted({&entry, 1});
  EXPECT_THAT(recorder_.failures, SizeIs(1));
}

TEST_F(HostTest, AnEntryThatIsNoListOfRecordsStopsTheHost) {
  const CommittedEntry entry{EntryId{Term(1), LogIndex(1)}, Bytes::Copy("\1\7garbage"), false};
  host_->OnCommitted({&entry, 1});
  ASSERT_THAT(recorder_.failures, SizeIs(1));
  EXPECT_THAT(recorder_.failures[0], HasCode(ErrorCode::kCorruptLog));
}

TEST_F(HostTest, AFailedLogLeavesTheOutcomeOfAppendsUnknown) {
  log_.Elect(1);
  Submit("w", Create{"a"});
  Submit("r", Get{"a"});
  host_->OnFailed(MakeError(ErrorCode::kStorageError, "disk"));
  EXPECT_THAT(Replies(), ElementsAre("w!OUTCOME_UNKNOWN", "r!STORAGE_ERROR"));
  Submit("later", Create{"b"});
  EXPECT_THAT(Replies(), ElementsAre("later!STORAGE_ERROR"));
  EXPECT_THAT(recorder_.failures, SizeIs(1));
}

// What promises that nothing was appended is passed on to whoever leads.
TEST_F(HostTest, S40AFailedLogBesideOthersSendsWhatItDidNotAppendToThem) {
  Make(HostOptions{.others_may_lead = [] { return true; }});
  log_.Elect(1);
  Submit("w", Create{"a"});
  Submit("r", Get{"a"});
  host_->OnFailed(MakeError(ErrorCode::kStorageError, "disk"));
  EXPECT_THAT(Replies(), ElementsAre("w!OUTCOME_UNKNOWN", "r!NOT_CONTROLLER"));
  Submit("later", Create{"b"});
  EXPECT_THAT(Replies(), ElementsAre("later!NOT_CONTROLLER"));
}

TEST_F(HostTest, S40WhetherOthersMayLeadIsAskedForEachRequest) {
  bool others = false;
  Make(HostOptions{.others_may_lead = [&others] { return others; }});
  log_.Elect(1);
  host_->OnFailed(MakeError(ErrorCode::kStorageError, "disk"));
  Submit("a", Create{"a"});
  others = true;
  Submit("b", Create{"b"});
  EXPECT_THAT(Replies(), ElementsAre("a!STORAGE_ERROR", "b!NOT_CONTROLLER"));
}

TEST_F(HostTest, AnAppendThatIsRefusedChangesNothing) {
  log_.Elect(1);
  log_.refusal = MakeError(ErrorCode::kEntryTooLarge, "big");
  Submit("a", Create{"a"});
  EXPECT_THAT(Replies(), ElementsAre("a!ENTRY_TOO_LARGE"));
  log_.refusal = absl::OkStatus();
  Submit("a", Create{"a"});
  log_.Commit();
  EXPECT_THAT(Replies(), ElementsAre("a=0@2"));
}

TEST_F(HostTest, WaitersAreBounded) {
  Make(HostOptions{.waiters_max = 2});
  log_.Elect(1);
  Submit("a", Create{"a"});
  Submit("b", Get{"b"});
  Submit("c", Create{"c"});
  EXPECT_THAT(Replies(), ElementsAre("c!RESOURCE_EXHAUSTED"));
  EXPECT_THAT(log_.entries, SizeIs(1));
}

TEST_F(HostTest, AReplyMaySubmit) {
  log_.Elect(1);
  host_->Submit(Create{"a"}, Now{},
                [this](absl::StatusOr<int64_t>, LogIndex) { Submit("b", Create{"b"}); });
  log_.Commit();
  EXPECT_THAT(log_.entries, SizeIs(1));
  log_.Commit();
  EXPECT_THAT(Replies(), ElementsAre("b=1@3"));
}

TEST_F(HostTest, AReplyMayDestroyTheHost) {
  log_.Elect(1);
  host_->Submit(Create{"a"}, Now{}, [this](absl::StatusOr<int64_t>, LogIndex) { host_.reset(); });
  Submit("b", Create{"b"});
  std::vector<CommittedEntry> both(log_.entries.begin(), log_.entries.end());
  host_->OnCommitted(both);
  EXPECT_THAT(Replies(), IsEmpty());
}

TEST_F(HostTest, ReadGivesTheCommittedStateOnceConfirmed) {
  log_.Elect(1);
  Submit("a", Create{"a"});
  size_t seen = 99;
  host_->Read([&seen](absl::StatusOr<std::shared_ptr<const Counters>> state, LogIndex) {
    seen = (*state)->values.size();
  });
  EXPECT_EQ(seen, 99u);
  log_.Confirm();
  EXPECT_EQ(seen, 0u) << "what is not committed is not waited for";
}

TEST_F(HostTest, ASnapshotReplacesTheState) {
  auto state = std::make_shared<Counters>();
  state->values["s"] = 7;
  host_->InstallSnapshot(LogIndex(100), state);
  EXPECT_EQ(host_->committed_index(), LogIndex(100));
  EXPECT_TRUE(host_->committed_state()->values.contains("s"));
}

}  // namespace
}  // namespace millrace::rsm
