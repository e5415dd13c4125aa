// ReadPlan and TimestampPlan: a read of a log, decided by its owner and, where the disk is needed,
// carried out elsewhere.
//
// The owner's strand never blocks: Log::Read either finds the batches in memory, or answers with a
// plan that names the segment and the limits, which the caller executes on the cold-read pool. The
// plan holds a reference on its segment, so that deletion waits for it.
//
// Everything that comes from a disk is checked before it is handed on: CRC, contiguity of offsets
// from an anchor (index entry or segment name), and the leader epoch against the epoch cache
// (S-24).
//
// Thread: a plan belongs to one thread at a time; Execute blocks.
#ifndef STORAGE_READ_PLAN_H_
#define STORAGE_READ_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "storage/epoch_cache.h"

namespace millrace::storage {

class Segment;

struct ReadLimits {
  // Batches that end beyond this offset are not returned: the high watermark for consumers.
  Offset up_to;
  size_t bytes_max = 1 << 20;
  // Return the first batch even if it is larger than bytes_max.
  bool at_least_one = true;
  // Read what was written from the files, even if the tail cache has it: to see what the disk has.
  bool from_files = false;
  // From the first segment's beginning on: what was deleted there is whole all the same, since
  // recovery reads it.
  bool deleted_too = false;
};

struct ReadResult {
  // Whole batches, in order. The first may begin before the offset asked for, inside a batch.
  std::vector<Bytes> pieces;
  // Where the next read continues; the offset asked for if nothing was returned.
  Offset next_offset;
  size_t bytes = 0;
};

class ReadPlan {
 public:
  // Whether the result is at hand, without any disk.
  bool ready() const { return segment_ == nullptr; }
  // REQUIRES: ready().
  ReadResult TakeResult();
  // Reads from the disk. Blocks. Stops at the end of the segment: a caller that wants more reads
  // again from next_offset. Errors: CORRUPT_LOG (damage: never served); OFFSET_NOT_AVAILABLE
  // (the log was truncated meanwhile: ask again); STORAGE_ERROR.
  absl::StatusOr<ReadResult> Execute();

 private:
  friend class Log;
  // In memory; or, with a segment, what to read from it.
  ReadResult result_;
  std::shared_ptr<const Segment> segment_;
  FileSystem* files_ = nullptr;
  Offset from_;
  ReadLimits limits_;
  std::vector<EpochEntry> epochs_;
  uint64_t truncations_ = 0;
};

struct TimestampAndOffset {
  int64_t timestamp_ms = -1;
  Offset offset = kNoOffset;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;

  friend bool operator==(const TimestampAndOffset&, const TimestampAndOffset&) = default;
};

// A lookup by time: of the first record at or after a time, or of the latest time.
class TimestampPlan {
 public:
  // Blocks. Nullopt if no such record lies below the limit. Errors: as ReadPlan::Execute.
  absl::StatusOr<std::optional<TimestampAndOffset>> Execute();

 private:
  absl::StatusOr<std::optional<TimestampAndOffset>> Find() const;
  bool Truncated() const;

  friend class Log;
  struct Candidate {
    std::shared_ptr<const Segment> segment;
    int64_t max_timestamp_ms = -1;
  };
  // All that may hold the answer: oldest first, or for `latest_` latest first.
  std::vector<Candidate> candidates_;
  FileSystem* files_ = nullptr;
  int64_t timestamp_ms_ = 0;
  // The record of the greatest timestamp instead.
  bool latest_ = false;
  Offset from_;
  Offset up_to_;
  std::vector<EpochEntry> epochs_;
  uint64_t truncations_ = 0;
};

}  // namespace millrace::storage

#endif  // STORAGE_READ_PLAN_H_
