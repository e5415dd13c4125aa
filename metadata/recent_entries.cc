#include "metadata/recent_entries.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "base/check.h"
#include "rsm/entry_codec.h"

namespace millrace::metadata {

void RecentEntries::StartAfter(LogIndex index) {
  entries_.clear();
  bytes_ = 0;
  start_ = index;
}

void RecentEntries::Append(LogIndex index, absl::Span<const rsm::Record> records) {
  CHECK_GT(index, entries_.empty() ? start_ : entries_.back().index);
  absl::StatusOr<Bytes> payload = rsm::EncodeEntry(records);
  CHECK(payload.ok()) << "what the log took can be encoded";
  bytes_ += payload->size();
  entries_.push_back({index, *std::move(payload)});
  while (bytes_ > bytes_max_ && entries_.size() > 1) {
    start_ = entries_.front().index;
    bytes_ -= entries_.front().payload.size();
    entries_.pop_front();
  }
}

std::vector<RecentEntries::Entry> RecentEntries::After(LogIndex index, size_t bytes_max) const {
  CHECK(Covers(index));
  std::vector<Entry> found;
  size_t bytes = 0;
  auto next = std::upper_bound(entries_.begin(), entries_.end(), index,
                               [](LogIndex at, const Entry& entry) { return at < entry.index; });
  for (; next != entries_.end(); ++next) {
    bytes += next->payload.size();
    if (bytes > bytes_max && !found.empty()) break;
    found.push_back(*next);
  }
  return found;
}

}  // namespace millrace::metadata
