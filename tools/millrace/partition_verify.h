// PartitionVerify: the directory of one partition of a stopped server: its segments one after the
// other, and what the files beside them say of the batches: epoch checkpoint, producer snapshots,
// partition.metadata.
//
// Thread: main; blocks.
#ifndef TOOLS_MILLRACE_PARTITION_VERIFY_H_
#define TOOLS_MILLRACE_PARTITION_VERIFY_H_

#include <optional>
#include <string>

#include "base/file_system.h"
#include "base/ids.h"
#include "storage/epoch_cache.h"
#include "storage/partitions_journal.h"
#include "tools/millrace/verify_report.h"

namespace millrace::tools {

// What the log directory says of a partition; nothing, for a directory that stands alone.
struct PartitionFacts {
  std::optional<storage::ReplicaRecord> replica;
  // Batches below were synced: the sync journal's mark, or the clean-shutdown file's end.
  std::optional<Offset> synced_to;
  // The leader epochs of batches below the mark; null: not known. Outlives the call.
  const storage::EpochCache* vouched_epochs = nullptr;
  Offset vouched_to;
  // The recovery point's offset.
  std::optional<Offset> recovery_point;
};

struct VerifyOptions {
  // Decode the records too, not only their checksum.
  bool records = false;
};

// Adds what is wrong in `directory` to the report. Files that cannot be read are damage.
void VerifyPartition(FileSystem& files, const std::string& directory, const PartitionFacts& facts,
                     const VerifyOptions& options, VerifyReport* report);

// Whether a directory with these entries is a partition's: it holds a segment.
bool HoldsSegments(const std::vector<DirectoryEntry>& entries);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_PARTITION_VERIFY_H_
