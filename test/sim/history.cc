#include "test/sim/history.h"

#include <algorithm>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::sim {
namespace {

absl::Status Violation(const TopicPartition& partition, absl::string_view what) {
  std::ostringstream name;
  name << partition;
  return absl::InternalError(absl::StrCat("VIOLATION in ", name.str(), ": ", what));
}

// Enough of a value to find it in a log.
std::string Short(const std::string& value) { return value.substr(0, 40); }

// REQUIRES: its value is one that OnSent gave.
int64_t NumberOf(const ReadRecord& record) {
  int64_t number = -1;
  CHECK(absl::SimpleAtoi(record.value.substr(0, record.value.find(':')), &number));
  return number;
}

}  // namespace

int64_t History::OnSent(const TopicPartition& partition, Lane lane, size_t filling,
                        int64_t timestamp_ms) {
  const auto number = static_cast<int64_t>(sent_.size());
  sent_.push_back({.partition = partition,
                   .lane = lane,
                   .filling = static_cast<uint32_t>(filling),
                   .timestamp_ms = timestamp_ms});
  if (lane != 0) partitions_[partition].lanes[lane].push_back(number);
  return number;
}

std::string History::ValueOf(int64_t number) const {
  const Sent& sent = sent_[static_cast<size_t>(number)];
  return absl::StrCat(number, ":", std::string(sent.filling, '.'));
}

std::optional<std::string> History::KeyOf(int64_t number) const {
  if (number % 2 == 0) return std::nullopt;
  return absl::StrCat("key-", number);
}

absl::Status History::Take(int64_t number, Offset offset) {
  Sent& sent = sent_[static_cast<size_t>(number)];
  const auto [at, fresh] = partitions_[sent.partition].taken.emplace(offset, number);
  if (!fresh && at->second != number) {
    return Violation(sent.partition, absl::StrCat("offset ", offset.value(), " is record ", number,
                                                  "'s, and was record ", at->second, "'s before"));
  }
  // Who knows nothing of a batch that was deleted takes it when it is sent again.
  const bool again = sent.offset < offset && sent.offset < partitions_[sent.partition].start_max;
  if (sent.offset != kNoOffset && sent.offset != offset && !again) {
    return Violation(sent.partition,
                     absl::StrCat("record ", number, " is at offset ", offset.value(),
                                  ", and was at ", sent.offset.value(), " before"));
  }
  sent.fate = Fate::kTaken;
  sent.offset = offset;
  return absl::OkStatus();
}

absl::Status History::OnAcknowledged(int64_t number, Offset offset) {
  ++acknowledged_;
  const TopicPartition& partition = sent_[static_cast<size_t>(number)].partition;
  Partition& known = partitions_[partition];
  if (known.damaged) return absl::OkStatus();
  if (known.elected_in != kNoLeaderEpoch &&
      !IsPromised(known, number, offset, written_in_(partition, offset, number))) {
    known.given_up.insert(number);
    return absl::OkStatus();
  }
  known.high_watermark = std::max(known.high_watermark, offset + 1);
  return Take(number, offset);
}

bool History::IsPromised(const Partition& known, int64_t number, Offset offset,
                         LeaderEpoch written) {
  if (known.elected_in == kNoLeaderEpoch || written >= known.elected_in) return true;
  const auto kept = known.kept.find(offset);
  return kept != known.kept.end() && kept->second == number;
}

void History::OnRefused(int64_t number) {
  sent_[static_cast<size_t>(number)].fate = Fate::kRefused;
}

void History::OnDeletedBefore(const TopicPartition& partition, Offset start, bool done) {
  Partition& known = partitions_[partition];
  known.start_max = std::max(known.start_max, start);
  if (done) known.start_min = std::max(known.start_min, start);
}

void History::OnMayBeTrimmed(const TopicPartition& partition) {
  partitions_[partition].trimmed = true;
}

void History::OnMayHaveLost(const TopicPartition& partition) {
  Partition& known = partitions_[partition];
  for (const auto& [offset, number] : known.taken) {
    sent_[static_cast<size_t>(number)].fate = Fate::kUnknown;
    sent_[static_cast<size_t>(number)].offset = kNoOffset;
  }
  known.taken.clear();
  known.high_watermark = Offset(0);
  // The prefix that was deleted is journalled for every topic.
}

void History::OnDamaged(const TopicPartition& partition) {
  OnMayHaveLost(partition);
  partitions_[partition].damaged = true;
}

void History::OnElectedWithoutProof(const TopicPartition& partition, LeaderEpoch epoch,
                                    const std::vector<ReadRecord>& kept) {
  Partition& known = partitions_[partition];
  std::map<Offset, int64_t> still_kept;
  for (const ReadRecord& record : kept) {
    const int64_t number = NumberOf(record);
    // What an earlier such election gave up may not be cut everywhere yet.
    if (IsPromised(known, number, record.offset, record.leader_epoch)) {
      still_kept.emplace(record.offset, number);
    }
  }
  known.elected_in = epoch;
  known.kept = std::move(still_kept);
  known.high_watermark = Offset(0);
  for (auto it = known.taken.begin(); it != known.taken.end();) {
    const auto [offset, number] = *it;
    if (IsPromised(known, number, offset, kNoLeaderEpoch)) {
      known.high_watermark = offset + 1;
      ++it;
      continue;
    }
    known.given_up.insert(number);
    // It may be written anew, at another offset.
    sent_[static_cast<size_t>(number)].fate = Fate::kUnknown;
    sent_[static_cast<size_t>(number)].offset = kNoOffset;
    it = known.taken.erase(it);
  }
}

