// SingleVoterLog: the CommitLog of a quorum of one, over the WAL that a voter of many uses too.
//
// At start it reads the whole log, the uncommitted part too: for a lone voter every durable entry
// commits with the first no-op of its new term. It makes the vote for itself durable before it
// leads, and counts its own match from the WAL's word only (S-10). raft::Node takes this class's
// place when there are more voters; nothing above it changes.
//
// Thread: owner's executor (Open before it runs).
// Source: Raft thesis 3.4, 3.6.2; S-10, S-11, S-12, S-17.
#ifndef RAFT_HOST_SINGLE_VOTER_LOG_H_
#define RAFT_HOST_SINGLE_VOTER_LOG_H_

#include <deque>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "raft/host/wal.h"
#include "raft/types.h"
#include "rsm/commit_log.h"

namespace millrace::raft {

class SingleVoterLog final : public rsm::CommitLog {
 public:
  struct Options {
    WalOptions wal;
    VoterId self;
    // The newest verified snapshot or image: entries up to it are not delivered again. Zero if
    // none.
    EntryId snapshot;
  };

  // Blocking, as Wal::Open, with its errors. Also INVALID_DIRECTORY if the log belongs to another
  // node or directory, or to a quorum of more than this voter.
  static absl::StatusOr<std::unique_ptr<SingleVoterLog>> Open(Options options,
                                                              Wal::Dependencies dependencies);

  // What Open found; its entries are moved out by Start.
  const WalRecovery& recovery() const { return recovery_; }

  // CommitLog. Start delivers the replayed entries and OnBecameLeader by tasks on the owner's
  // executor, once the new term is durable.
  void Start(Listener* listener) override;
  absl::StatusOr<EntryId> Append(Bytes payload) override;
  void ConfirmLeadership(ConfirmCallback done) override;

  // A durable, verified snapshot covers everything below `index`.
  void ReleaseBefore(LogIndex index) { wal_->ReleaseBefore(index); }

  Term term() const { return hard_state_.term; }
  EntryId last() const { return last_; }
  LogIndex committed() const { return committed_; }
  bool leading() const { return leading_; }
  const Wal& wal() const { return *wal_; }

 private:
  SingleVoterLog(Options options, Wal::Dependencies dependencies);

  void PersistVote();
  void PersistNoOp();
  void DeliverReplayed();
  absl::Status Persist(Entry entry);
  void OnPersisted(EntryId id);
  void Fail(const absl::Status& status);

  const Options options_;
  const Wal::Dependencies dependencies_;
  Listener* listener_ = nullptr;
  WalRecovery recovery_;
  HardState hard_state_;
  // The last entry appended, durable or not.
  EntryId last_;
  LogIndex committed_;
  bool leading_ = false;
  absl::Status failed_;
  // Appended, not delivered; in log order.
  std::deque<rsm::CommittedEntry> pending_;
  std::unique_ptr<Wal> wal_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_SINGLE_VOTER_LOG_H_
