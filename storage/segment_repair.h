// SegmentRepair: makes a whole copy of a damaged segment beside it. What is good is taken over;
// where something is not, whoever repairs is asked for the batches that belong there.
//
// Good is a batch that passes its checksum, abuts on the one before, and has the leader epoch that
// the log knows of its offset (S-24). A hole goes on from the first that is not good to the next
// batch that the offset index names and that proves true, or else to the segment's end. What fills
// it must be good as well, end where the hole ends, and be as long as what it replaces: replicas
// are equal byte for byte (S-22).
//
// What was deleted nobody needs to have: an empty batch takes its place, so that what reads the
// file from its beginning finds the offsets without a gap.
//
// Made by Log::BeginRepair; put in the segment's place by Log::FinishRepair. A crash before that
// leaves the damaged segment, and a file that the next start removes. Not here: whom to ask
// (broker/segment_mender.h).
//
// Thread: one at a time; blocks, so on the cold-read pool.
#ifndef STORAGE_SEGMENT_REPAIR_H_
#define STORAGE_SEGMENT_REPAIR_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "storage/batch_cursor.h"
#include "storage/epoch_cache.h"
#include "storage/segment.h"
#include "storage/segment_scan.h"

namespace millrace::storage {

class SegmentRepair {
 public:
  struct Options {
    // What lies below is deleted.
    Offset log_start;
    // Where the segment ends; it must be written so far, and be appended to no more.
    Offset end_offset;
    // What the log says of the epochs of its batches.
    EpochCache epochs;
    int64_t index_interval_bytes = 4096;
    // Of the log, when it was decided.
    uint64_t generation = 0;
  };
  enum class Step {
    kMore,   // Call Continue again.
    kHole,   // Batches of [hole_from(), hole_to()) are missing, [wanted_from(), ...) wanted: Fill.
    kWhole,  // All of it is in the copy, which is synced.
  };

  SegmentRepair(FileSystem* files, std::shared_ptr<const Segment> segment, Options options);

  // Takes over about `bytes_max` of what is good. REQUIRES: the last step was kMore, or there was
  // none. Errors: OFFSET_NOT_AVAILABLE if the log was cut or has gone since; those of the files.
  absl::StatusOr<Step> Continue(uint64_t bytes_max);
  // Whole batches from hole_from() on, or that of wanted_from(); to the end of the hole, or a part
  // of them: then both move. REQUIRES: the last step was kHole. Errors: CORRUPT_MESSAGE if they do
  // not belong there, and the whole hole is to be filled again; those of the files.
  absl::StatusOr<Step> Fill(Slice batches);
  // Removes the copy. Nothing may follow.
  void Abandon();

  // What is left of the hole; and where the damage began, whatever was filled in since.
  Offset hole_from() const { return scan_.end_offset; }
  Offset wanted_from() const { return std::max(hole_from(), options_.log_start); }
  Offset hole_began() const { return mark_.end_offset; }
  Offset hole_to() const { return hole_to_; }
  // What was wrong where the last hole begins.
  const absl::Status& damage() const { return damage_; }
  // Holes that were filled, and their bytes. None: nothing is wrong with the segment.
  int64_t filled_ranges() const { return filled_ranges_; }
  int64_t filled_bytes() const { return filled_bytes_; }

  const std::shared_ptr<const Segment>& segment() const { return segment_; }
  Offset end_offset() const { return options_.end_offset; }
  uint64_t generation() const { return options_.generation; }
  // Of the copy. REQUIRES: the last step was kWhole.
  uint64_t size_bytes() const { return scan_.size; }

  // Puts the copy in the segment's place, durably, and makes its indexes fit. May be called again
  // after STORAGE_FULL. REQUIRES: the last step was kWhole, and nobody else changes the directory.
  absl::Status PutInPlace();

 private:
  // Where the copy, and what is derived of it, stood when a hole began.
  struct Mark {
    Offset end_offset;
    uint64_t size = 0;
    size_t offset_index_bytes = 0;
    size_t time_index_bytes = 0;
    IndexBuilder builder;
  };

  std::string CopyPath() const;
  absl::Status CheckStillThere() const;
  absl::Status Open();
  // Why a batch cannot be the next one.
  absl::Status CheckNext(const record::BatchView& batch) const;
  absl::Status Take(const record::BatchView& batch);
  // An empty batch up to `to`, before one of `epoch`, which it has too. REQUIRES: it is all
  // deleted.
  absl::Status TakeDeleted(Offset to, LeaderEpoch epoch);
  absl::StatusOr<Step> EndHole();
  absl::Status Flush();
  absl::StatusOr<Step> BeginHole(uint64_t position, const absl::Status& damage);
  // The next good batch that the index names behind `position`: its position and first offset.
  struct Anchor {
    uint64_t position = 0;
    Offset offset;
    LeaderEpoch epoch;
  };
  absl::StatusOr<std::optional<Anchor>> NextAnchor(uint64_t position) const;
  void ReturnToMark();
  absl::StatusOr<Step> Finish();

  FileSystem* const files_;
  const std::shared_ptr<const Segment> segment_;
  const Options options_;
  const uint64_t truncations_;
  std::unique_ptr<File> damaged_;
  uint64_t damaged_size_ = 0;
  std::unique_ptr<File> copy_;
  // Over what is left of the damaged file.
  std::optional<BatchCursor> cursor_;
  // Of the copy as far as it goes.
  SegmentScan scan_;
  // Its last bytes, which are not written yet.
  std::string unwritten_;
  Offset hole_to_;
  // How many bytes the hole has; nullopt: to the end of the file.
  std::optional<uint64_t> hole_bytes_;
  uint64_t after_hole_ = 0;
  // Some of the hole is deleted, and need not be as long as it was.
  bool shortened_ = false;
  Mark mark_;
  absl::Status damage_;
  int64_t filled_ranges_ = 0;
  int64_t filled_bytes_ = 0;
};

}  // namespace millrace::storage

#endif  // STORAGE_SEGMENT_REPAIR_H_
