#include "raft/snapshots.h"

#include <utility>

namespace millrace::raft {

void SnapshotShelf::Put(SnapshotOffer snapshot) {
  previous_ = std::move(newest_);
  newest_ = std::move(snapshot);
}

void SnapshotShelf::Replace(SnapshotOffer snapshot) {
  previous_.reset();
  newest_ = std::move(snapshot);
}

const SnapshotOffer* SnapshotShelf::Find(const SnapshotId& id) const {
  if (newest_.has_value() && newest_->id == id) return &*newest_;
  if (previous_.has_value() && previous_->id == id) return &*previous_;
  return nullptr;
}

bool SnapshotShelf::Has(const SnapshotId& id) const { return Find(id) != nullptr; }

LogIndex SnapshotShelf::log_needed_after() const {
  return previous_.has_value() ? previous_->id.last.index : LogIndex();
}

void SnapshotReceiver::Begin(const SnapshotOffer& offer) {
  if (!IsFor(offer.id)) received_ = 0;
  offer_ = offer;
  offered_ = true;
}

void SnapshotReceiver::Resume(const SnapshotId& id, uint64_t received) {
  offer_ = SnapshotOffer{.id = id};
  offered_ = false;
  received_ = received < id.bytes ? received : 0;
}

bool SnapshotReceiver::Accept(const SnapshotChunk& chunk) {
  if (!IsFor(chunk.id) || !offered_ || chunk.offset != received_ || chunk.size == 0) return false;
  // A peer's numbers are not trusted: the piece must lie within the file and be there.
  if (chunk.size > offer_->id.bytes - received_ || chunk.data.size() != chunk.size) return false;
  received_ += chunk.size;
  return true;
}

std::optional<SnapshotOffer> SnapshotReceiver::Finish(const SnapshotId& id, bool valid) {
  if (!IsFor(id) || !complete()) return std::nullopt;
  if (!valid) {
    received_ = 0;
    return std::nullopt;
  }
  std::optional<SnapshotOffer> offer = std::move(offer_);
  offer_.reset();
  received_ = 0;
  return offer;
}

}  // namespace millrace::raft
