// Whose a log directory is, and how it was left: the small files at its top.
//
//   meta.properties   cluster id, node id, directory id: written once, last, when it is made
//   open-record       {broker epoch, suspect}: fsynced before the first append (S-03)
//   clean-shutdown    {broker epoch, log ends}: written last on a clean stop (S-21)
//
// All are checked text (checked_text.h). docs/formats/log_dir.md.
//
// Thread: the disk executor (blocks).
#ifndef STORAGE_DIR_IDENTITY_H_
#define STORAGE_DIR_IDENTITY_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/random.h"

namespace millrace::storage {

struct DirIdentity {
  ClusterId cluster_id;
  NodeId node_id;
  DirectoryId directory_id;

  friend bool operator==(const DirIdentity&, const DirIdentity&) = default;
};

struct OpenRecord {
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
  bool suspect = false;

  friend bool operator==(const OpenRecord&, const OpenRecord&) = default;
};

struct CleanShutdown {
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
  std::map<TopicPartition, Offset> log_ends;

  friend bool operator==(const CleanShutdown&, const CleanShutdown&) = default;
};

std::string EncodeDirIdentity(const DirIdentity& identity);
absl::StatusOr<DirIdentity> DecodeDirIdentity(Slice contents, absl::string_view path);
std::string EncodeOpenRecord(const OpenRecord& record);
absl::StatusOr<OpenRecord> DecodeOpenRecord(Slice contents, absl::string_view path);
std::string EncodeCleanShutdown(const CleanShutdown& shutdown);
absl::StatusOr<CleanShutdown> DecodeCleanShutdown(Slice contents, absl::string_view path);

// What the open record and the clean-shutdown file of an earlier process say.
struct HowItWasLeft {
  OpenRecord open;
  // The last process stopped cleanly under that epoch (S-21); or there was none that appended.
  bool clean = false;
  // Of a clean stop.
  std::map<TopicPartition, Offset> clean_ends;
};

// Errors: UNSUPPORTED_FORMAT_VERSION; those of the file system. Damage costs what is damaged.
absl::StatusOr<HowItWasLeft> LoadHowItWasLeft(FileSystem& files, const std::string& directory);

// Whether meta.properties at `directory` is there and names this cluster and node; nullopt if it is
// missing and the directory holds nothing but what an interrupted creation leaves. Errors:
// INCONSISTENT_CLUSTER_ID, INCONSISTENT_NODE_ID, INVALID_DIRECTORY (somebody else's files),
// CORRUPT_LOG (damaged), UNSUPPORTED_FORMAT_VERSION.
absl::StatusOr<std::optional<DirIdentity>> CheckDirIdentity(FileSystem& files,
                                                            const std::string& directory,
                                                            const ClusterId& cluster_id,
                                                            NodeId node_id);

}  // namespace millrace::storage

#endif  // STORAGE_DIR_IDENTITY_H_
