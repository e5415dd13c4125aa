// MetadataDir: the directory in which a controller keeps the metadata log: whose it is, and the
// lock that keeps a second process out.
//
//   meta.properties   node id, directory id, cluster id once founded (checked text)
//   start-counter     how often a process started on it (S-19)
//   lock              held while this object lives
//   wal/  snapshots/  the log (raft/host/wal.h) and what takes the place of its beginning
//   image/            the cache of the committed image
//
// The directory id is durable before anything else happens in it (S-18): a directory that is wiped
// comes back under another id, as a voter that has promised nothing (S-17).
//
// Thread: one owner; calls block on the disk.
// Format: docs/formats/metadata_dir.md.
#ifndef NODE_METADATA_DIR_H_
#define NODE_METADATA_DIR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/random.h"

namespace millrace::node {

class MetadataDir {
 public:
  // Opens or creates. Errors: DIRECTORY_LOCKED; INCONSISTENT_NODE_ID naming both ids;
  // INVALID_DIRECTORY if there are files that are not ours; UNSUPPORTED_FORMAT_VERSION; CORRUPT_LOG
  // for a damaged meta.properties; DIRECTORY_UNAVAILABLE; STORAGE_FULL.
  static absl::StatusOr<std::unique_ptr<MetadataDir>> Open(FileSystem* files, std::string path,
                                                           NodeId node_id, Random* random);

  // Opens one that is there, of whichever node; for tools. Errors: as above; INVALID_DIRECTORY if
  // there is none.
  static absl::StatusOr<std::unique_ptr<MetadataDir>> OpenExisting(FileSystem* files,
                                                                   std::string path);

  const std::string& path() const { return path_; }
  NodeId node_id() const { return node_id_; }
  // Nothing was here before.
  bool is_new() const { return is_new_; }
  DirectoryId directory_id() const { return directory_id_; }
  // Zero before the cluster was founded (or joined).
  ClusterId cluster_id() const { return cluster_id_; }
  // 1 for the first process.
  int64_t start_count() const { return start_count_; }
  std::string wal_path() const { return JoinPath(path_, "wal"); }
  std::string snapshot_path() const { return JoinPath(path_, "snapshots"); }
  std::string image_path() const { return JoinPath(path_, "image"); }

  // Remembers, durably, which cluster this directory belongs to. Errors: INCONSISTENT_CLUSTER_ID if
  // it is another one already.
  absl::Status SetClusterId(ClusterId cluster_id);
  // From now on, durably, this is another directory, which has promised nothing (S-17).
  absl::Status BecomeDirectory(DirectoryId id);

 private:
  MetadataDir(FileSystem* files, std::string path, NodeId node_id)
      : files_(files), path_(std::move(path)), node_id_(node_id) {}

  absl::Status ReadOrCreateProperties(Random* random);
  absl::Status WriteProperties();
  absl::Status CountStart();
  std::string properties_path() const { return JoinPath(path_, "meta.properties"); }

  FileSystem* const files_;
  const std::string path_;
  const NodeId node_id_;
  std::unique_ptr<FileLock> lock_;
  bool is_new_ = false;
  DirectoryId directory_id_;
  ClusterId cluster_id_;
  int64_t start_count_ = 0;
};

// The cluster that a node with this metadata directory may only join, because one of its log
// directories belongs to it already while the metadata directory belongs to none (S-18): after a
// lost or mistyped metadata directory, or at a broker that becomes a controller too. Zero: none.
// Changes nothing. Errors: what kept a log directory's meta.properties from being read.
absl::StatusOr<ClusterId> ClusterToJoin(FileSystem& files, const std::string& metadata_path,
                                        const std::vector<std::string>& log_dirs);

// Whether a node with this metadata directory may found a cluster, or has one: OK unless it belongs
// to no cluster while one of the log directories does (S-18), as after a lost or mistyped metadata
// directory. Changes nothing. Errors: INCONSISTENT_CLUSTER_ID naming both directories; where it
// cannot be known, what kept a log directory's meta.properties from being read.
absl::Status CheckFounding(FileSystem& files, const std::string& metadata_path,
                           const std::vector<std::string>& log_dirs);

// Creates `path` and the directories above it that are missing, durably.
absl::Status CreateDirectories(FileSystem& files, const std::string& path);

}  // namespace millrace::node

#endif  // NODE_METADATA_DIR_H_
