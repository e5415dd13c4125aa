// Journal: an append-only file of checksummed frames, each written and synced before the next is
// begun, so that on reading a torn end and damage in the middle are told apart.
//
// One frame holds the entries of one round of group commit. A frame that does not verify, with a
// valid frame of a later sequence after it, is damage; with nothing valid after it, it is a write
// that a crash cut short. A journal is rewritten as a whole (temporary file, rename) when it is
// opened and when it has grown: appending always continues a file that this process wrote.
//
// Format, little-endian: header {u64 magic, u32 kind, u32 version, u32 zero, u32 crc}; frames
// {u32 length, u32 crc, u64 sequence, payload, zeros up to a multiple of 8}; entries in the payload
// {u16 length, bytes}. docs/formats/sync_journal.md and partitions_journal.md have the entries.
//
// Thread: the disk executor.
#ifndef STORAGE_JOURNAL_H_
#define STORAGE_JOURNAL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/file_system.h"

namespace millrace::storage {

enum class JournalKind : uint32_t { kPartitions = 1, kSync = 2 };

// What a journal file holds.
struct JournalContents {
  // In order, those after damage included.
  std::vector<std::string> entries;
  bool found = false;
  // Position of damage with valid frames after it; 0: none (a header is there).
  uint64_t damaged_at = 0;
  // Bytes of an unfinished last frame.
  uint64_t torn_bytes = 0;
  // Of the last valid frame.
  uint64_t sequence = 0;
};

// Reads a journal. Errors: CORRUPT_LOG if the header is damaged; INVALID_DIRECTORY if the file is
// none of this kind; UNSUPPORTED_FORMAT_VERSION; those of the file system.
absl::StatusOr<JournalContents> ReadJournal(FileSystem& files, const std::string& path,
                                            JournalKind kind);

class Journal {
 public:
  // `bytes_max`: beyond it, grown() asks for a rewrite.
  Journal(FileSystem* files, std::string path, JournalKind kind, uint64_t bytes_max)
      : files_(files), path_(std::move(path)), kind_(kind), bytes_max_(bytes_max) {}

  // Frames are numbered on from `sequence`: that of the last frame read.
  void ContinueFrom(uint64_t sequence) { sequence_ = sequence; }
  // Of the last frame begun.
  uint64_t sequence() const { return sequence_; }
  // Replaces the file by one that holds `entries`, durably. Forgets what was added and not written.
  // On STORAGE_FULL all is as before.
  absl::Status Rewrite(const std::vector<std::string>& entries);

  // Notes an entry for the next frame. REQUIRES: entry.size() < 65536.
  void Add(Slice entry);
  // Entries that no finished frame holds.
  bool has_pending() const { return !pending_.empty(); }

  // Makes the frame of all that was added; `write` refers to memory of this object until Finish. It
  // takes the place of one that was begun and not finished, because its write found no room.
  // REQUIRES: Rewrite was called; has_pending().
  absl::Status Begin(FileWrite* write);
  // The frame is durable.
  void Finish();
  // Begin, write, sync, Finish. OK if nothing is pending.
  absl::Status Flush();

  bool grown() const { return size_ > bytes_max_ && size_ > 4 * rewritten_size_; }

 private:
  // Writes a whole new file, and gives it the journal's name. After an error the old one has it.
  // What is returned is open already: to open it could fail, and there is no way back.
  absl::StatusOr<std::unique_ptr<File>> PutInPlace(Slice contents);
  // Room for the frame, ahead of the write.
  absl::Status Allocate();

  FileSystem* const files_;
  const std::string path_;
  const JournalKind kind_;
  const uint64_t bytes_max_;
  std::unique_ptr<File> file_;
  uint64_t size_ = 0;
  uint64_t allocated_ = 0;
  uint64_t rewritten_size_ = 0;
  uint64_t sequence_ = 0;
  std::string pending_;
  // The frame under way, which holds the first so many bytes of pending_.
  std::string frame_;
  size_t framed_ = 0;
};

}  // namespace millrace::storage

#endif  // STORAGE_JOURNAL_H_
