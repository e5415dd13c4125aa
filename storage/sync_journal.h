// SyncJournal: up to which offset each log of the directory was synced (S-08), so that recovery can
// tell damage below that mark (corruption) from a torn tail beyond it.
//
// Round N+1 of group commit also writes and syncs the durable ends of round N; a lone seal follows
// within 20 ms when the directory is idle. No acknowledgement waits for it. The mark is lowered,
// durably, before a truncation.
//
// Entries: {u8 1, u32 number, i64 end}: synced up to end (the last one counts);
// {u8 2, u32 number}: forget the log. docs/formats/sync_journal.md.
//
// Thread: the disk executor.
#ifndef STORAGE_SYNC_JOURNAL_H_
#define STORAGE_SYNC_JOURNAL_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "storage/journal.h"

namespace millrace::storage {

class SyncJournal {
 public:
  SyncJournal(FileSystem* files, const std::string& path, uint64_t bytes_max)
      : files_(files), path_(path), journal_(files, path, JournalKind::kSync, bytes_max) {}

  // Reads what an earlier process left. Damage in the middle costs the marks in it, and is told by
  // damaged(); the marks elsewhere stand. Errors: those of ReadJournal.
  absl::Status Load();
  bool damaged() const { return damaged_; }
  bool found() const { return found_; }

  // Replaces the file by the marks of now. REQUIRED before anything is written.
  absl::Status Rewrite();

  // For the next frame.
  void SetDurable(uint32_t number, Offset end);
  // Lowers the mark of a log to `to` if it is higher, and makes that durable. Blocks.
  absl::Status Lower(uint32_t number, Offset to);
  // In the next frame, if there is a mark.
  void Forget(uint32_t number);

  // Of logs that have one. What is not flushed yet is included.
  const std::map<uint32_t, Offset>& marks() const { return marks_; }

  bool has_pending() const { return !dirty_.empty() || journal_.has_pending(); }
  absl::Status Begin(FileWrite* write);
  void Finish() { journal_.Finish(); }
  absl::Status Flush();
  bool grown() const { return journal_.grown(); }

 private:
  void AddDirty();

  FileSystem* const files_;
  const std::string path_;
  Journal journal_;
  std::map<uint32_t, Offset> marks_;
  // Changed since the last frame.
  std::map<uint32_t, Offset> dirty_;
  bool damaged_ = false;
  bool found_ = false;
};

}  // namespace millrace::storage

#endif  // STORAGE_SYNC_JOURNAL_H_
