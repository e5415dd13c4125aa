// What becomes of a voter whose log on disk is damaged, or gone: it never votes with it, nor with
// what is left of it. The damaged files are set aside, for whoever wants to look, and the directory
// becomes another one, which has promised nothing: it belongs to its cluster still, and waits to be
// added to the quorum as a newcomer does, to have everything sent to it.
//
// Only where others vote: the only voter's log is all that there is of it.
//
// Thread: any; blocking.
// Source: S-35, S-17; "Protocol-Aware Recovery for Consensus-Based Storage" (FAST'18).
#ifndef NODE_DAMAGED_LOG_H_
#define NODE_DAMAGED_LOG_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/random.h"
#include "node/metadata_dir.h"
#include "raft/host/transport.h"

namespace millrace::node {

// Reads the log in `dir` as a start would: OK if it is whole, or there is none and `dir` belongs to
// no cluster yet: its log is made before that. Errors: CORRUPT_LOG with the place;
// INVALID_DIRECTORY if the cluster's log is gone; those of raft::RecoverWal and
// raft::SnapshotStore.
absl::Status CheckVotersLog(FileSystem& files, const MetadataDir& dir);

// Whether voters of other nodes can add this one to its quorum, by the newest set that can still be
// read in `dir`; where there is none, by the founding set and `configured` voters, or because a log
// was set aside for that and this node has not led since (NoteLeads). In doubt false: who is alone
// and set aside is lost, and who is refused says so. Errors: those of ReadFoundingFile and of the
// disk.
absl::StatusOr<bool> OthersVote(FileSystem& files, const MetadataDir& dir,
                                const std::vector<raft::Peer>& configured);

// Makes `dir` another directory of its cluster, and moves log and snapshots, as far as there are
// any, into a directory in it that is named after the one it was: that path is the result. After a
// crash in between the log is found damaged again, or is gone, and others vote as before. REQUIRES:
// `dir` belongs to a cluster.
absl::StatusOr<std::string> SetDamagedLogAside(FileSystem& files, MetadataDir* dir, Random* random);

// This node leads by the log in `dir`: logs that were set aside before say nothing any more of who
// votes. Whoever is alone has led, be it to have the others removed.
absl::Status NoteLeads(FileSystem& files, const MetadataDir& dir);

}  // namespace millrace::node

#endif  // NODE_DAMAGED_LOG_H_
