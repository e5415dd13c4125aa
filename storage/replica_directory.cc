#include "storage/replica_directory.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "storage/file_names.h"

namespace millrace::storage {
namespace {

std::string OwnPath(const std::string& path, const ReplicaRecord& replica) {
  return JoinPath(path, PartitionName(replica.topic_name, replica.topic_partition.partition));
}

std::string AsidePath(const std::string& path, const ReplicaRecord& replica,
                      absl::string_view suffix) {
  return JoinPath(path, AsideName(replica.topic_name, replica.topic_partition, suffix));
}

// Also what a call before this one has begun, and found no room for the rest. False: there is
// nothing to move, nor was there.
absl::StatusOr<bool> Move(FileSystem& files, const std::string& path, const std::string& from,
                          const std::string& to) {
  ASSIGN_OR_RETURN(const bool exists, files.Exists(from));
  if (exists) {
    RETURN_IF_ERROR(files.Rename(from, to));
  } else {
    ASSIGN_OR_RETURN(const bool begun, files.Exists(to));
    if (!begun) return false;
  }
  RETURN_IF_ERROR(files.SyncDirectory(path));
  return true;
}

}  // namespace

absl::Status RemoveReplicaDirectory(FileSystem& files, const std::string& path,
                                    const ReplicaRecord& replica) {
  const std::string from =
      replica.stray ? AsidePath(path, replica, kStrayDirectorySuffix) : OwnPath(path, replica);
  // Aside, so that a topic of the same name can be made at once.
  const std::string aside = AsidePath(path, replica, kDeletedDirectorySuffix);
  ASSIGN_OR_RETURN(const bool moved, Move(files, path, from, aside));
  return moved ? RemoveTree(files, aside) : absl::OkStatus();
}

absl::Status SetReplicaDirectoryAside(FileSystem& files, const std::string& path,
                                      const ReplicaRecord& replica) {
  return Move(files, path, OwnPath(path, replica), AsidePath(path, replica, kStrayDirectorySuffix))
      .status();
}

absl::Status TakeReplicaDirectoryBack(FileSystem& files, const std::string& path,
                                      const ReplicaRecord& replica) {
  const std::string aside = AsidePath(path, replica, kStrayDirectorySuffix);
  ASSIGN_OR_RETURN(const bool exists, files.Exists(aside));
  const std::string own = OwnPath(path, replica);
  ASSIGN_OR_RETURN(const bool taken, files.Exists(own));
  if (exists && taken) {
    return MakeError(ErrorCode::kInvalidDirectory,
                     absl::StrCat("'", aside, "' cannot be taken back: '", own,
                                  "' is there, and no replica is known to be in it; move it away"),
                     {.name = own});
  }
  return Move(files, path, aside, own).status();
}

std::shared_ptr<LogFilesIdentity> IdentityOf(const std::string& path,
                                             const ReplicaRecord& replica) {
  auto identity = std::make_shared<LogFilesIdentity>();
  identity->name = PartitionName(replica.topic_name, replica.topic_partition.partition);
  identity->directory = OwnPath(path, replica);
  return identity;
}

}  // namespace millrace::storage
