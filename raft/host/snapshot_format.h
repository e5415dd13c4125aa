// The bytes of a snapshot file: a header, the voters, and the state machine's body in blocks.
// docs/formats/snapshot.md is its page.
//
// The file says nothing of the node, the time or the program that wrote it: equal state gives equal
// bytes, so that a transfer begun with one leader goes on with another (raft/messages.h,
// SnapshotId). The body is opaque here. Each section (header, voters, every 64 KiB of body) is
// followed by the CRC of everything before it that is no CRC: damage has a place, a piece of the
// file can be checked before it is sent, and of a reception that a crash broke off it is known how
// far it is whole. Stored CRCs are masked; of a file with plain ones the CRC of the whole would not
// depend on what they cover, and SnapshotId::checksum would name nothing.
//
// Thread: any (pure functions; a SnapshotParser has one owner).
// Source: S-09; the masking is LevelDB's idea (db/log_format, util/crc32c.h).
#ifndef RAFT_HOST_SNAPSHOT_FORMAT_H_
#define RAFT_HOST_SNAPSHOT_FORMAT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "raft/messages.h"
#include "raft/types.h"

namespace millrace::raft {

inline constexpr uint32_t kSnapshotMagic = 0x4e53524d;  // "MRSN"
inline constexpr uint32_t kSnapshotVersion = 1;
inline constexpr size_t kSnapshotHeaderBytes = 56;
inline constexpr size_t kSnapshotCrcBytes = 4;
inline constexpr size_t kSnapshotBlockBytes = 64 << 10;
// Bounds what a peer's numbers may make a disk hold, and a body in memory; some millions of
// partitions.
inline constexpr uint64_t kSnapshotBytesMax = 1 << 30;

// All but the body.
struct SnapshotHead {
  EntryId last;
  VoterSet voters;
  uint64_t body_bytes = 0;
  // Of header and voters, with their CRCs: where the first block begins.
  uint64_t head_bytes = 0;

  uint64_t FileBytes() const;
  // Where block `number` (from 0) begins; the CRC before it is in the four bytes before.
  uint64_t BlockAt(uint64_t number) const {
    return head_bytes + number * (kSnapshotBlockBytes + kSnapshotCrcBytes);
  }
  // The block that holds byte `at` of the file, its CRC included. REQUIRES: at >= head_bytes.
  uint64_t BlockOf(uint64_t at) const {
    return (at - head_bytes) / (kSnapshotBlockBytes + kSnapshotCrcBytes);
  }
};

// A CRC as it stands in the file.
inline constexpr uint32_t kSnapshotMaskDelta = 0x9e3779b9;
constexpr uint32_t MaskSnapshotCrc(uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + kSnapshotMaskDelta;
}

// The whole file. Errors: INVALID_REQUEST for an entry that cannot be (before the first), voters
// beyond their maxima, a file beyond kSnapshotBytesMax.
absl::StatusOr<std::string> EncodeSnapshotFile(const EntryId& last, const VoterSet& voters,
                                               Slice body);

// Takes a file apart from its beginning, in pieces of any size, and checks each section when it is
// complete.
class SnapshotParser {
 public:
  // `body`, if given, gets the verified blocks appended.
  explicit SnapshotParser(std::string* body = nullptr) : body_(body) {}
  // Begins at block `number` instead, whose CRC before it is `stored_crc`, as it stands in the
  // file. checksum() means nothing then.
  SnapshotParser(const SnapshotHead& head, uint64_t number, uint32_t stored_crc);

  // The next bytes. Errors: CORRUPT_LOG with the position of the section that is damaged, or of the
  // first byte too many; UNSUPPORTED_FORMAT_VERSION. After an error nothing more is taken.
  absl::Status Add(Slice bytes);

  // All that the header announces was there.
  bool complete() const { return state_ == State::kDone; }
  // OK if complete; else CORRUPT_LOG, saying where the file ends and where it should.
  absl::Status CheckComplete() const;
  // Bytes from the file's beginning to the end of the last section that verified.
  uint64_t verified_bytes() const { return verified_bytes_; }
  // Valid once a part of the body was reached.
  const SnapshotHead& head() const { return head_; }
  bool has_head() const { return state_ == State::kBlock || state_ == State::kDone; }
  // CRC32C of all bytes taken.
  uint32_t checksum() const { return checksum_; }

 private:
  enum class State { kHeader, kVoters, kBlock, kDone };

  // Size of the section that comes next, its CRC included.
  size_t SectionBytes() const;
  absl::Status TakeSection(Slice section);
  absl::Status TakeHeader(Slice section);
  absl::Status TakeVoters(Slice content);
  absl::Status Corrupt(absl::string_view what) const;

  std::string* body_;
  State state_ = State::kHeader;
  SnapshotHead head_;
  uint32_t voters_bytes_ = 0;
  uint64_t body_left_ = 0;
  uint32_t chain_ = 0;
  uint32_t checksum_ = 0;
  uint64_t verified_bytes_ = 0;
  // The beginning of a section whose end has not come yet.
  std::string pending_;
};

// Names in a snapshot directory, by which tools know what a file is. A name sorts as its last entry
// does. "00000000000000001000-00000000000000000007.snapshot": index, then term.
std::string SnapshotFileName(const EntryId& last);
std::optional<EntryId> ParseSnapshotFileName(absl::string_view name);
// One being received: "<index>-<term>-<bytes>-<checksum, 8 hex digits>.part".
std::string ReceivedFileName(const SnapshotId& id);
std::optional<SnapshotId> ParseReceivedFileName(absl::string_view name);
inline constexpr absl::string_view kSnapshotSuffix = ".snapshot";
inline constexpr absl::string_view kReceivedSnapshotSuffix = ".part";
// Whether the last part of a path names a snapshot, whole or being received. (What producers of a
// partition are remembered by ends in the same suffix: storage/file_names.h.)
bool IsSnapshotPath(absl::string_view path);
// One being written.
inline constexpr absl::string_view kUnfinishedSnapshotName = "unfinished.tmp";

}  // namespace millrace::raft

#endif  // RAFT_HOST_SNAPSHOT_FORMAT_H_
