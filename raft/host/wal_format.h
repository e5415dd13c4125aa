// The bytes of the WAL: groups of records in segment files. docs/formats/wal.md is its page.
//
// A segment is a file `<generation, 20 digits>.wal`. Groups start at 4 KiB boundaries; a group is a
// header and the records that became durable with one fdatasync, zero-padded to the next boundary.
// All numbers are little-endian.
//
// Two checks overlap on purpose. A group's header has a CRC of its own, so that it can be
// recognised behind damage; and all records and headers of a log are one chain of CRCs, so that no
// group or segment can be exchanged, repeated or left out unseen. The generation and a random salt
// are in every header: the old bytes of a recycled file never verify, nor does a header that a
// client wrote into a payload.
//
// Thread: any (pure functions; a GroupBuilder has one owner).
// Source: S-09.
#ifndef RAFT_HOST_WAL_FORMAT_H_
#define RAFT_HOST_WAL_FORMAT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "raft/types.h"

namespace millrace::raft {

inline constexpr uint64_t kWalBlockBytes = 4096;
inline constexpr uint32_t kWalMagic = 0x4c57524d;  // "MRWL"
inline constexpr uint16_t kWalVersion = 1;
inline constexpr size_t kWalGroupHeaderBytes = 56;
inline constexpr size_t kWalRecordHeaderBytes = 28;
// The first group of a segment holds no entries, so it is small: kVotersMax long addresses.
inline constexpr uint64_t kWalStartGroupBytesMax = 64 << 10;

inline constexpr uint16_t kWalFlagStart = 1;  // The first group of a segment.
inline constexpr uint16_t kWalFlagSeal = 2;   // Has no records; only says durable_through.

struct WalGroupHeader {
  uint16_t version = kWalVersion;
  uint16_t flags = 0;
  uint64_t generation = 0;
  // Drawn per segment, equal in all its groups.
  uint64_t salt = 0;
  // From 1, without a gap over the whole log; a torn group's number is used again by its successor.
  uint64_t number = 0;
  // The greatest number that was durable when this group was written. One group is in flight at a
  // time, so it is number - 1.
  uint64_t durable_through = 0;
  // Records, without the padding.
  uint32_t body_bytes = 0;
  uint32_t record_count = 0;
  // The chain's value at the end of the group before, in this segment or the one before it.
  uint32_t previous_chain = 0;
  // Over all the above; the chain goes on from it.
  uint32_t crc = 0;

  // Of header, records and padding.
  uint64_t TotalBytes() const;
};

// Numbers are persistent and never reused.
enum class WalRecordType : uint8_t {
  // First in a segment. (term, index): the log's last entry before it. Payload: WalSegmentStart.
  kSegmentStart = 1,
  // term: the current term; index: the commit hint. Payload: empty, or the vote: node id (int32)
  // and directory id (16 bytes).
  kHardState = 2,
  // (term, index): the entry that made the set. Payload: EncodeVoters().
  kVoters = 3,
  // The log is cut before `index`.
  kTruncate = 4,
  // The log is emptied and goes on after (term, index).
  kRestart = 5,
  // A Raft entry; its EntryType is in the header.
  kEntry = 6,
};

struct WalRecord {
  WalRecordType type = WalRecordType::kEntry;
  // Of a kEntry; 0 in others.
  uint8_t entry_type = 0;
  Term term;
  LogIndex index;
  // Borrowed or shared memory; what decoding gives is borrowed from the segment's bytes.
  Slice payload;
};

struct WalSegmentStart {
  // The segment that this one goes on from; 0 for the first of a log.
  uint64_t previous_generation = 0;

  std::string Encode() const;
  // Nothing if malformed.
  static std::optional<WalSegmentStart> Decode(Slice payload);
};

// A vote's bytes in a kHardState record, and back. Nothing if malformed.
std::string EncodeVote(const std::optional<VoterId>& voted_for);
std::optional<HardState> DecodeHardState(const WalRecord& record);
WalRecord HardStateRecord(const HardState& hard_state, Slice encoded_vote);

// "00000000000000000007.wal"; and back, nothing for another name.
std::string WalSegmentName(uint64_t generation);
std::optional<uint64_t> ParseWalSegmentName(absl::string_view name);

// The header at the start of `block` if its magic and CRC are right, whatever else it says.
std::optional<WalGroupHeader> ParseWalGroupHeader(Slice block);

// Takes the records of a group apart. Nothing unless every checksum and length is right.
// `group` begins with the header that `header` was parsed from. `*chain` is set to the chain's
// value at the group's end.
std::optional<std::vector<WalRecord>> ParseWalRecords(const WalGroupHeader& header, Slice group,
                                                      uint32_t* chain);

// Bytes that a record takes.
inline uint64_t WalRecordBytes(size_t payload_bytes) {
  return kWalRecordHeaderBytes + payload_bytes;
}

// Fills one group after the other, in the same memory.
class WalGroupBuilder {
 public:
  WalGroupBuilder() { Clear(); }

  void Add(const WalRecord& record);
  bool empty() const { return record_count_ == 0; }
  // Header and records so far.
  uint64_t bytes() const { return buffer_.size(); }

  // The finished group, padded; borrowed until the next call. `header`'s sizes and CRC are filled
  // in; `*chain` is set to the chain's value at its end.
  Slice Finish(WalGroupHeader* header, uint32_t* chain);
  void Clear();

 private:
  std::string buffer_;
  uint32_t record_count_ = 0;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_WAL_FORMAT_H_
