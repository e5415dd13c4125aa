// Snapshots: what this node can offer, and what it is receiving.
//
// SnapshotShelf knows the two newest snapshots on the own disk; the log is kept from the older one
// on, so that a follower that has just received it can go on by entries. SnapshotReceiver follows
// the pieces of one that a leader sends: in order, each durable before it is acknowledged, and
// resumed where it stood if the transfer breaks off, even by another leader. The bytes themselves
// are the host's.
//
// Thread: owner's executor.
// Source: Raft paper 7 and figure 13; thesis 5.1.
#ifndef RAFT_SNAPSHOTS_H_
#define RAFT_SNAPSHOTS_H_

#include <cstdint>
#include <optional>

#include "base/ids.h"
#include "raft/messages.h"

namespace millrace::raft {

class SnapshotShelf {
 public:
  // `newest` may be empty: there is none yet.
  explicit SnapshotShelf(std::optional<SnapshotOffer> newest) : newest_(std::move(newest)) {}

  void Put(SnapshotOffer snapshot);
  // A snapshot from elsewhere took the place of all.
  void Replace(SnapshotOffer snapshot);

  const std::optional<SnapshotOffer>& newest() const { return newest_; }
  // Still on the disk, so that a transfer of it may go on.
  bool Has(const SnapshotId& id) const;
  const SnapshotOffer* Find(const SnapshotId& id) const;
  // The log through here may be forgotten.
  LogIndex log_needed_after() const;

 private:
  std::optional<SnapshotOffer> newest_;
  std::optional<SnapshotOffer> previous_;
};

class SnapshotReceiver {
 public:
  // What a leader offers. Goes on with what was received if it is the same snapshot.
  void Begin(const SnapshotOffer& offer);
  // What a restart left of one; it goes on when a leader offers it again. A file that was complete
  // and not yet verified is fetched anew.
  void Resume(const SnapshotId& id, uint64_t received);
  // True if `chunk` is the next piece: it is to be written, and counts as received.
  bool Accept(const SnapshotChunk& chunk);
  // The host's verdict on the whole file. Valid: the offer it was received for, for installation.
  // Not valid: begins again from the first byte.
  std::optional<SnapshotOffer> Finish(const SnapshotId& id, bool valid);
  void Abandon() { offer_.reset(); }

  bool IsFor(const SnapshotId& id) const { return offer_.has_value() && offer_->id == id; }
  uint64_t received() const { return received_; }
  bool complete() const { return offer_.has_value() && received_ == offer_->id.bytes; }

 private:
  std::optional<SnapshotOffer> offer_;
  // False after a restart: of offer_ only the id is known.
  bool offered_ = false;
  uint64_t received_ = 0;
};

}  // namespace millrace::raft

#endif  // RAFT_SNAPSHOTS_H_
