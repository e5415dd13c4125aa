// FoundingFile: what a metadata directory remembers of the founding of its cluster (S-18), durable
// before anybody is told of it.
//
//   <metadata dir>/founding    checked text, replaced whole; absent where nothing was promised yet
//
// meta.properties names the cluster too, later: only once the log exists in which the cluster's
// entries will be (node/metadata_dir.h), so that a log that was lost is told from one that was
// never made.
//
// Thread: any; calls block on the disk.
// Format: docs/formats/metadata_dir.md.
#ifndef NODE_FOUNDING_FILE_H_
#define NODE_FOUNDING_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "raft/host/founding_record.h"

namespace millrace::node {

// As bytes. Errors: INVALID_REQUEST for an address that would not come back as it is.
absl::StatusOr<std::string> EncodeFoundingFile(const raft::FoundingRecord& record);
// `path` is for messages. Errors: those of storage::DecodeCheckedText; CORRUPT_LOG for a line that
// makes no sense.
absl::StatusOr<raft::FoundingRecord> DecodeFoundingFile(Slice contents, absl::string_view path);

// What the directory at `metadata_path`, of cluster `cluster_id` by its meta.properties (or zero),
// remembers. A directory that belonged to a cluster before it remembered a founding (a quorum of
// one) is founded, without a set. Errors: as above; INVALID_DIRECTORY if the two contradict each
// other.
absl::StatusOr<raft::FoundingRecord> ReadFoundingFile(FileSystem& files,
                                                      const std::string& metadata_path,
                                                      ClusterId cluster_id);

// Durable once it returns OK. Errors: as above, and the disk's.
absl::Status WriteFoundingFile(FileSystem& files, const std::string& metadata_path,
                               const raft::FoundingRecord& record);

}  // namespace millrace::node

#endif  // NODE_FOUNDING_FILE_H_