Offset History::FirstSince(const TopicPartition& partition, int64_t timestamp_ms) {
  const Partition& known = partitions_[partition];
  // Any of them may be gone.
  if (known.trimmed || known.damaged) return kNoOffset;
  for (auto at = known.taken.lower_bound(known.start_max);
       at != known.taken.end() && at->first < known.high_watermark; ++at) {
    if (sent_[static_cast<size_t>(at->second)].timestamp_ms >= timestamp_ms) return at->first;
  }
  return kNoOffset;
}

absl::Status History::OnHighWatermark(const TopicPartition& partition, Offset floor,
                                      Offset high_watermark) {
  Partition& known = partitions_[partition];
  if (known.damaged) return absl::OkStatus();
  if (high_watermark < floor) {
    return Violation(partition, absl::StrCat("the high watermark fell from ", floor.value(), " to ",
                                             high_watermark.value()));
  }
  // Whoever was deposed by such an election may say it.
  if (known.elected_in != kNoLeaderEpoch) return absl::OkStatus();
  known.high_watermark = std::max(known.high_watermark, high_watermark);
  return absl::OkStatus();
}

absl::Status History::CheckRead(const TopicPartition& partition, const ReadRecord& record) {
  const auto violation = [&](absl::string_view what) {
    return Violation(partition, absl::StrCat("offset ", record.offset.value(), " holds '",
                                             Short(record.value), "', ", what));
  };
  int64_t number = -1;
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(record.value, absl::MaxSplits(':', 1));
  if (!absl::SimpleAtoi(parts.first, &number) || number < 0 ||
      number >= static_cast<int64_t>(sent_.size())) {
    return violation("which was never sent");
  }
  const Sent& sent = sent_[static_cast<size_t>(number)];
  if (sent.partition != partition) return violation("which was sent to another partition");
  if (sent.fate == Fate::kRefused) return violation("which was refused");
  if (record.value != ValueOf(number)) return violation("which is not what was sent");
  if (record.key != KeyOf(number)) return violation("whose key is not what was sent");
  // What one client has read, all others will; but a deposed leader may still be read.
  const Partition& known = partitions_[partition];
  if (known.damaged || !IsPromised(known, number, record.offset, record.leader_epoch)) {
    return absl::OkStatus();
  }
  return Take(number, record.offset);
}

absl::Status History::CheckStart(const TopicPartition& partition, const Partition& known,
                                 Offset start) const {
  if (start > known.start_max && !known.trimmed) {
    return Violation(partition,
                     absl::StrCat("the log starts at ", start.value(), " but only records below ",
                                  known.start_max.value(), " were deleted"));
  }
  if (start < known.start_min) {
    return Violation(partition,
                     absl::StrCat("the log starts at ", start.value(), " but records below ",
                                  known.start_min.value(), " were deleted, and it was said so"));
  }
  return absl::OkStatus();
}

absl::Status History::CheckLanes(const TopicPartition& partition, const Partition& known,
                                 Offset start, const std::vector<bool>& present) const {
  for (const auto& [lane, numbers] : known.lanes) {
    // Gone (below the start), then there, then never arrived.
    int64_t first_there = -1;
    int64_t first_missing = -1;
    for (const int64_t number : numbers) {
      const bool there = present[static_cast<size_t>(number)];
      if (there && first_missing >= 0) {
        return Violation(partition, absl::StrCat("S-23: record ", number, " is there, but ",
                                                 first_missing, " before it in its stream is not"));
      }
      if (there && first_there < 0) first_there = number;
      // A broker that has nothing of a producer any more takes what it sends next.
      if (!there && known.given_up.contains(number)) continue;
      if (!there && (first_there >= 0 || start == Offset(0))) first_missing = number;
    }
  }
  return absl::OkStatus();
}

absl::Status History::CheckWhole(const TopicPartition& partition, Offset start,
                                 const std::vector<ReadRecord>& records) {
  Partition& known = partitions_[partition];
  std::vector<bool> present(sent_.size(), false);
  std::map<Lane, int64_t> newest;
  Offset next = records.empty() ? start : std::max(start, records.front().offset);
  LeaderEpoch epoch = kNoLeaderEpoch;
  for (const ReadRecord& record : records) {
    RETURN_IF_ERROR(CheckRead(partition, record));
    if (known.damaged) continue;
    if (record.offset != next) {
      return Violation(partition, absl::StrCat("after offset ", next.value() - 1, " comes ",
                                               record.offset.value()));
    }
    next = record.offset + 1;
    if (record.leader_epoch < epoch) {
      return Violation(partition,
                       absl::StrCat("at offset ", record.offset.value(),
                                    " the leader epoch falls to ", record.leader_epoch.value()));
    }
    epoch = record.leader_epoch;
    const int64_t number = NumberOf(record);
    if (present[static_cast<size_t>(number)]) {
      return Violation(partition, absl::StrCat("record ", number, " is there twice"));
    }
    present[static_cast<size_t>(number)] = true;
    const Lane lane = sent_[static_cast<size_t>(number)].lane;
    if (lane == 0) continue;
    if (const auto [last, first] = newest.emplace(lane, number); !first) {
      if (last->second > number) {
        return Violation(partition, absl::StrCat("S-23: record ", number, " comes after ",
                                                 last->second, " of the same stream"));
      }
      last->second = number;
    }
  }
  if (known.damaged) return absl::OkStatus();
  RETURN_IF_ERROR(CheckStart(partition, known, start));
  for (const auto& [offset, number] : known.taken) {
    if (offset < start) continue;
    if (!present[static_cast<size_t>(number)]) {
      return Violation(
          partition,
          absl::StrCat("LOST: record ", number, ", acknowledged or read at offset ", offset.value(),
                       ", is not there; the log has ", start.value(), " to ", next.value()));
    }
  }
  return CheckLanes(partition, known, start, present);
}

}  // namespace millrace::sim
