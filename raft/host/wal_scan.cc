#include "raft/host/wal_scan.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutant.h"

namespace millrace::raft {
namespace {

Slice From(Slice bytes, uint64_t offset) {
  return offset < bytes.size() ? bytes.substr(offset) : Slice();
}

bool AllZero(Slice bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

// The group at `offset` if its header is one of this generation and its records verify.
std::optional<WalGroup> ReadGroup(Slice bytes, uint64_t offset, const WalGroupHeader& header) {
  WalGroup group{.offset = offset, .header = header};
  auto records = ParseWalRecords(header, From(bytes, offset), &group.chain);
  if (!records.has_value()) return std::nullopt;
  group.records = *std::move(records);
  return group;
}

// Why `header` cannot come after `previous` (null: at the start of the segment); empty if it can.
std::string WhyNotNext(const WalGroupHeader& header, const WalGroup* previous) {
  const bool start = (header.flags & kWalFlagStart) != 0;
  if (header.durable_through + 1 != header.number) {
    return absl::StrCat("group ", header.number, " says durable through ", header.durable_through);
  }
  if (previous == nullptr) return start ? "" : "the first group is not a segment start";
  if (start) return "a segment start inside the segment";
  if (header.number != previous->header.number + 1) {
    return absl::StrCat("group ", header.number, " after group ", previous->header.number);
  }
  if (header.previous_chain != previous->chain) return "the checksum chain is broken";
  return "";
}

// A header of this segment at or after `offset`; with any salt if the segment's is not known.
std::optional<uint64_t> FindGroup(Slice bytes, uint64_t offset, uint64_t generation,
                                  std::optional<uint64_t> salt) {
  for (; offset < bytes.size(); offset += kWalBlockBytes) {
    const auto header = ParseWalGroupHeader(From(bytes, offset));
    if (!header.has_value()) continue;
    const bool ours =
        header->generation == generation && (!salt.has_value() || header->salt == *salt);
    if (ours || MUTANT("wal.recycled-bytes-count")) {
      return offset;
    }
  }
  return std::nullopt;
}

// Reads on behind the damage, each group by itself.
void ReadBeyond(Slice bytes, uint64_t generation, std::optional<uint64_t> salt, uint64_t offset,
                WalScan* scan) {
  for (;;) {
    const std::optional<uint64_t> found = FindGroup(bytes, offset, generation, salt);
    if (!found.has_value()) return;
    const auto header = ParseWalGroupHeader(From(bytes, *found));
    auto group = ReadGroup(bytes, *found, *header);
    offset = *found + (group.has_value() ? header->TotalBytes() : kWalBlockBytes);
    if (group.has_value()) scan->beyond_damage.push_back(*std::move(group));
  }
}

// Judges what begins at scan->tail_offset and is not a group that follows.
void JudgeTail(Slice bytes, uint64_t generation, WalScan* scan) {
  const uint64_t tail = scan->tail_offset;
  std::optional<uint64_t> salt;
  if (!scan->groups.empty()) salt = scan->groups.front().header.salt;
  const auto header = ParseWalGroupHeader(From(bytes, tail));
  const bool ours = header.has_value() && header->generation == generation &&
                    (!salt.has_value() || header->salt == *salt);
  const WalGroup* previous = scan->groups.empty() ? nullptr : &scan->groups.back();
  if (ours) {
    const std::string why = WhyNotNext(*header, previous);
    // Nobody but us writes such a header, and we write none that does not follow.
    const bool torn = why.empty() && !MUTANT("wal.torn-tail-taken-for-damage");
    scan->tail = torn ? WalTail::kTorn : WalTail::kDamaged;
    scan->reason = why.empty() ? absl::StrCat("group ", header->number, " is incomplete") : why;
  } else if (AllZero(From(bytes, tail))) {
    scan->tail = WalTail::kClean;
    return;
  } else {
    scan->tail = WalTail::kUnknown;
    scan->reason = "bytes that are no group of this segment";
  }
  const std::optional<uint64_t> later = FindGroup(bytes, tail + kWalBlockBytes, generation, salt);
  if (!later.has_value() || MUTANT("wal.damage-taken-for-a-torn-tail")) return;
  scan->tail = WalTail::kDamaged;
  absl::StrAppend(&scan->reason, ", but a later group stands at byte ", *later);
  ReadBeyond(bytes, generation, salt, tail + kWalBlockBytes, scan);
}

}  // namespace

WalScan ScanWalSegment(Slice bytes, uint64_t generation) {
  WalScan scan;
  for (;;) {
    const auto header = ParseWalGroupHeader(From(bytes, scan.tail_offset));
    const WalGroup* previous = scan.groups.empty() ? nullptr : &scan.groups.back();
    if (!header.has_value() || header->generation != generation ||
        (previous != nullptr && header->salt != previous->header.salt) ||
        !WhyNotNext(*header, previous).empty()) {
      break;
    }
    auto group = ReadGroup(bytes, scan.tail_offset, *header);
    if (!group.has_value()) break;
    scan.tail_offset += header->TotalBytes();
    scan.groups.push_back(*std::move(group));
  }
  JudgeTail(bytes, generation, &scan);
  return scan;
}

}  // namespace millrace::raft
