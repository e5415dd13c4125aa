// SegmentScan: reads a whole segment and learns everything that is derived from its batches: where
// it ends, its indexes, its latest time, and on the way the epochs and producers of the log.
//
// Recovery and truncation use it; IndexBuilder is also what the live append path feeds, so that an
// index made while appending and one rebuilt later are the same bytes.
//
// Thread: the disk executor (blocks); IndexBuilder is a value.
#ifndef STORAGE_SEGMENT_SCAN_H_
#define STORAGE_SEGMENT_SCAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "record/batch_view.h"
#include "storage/epoch_cache.h"
#include "storage/producer_state.h"

namespace millrace::storage {

// Decides which batches get index entries, as Kafka does.
class IndexBuilder {
 public:
  IndexBuilder() = default;
  IndexBuilder(Offset base_offset, int64_t interval_bytes)
      : base_offset_(base_offset), interval_bytes_(interval_bytes) {}

  // All that it knows, so that a scan can go on where another ended.
  struct State {
    int64_t bytes_since_entry = 0;
    int64_t max_timestamp_ms = record::kNoTimestamp;
    // The last offset of the batch that has it.
    Offset max_timestamp_at;
    int64_t last_time_entry_ms = record::kNoTimestamp;

    friend bool operator==(const State&, const State&) = default;
  };
  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

  void set_interval_bytes(int64_t bytes) { interval_bytes_ = bytes; }
  // A batch appended at `position`: adds its entries, if any, to the encoded indexes.
  void Add(const record::BatchView& batch, uint64_t position, std::string* offsets,
           std::string* times);
  // The segment is complete, or its log closed: the latest time gets its entry.
  void Finish(std::string* times);

  // kNoTimestamp if no record has one.
  int64_t max_timestamp_ms() const { return state_.max_timestamp_ms; }

 private:
  void AddTime(std::string* times);

  Offset base_offset_;
  int64_t interval_bytes_ = 4096;
  State state_;
};

// A batch boundary in a segment, and what a scan knew there: where another may begin.
struct RecoveryPoint {
  Offset segment_base;
  Offset offset;
  // Where the batch of that offset goes, and where the one before it begins.
  uint64_t position = 0;
  uint64_t last_batch = 0;
  // How much of the index files is of the batches below.
  uint64_t offset_index_bytes = 0;
  uint64_t time_index_bytes = 0;
  IndexBuilder::State index;
  int64_t first_timestamp_ms = record::kNoTimestamp;

  friend bool operator==(const RecoveryPoint&, const RecoveryPoint&) = default;
};

struct SegmentScanOptions {
  Offset base_offset;
  int64_t index_interval_bytes = 4096;
  // Stop before the batch that begins here or later.
  std::optional<Offset> stop_at;
  // Begin here instead of at the beginning, if the batch before the point proves it; the indexes
  // as of the point.
  const RecoveryPoint* from = nullptr;
  std::string from_offset_index;
  std::string from_time_index;
  // Told of every batch, if not null. Batches below their start offsets are not applied.
  EpochCache* epochs = nullptr;
  Offset epochs_from;
  ProducerState* producers = nullptr;
  Offset producers_from;
  // What the sync journal says of the epochs of batches below `vouched_to`; null: nothing.
  const EpochCache* vouched = nullptr;
  Offset vouched_to;
  // Nor does it speak of what is deleted.
  Offset log_start;
};

struct SegmentScan {
  // After the last valid batch: its end, as offset and as position in the file.
  Offset end_offset;
  uint64_t size = 0;
  // Where the last valid batch begins.
  uint64_t last_batch = 0;
  // options.from did not fit, and nothing else here counts.
  bool from_is_wrong = false;
  // Of the file.
  uint64_t file_size = 0;
  // Why the scan ended before the end of the file, unless what follows is zero-filled room.
  absl::Status damage;
  std::string offset_index;
  // Without the entry of Finish.
  std::string time_index;
  IndexBuilder builder;
  // The first batch's latest time, for the segment's age; kNoTimestamp if unknown.
  int64_t first_timestamp_ms = record::kNoTimestamp;
};

// Errors: those of reading. Damage is a result, not an error; epochs that fall are damage (S-13).
absl::StatusOr<SegmentScan> ScanSegment(const File& log, const SegmentScanOptions& options);

// Makes the index files of a segment hold exactly this, unless they do. With `finished`, the time
// index ends with the entry of Finish; without, it may or may not. Not synced: indexes are hints.
absl::Status WriteIndexes(FileSystem& files, const std::string& directory, Offset base_offset,
                          SegmentScan* scan, bool finished);

}  // namespace millrace::storage

#endif  // STORAGE_SEGMENT_SCAN_H_
