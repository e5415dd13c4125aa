// The two indexes of a segment, in Kafka's formats (big-endian), so that its tools can read them:
//
//   .index      {int32 offset - base offset, int32 position}: the batch at `position` of the .log
//               file ends with that offset;
//   .timeindex  {int64 timestamp, int32 offset - base offset}: no record up to that offset is
//               later, and the batch that ends with it has that largest timestamp.
//
// Both rise strictly. They have no checksum: an entry is a hint that its user checks against the
// batch it names, and a wrong one costs time only (a scan from the segment's beginning).
// docs/formats/indexes.md.
//
// Thread: any (pure functions, and reads of a File).
#ifndef STORAGE_INDEX_FILE_H_
#define STORAGE_INDEX_FILE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/file_system.h"
#include "base/ids.h"

namespace millrace::storage {

inline constexpr uint64_t kOffsetIndexEntrySize = 8;
inline constexpr uint64_t kTimeIndexEntrySize = 12;

struct OffsetIndexEntry {
  int32_t relative_offset = 0;
  int32_t position = 0;

  friend bool operator==(const OffsetIndexEntry&, const OffsetIndexEntry&) = default;
};

struct TimeIndexEntry {
  int64_t timestamp_ms = 0;
  int32_t relative_offset = 0;

  friend bool operator==(const TimeIndexEntry&, const TimeIndexEntry&) = default;
};

void AppendOffsetIndexEntry(const OffsetIndexEntry& entry, std::string* out);
void AppendTimeIndexEntry(const TimeIndexEntry& entry, std::string* out);
// REQUIRES: the entry's size in bytes at `at`.
OffsetIndexEntry LoadOffsetIndexEntry(const char* at);
TimeIndexEntry LoadTimeIndexEntry(const char* at);

// The last entry whose offset is <= `relative_offset`; nullopt if none. Blocks.
absl::StatusOr<std::optional<OffsetIndexEntry>> FindOffset(const File& index,
                                                           int64_t relative_offset);
// The last entry whose timestamp is < `timestamp_ms`; nullopt if none. Blocks.
absl::StatusOr<std::optional<TimeIndexEntry>> FindTimeBefore(const File& index,
                                                             int64_t timestamp_ms);
// The last entry; nullopt if there is none. Blocks.
absl::StatusOr<std::optional<TimeIndexEntry>> LastTimeEntry(const File& index);

}  // namespace millrace::storage

#endif  // STORAGE_INDEX_FILE_H_
