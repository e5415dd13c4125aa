#include "raft/host/snapshot_taker.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "base/log.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

using Written = absl::StatusOr<SnapshotOffer>;

// On the snapshot strand.
Written Write(SnapshotStore& store, SnapshotMachine::Encode encode, const EntryId& last,
              const VoterSet& voters) {
  // One that came from the leader meanwhile goes further.
  const std::optional<SnapshotOffer>& newest = store.newest();
  if (newest.has_value() && newest->id.last.index >= last.index) return *newest;
  ASSIGN_OR_RETURN(const std::string body, std::move(encode)());
  return store.Write(last, voters, body);
}

}  // namespace

SnapshotTaker::SnapshotTaker(Dependencies dependencies, uint64_t after_bytes,
                             absl::Duration interval, Ended ended)
    : dependencies_(std::move(dependencies)),
      after_bytes_(after_bytes),
      interval_(interval),
      ended_(std::move(ended)) {}

void SnapshotTaker::OnApplied(uint64_t bytes, MonotonicTime now) {
  if (bytes_ == 0) since_ = now;
  bytes_ += bytes;
}

MonotonicTime SnapshotTaker::deadline() const {
  if (dependencies_.snapshots == nullptr || taking_ || bytes_ == 0) return MonotonicTime::Never();
  if (bytes_ >= after_bytes_) return std::max(since_, retry_at_);
  if (interval_ == absl::InfiniteDuration()) return MonotonicTime::Never();
  return std::max(since_ + interval_, retry_at_);
}

void SnapshotTaker::Take(const EntryId& last, const VoterSet& voters, MonotonicTime now) {
  taking_ = true;
  taken_bytes_ = std::exchange(bytes_, 0);
  taken_since_ = since_;
  retry_at_ = now + kRetryAfter;
  std::weak_ptr<const bool> alive = alive_;
  dependencies_.snapshot_disk->Post(
      [this, alive, owner = dependencies_.owner, store = dependencies_.snapshots,
       encode = dependencies_.machine->Capture(), last, voters]() mutable {
        Written written = Write(*store, std::move(encode), last, voters);
        owner->Post([this, alive, written = std::move(written)] {
          if (!alive.expired()) OnWritten(written);
        });
      });
}

void SnapshotTaker::OnWritten(const Written& written) {
  taking_ = false;
  if (written.ok()) {
    retry_at_ = MonotonicTime();
  } else {
    LOG_WARN("raft", "cannot write a snapshot of the metadata; the log grows until one succeeds",
             {{"error", written.status().ToString()}});
    if (taken_bytes_ > 0) since_ = taken_since_;
    bytes_ += taken_bytes_;
  }
  ended_(written);
}

}  // namespace millrace::raft
