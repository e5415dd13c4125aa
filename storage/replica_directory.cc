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

}  // namespace

absl::Status RemoveReplicaDirectory(FileSystem& files, const std::string& path,
                                    const ReplicaRecord& replica) {
  const std::string from =
      replica.stray ? AsidePath(path, replica, kStrayDirectorySuffix) : OwnPath(path, replica);
  ASSIGN_OR_RETURN(const bool exists, files.Exists(from));
  if (!exists) return absl::OkStatus();
  // Aside, so that a topic of the same name can be made at once.
  const std::string aside = AsidePath(path, replica, kDeletedDirectorySuffix);
  RETURN_IF_ERROR(files.Rename(from, aside));
  RETURN_IF_ERROR(files.SyncDirectory(path));
  return RemoveTree(files, aside);
}

absl::Status SetReplicaDirectoryAside(FileSystem& files, const std::string& path,
                                      const ReplicaRecord& replica) {
  const std::string own = OwnPath(path, replica);
  ASSIGN_OR_RETURN(const bool exists, files.Exists(own));
  if (!exists) return absl::OkStatus();
  RETURN_IF_ERROR(files.Rename(own, AsidePath(path, replica, kStrayDirectorySuffix)));
  return files.SyncDirectory(path);
}

absl::Status TakeReplicaDirectoryBack(FileSystem& files, const std::string& path,
                                      const ReplicaRecord& replica) {
  const std::string aside = AsidePath(path, replica, kStrayDirectorySuffix);
  ASSIGN_OR_RETURN(const bool exists, files.Exists(aside));
  if (!exists) return absl::OkStatus();
  const std::string own = OwnPath(path, replica);
  ASSIGN_OR_RETURN(const bool taken, files.Exists(own));
  if (taken) {
    return MakeError(ErrorCode::kInvalidDirectory,
                     absl::StrCat("'", aside, "' cannot be taken back: '", own,
                                  "' is there, and no replica is known to be in it; move it away"),
                     {.name = own});
  }
  RETURN_IF_ERROR(files.Rename(aside, own));
  return files.SyncDirectory(path);
}

std::shared_ptr<LogFilesIdentity> IdentityOf(const std::string& path,
                                             const ReplicaRecord& replica) {
  auto identity = std::make_shared<LogFilesIdentity>();
  identity->name = PartitionName(replica.topic_name, replica.topic_partition.partition);
  identity->directory = OwnPath(path, replica);
  return identity;
}

}  // namespace millrace::storage
