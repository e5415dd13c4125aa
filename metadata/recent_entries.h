// RecentEntries: the newest committed entries of the metadata log, for those who follow it over the
// network. Whoever is further behind than this reaches back is sent the image instead.
//
// Every controller keeps them, leading or not, so that after an election the new leader goes on
// where the observers stand. Bounded by bytes; only the newest entry stays whatever its size.
//
// Thread: one owner.
// Format: docs/formats/wal.md (an entry).
#ifndef METADATA_RECENT_ENTRIES_H_
#define METADATA_RECENT_ENTRIES_H_

#include <cstddef>
#include <deque>
#include <vector>

#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "rsm/record.h"

namespace millrace::metadata {

class RecentEntries {
 public:
  struct Entry {
    LogIndex index;
    // As in the log (rsm/entry_codec.h).
    Bytes payload;
  };

  explicit RecentEntries(size_t bytes_max) : bytes_max_(bytes_max) {}

  // All up to `index` came as an image: what was here is dropped.
  void StartAfter(LogIndex index);
  // The next entry that has records. REQUIRES: `index` is above all before; the log took it.
  void Append(LogIndex index, absl::Span<const rsm::Record> records);

  // Whether every entry with records above `index` is here.
  bool Covers(LogIndex index) const { return index >= start_; }
  // The entries above `index`, in order: as many as fit into `bytes_max`, but at least one if there
  // are any. REQUIRES: Covers(index).
  std::vector<Entry> After(LogIndex index, size_t bytes_max) const;

  size_t bytes() const { return bytes_; }

 private:
  const size_t bytes_max_;
  // Entries at and below it are not here.
  LogIndex start_;
  std::deque<Entry> entries_;
  size_t bytes_ = 0;
};

}  // namespace millrace::metadata

#endif  // METADATA_RECENT_ENTRIES_H_
