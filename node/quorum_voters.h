// The list of the quorum's first voters, as a process is given it: controller.quorum.voters.
//
// Not here: whether the list fits this process (node/config.cc), and who the voters are today:
// after the founding the list only serves to find peers (S-18).
//
// Thread: any (pure functions).
#ifndef NODE_QUORUM_VOTERS_H_
#define NODE_QUORUM_VOTERS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "raft/host/transport.h"

namespace millrace::node {

// "1@host:port,2@[::1]:port": sorted by id; addresses as they are written. Empty text: none.
// Errors: INVALID_CONFIG with the offending entry: one that is no id@host:port, an id or an address
// named twice, more than raft::kVotersMax.
absl::StatusOr<std::vector<raft::Peer>> ParseQuorumVoters(absl::string_view text);

}  // namespace millrace::node

#endif  // NODE_QUORUM_VOTERS_H_
