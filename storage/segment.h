// Segment: one stretch of a log in one .log file with its two indexes, named by its first offset.
//
// The owner shard keeps the numbers; readers on other threads hold a reference and use the constant
// part only, so that deletion can wait until it holds the last one. The last segment of a log is
// active (appended to by the disk strand); all others are sealed: never written again.
//
// Thread: constant members any; the rest the owner shard.
#ifndef STORAGE_SEGMENT_H_
#define STORAGE_SEGMENT_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/file_system.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "storage/file_names.h"

namespace millrace::storage {

// What all segments of a log share and readers on other threads need.
struct LogFilesIdentity {
  std::string directory;
  // "<topic>-<partition>", for messages.
  std::string name;
  // Raised when a truncation is decided: a read that began before may have seen anything.
  std::atomic<uint64_t> truncations{0};
  // The replica was deleted or set aside: the directory's name may be another's. Disk strand only.
  bool gone = false;
  // Raised when the log begins anew: files of before went, and a name may be another's. Disk strand
  // only.
  uint64_t restarts = 0;

  // The same, told to readers as well: what they would find there is not what they began to read.
  void LeaveDirectory() {
    gone = true;
    truncations.fetch_add(1, std::memory_order_acq_rel);
  }
};

class Segment {
 public:
  Segment(std::shared_ptr<const LogFilesIdentity> log, Offset base_offset)
      : log(std::move(log)), base_offset(base_offset), end_offset(base_offset) {}

  std::string Path(absl::string_view suffix) const {
    return JoinPath(log->directory, SegmentFileName(base_offset, suffix));
  }

  const std::shared_ptr<const LogFilesIdentity> log;
  const Offset base_offset;

  // Owner shard only, from here on. Of an active segment these run ahead of the disk.
  Offset end_offset;
  int64_t size_bytes = 0;
  // Of all its records, or kNoTimestamp. After a truncation an upper bound until it is reported.
  int64_t max_timestamp_ms = -1;
  // When its first batch was appended, as far as known: for segment.ms.
  WallTime created;
};

}  // namespace millrace::storage

#endif  // STORAGE_SEGMENT_H_
