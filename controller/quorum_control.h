// QuorumControl: asking about and changing the quorum of controllers. The seam between the public
// calls about it and the Raft host, which node implements.
//
// Thread: the controller executor; callbacks run there too.
// Source: KIP-595 (DescribeQuorum), KIP-853 (adding and removing controllers); S-17.
#ifndef CONTROLLER_QUORUM_CONTROL_H_
#define CONTROLLER_QUORUM_CONTROL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"

namespace millrace::controller {

// A voter, a learner on its way to be one, or an observer.
struct QuorumMember {
  enum class Role : uint8_t { kVoter, kLearner, kObserver };

  NodeId node = kNoNode;
  DirectoryId directory;
  // "host:port" of its controller listener.
  std::string address;
  Role role = Role::kVoter;
  // "leader", "probe", "replicate", "snapshot"; "lost-log" for one that forgot what it had (S-19).
  std::string state;
  // The end of its log, as far as the leader knows.
  LogIndex log_end;
  // Entries that it lacks.
  int64_t lag = 0;
  // Since the leader last heard of it; empty if it never did, 0 for the leader itself.
  std::optional<int64_t> last_contact_ms;
};

struct QuorumDescription {
  NodeId leader = kNoNode;
  Term term;
  LogIndex commit;
  LogIndex log_start;
  LogIndex log_end;
  // Of the newest snapshot; zero if there is none.
  LogIndex snapshot;
  // Sorted by role and node.
  std::vector<QuorumMember> members;
};

class QuorumControl {
 public:
  using Done = absl::AnyInvocable<void(absl::Status) &&>;
  using Described = absl::AnyInvocable<void(absl::StatusOr<QuorumDescription>) &&>;
  virtual ~QuorumControl() = default;

  // All of them answer NOT_CONTROLLER, with the leader as a hint, unless this node leads.
  virtual void Describe(Described done) = 0;
  // Adds a voter: as a learner, then, when it has caught up, as a voter. `done` after the second
  // change is committed. Errors: INVALID_REQUEST if it is one already; RESOURCE_EXHAUSTED while
  // another change is open; REQUEST_TIMED_OUT if it does not catch up (it stays a learner);
  // UNSUPPORTED_VERSION if its program does not know the cluster's feature level (a learner too, if
  // that was not known before).
  virtual void AddVoter(NodeId node, DirectoryId directory, std::string address, Done done) = 0;
  // Errors: INVALID_REQUEST if there is no such voter, or it is the last.
  virtual void RemoveVoter(NodeId node, DirectoryId directory, Done done) = 0;
  // Hands leadership to `node`. Errors: INVALID_REQUEST if it is no voter; REQUEST_TIMED_OUT if it
  // did not take over.
  virtual void TransferLeadership(NodeId node, Done done) = 0;
};

}  // namespace millrace::controller

#endif  // CONTROLLER_QUORUM_CONTROL_H_
