#include "storage/leftovers.h"

#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "base/mutant.h"
#include "base/status.h"
#include "storage/file_names.h"
#include "storage/partition_metadata.h"

namespace millrace::storage {
namespace {

std::string NameOf(const ReplicaRecord& replica) {
  return PartitionName(replica.topic_name, replica.topic_partition.partition);
}

}  // namespace

absl::StatusOr<bool> HoldsDeleted(FileSystem& files, const std::string& path,
                                  const ReplicaRecord& deleted,
                                  const PartitionsJournal& partitions) {
  // Made again since: it came back to this broker, and what is there is what it has now.
  const bool again = partitions.Find(deleted.topic_partition) != nullptr;
  if (again && !MUTANT("storage.deletion-finished-on-what-came-back")) return false;
  const std::string directory = JoinPath(path, NameOf(deleted));
  ASSIGN_OR_RETURN(const bool exists, files.Exists(directory));
  if (!exists) return false;
  ASSIGN_OR_RETURN(const std::optional<TopicId> id, ReadTopicIdOf(files, directory));
  if (id.has_value()) return *id == deleted.topic_partition.topic_id;
  // It cannot say. A successor has data only after the old directory was renamed, durably.
  const ReplicaRecord* const successor = partitions.FindByName(NameOf(deleted));
  return successor == nullptr || !successor->has_data;
}

absl::Status RemoveLeftovers(FileSystem& files, const std::string& path,
                             const PartitionsJournal& partitions) {
  ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.ListDirectory(path));
  for (const DirectoryEntry& entry : entries) {
    if (entry.is_directory && absl::EndsWith(entry.name, kDeletedDirectorySuffix)) {
      RETURN_IF_ERROR(RemoveTree(files, JoinPath(path, entry.name)));
    }
    if (!entry.is_directory && absl::EndsWith(entry.name, ".tmp")) {
      RETURN_IF_ERROR(files.RemoveFile(JoinPath(path, entry.name)));
    }
  }
  for (const ReplicaRecord& replica : partitions.deleted()) {
    ASSIGN_OR_RETURN(const bool own, HoldsDeleted(files, path, replica, partitions));
    if (own) RETURN_IF_ERROR(RemoveTree(files, JoinPath(path, NameOf(replica))));
  }
  for (const auto& [number, replica] : partitions.replicas()) {
    if (!replica.stray) continue;
    const std::string directory = JoinPath(path, NameOf(replica));
    ASSIGN_OR_RETURN(const bool exists, files.Exists(directory));
    if (!exists) continue;
    // A later topic of that name must not find its files. Nothing is done on a guess.
    ASSIGN_OR_RETURN(const std::optional<TopicId> id, ReadTopicIdOf(files, directory));
    if (id != replica.topic_partition.topic_id) continue;
    RETURN_IF_ERROR(files.Rename(
        directory, JoinPath(path, AsideName(replica.topic_name, replica.topic_partition,
                                            kStrayDirectorySuffix))));
  }
  // Before the journal forgets that they were deleted.
  return files.SyncDirectory(path);
}

}  // namespace millrace::storage
