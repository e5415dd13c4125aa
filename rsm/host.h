// Host: runs a Machine over a CommitLog: decide -> records + reply; append; reply when committed;
// apply.
//
// A Machine is an overload set of pure functions over an immutable State:
//   static Decision<Reply> Decide(const State&, const Request&, Now);    one per command
//   static State Apply(const State&, LogIndex, absl::Span<const Record>);   total, never fails
//   static absl::Status CheckRecord(const Record&);                      optional: see below
//
// The host keeps the versions of State that are decided but not committed, each at the (term,
// index) of its entry. A decision sees the newest; its records become one atomic entry and the next
// version; its reply leaves, in log order, once that entry is committed. A decision without records
// is a read: its reply leaves once all it saw is committed and a quorum round begun after its
// arrival confirmed that this node leads (S-12). Losing leadership drops the versions that are not
// committed: there is no undo code. Waiters are keyed by (term, index) (S-11): those that
// appended fail with OUTCOME_UNKNOWN, all others with NOT_CONTROLLER, which promises that nothing
// was appended.
//
// A record that CheckRecord refuses (of a newer feature level), or an entry that cannot be decoded,
// stops the host and its log: never a skip, because a skipped fact makes another state, nor a
// voter that leads with a machine that stands still.
//
// Destroying a host drops its waiters unanswered.
//
// Thread: owner's executor, the one that the CommitLog calls back on. Callbacks may call Submit.
#ifndef RSM_HOST_H_
#define RSM_HOST_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "base/check.h"
#include "base/ids.h"
#include "base/mutant.h"
#include "base/status.h"
#include "rsm/commit_log.h"
#include "rsm/entry_codec.h"
#include "rsm/record.h"

namespace millrace::rsm {

struct HostOptions {
  // Requests waiting for their reply; beyond it Submit answers RESOURCE_EXHAUSTED.
  size_t waiters_max = 16384;
  // Asked for each request once the log has failed here: whether others may lead. If so, it is
  // refused with NOT_CONTROLLER, so that it is passed on; otherwise (or if this is null) with the
  // failure, since nobody can help.
  std::function<bool()> others_may_lead = nullptr;
};

// Who follows the committed states: the metadata feed, the image store, the reconciler. All calls
// on the owner's executor. It must not call Submit from inside.
template <class State>
class HostListener {
 public:
  virtual ~HostListener() = default;

  // `state` is what `records`, the entry at `index`, made of the state before it. Every index is
  // told; internal entries have no records and leave the state as it is.
  virtual void OnCommitted(LogIndex index, const std::shared_ptr<const State>& state,
                           absl::Span<const Record> records) = 0;
  // Decisions may be asked for from here on: the state holds all that was ever committed.
  virtual void OnBecameLeader(Term term) = 0;
  virtual void OnLostLeadership() = 0;
  // The host has stopped for good.
  virtual void OnFailed(const absl::Status& status) = 0;
};

template <class Machine, class State>
class Host final : public CommitLog::Listener {
 public:
  using StatePointer = std::shared_ptr<const State>;
  template <class Request>
  using DecisionFor = decltype(Machine::Decide(std::declval<const State&>(),
                                               std::declval<const Request&>(), Now{}));
  template <class Request>
  using ReplyFor = typename decltype(std::declval<DecisionFor<Request>>().reply)::value_type;
  // The reply, and the index it is true at: of its own entry, or of the newest entry that a read or
  // refusal saw. A broker epoch is the index of its registration, so it is known only here.
  template <class Request>
  using Callback = absl::AnyInvocable<void(absl::StatusOr<ReplyFor<Request>>, LogIndex) &&>;

  // `state` is the image at `applied`: entries up to there are not applied again. Borrowed
  // arguments outlive the host. The caller starts the log with this host as its listener.
  Host(HostOptions options, CommitLog* log, HostListener<State>* listener, StatePointer state,
       LogIndex applied);

  // Decides on the newest version and answers as said above. `done` may run inside Submit if the
  // request is refused without being decided. Errors beside the decision's own: NOT_CONTROLLER,
  // OUTCOME_UNKNOWN, RESOURCE_EXHAUSTED, ENTRY_TOO_LARGE, STORAGE_ERROR.
  template <class Request>
  void Submit(const Request& request, Now now, Callback<Request> done);

  // Calls back with the newest committed state once it is sure to be no older than this call (a
  // linearizable read). Errors: NOT_CONTROLLER, RESOURCE_EXHAUSTED.
  using ReadCallback = absl::AnyInvocable<void(absl::StatusOr<StatePointer>, LogIndex) &&>;
  void Read(ReadCallback done);

  // Replaces the committed state by an image at a higher index (a snapshot from the leader).
  // REQUIRES: not leading, index > committed_index().
  void InstallSnapshot(LogIndex index, StatePointer state);

  const StatePointer& committed_state() const { return committed_; }
  LogIndex committed_index() const { return committed_index_; }
  // What the next decision would see; equal to the committed state unless leading.
  const StatePointer& newest_state() const {
    return versions_.empty() ? committed_ : versions_.back().state;
  }
  bool leading() const { return leading_; }
  Term term() const { return term_; }
  size_t waiting() const { return writes_.size() + reads_.size(); }

  // CommitLog::Listener.
  void OnCommitted(absl::Span<const CommittedEntry> entries) override;
  void OnBecameLeader(Term term) override;
  void OnLostLeadership() override;
  void OnFailed(const absl::Status& status) override;

 private:
  // A state that is decided but not committed, and what made it.
  struct Version {
    EntryId id;
    StatePointer state;
    std::vector<Record> records;
  };
  // Answers one request: OK sends the reply that was decided, an error sends the error instead.
  using Release = absl::AnyInvocable<void(const absl::Status&) &&>;
  struct Write {
    EntryId id;
    Release release;
  };
  struct ReadWaiter {
    // The newest version that the decision saw.
    LogIndex saw;
    // Confirmed when this many rounds of ConfirmLeadership, in this leadership, are done.
    int64_t round = 0;
    Release release;
  };

  LogIndex newest_index() const {
    return versions_.empty() ? committed_index_ : versions_.back().id.index;
  }
  // What requests that changed nothing are told once the log has failed.
  absl::Status Failure() const;
  absl::Status CheckAccepts() const;
  absl::Status AppendDecision(std::vector<Record> records, LogIndex* index);
  void AddRead(LogIndex saw, Release release);
  void StartRound();
  void OnRoundDone(Term term, const absl::Status& status);
  bool CommitOne(const CommittedEntry& entry);
  bool ApplyForeign(const CommittedEntry& entry);
  void ReleaseReady();
  void FailWaiters(const absl::Status& appended, const absl::Status& unappended);

  const HostOptions options_;
  CommitLog* const log_;
  HostListener<State>* const listener_;

  StatePointer committed_;
  LogIndex committed_index_;
  // Above committed_index_, in log order; only while leading.
  std::deque<Version> versions_;
  std::deque<Write> writes_;
  std::deque<ReadWaiter> reads_;

  bool leading_ = false;
  Term term_;
  absl::Status failed_;
  // Rounds of ConfirmLeadership in this leadership: at most one runs, and a read that arrives
  // meanwhile needs the next.
  int64_t rounds_started_ = 0;
  int64_t rounds_done_ = 0;
  // Held weakly by callbacks that the log may run after this host is gone.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace millrace::rsm

#include "rsm/host_inl.h"  // NOLINT: the template's bodies.

#endif  // RSM_HOST_H_
