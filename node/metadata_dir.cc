#include "node/metadata_dir.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "storage/checked_text.h"
#include "storage/dir_identity.h"

namespace millrace::node {
namespace {

constexpr char kPropertiesKind[] = "metadata-meta.properties";
constexpr char kCounterKind[] = "start-counter";
constexpr char kProperties[] = "meta.properties";
constexpr uint64_t kBytesMax = 64 << 10;

absl::Status Foreign(const std::string& path, absl::string_view why) {
  return MakeError(ErrorCode::kInvalidDirectory,
                   absl::StrCat("metadata directory '", path, "': ", why,
                                "; give another --data-dir or metadata.log.dir"),
                   {.name = "metadata.log.dir", .value = path});
}

absl::StatusOr<std::map<std::string, std::string>> ReadProperties(FileSystem& files,
                                                                  const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(files, path, kBytesMax));
  ASSIGN_OR_RETURN(const std::vector<std::string> lines,
                   storage::DecodeCheckedText(kPropertiesKind, text, path));
  std::map<std::string, std::string> properties;
  for (const std::string& line : lines) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (parts.size() == 2) properties[parts[0]] = parts[1];
  }
  return properties;
}

// Whether a metadata directory says which cluster it belongs to.
absl::StatusOr<bool> HasCluster(FileSystem& files, const std::string& metadata_path) {
  const std::string path = JoinPath(metadata_path, kProperties);
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) return false;
  ASSIGN_OR_RETURN(auto properties, ReadProperties(files, path));
  return !properties["cluster.id"].empty();
}

// A log directory and whose it is.
struct OwnedLogDir {
  std::string path;
  ClusterId cluster;
};

// The first log directory that belongs to a cluster, unless the metadata directory does too.
absl::StatusOr<std::optional<OwnedLogDir>> FindOrphan(FileSystem& files,
                                                      const std::string& metadata_path,
                                                      const std::vector<std::string>& log_dirs) {
  const absl::StatusOr<bool> has_cluster = HasCluster(files, metadata_path);
  // What cannot be read is refused, by its name, when the directory is opened.
  if (!has_cluster.ok() || *has_cluster) return std::nullopt;
  for (const std::string& log_dir : log_dirs) {
    const std::string path = JoinPath(log_dir, kProperties);
    ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
    if (!exists) continue;
    ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(files, path, kBytesMax));
    ASSIGN_OR_RETURN(const storage::DirIdentity owner, storage::DecodeDirIdentity(text, path));
    return OwnedLogDir{log_dir, owner.cluster_id};
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<ClusterId> ClusterToJoin(FileSystem& files, const std::string& metadata_path,
                                        const std::vector<std::string>& log_dirs) {
  ASSIGN_OR_RETURN(const std::optional<OwnedLogDir> orphan,
                   FindOrphan(files, metadata_path, log_dirs));
  return orphan.has_value() ? orphan->cluster : ClusterId();
}

absl::Status CheckFounding(FileSystem& files, const std::string& metadata_path,
                           const std::vector<std::string>& log_dirs) {
  ASSIGN_OR_RETURN(const std::optional<OwnedLogDir> orphan,
                   FindOrphan(files, metadata_path, log_dirs));
  if (!orphan.has_value()) return absl::OkStatus();
  return MakeError(
      ErrorCode::kInconsistentClusterId,
      absl::StrCat("log directory '", orphan->path, "' belongs to cluster ",
                   orphan->cluster.ToString(), ", but metadata directory '", metadata_path,
                   "' belongs to none yet, and a new cluster would not know the records; "
                   "give the cluster's own metadata.log.dir, or log.dirs that are empty"),
      {.name = "metadata.log.dir", .value = metadata_path});
}

absl::Status CreateDirectories(FileSystem& files, const std::string& path) {
  if (path.empty() || path == "." || path == "/") return absl::OkStatus();
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  const std::string parent = ParentPath(path);
  if (!exists) RETURN_IF_ERROR(CreateDirectories(files, parent));
  // Also where it exists: the call says so if it is no directory.
  RETURN_IF_ERROR(files.CreateDirectory(path));
  return exists ? absl::OkStatus() : files.SyncDirectory(parent);
}

absl::StatusOr<std::unique_ptr<MetadataDir>> MetadataDir::Open(FileSystem* files, std::string path,
                                                               NodeId node_id, Random* random) {
  auto dir = std::unique_ptr<MetadataDir>(new MetadataDir(files, std::move(path), node_id));
  RETURN_IF_ERROR(CreateDirectories(*files, dir->path_));
  ASSIGN_OR_RETURN(dir->lock_, files->Lock(JoinPath(dir->path_, "lock")));
  RETURN_IF_ERROR(dir->ReadOrCreateProperties(random));
  RETURN_IF_ERROR(dir->CountStart());
  return dir;
}

absl::StatusOr<std::unique_ptr<MetadataDir>> MetadataDir::OpenExisting(FileSystem* files,
                                                                       std::string path) {
  const std::string properties_path = JoinPath(path, kProperties);
  ASSIGN_OR_RETURN(const bool exists, files->Exists(properties_path));
  if (!exists) {
    return MakeError(
        ErrorCode::kInvalidDirectory,
        absl::StrCat("'", path, "' is no metadata directory: it has no meta.properties"),
        {.name = "metadata.log.dir", .value = path});
  }
  ASSIGN_OR_RETURN(auto properties, ReadProperties(*files, properties_path));
  int32_t node = -1;
  if (!absl::SimpleAtoi(properties["node.id"], &node) || node < 0) {
    return Foreign(path, "its meta.properties names no node");
  }
  // The node is the one it names, so nothing is drawn.
  return Open(files, std::move(path), NodeId(node), /*random=*/nullptr);
}

absl::Status MetadataDir::ReadOrCreateProperties(Random* random) {
  ASSIGN_OR_RETURN(const bool exists, files_->Exists(properties_path()));
  if (!exists) {
    ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files_->ListDirectory(path_));
    for (const DirectoryEntry& entry : entries) {
      // The lock is ours; a temporary file is what a crash in WriteProperties leaves.
      if (entry.name == "lock" || entry.name.rfind("meta.properties", 0) == 0) continue;
      return Foreign(path_, absl::StrCat("it has no meta.properties but holds '", entry.name, "'"));
    }
    is_new_ = true;
    directory_id_ = DirectoryId::Draw(*random);
    return WriteProperties();
  }
  ASSIGN_OR_RETURN(auto properties, ReadProperties(*files_, properties_path()));
  if (properties["node.id"] != absl::StrCat(node_id_.value())) {
    return MakeError(ErrorCode::kInconsistentNodeId,
                     absl::StrCat("metadata directory '", path_, "' belongs to node ",
                                  properties["node.id"], ", but this process is node ",
                                  node_id_.value(), "; set node.id or give another directory"),
                     {.name = "node.id", .value = properties["node.id"]});
  }
  ASSIGN_OR_RETURN(directory_id_, DirectoryId::FromString(properties["directory.id"]));
  if (!properties["cluster.id"].empty()) {
    ASSIGN_OR_RETURN(cluster_id_, ClusterId::FromString(properties["cluster.id"]));
  }
  return absl::OkStatus();
}

