// SyncJournal: up to which offset each log of the directory was synced (S-08), so that recovery can
// tell damage below that mark (corruption) from a torn tail beyond it.
//
// Round N+1 of group commit also writes and syncs the durable ends of round N; a lone seal follows
// within 20 ms when the directory is idle. No acknowledgement of round N waits for it. The mark is
// lowered, durably, before a truncation.
//
// The number 0 stands for the partitions journal: its mark is the sequence of the last frame synced
// there, so that damage to that frame is not taken for one that was never finished.
//
// The frame that goes with a round, synced beside its data, also says where that round ends
// (RoundEnd). The next round's first write follows these syncs, so if its bytes are there, damage
// before them is no torn tail, even if the frame that would have raised the mark was lost with the
// power.
//
// Entries: {u8 1, u32 number, i64 end}: synced up to end (the last one counts);
// {u8 2, u32 number}: forget the log; {u8 3, u32 number, i32 epoch, i64 start}: of the batches that
// were synced, those from `start` on carry `epoch`, which no checksum covers (S-24). An end that is
// lower than the one before also takes back the epochs that begin there or later. {u8 4, u32
// number, i64 segment, u64 position, i64 end}: the round of this frame ends there; void as soon as
// an entry of type 1 or 2 follows for the log. docs/formats/sync_journal.md.
//
// Thread: the disk executor.
#ifndef STORAGE_SYNC_JOURNAL_H_
#define STORAGE_SYNC_JOURNAL_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "storage/epoch_cache.h"
#include "storage/journal.h"

namespace millrace::storage {

// Where a round that appends to a log ends: in which segment, at which position, at which offset.
struct RoundEnd {
  Offset segment_base;
  uint64_t position = 0;
  Offset end;

  friend bool operator==(const RoundEnd&, const RoundEnd&) = default;
};

class SyncJournal {
 public:
  static constexpr uint32_t kPartitionsJournal = 0;

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
  // Batches of the log from `start` on, which are synced, carry this epoch. In the next frame.
  void AddEpoch(uint32_t number, const EpochEntry& entry);
  // The round of the next frame will end there. Behind the ends of earlier rounds. Nothing is added
  // for a round that is written again because it found no room: it would be added 5 times a second
  // for as long as the disk is full.
  void SetRoundEnd(uint32_t number, const RoundEnd& round);
  void SetEpochs(uint32_t number, const EpochCache& epochs) { epochs_[number] = epochs; }
  // Lowers the mark of a log to `to` if it is higher, and makes that durable. After STORAGE_FULL it
  // is to be called again. Blocks.
  absl::Status Lower(uint32_t number, Offset to);
  // In the next frame, if there is a mark.
  void Forget(uint32_t number);
  // Forgets the logs of which `keep` is false.
  void KeepIf(absl::FunctionRef<bool(uint32_t)> keep);

  // Of logs that have one. What is not flushed yet is included.
  const std::map<uint32_t, Offset>& marks() const { return marks_; }

  // Null if nothing is known of the log.
  const EpochCache* epochs(uint32_t number) const {
    const auto found = epochs_.find(number);
    return found == epochs_.end() ? nullptr : &found->second;
  }

  // Of logs whose last round was never vouched for, as Load found them.
  const RoundEnd* round_end(uint32_t number) const {
    const auto found = round_ends_.find(number);
    return found == round_ends_.end() ? nullptr : &found->second;
  }

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
  // Of logs that have a mark: what is vouched for below it.
  std::map<uint32_t, EpochCache> epochs_;
  // As Load found them.
  std::map<uint32_t, RoundEnd> round_ends_;
  // Those of this process that the file holds, or the next frame, and nothing has made void.
  std::map<uint32_t, RoundEnd> told_round_ends_;
  // Changed since the last frame.
  std::map<uint32_t, Offset> dirty_;
  bool damaged_ = false;
  bool found_ = false;
};

}  // namespace millrace::storage

#endif  // STORAGE_SYNC_JOURNAL_H_
