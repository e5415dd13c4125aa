// partition.metadata: whose a partition's directory is. Written, durably, before the directory's
// first segment, so that what a directory holds is never taken for another topic's of that name.
//
// The `partitions` journal says the same; this file says it beside the data.
//
// Thread: the disk executor (blocks).
#ifndef STORAGE_PARTITION_METADATA_H_
#define STORAGE_PARTITION_METADATA_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"

namespace millrace::storage {

// The contents of the file.
std::string EncodePartitionMetadata(const TopicPartition& topic_partition);

// Whose `directory` is; nullopt if the file is not there, or damaged: then it tells nothing.
// Errors: those of the file system.
absl::StatusOr<std::optional<TopicId>> ReadTopicIdOf(FileSystem& files,
                                                     const std::string& directory);

}  // namespace millrace::storage

#endif  // STORAGE_PARTITION_METADATA_H_