absl::Status MetadataDir::WriteProperties() {
  std::vector<std::string> lines = {absl::StrCat("node.id=", node_id_.value()),
                                    absl::StrCat("directory.id=", directory_id_.ToString())};
  if (!cluster_id_.is_zero()) lines.push_back(absl::StrCat("cluster.id=", cluster_id_.ToString()));
  return ReplaceFile(*files_, properties_path(),
                     storage::EncodeCheckedText(kPropertiesKind, lines));
}

absl::Status MetadataDir::SetClusterId(ClusterId cluster_id) {
  if (cluster_id == cluster_id_) return absl::OkStatus();
  if (!cluster_id_.is_zero()) {
    return MakeError(ErrorCode::kInconsistentClusterId,
                     absl::StrCat("metadata directory '", path_, "' belongs to cluster ",
                                  cluster_id_.ToString(), ", not to ", cluster_id.ToString()),
                     {.name = "cluster.id", .value = cluster_id_.ToString()});
  }
  cluster_id_ = cluster_id;
  return WriteProperties();
}

absl::Status MetadataDir::BecomeDirectory(DirectoryId id) {
  directory_id_ = id;
  return WriteProperties();
}

absl::Status MetadataDir::CountStart() {
  const std::string path = JoinPath(path_, "start-counter");
  ASSIGN_OR_RETURN(const bool exists, files_->Exists(path));
  if (exists) {
    ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(*files_, path, kBytesMax));
    ASSIGN_OR_RETURN(const std::vector<std::string> lines,
                     storage::DecodeCheckedText(kCounterKind, text, path));
    if (lines.size() != 1 || !absl::SimpleAtoi(lines[0], &start_count_)) {
      return Foreign(path_, "its start-counter holds no number");
    }
  }
  ++start_count_;
  return ReplaceFile(*files_, path,
                     storage::EncodeCheckedText(kCounterKind, {absl::StrCat(start_count_)}));
}

}  // namespace millrace::node
