// The bodies of Host's members: included by rsm/host.h only, which says what they do.
//
// Nothing here calls out while the host is halfway through a change: replies are sent last, and a
// member function touches nothing of the host after the last callback it made.
//
// Thread: as rsm/host.h.
// Source: S-11, S-12; Raft thesis 6.4.
#ifndef RSM_HOST_INL_H_
#define RSM_HOST_INL_H_

#include "rsm/host.h"

namespace millrace::rsm {

template <class Machine, class State>
Host<Machine, State>::Host(HostOptions options, CommitLog* log, HostListener<State>* listener,
                           StatePointer state, LogIndex applied)
    : options_(std::move(options)),
      log_(log),
      listener_(listener),
      committed_(std::move(state)),
      committed_index_(applied) {
  CHECK(committed_ != nullptr);
}

template <class Machine, class State>
absl::Status Host<Machine, State>::Failure() const {
  if (options_.others_may_lead == nullptr || !options_.others_may_lead()) return failed_;
  return MakeError(ErrorCode::kNotController,
                   "the metadata log of this controller has stopped; nothing was changed; ask "
                   "another controller");
}

template <class Machine, class State>
absl::Status Host<Machine, State>::CheckAccepts() const {
  if (!failed_.ok()) return Failure();
  if (!leading_) {
    return MakeError(ErrorCode::kNotController,
                     "this node is not the active controller; nothing was changed; ask another");
  }
  if (waiting() >= options_.waiters_max) {
    return MakeError(ErrorCode::kResourceExhausted,
                     absl::StrCat(waiting(), " requests are waiting for the metadata log; retry"),
                     {.name = "waiters", .value = absl::StrCat(waiting())});
  }
  return absl::OkStatus();
}

template <class Machine, class State>
template <class Request>
void Host<Machine, State>::Submit(const Request& request, Now now, Callback<Request> done) {
  using Reply = ReplyFor<Request>;
  if (absl::Status status = CheckAccepts(); !status.ok()) {
    return std::move(done)(std::move(status), newest_index());
  }
  Decision<Reply> decision = Machine::Decide(*newest_state(), request, now);
  LogIndex index = newest_index();
  const bool appends = !decision.records.empty();
  if (appends) {
    absl::Status status = AppendDecision(std::move(decision.records), &index);
    if (!status.ok()) return std::move(done)(std::move(status), index);
  }
  Release release = [done = std::move(done), reply = std::move(decision.reply),
                     index](const absl::Status& status) mutable {
    if (status.ok()) {
      std::move(done)(std::move(reply), index);
    } else {
      std::move(done)(status, index);
    }
  };
  if (MUTANT("rsm.answered-before-commit")) {
    std::move(release)(absl::OkStatus());
  } else if (MUTANT("rsm.refusal-not-read") && !appends) {
    std::move(release)(absl::OkStatus());
  } else if (appends) {
    writes_.push_back(Write{versions_.back().id, std::move(release)});
  } else {
    AddRead(index, std::move(release));
  }
}

template <class Machine, class State>
void Host<Machine, State>::Read(ReadCallback done) {
  if (absl::Status status = CheckAccepts(); !status.ok()) {
    return std::move(done)(std::move(status), committed_index_);
  }
  // What is committed now is enough: nothing that was acknowledged before this call is missing.
  AddRead(committed_index_, [this, saw = committed_index_,
                             done = std::move(done)](const absl::Status& status) mutable {
    if (status.ok()) {
      std::move(done)(committed_, committed_index_);
    } else {
      // This host may be gone by now.
      std::move(done)(status, saw);
    }
  });
}

// Appends the records as one entry and makes the next version of them. On an error nothing changed.
template <class Machine, class State>
absl::Status Host<Machine, State>::AppendDecision(std::vector<Record> records, LogIndex* index) {
  ASSIGN_OR_RETURN(Bytes payload, EncodeEntry(records));
  ASSIGN_OR_RETURN(const EntryId id, log_->Append(std::move(payload)));
  CHECK_EQ(id.term, term_);
  CHECK_GT(id.index, newest_index());
  *index = id.index;
  auto state = std::make_shared<const State>(Machine::Apply(*newest_state(), id.index, records));
  versions_.push_back(Version{id, std::move(state), std::move(records)});
  return absl::OkStatus();
}

template <class Machine, class State>
void Host<Machine, State>::AddRead(LogIndex saw, Release release) {
  // Only a round begun after this moment proves anything (S-12): the one that may be running does
  // not.
  int64_t round = rounds_started_ + 1;
  if (MUTANT("rsm.read-without-round")) round = 0;
  if (MUTANT("rsm.read-forgets-what-it-saw")) saw = committed_index_;
  reads_.push_back(ReadWaiter{saw, round, std::move(release)});
  if (MUTANT("rsm.read-without-round")) return ReleaseReady();
  if (rounds_started_ == rounds_done_) StartRound();
}

template <class Machine, class State>
void Host<Machine, State>::StartRound() {
  ++rounds_started_;
  std::weak_ptr<const bool> alive = alive_;
  log_->ConfirmLeadership([this, alive, term = term_](absl::Status status) {
    if (alive.lock() != nullptr) OnRoundDone(term, status);
  });
}

template <class Machine, class State>
void Host<Machine, State>::OnRoundDone(Term term, const absl::Status& status) {
  // Of a leadership that is over: its waiters have failed already, and the counts began anew.
  if (!leading_ || term != term_) return;
  // Not confirmed in this term: the log will say that leadership is lost, or a later round
  // succeeds. The reads stay, and OnLostLeadership fails them.
  if (status.ok()) rounds_done_ = rounds_started_;
  const bool more = !reads_.empty() && reads_.back().round > rounds_started_;
  if (!status.ok()) {
    // No round runs, so that the next read starts one.
    rounds_done_ = rounds_started_;
    std::deque<ReadWaiter> refused;
    while (!reads_.empty() && reads_.front().round <= rounds_started_) {
      refused.push_back(std::move(reads_.front()));
      reads_.pop_front();
    }
    if (more) StartRound();
    for (ReadWaiter& read : refused) std::move(read.release)(status);
    return;
  }
  if (more) StartRound();
  ReleaseReady();
}

template <class Machine, class State>
void Host<Machine, State>::OnCommitted(absl::Span<const CommittedEntry> entries) {
  std::weak_ptr<const bool> alive = alive_;
  for (const CommittedEntry& entry : entries) {
    if (!failed_.ok()) return;
    // The image that the host started from holds it already.
    if (entry.id.index <= committed_index_) continue;
    CHECK_EQ(entry.id.index, committed_index_ + 1) << "a gap in the committed entries";
    const bool own = !versions_.empty() && versions_.front().id.index == entry.id.index;
    if (own ? !CommitOne(entry) : !ApplyForeign(entry)) return;
    ReleaseReady();
    // A reply may have destroyed this host.
    if (alive.expired()) return;
  }
}

// An entry that this host appended in its present leadership.
template <class Machine, class State>
bool Host<Machine, State>::CommitOne(const CommittedEntry& entry) {
  Version version = std::move(versions_.front());
  CHECK_EQ(version.id, entry.id) << "another leader's entry was committed while this one led";
  versions_.pop_front();
  committed_ = std::move(version.state);
  committed_index_ = entry.id.index;
  listener_->OnCommitted(committed_index_, committed_, version.records);
  return true;
}

// Any other entry. False if it stopped the host.
template <class Machine, class State>
bool Host<Machine, State>::ApplyForeign(const CommittedEntry& entry) {
  std::vector<Record> records;
  if (!entry.internal) {
    absl::StatusOr<std::vector<Record>> decoded = DecodeEntry(entry.payload);
    absl::Status status = decoded.status();
    if (decoded.ok()) records = *std::move(decoded);
    if constexpr (requires { Machine::CheckRecord(std::declval<const Record&>()); }) {
      for (const Record& record : records) {
        if (status.ok()) status = Machine::CheckRecord(record);
      }
    }
    if (!status.ok()) {
      log_->Stop(Annotate(status, absl::StrCat("metadata log entry ", entry.id.index.value())));
      return false;
    }
    committed_ =
        std::make_shared<const State>(Machine::Apply(*committed_, entry.id.index, records));
  }
  committed_index_ = entry.id.index;
  listener_->OnCommitted(committed_index_, committed_, records);
  return true;
}

// Sends the replies whose time has come: writes in log order, then the reads that saw no more.
template <class Machine, class State>
void Host<Machine, State>::ReleaseReady() {
  std::weak_ptr<const bool> alive = alive_;
  while (!alive.expired()) {
    Release release;
    if (!writes_.empty() && writes_.front().id.index <= committed_index_) {
      release = std::move(writes_.front().release);
      writes_.pop_front();
    } else if (!reads_.empty() && reads_.front().saw <= committed_index_ &&
               reads_.front().round <= rounds_done_) {
      release = std::move(reads_.front().release);
      reads_.pop_front();
    } else {
      return;
    }
    std::move(release)(absl::OkStatus());
  }
}

template <class Machine, class State>
void Host<Machine, State>::OnBecameLeader(Term term) {
  // Leadership of another term may have come and gone between; its waiters must not meet this one's
  // entries (S-11).
  if (leading_) OnLostLeadership();
  leading_ = true;
  term_ = term;
  rounds_started_ = rounds_done_ = 0;
  listener_->OnBecameLeader(term);
}

template <class Machine, class State>
void Host<Machine, State>::OnLostLeadership() {
  if (!leading_) return;
  leading_ = false;
  listener_->OnLostLeadership();
  FailWaiters(MakeError(MUTANT("rsm.unknown-told-as-refused") ? ErrorCode::kNotController
                                                              : ErrorCode::kOutcomeUnknown,
                        "leadership of the metadata log was lost after the change was appended: "
                        "it may or may not take effect; describe before trying again"),
              MakeError(ErrorCode::kNotController,
                        "leadership of the metadata log was lost; nothing was changed; ask "
                        "another controller"));
}

template <class Machine, class State>
void Host<Machine, State>::OnFailed(const absl::Status& status) {
  if (!failed_.ok()) return;
  failed_ = status;
  leading_ = false;
  listener_->OnFailed(status);
  FailWaiters(MakeError(ErrorCode::kOutcomeUnknown,
                        absl::StrCat("the metadata log failed after the change was appended, so it "
                                     "may or may not take effect: ",
                                     std::string(status.message()))),
              Failure());
}

// Drops the versions that are not committed, and their waiters.
template <class Machine, class State>
void Host<Machine, State>::FailWaiters(const absl::Status& appended,
                                       const absl::Status& unappended) {
  versions_.clear();
  std::deque<Write> writes;
  if (!MUTANT("rsm.waiters-keyed-by-index")) writes = std::exchange(writes_, {});
  std::deque<ReadWaiter> reads = std::exchange(reads_, {});
  for (Write& write : writes) std::move(write.release)(appended);
  for (ReadWaiter& read : reads) std::move(read.release)(unappended);
}

template <class Machine, class State>
void Host<Machine, State>::InstallSnapshot(LogIndex index, StatePointer state) {
  CHECK(!leading_) << "a leader's state is never behind a snapshot";
  CHECK_GT(index, committed_index_);
  committed_ = std::move(state);
  committed_index_ = index;
}

}  // namespace millrace::rsm

#endif  // RSM_HOST_INL_H_
