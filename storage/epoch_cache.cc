#include "storage/epoch_cache.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::storage {

absl::StatusOr<bool> EpochCache::Assign(LeaderEpoch epoch, Offset offset) {
  if (!entries_.empty()) {
    const EpochEntry& last = entries_.back();
    if (epoch < last.epoch || offset < last.start_offset) {
      return MakeError(ErrorCode::kCorruptLog,
                       absl::StrCat("leader epoch ", epoch.value(), " at offset ", offset.value(),
                                    " follows epoch ", last.epoch.value(), " from offset ",
                                    last.start_offset.value(), ": epochs never fall along a log"),
                       {.name = "leader_epoch", .value = absl::StrCat(epoch.value())});
    }
    if (epoch == last.epoch) return false;
    // An epoch that began here and wrote nothing leaves no trace.
    if (offset == last.start_offset) entries_.pop_back();
  }
  entries_.push_back({epoch, offset});
  return true;
}

EpochEnd EpochCache::EndOf(LeaderEpoch asked, Offset log_end) const {
  for (size_t i = entries_.size(); i > 0; --i) {
    if (entries_[i - 1].epoch > asked) continue;
    return {entries_[i - 1].epoch, i == entries_.size() ? log_end : entries_[i].start_offset};
  }
  return {};
}

LeaderEpoch EpochCache::EpochAt(Offset offset) const {
  const auto after =
      std::upper_bound(entries_.begin(), entries_.end(), offset,
                       [](Offset o, const EpochEntry& e) { return o < e.start_offset; });
  return after == entries_.begin() ? kNoLeaderEpoch : std::prev(after)->epoch;
}

std::vector<EpochEntry> EpochCache::Covering(Offset from, Offset to) const {
  std::vector<EpochEntry> covering;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const bool ends_before = i + 1 < entries_.size() && entries_[i + 1].start_offset <= from;
    if (!ends_before && entries_[i].start_offset < to) covering.push_back(entries_[i]);
  }
  return covering;
}

void EpochCache::TruncateFromEnd(Offset end) {
  while (!entries_.empty() && entries_.back().start_offset >= end) entries_.pop_back();
}

void EpochCache::TruncateFromStart(Offset start) {
  size_t gone = 0;
  while (gone + 1 < entries_.size() && entries_[gone + 1].start_offset <= start) ++gone;
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(gone));
  if (!entries_.empty()) {
    entries_[0].start_offset = std::max(entries_[0].start_offset, start);
  }
}

}  // namespace millrace::storage
