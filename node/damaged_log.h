// What becomes of a voter whose log on disk is damaged: it never votes with it, nor with what is
// left of it. The damaged files are set aside, for whoever wants to look, and the directory becomes
// another one, which has promised nothing: it belongs to its cluster still, and waits to be added
// to the quorum as a newcomer does, to have everything sent to it.
//
// Only where there are others: a lone controller's log is all that there is of it.
//
// Thread: any; blocking.
// Source: S-35, S-17; "Protocol-Aware Recovery for Consensus-Based Storage" (FAST'18).
#ifndef NODE_DAMAGED_LOG_H_
#define NODE_DAMAGED_LOG_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/random.h"
#include "node/metadata_dir.h"

namespace millrace::node {

// Reads the log in `dir` as a start would: OK if it is whole, or there is none. Errors: CORRUPT_LOG
// with the place; those of raft::RecoverWal and raft::SnapshotStore.
absl::Status CheckVotersLog(FileSystem& files, const MetadataDir& dir);

// Makes `dir` another directory of its cluster, and moves log and snapshots into a directory in it
// that is named after the one it was: that path is the result. After a crash in between the log is
// found damaged again, or is gone. REQUIRES: `dir` belongs to a cluster.
absl::StatusOr<std::string> SetDamagedLogAside(FileSystem& files, MetadataDir* dir, Random* random);

}  // namespace millrace::node

#endif  // NODE_DAMAGED_LOG_H_
