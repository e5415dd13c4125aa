#include "raft/host/ready_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

bool IsLast(const SnapshotChunk& chunk) { return chunk.offset + chunk.size == chunk.id.bytes; }

}  // namespace

ReadyWriter::ReadyWriter(Dependencies dependencies, Events events, std::optional<VoterSet> founders)
    : dependencies_(std::move(dependencies)),
      events_(std::move(events)),
      founders_(std::move(founders)) {}

void ReadyWriter::Write(Ready ready) {
  if (failed_) return;
  items_.push_back(std::make_unique<Item>(Item{.ready = std::move(ready)}));
  StartNext();
}

bool ReadyWriter::will_install() const {
  return std::any_of(items_.begin(), items_.end(),
                     [](const auto& item) { return item->ready.install.has_value(); });
}

void ReadyWriter::StartNext() {
  while (!failed_ && !installing_ && started_ < items_.size()) {
    Item* const item = items_[started_++].get();
    // Held until all parts are started: what is done at once must not end the item too early.
    ++item->pending;
    if (!item->ready.chunks.empty()) WriteChunks(item);
    if (item->ready.install.has_value()) {
      StartInstall(item);
    } else {
      AppendToWal(item);
    }
    Done(item);
  }
}

template <class Result>
void ReadyWriter::OnSnapshotDisk(absl::AnyInvocable<Result() &&> work,
                                 absl::AnyInvocable<void(Result) &&> then) {
  CHECK(dependencies_.snapshots != nullptr) << "a snapshot where none can be kept";
  std::weak_ptr<const bool> alive = alive_;
  dependencies_.snapshot_disk->Post([owner = dependencies_.owner, alive, work = std::move(work),
                                     then = std::move(then)]() mutable {
    owner->Post([alive, result = std::move(work)(), then = std::move(then)]() mutable {
      if (!alive.expired()) std::move(then)(std::move(result));
    });
  });
}

void ReadyWriter::WriteChunks(Item* item) {
  ++item->pending;
  // The data is shared with the item, which stays.
  OnSnapshotDisk<absl::Status>(
      [store = dependencies_.snapshots, chunks = item->ready.chunks]() -> absl::Status {
        for (const SnapshotChunk& chunk : chunks) {
          RETURN_IF_ERROR(store->AppendReceived(chunk.id, chunk.offset, chunk.data));
        }
        return absl::OkStatus();
      },
      [this, item](absl::Status status) {
        if (!status.ok()) return Fail(Annotate(status, "receiving a snapshot of the metadata"));
        Done(item);
      });
}

// First the snapshot takes its place on the disk, then the log is restarted after it: a crash
// between the two finds both, and the log is restarted then.
void ReadyWriter::StartInstall(Item* item) {
  installing_ = true;
  ++item->pending;
  const SnapshotId id = item->ready.install->id;
  using Loaded = absl::StatusOr<SnapshotMachine::Install>;
  OnSnapshotDisk<Loaded>(
      [store = dependencies_.snapshots, machine = dependencies_.machine, id]() -> Loaded {
        RETURN_IF_ERROR(store->InstallReceived(id));
        ASSIGN_OR_RETURN(std::string body, store->ReadBody(id));
        return machine->Decode(id.last.index, std::move(body));
      },
      [this, item](Loaded loaded) {
        if (!loaded.ok()) {
          return Fail(Annotate(loaded.status(), "installing a snapshot of the metadata"));
        }
        (*std::move(loaded))();
        AppendToWal(item);
        Done(item);
        installing_ = false;
        StartNext();
      });
}

void ReadyWriter::AppendToWal(Item* item) {
  Ready& ready = item->ready;
  WalBatch batch;
  if (!MUTANT("host.hard-state-not-written")) batch.hard_state = ready.hard_state;
  if (ready.install.has_value() && !MUTANT("host.log-not-restarted"))
    batch.restart_after = ready.install->id.last;
  batch.entries = ready.entries;
  if (batch.entries.size() > 1 && MUTANT("host.entry-dropped")) batch.entries.pop_back();
  if (!MUTANT("host.voters-not-written")) batch.voters = ready.voters;
  const bool writes = batch.hard_state.has_value() || batch.restart_after.has_value() ||
                      !batch.entries.empty() || batch.voters.has_value();
  if (!writes) return;
  if (founders_.has_value() && !batch.voters.has_value()) batch.voters = std::move(founders_);
  founders_.reset();
  if (MUTANT("host.founders-not-written")) batch.voters = ready.voters;
  bool waits = !MUTANT("host.persisted-too-early");
  if (waits) ++item->pending;
  std::weak_ptr<const bool> alive = alive_;
  const absl::Status status =
      dependencies_.wal->Append(std::move(batch), [this, alive, item, waits] {
        if (!alive.expired() && waits) Done(item);
      });
  if (!status.ok()) Fail(status);
}

void ReadyWriter::Done(Item* item) {
  if (failed_ || --item->pending > 0) return;
  Flush();
}

// Told in order, and not while it is being told: the listener may write the next one.
void ReadyWriter::Flush() {
  if (flushing_) return;
  flushing_ = true;
  std::weak_ptr<const bool> alive = alive_;
  while (!failed_ && started_ > 0 && items_.front()->pending == 0) {
    Ready ready = std::move(items_.front()->ready);
    items_.pop_front();
    --started_;
    std::optional<SnapshotId> complete;
    if (!ready.chunks.empty() && IsLast(ready.chunks.back())) complete = ready.chunks.back().id;
    events_.persisted(std::move(ready));
    if (alive.expired()) return;
    if (complete.has_value()) Verify(*complete);
  }
  flushing_ = false;
}

void ReadyWriter::Verify(const SnapshotId& id) {
  using Verdict = absl::StatusOr<bool>;
  OnSnapshotDisk<Verdict>(
      [store = dependencies_.snapshots, id] { return store->VerifyReceived(id); },
      [this, id](Verdict valid) {
        if (!valid.ok()) return Fail(valid.status());
        events_.received(id, *valid || MUTANT("host.snapshot-not-verified"));
      });
}

void ReadyWriter::Fail(const absl::Status& status) {
  if (failed_) return;
  failed_ = true;
  events_.failed(status);
}

}  // namespace millrace::raft
