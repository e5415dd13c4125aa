#include "test/sim/history.h"

#include <algorithm>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace millrace::sim {
namespace {

absl::Status Violation(const TopicPartition& partition, absl::string_view what) {
  std::ostringstream name;
  name << partition;
  return absl::InternalError(absl::StrCat("VIOLATION in ", name.str(), ": ", what));
}

}  // namespace

void History::OnSent(const TopicPartition& partition, const std::string& value) {
  CHECK(partitions_[partition].sent.emplace(value, Fate::kUnknown).second) << value;
}

absl::Status History::OnAcknowledged(const TopicPartition& partition, const std::string& value,
                                     Offset offset) {
  Partition& known = partitions_[partition];
  known.sent[value] = Fate::kAcknowledged;
  const auto [at, fresh] = known.acknowledged.emplace(offset, value);
  if (!fresh && at->second != value) {
    return Violation(partition, absl::StrCat("offset ", offset.value(), " acknowledged for '",
                                             value, "' and before for '", at->second, "'"));
  }
  ++acknowledged_;
  return absl::OkStatus();
}

void History::OnRefused(const TopicPartition& partition, const std::string& value) {
  partitions_[partition].sent[value] = Fate::kRefused;
}

void History::OnDeletedBefore(const TopicPartition& partition, Offset start) {
  Partition& known = partitions_[partition];
  known.start = std::max(known.start, start);
}

void History::OnMayHaveLost(const TopicPartition& partition) {
  Partition& known = partitions_[partition];
  for (const auto& [offset, value] : known.acknowledged) known.sent[value] = Fate::kUnknown;
  known.acknowledged.clear();
}

absl::Status History::CheckRead(const TopicPartition& partition, Offset offset,
                                const std::string& value) {
  Partition& known = partitions_[partition];
  const auto sent = known.sent.find(value);
  if (sent == known.sent.end()) {
    return Violation(partition, absl::StrCat("offset ", offset.value(), " holds '", value,
                                             "', which was never sent here"));
  }
  if (sent->second == Fate::kRefused) {
    return Violation(partition, absl::StrCat("offset ", offset.value(), " holds '", value,
                                             "', which was refused"));
  }
  const auto acknowledged = known.acknowledged.find(offset);
  if (acknowledged != known.acknowledged.end() && acknowledged->second != value) {
    return Violation(partition,
                     absl::StrCat("offset ", offset.value(), " holds '", value, "' but '",
                                  acknowledged->second, "' was acknowledged there"));
  }
  return absl::OkStatus();
}

absl::Status History::CheckWhole(const TopicPartition& partition, Offset start,
                                 const std::vector<std::pair<Offset, std::string>>& records) {
  Partition& known = partitions_[partition];
  std::set<std::string> seen;
  std::map<Offset, std::string> by_offset;
  for (const auto& [offset, value] : records) {
    if (absl::Status status = CheckRead(partition, offset, value); !status.ok()) return status;
    if (!seen.insert(value).second) {
      return Violation(partition, absl::StrCat("'", value, "' is there twice"));
    }
    by_offset[offset] = value;
  }
  if (start > known.start) {
    return Violation(
        partition, absl::StrCat("the log starts at ", start.value(), " but only records ", "below ",
                                known.start.value(), " were deleted"));
  }
  for (const auto& [offset, value] : known.acknowledged) {
    if (offset < known.start) continue;
    if (by_offset.count(offset) == 0) {
      return Violation(partition, absl::StrCat("LOST: '", value, "', acknowledged at offset ",
                                               offset.value(), ", is not there"));
    }
  }
  return absl::OkStatus();
}

}  // namespace millrace::sim
