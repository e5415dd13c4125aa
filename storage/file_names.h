// The names of a partition's files, and of those beside the partitions in a log directory.
//
// Names are Kafka's where Kafka has the file, so that its tools find their way:
// `<base offset, 20 digits>.log`, `.index`, `.timeindex`, `.snapshot`.
//
// Thread: any (pure functions).
#ifndef STORAGE_FILE_NAMES_H_
#define STORAGE_FILE_NAMES_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/ids.h"

namespace millrace::storage {

inline constexpr absl::string_view kLogSuffix = ".log";
inline constexpr absl::string_view kOffsetIndexSuffix = ".index";
inline constexpr absl::string_view kTimeIndexSuffix = ".timeindex";
inline constexpr absl::string_view kSnapshotSuffix = ".snapshot";
// Ends the name of a segment's files that wait for their removal.
inline constexpr absl::string_view kDeletedSuffix = ".deleted";
// Ends the name of a partition's directory: deleted, or set aside.
inline constexpr absl::string_view kDeletedDirectorySuffix = "-delete";
inline constexpr absl::string_view kStrayDirectorySuffix = "-stray";

// In a partition's directory.
inline constexpr absl::string_view kEpochCheckpointFile = "leader-epoch-checkpoint";
inline constexpr absl::string_view kPartitionMetadataFile = "partition.metadata";
// Empty: the end of the log was cut, and no registration has told that yet (S-08).
inline constexpr absl::string_view kCutMarkFile = "cut";
// In the log directory.
inline constexpr absl::string_view kLockFile = ".lock";
inline constexpr absl::string_view kMetaPropertiesFile = "meta.properties";
inline constexpr absl::string_view kPartitionsJournalFile = "partitions";
inline constexpr absl::string_view kSyncJournalFile = "sync-journal";
inline constexpr absl::string_view kRecoveryPointsFile = "recovery-point-checkpoint";
inline constexpr absl::string_view kOpenRecordFile = "open-record";
inline constexpr absl::string_view kCleanShutdownFile = "clean-shutdown";

// "00000000000000000042.log" from 42 and ".log".
std::string SegmentFileName(Offset base_offset, absl::string_view suffix);

// The base offset of "00000000000000000042<suffix>"; nullopt if `name` is no such name.
std::optional<Offset> ParseSegmentFileName(absl::string_view name, absl::string_view suffix);

// "<topic>-<partition>": a partition's directory, and how messages name it.
std::string PartitionName(absl::string_view topic_name, PartitionIndex partition);

// The directory of a replica that is deleted or set aside, `suffix` says which. With the topic's
// id, for several topics of one name may be; the name is cut, so that all of it fits into the 255
// bytes of a file name.
std::string AsideName(absl::string_view topic_name, const TopicPartition& topic_partition,
                      absl::string_view suffix);

}  // namespace millrace::storage

#endif  // STORAGE_FILE_NAMES_H_
