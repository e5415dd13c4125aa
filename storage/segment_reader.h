// Reads of one segment from disk: a range of batches by offset, and the first record by time.
//
// Nothing unverified is handed on (S-24): every batch's checksum, offsets that abut from an anchor
// (the batch that an index entry names, or the first of the file, whose offset is the file's name),
// and the leader epoch against the epoch cache. An index entry that does not fit its batch is
// ignored, and the segment read from its beginning: slow, but right.
//
// Thread: any of the cold-read pool's; blocks.
#ifndef STORAGE_SEGMENT_READER_H_
#define STORAGE_SEGMENT_READER_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "storage/epoch_cache.h"
#include "storage/read_plan.h"
#include "storage/segment.h"

namespace millrace::storage {

struct SegmentRange {
  // The first batch returned is the one that holds this offset.
  Offset from;
  // At least one batch that ends at or below limits.up_to must hold `from`.
  ReadLimits limits;
  // What the epoch cache says of [from, up_to).
  std::vector<EpochEntry> epochs;
};

// Errors: CORRUPT_LOG if what should be there is not, or is damaged; STORAGE_ERROR and
// DIRECTORY_UNAVAILABLE from reading.
absl::StatusOr<ReadResult> ReadSegment(FileSystem& files, const Segment& segment,
                                       const SegmentRange& range);

// The first record in [from, up_to) whose timestamp is at least `timestamp_ms`. Errors: as above.
absl::StatusOr<std::optional<TimestampAndOffset>> FindTimestamp(FileSystem& files,
                                                                const Segment& segment,
                                                                int64_t timestamp_ms, Offset from,
                                                                Offset up_to);

// The latest time of a sealed segment, as its time index says, if the batch named there bears it
// out; nullopt if the index does not say or is wrong. Errors: those of reading.
absl::StatusOr<std::optional<int64_t>> VerifiedMaxTimestamp(FileSystem& files,
                                                            const Segment& segment);

// The first record of the latest timestamp in [from, up_to); reads the whole segment.
absl::StatusOr<std::optional<TimestampAndOffset>> FindLatestTimestamp(FileSystem& files,
                                                                      const Segment& segment,
                                                                      Offset from, Offset up_to);

}  // namespace millrace::storage

#endif  // STORAGE_SEGMENT_READER_H_
