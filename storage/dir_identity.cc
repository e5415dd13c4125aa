#include "storage/dir_identity.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "storage/checked_text.h"
#include "storage/file_names.h"

namespace millrace::storage {
namespace {

constexpr absl::string_view kMetaKind = "log-directory";
constexpr absl::string_view kOpenKind = "open-record";
constexpr absl::string_view kCleanKind = "clean-shutdown";
constexpr uint64_t kMetaBytesMax = 1 << 16;
constexpr uint64_t kFileBytesMax = uint64_t{256} << 20;

absl::Status BadLines(absl::string_view path) {
  return MakeError(ErrorCode::kCorruptLog,
                   absl::StrCat("file '", path, "' does not say what it should"),
                   {.name = std::string(path)});
}

// The value of "<key>=<value>".
bool ValueOf(const std::vector<std::string>& lines, size_t line, absl::string_view key,
             absl::string_view* value) {
  if (line >= lines.size()) return false;
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(lines[line], absl::MaxSplits('=', 1));
  *value = parts.second;
  return parts.first == key;
}

}  // namespace

std::string EncodeDirIdentity(const DirIdentity& identity) {
  return EncodeCheckedText(kMetaKind,
                           {absl::StrCat("cluster.id=", identity.cluster_id.ToString()),
                            absl::StrCat("node.id=", identity.node_id.value()),
                            absl::StrCat("directory.id=", identity.directory_id.ToString())});
}

absl::StatusOr<DirIdentity> DecodeDirIdentity(Slice contents, absl::string_view path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> lines,
                   DecodeCheckedText(kMetaKind, contents, path));
  DirIdentity identity;
  absl::string_view cluster;
  absl::string_view node;
  absl::string_view directory;
  int32_t node_id = 0;
  if (lines.size() != 3 || !ValueOf(lines, 0, "cluster.id", &cluster) ||
      !ValueOf(lines, 1, "node.id", &node) || !ValueOf(lines, 2, "directory.id", &directory) ||
      !absl::SimpleAtoi(node, &node_id)) {
    return BadLines(path);
  }
  ASSIGN_OR_RETURN(identity.cluster_id, ClusterId::FromString(cluster));
  ASSIGN_OR_RETURN(identity.directory_id, DirectoryId::FromString(directory));
  identity.node_id = NodeId(node_id);
  return identity;
}

std::string EncodeOpenRecord(const OpenRecord& record) {
  return EncodeCheckedText(kOpenKind, {absl::StrCat("broker.epoch=", record.broker_epoch.value()),
                                       absl::StrCat("suspect=", record.suspect ? 1 : 0)});
}

absl::StatusOr<OpenRecord> DecodeOpenRecord(Slice contents, absl::string_view path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> lines,
                   DecodeCheckedText(kOpenKind, contents, path));
  absl::string_view epoch;
  absl::string_view suspect;
  int64_t broker_epoch = 0;
  if (lines.size() != 2 || !ValueOf(lines, 0, "broker.epoch", &epoch) ||
      !ValueOf(lines, 1, "suspect", &suspect) || !absl::SimpleAtoi(epoch, &broker_epoch)) {
    return BadLines(path);
  }
  return OpenRecord{BrokerEpoch(broker_epoch), suspect == "1"};
}

std::string EncodeCleanShutdown(const CleanShutdown& shutdown) {
  std::vector<std::string> lines = {absl::StrCat("broker.epoch=", shutdown.broker_epoch.value())};
  for (const auto& [topic_partition, end] : shutdown.log_ends) {
    lines.push_back(absl::StrCat(topic_partition.topic_id.ToString(), " ",
                                 topic_partition.partition.value(), " ", end.value()));
  }
  return EncodeCheckedText(kCleanKind, lines);
}

absl::StatusOr<CleanShutdown> DecodeCleanShutdown(Slice contents, absl::string_view path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> lines,
                   DecodeCheckedText(kCleanKind, contents, path));
  CleanShutdown shutdown;
  absl::string_view epoch;
  int64_t broker_epoch = 0;
  if (!ValueOf(lines, 0, "broker.epoch", &epoch) || !absl::SimpleAtoi(epoch, &broker_epoch)) {
    return BadLines(path);
  }
  shutdown.broker_epoch = BrokerEpoch(broker_epoch);
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<absl::string_view> words = absl::StrSplit(lines[i], ' ');
    int32_t partition = 0;
    int64_t end = 0;
    if (words.size() != 3 || !absl::SimpleAtoi(words[1], &partition) ||
        !absl::SimpleAtoi(words[2], &end)) {
      return BadLines(path);
    }
    ASSIGN_OR_RETURN(const TopicId topic_id, TopicId::FromString(words[0]));
    shutdown.log_ends[{topic_id, PartitionIndex(partition)}] = Offset(end);
  }
  return shutdown;
}

