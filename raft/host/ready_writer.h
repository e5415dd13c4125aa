// ReadyWriter: makes durable what each Ready has to persist, in the order of the Readys.
//
// Entries, hard state and voters go to the WAL, one Ready to one batch, and share its syncs; pieces
// of a snapshot that is being received, and its installation, go to the snapshot store, on a strand
// of its own, so that a large file does not hold up the log. An installation is waited for before
// anything after it is written: the WAL forgets its entries only when the snapshot is in their
// place (S-09).
//
// Thread: owner's executor.
// Source: raft/ready.h; S-09, S-10 (storage is FIFO).
#ifndef RAFT_HOST_READY_WRITER_H_
#define RAFT_HOST_READY_WRITER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "base/executor.h"
#include "raft/host/snapshot_machine.h"
#include "raft/host/snapshot_store.h"
#include "raft/host/wal.h"
#include "raft/ready.h"

namespace millrace::raft {

class ReadyWriter {
 public:
  struct Dependencies {
    Wal* wal = nullptr;
    Executor* owner = nullptr;
    // Null: there are no snapshots, and no Ready may carry any.
    Executor* snapshot_disk = nullptr;
    std::shared_ptr<SnapshotStore> snapshots;
    SnapshotMachine* machine = nullptr;
  };
  struct Events {
    // All that this Ready and those before had to persist is durable.
    std::function<void(Ready)> persisted;
    // The last piece of a snapshot is there, and the file was checked.
    std::function<void(const SnapshotId&, bool valid)> received;
    // For good; nothing is told any more.
    std::function<void(const absl::Status&)> failed;
  };

  // `founders`: written with the first batch, if the log does not have its voters yet.
  ReadyWriter(Dependencies dependencies, Events events, std::optional<VoterSet> founders);

  // May tell of it from inside, if there is nothing to persist.
  void Write(Ready ready);

  // Whether a snapshot from a leader is on its way to the machine. The core is at its index
  // already.
  bool will_install() const;

 private:
  struct Item {
    Ready ready;
    // What is under way for it.
    int pending = 0;
  };

  void StartNext();
  void StartInstall(Item* item);
  void WriteChunks(Item* item);
  void AppendToWal(Item* item);
  void Verify(const SnapshotId& id);
  void Done(Item* item);
  void Flush();
  void Fail(const absl::Status& status);

  // Runs `work` on the snapshot strand, and `then` with its outcome here, if this still lives.
  template <class Result>
  void OnSnapshotDisk(absl::AnyInvocable<Result() &&> work,
                      absl::AnyInvocable<void(Result) &&> then);

  const Dependencies dependencies_;
  const Events events_;
  std::optional<VoterSet> founders_;
  // In order; unique_ptr because what is under way points at its item.
  std::deque<std::unique_ptr<Item>> items_;
  // Items from here on were not started, because the one before installs a snapshot.
  size_t started_ = 0;
  bool installing_ = false;
  bool flushing_ = false;
  bool failed_ = false;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_READY_WRITER_H_
