// BatchCursor: walks the batches of a segment file from a position, verifying each as it comes:
// checksum and structure of every batch, and that each begins at the offset where the one before
// it ended.
//
// Used by recovery, truncation and lookups by time. It reads ahead in chunks; batches are borrowed
// until the next step.
//
// Thread: one at a time; blocks.
#ifndef STORAGE_BATCH_CURSOR_H_
#define STORAGE_BATCH_CURSOR_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "record/batch_view.h"

namespace millrace::storage {

// No batch is larger: index positions and batch lengths are int32.
inline constexpr uint64_t kBatchBytesMax = (uint64_t{1} << 31) - 1;

class BatchCursor {
 public:
  enum class Step {
    kBatch,
    kEnd,      // Exactly at the end of the file (or of what was to be read).
    kDamaged,  // No valid batch here: damage(), which may also be room allocated ahead.
  };

  // From `position`; bytes at or beyond `end` are not looked at. `expected`: where the first batch
  // must begin; nullopt: anywhere.
  BatchCursor(const File& file, uint64_t position, uint64_t end, std::optional<Offset> expected,
              size_t chunk_bytes = 256 << 10)
      : file_(file),
        position_(position),
        next_(position),
        end_(end),
        expected_(expected),
        chunk_bytes_(chunk_bytes) {}

  // Errors: those of reading the file.
  absl::StatusOr<Step> Next();

  // Of the last step that was kBatch.
  const record::BatchView& batch() const { return *batch_; }
  // Where the last batch, or the damage, begins.
  uint64_t position() const { return position_; }
  // Where the batch after it begins.
  uint64_t next_position() const { return next_; }
  const absl::Status& damage() const { return damage_; }

 private:
  // Makes sure that `size` bytes from next_ are in the buffer; false: the file ends before.
  absl::StatusOr<bool> Fill(uint64_t size);
  Slice Buffered() const;
  Step Damaged(absl::Status why);

  const File& file_;
  uint64_t position_;
  uint64_t next_;
  const uint64_t end_;
  std::optional<Offset> expected_;
  const size_t chunk_bytes_;
  // Bytes of the file from buffer_at_.
  std::vector<char> buffer_;
  uint64_t buffer_at_ = 0;
  std::optional<record::BatchView> batch_;
  absl::Status damage_;
};

// Whether all bytes of [from, end) are zero: room allocated ahead of the append.
absl::StatusOr<bool> IsZeroFilled(const File& file, uint64_t from, uint64_t end);

}  // namespace millrace::storage

#endif  // STORAGE_BATCH_CURSOR_H_
