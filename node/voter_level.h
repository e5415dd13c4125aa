// Whether a controller's program may vote in this cluster: it must know the cluster's feature
// level.
//
// That it acknowledges the log shows that it has the records, not that it can apply them. One that
// cannot stops when they reach its machine, and if it counts by then, a quorum of one is lost with
// it.
//
// Thread: any (a pure function).
#ifndef NODE_VOTER_LEVEL_H_
#define NODE_VOTER_LEVEL_H_

#include "absl/status/status.h"
#include "raft/host/hello.h"
#include "raft/types.h"

namespace millrace::node {

// `said`: what the newest process of `voter` says of its program; null if none was heard. `level`:
// the cluster's. Errors: RESOURCE_EXHAUSTED if it did not say; UNSUPPORTED_VERSION with both
// levels.
absl::Status CheckKnowsLevel(const raft::VoterId& voter, const raft::ProgramFeatures* said,
                             int level);

}  // namespace millrace::node

#endif  // NODE_VOTER_LEVEL_H_