absl::StatusOr<std::optional<DirIdentity>> CheckDirIdentity(FileSystem& files,
                                                            const std::string& directory,
                                                            const ClusterId& cluster_id,
                                                            NodeId node_id) {
  const std::string path = JoinPath(directory, kMetaPropertiesFile);
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) {
    ASSIGN_OR_RETURN(const std::vector<DirectoryEntry> entries, files.ListDirectory(directory));
    for (const DirectoryEntry& entry : entries) {
      // meta.properties is written last: these may stand before it. lost+found is a mount point's.
      if (entry.name == kLockFile || entry.name == kPartitionsJournalFile ||
          entry.name == kSyncJournalFile || entry.name == "lost+found" ||
          absl::EndsWith(entry.name, ".tmp")) {
        continue;
      }
      return MakeError(ErrorCode::kInvalidDirectory,
                       absl::StrCat("log directory '", directory, "' has no ", kMetaPropertiesFile,
                                    " but holds '", entry.name,
                                    "': it is not a data directory of this program; name an "
                                    "empty directory"),
                       {.name = directory, .value = entry.name});
    }
    return std::nullopt;
  }
  ASSIGN_OR_RETURN(const std::string contents, ReadWholeFile(files, path, kMetaBytesMax));
  ASSIGN_OR_RETURN(const DirIdentity identity, DecodeDirIdentity(contents, path));
  if (identity.cluster_id != cluster_id) {
    return MakeError(
        ErrorCode::kInconsistentClusterId,
        absl::StrCat("log directory '", directory, "' belongs to cluster ",
                     identity.cluster_id.ToString(), ", but this node to ", cluster_id.ToString(),
                     ": check log.dirs, or empty the directory"),
        {.name = directory, .value = identity.cluster_id.ToString()});
  }
  if (identity.node_id != node_id) {
    return MakeError(
        ErrorCode::kInconsistentNodeId,
        absl::StrCat("log directory '", directory, "' belongs to node ", identity.node_id.value(),
                     ", but this is node ", node_id.value(), ": check node.id and log.dirs"),
        {.name = directory, .value = absl::StrCat(identity.node_id.value())});
  }
  return identity;
}

absl::StatusOr<HowItWasLeft> LoadHowItWasLeft(FileSystem& files, const std::string& directory) {
  HowItWasLeft left;
  const std::string open_path = JoinPath(directory, kOpenRecordFile);
  ASSIGN_OR_RETURN(const bool open_found, files.Exists(open_path));
  if (open_found) {
    ASSIGN_OR_RETURN(const std::string open, ReadWholeFile(files, open_path, kFileBytesMax));
    const absl::StatusOr<OpenRecord> record = DecodeOpenRecord(open, open_path);
    if (CodeOf(record.status()) == ErrorCode::kUnsupportedFormatVersion) return record.status();
    // A damaged one proves nothing: never open as far as we know, and suspect.
    left.open = record.ok() ? *record : OpenRecord{kNoBrokerEpoch, true};
  }
  const std::string clean_path = JoinPath(directory, kCleanShutdownFile);
  ASSIGN_OR_RETURN(const bool clean_found, files.Exists(clean_path));
  if (clean_found) {
    ASSIGN_OR_RETURN(const std::string clean, ReadWholeFile(files, clean_path, kFileBytesMax));
    absl::StatusOr<CleanShutdown> shutdown = DecodeCleanShutdown(clean, clean_path);
    if (CodeOf(shutdown.status()) == ErrorCode::kUnsupportedFormatVersion) {
      return shutdown.status();
    }
    // Valid only for the epoch it was last open under (S-21).
    if (shutdown.ok() && open_found && shutdown->broker_epoch == left.open.broker_epoch) {
      left.clean = true;
      left.clean_ends = std::move(shutdown->log_ends);
    }
  }
  // Never opened for appends: nothing can be missing.
  if (!open_found && !clean_found) left.clean = true;
  return left;
}

}  // namespace millrace::storage
