#include "raft/host/single_voter_log.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

// Replayed entries are applied this many at a time, so that the owner's strand is not held up.
constexpr size_t kReplayedAtOnce = 1024;

// The log must be this voter's own, and nobody else's.
absl::Status CheckVoters(const std::string& directory, const VoterId& self,
                         const WalRecovery& recovery) {
  const std::vector<Voter>& voters = recovery.voters.voters;
  if (voters.empty()) return absl::OkStatus();  // Not founded yet.
  if (voters.size() == 1 && voters[0].id == self && !voters[0].learner) return absl::OkStatus();
  const bool other_node = voters.size() == 1 && voters[0].id.node != self.node;
  return MakeError(
      ErrorCode::kInvalidDirectory,
      voters.size() > 1
          ? absl::StrCat("the metadata log in '", directory, "' belongs to a quorum of ",
                         voters.size(), " voters; configure them, or use another directory")
          : absl::StrCat("the metadata log in '", directory, "' belongs to ",
                         other_node ? "node " : "another directory, of node ",
                         voters[0].id.node.value(), "; this is node ", self.node.value(),
                         " on directory ", self.directory.ToString()),
      {.name = directory, .value = voters[0].id.directory.ToString()});
}

}  // namespace

SingleVoterLog::SingleVoterLog(Options options, Wal::Dependencies dependencies)
    : options_(std::move(options)), dependencies_(dependencies) {}

absl::StatusOr<std::unique_ptr<SingleVoterLog>> SingleVoterLog::Open(
    Options options, Wal::Dependencies dependencies) {
  // A lone voter's log is the truth: an image that is not on it is wrong, not newer (S-36).
  options.wal.refuse_conflicting_snapshot = true;
  auto log = std::unique_ptr<SingleVoterLog>(new SingleVoterLog(std::move(options), dependencies));
  SingleVoterLog* const self = log.get();
  const Options& o = self->options_;
  ASSIGN_OR_RETURN(self->wal_,
                   Wal::Open(
                       o.wal, dependencies, o.snapshot,
                       [self](const absl::Status& s) { self->Fail(s); }, &self->recovery_));
  RETURN_IF_ERROR(CheckVoters(o.wal.directory, o.self, self->recovery_));
  self->hard_state_ = self->recovery_.hard_state;
  self->committed_ = o.snapshot.index;
  self->last_ = self->recovery_.entries.empty() ? o.snapshot : self->recovery_.entries.back().id();
  return log;
}

void SingleVoterLog::Start(Listener* listener) {
  CHECK(listener_ == nullptr) << "started twice";
  listener_ = listener;
  for (Entry& entry : recovery_.entries) {
    const bool internal = entry.type != EntryType::kPayload;
    pending_.push_back(
        rsm::CommittedEntry{entry.id(), internal ? Bytes() : std::move(entry.payload), internal});
  }
  recovery_.entries.clear();
  PersistVote();
}

// The new term and the vote for itself first, alone: what follows from a vote begins when the vote
// is durable (S-10).
void SingleVoterLog::PersistVote() {
  hard_state_.term = std::max(hard_state_.term, last_.term) + 1;
  hard_state_.voted_for = options_.self;
  WalBatch batch{.hard_state = hard_state_};
  if (recovery_.voters.voters.empty()) {
    batch.voters = VoterSet{EntryId{}, {Voter{options_.self, "", false}}};
  }
  absl::Status status = wal_->Append(std::move(batch), [this] { PersistNoOp(); });
  if (!status.ok()) Fail(status);
}

void SingleVoterLog::PersistNoOp() {
  absl::Status status = Persist(Entry{
      .term = hard_state_.term, .index = last_.index + 1, .type = EntryType::kNoOp, .payload = {}});
  if (!status.ok()) Fail(status);
}

absl::Status SingleVoterLog::Persist(Entry entry) {
  const EntryId id = entry.id();
  const bool internal = entry.type != EntryType::kPayload;
  rsm::CommittedEntry committed{id, internal ? Bytes() : entry.payload, internal};
  WalBatch batch;
  batch.entries.push_back(std::move(entry));
  RETURN_IF_ERROR(wal_->Append(std::move(batch), [this, id] { OnPersisted(id); }));
  pending_.push_back(std::move(committed));
  last_ = id;
  return absl::OkStatus();
}

absl::StatusOr<EntryId> SingleVoterLog::Append(Bytes payload) {
  RETURN_IF_ERROR(failed_);
  if (!leading_) {
    return MakeError(ErrorCode::kNotController, "the metadata log is still being read; retry");
  }
  RETURN_IF_ERROR(Persist(Entry{.term = hard_state_.term,
                                .index = last_.index + 1,
                                .type = EntryType::kPayload,
                                .payload = std::move(payload)}));
  return last_;
}

// The WAL's word for the own match: the only one that counts, so everything up to it commits.
void SingleVoterLog::OnPersisted(EntryId id) {
  if (!leading_) {
    // The no-op: with it all of the log before commits.
    return DeliverReplayed();
  }
  CHECK_EQ(pending_.front().id, id);
  const rsm::CommittedEntry entry = std::move(pending_.front());
  pending_.pop_front();
  committed_ = id.index;
  listener_->OnCommitted({&entry, 1});
}

void SingleVoterLog::DeliverReplayed() {
  std::vector<rsm::CommittedEntry> some;
  while (!pending_.empty() && some.size() < kReplayedAtOnce) {
    some.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  committed_ = some.back().id.index;
  std::weak_ptr<const bool> alive = alive_;
  listener_->OnCommitted(some);
  if (alive.expired() || !failed_.ok()) return;
  if (pending_.empty()) {
    leading_ = true;
    listener_->OnBecameLeader(hard_state_.term);
    return;
  }
  dependencies_.owner->Post([this, alive] {
    if (alive.lock() != nullptr && failed_.ok()) DeliverReplayed();
  });
}

void SingleVoterLog::ConfirmLeadership(ConfirmCallback done) {
  // Nobody else can lead; the answer only must not come from inside this call.
  std::weak_ptr<const bool> alive = alive_;
  dependencies_.owner->Post([this, alive, done = std::move(done)]() mutable {
    if (alive.lock() == nullptr) return;
    const bool confirmed = leading_ && failed_.ok();
    std::move(done)(confirmed ? absl::OkStatus()
                              : MakeError(ErrorCode::kNotController,
                                          "the metadata log has stopped; ask another controller"));
  });
}

void SingleVoterLog::Fail(const absl::Status& status) {
  if (!failed_.ok()) return;
  failed_ = status;
  leading_ = false;
  if (listener_ != nullptr) listener_->OnFailed(status);
}

}  // namespace millrace::raft
