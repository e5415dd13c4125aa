// The epoch checkpoint: a partition's leader epochs in a file, so that opening a log need not read
// all its batches. A hint (S-13): it says up to which offset it holds, and what it does not cover,
// or a damaged one, is learned from the batches.
//
// Format: checked text (checked_text.h), kind "epochs": a line with the offset covered, then one
// line "<epoch> <start offset>" per entry. docs/formats/epoch_checkpoint.md.
//
// Thread: any (pure functions).
#ifndef STORAGE_EPOCH_CHECKPOINT_H_
#define STORAGE_EPOCH_CHECKPOINT_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "storage/epoch_cache.h"

namespace millrace::storage {

struct EpochCheckpoint {
  EpochCache epochs;
  // All batches below it are accounted for.
  Offset covers_to;
};

std::string EncodeEpochCheckpoint(const EpochCache& epochs, Offset covers_to);
// Errors: those of DecodeCheckedText; CORRUPT_LOG if an entry makes no sense.
absl::StatusOr<EpochCheckpoint> DecodeEpochCheckpoint(Slice contents, absl::string_view path);

}  // namespace millrace::storage

#endif  // STORAGE_EPOCH_CHECKPOINT_H_
