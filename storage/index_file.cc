#include "storage/index_file.h"

#include "absl/types/span.h"
#include "base/coding.h"
#include "base/status.h"

namespace millrace::storage {
namespace {

// The last of `count` entries for which `wanted` holds, given that it holds for a prefix.
// Load: entry(bytes). Reads one entry per step: a dozen cached reads beat loading the file.
template <class Entry, uint64_t kSize, class Load, class Wanted>
absl::StatusOr<std::optional<Entry>> LastWhere(const File& index, Load load, Wanted wanted) {
  ASSIGN_OR_RETURN(const uint64_t size, index.Size());
  uint64_t low = 0;
  uint64_t high = size / kSize;
  std::optional<Entry> found;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    char bytes[kSize];
    ASSIGN_OR_RETURN(const size_t read, index.ReadAt(middle * kSize, absl::MakeSpan(bytes)));
    if (read < kSize) break;
    const Entry entry = load(bytes);
    if (wanted(entry)) {
      found = entry;
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return found;
}

}  // namespace

void AppendOffsetIndexEntry(const OffsetIndexEntry& entry, std::string* out) {
  AppendBig<int32_t>(entry.relative_offset, out);
  AppendBig<int32_t>(entry.position, out);
}

void AppendTimeIndexEntry(const TimeIndexEntry& entry, std::string* out) {
  AppendBig<int64_t>(entry.timestamp_ms, out);
  AppendBig<int32_t>(entry.relative_offset, out);
}

OffsetIndexEntry LoadOffsetIndexEntry(const char* at) {
  return {LoadBig<int32_t>(at), LoadBig<int32_t>(at + 4)};
}

TimeIndexEntry LoadTimeIndexEntry(const char* at) {
  return {LoadBig<int64_t>(at), LoadBig<int32_t>(at + 8)};
}

absl::StatusOr<std::optional<OffsetIndexEntry>> FindOffset(const File& index,
                                                           int64_t relative_offset) {
  return LastWhere<OffsetIndexEntry, kOffsetIndexEntrySize>(
      index, LoadOffsetIndexEntry,
      [&](const OffsetIndexEntry& e) { return e.relative_offset <= relative_offset; });
}

absl::StatusOr<std::optional<TimeIndexEntry>> FindTimeBefore(const File& index,
                                                             int64_t timestamp_ms) {
  return LastWhere<TimeIndexEntry, kTimeIndexEntrySize>(
      index, LoadTimeIndexEntry,
      [&](const TimeIndexEntry& e) { return e.timestamp_ms < timestamp_ms; });
}

absl::StatusOr<std::optional<TimeIndexEntry>> LastTimeEntry(const File& index) {
  ASSIGN_OR_RETURN(const uint64_t size, index.Size());
  const uint64_t count = size / kTimeIndexEntrySize;
  if (count == 0) return std::nullopt;
  char bytes[kTimeIndexEntrySize];
  ASSIGN_OR_RETURN(const size_t read,
                   index.ReadAt((count - 1) * kTimeIndexEntrySize, absl::MakeSpan(bytes)));
  if (read < kTimeIndexEntrySize) return std::nullopt;
  return LoadTimeIndexEntry(bytes);
}

}  // namespace millrace::storage
