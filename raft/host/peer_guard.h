// PeerGuard: decides whose Raft messages this voter listens to.
//
// A stream is refused that is of another cluster, meant for another node, or of a process that is
// not the newest on its directory: a restored disk or a copied machine speaks for a voter that has
// promised more than it knows. Pure; the transport asks it for each Hello and each message. What it
// remembers goes with this process, so it is a help and no proof (S-19 says what remains).
//
// Thread: owner's.
// Source: S-17, S-18, S-19, S-20.
#ifndef RAFT_HOST_PEER_GUARD_H_
#define RAFT_HOST_PEER_GUARD_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/error_code.h"
#include "base/ids.h"
#include "raft/host/hello.h"
#include "raft/messages.h"
#include "raft/types.h"

namespace millrace::raft {

// Versions of the messages' layout that this program speaks.
inline constexpr int32_t kMessageVersionMin = 1;
inline constexpr int32_t kMessageVersionMax = 1;
// In a refusal between two generations of a quorum: the name of what differs; its value is that of
// whoever refuses.
inline constexpr char kGenerationName[] = "quorum.generation";

class PeerGuard {
 public:
  // Voters remembered; beyond it the one heard of least recently is forgotten.
  static constexpr size_t kRememberedMax = 1024;

  PeerGuard(const VoterId& self, const ProcessId& process) : self_(self), process_(process) {}

  // Zero until the cluster is founded: no stream is accepted then. `generation`: how often its
  // quorum was recovered, as far as this voter took part.
  void SetClusterId(const ClusterId& cluster_id, int64_t generation = 0) {
    cluster_id_ = cluster_id;
    generation_ = generation;
  }
  const ClusterId& cluster_id() const { return cluster_id_; }
  int64_t generation() const { return generation_; }

  // Whether the speaker may be listened to; if so, its process is the current one of its voter.
  // Errors: NOT_CONTROLLER while no cluster is known here; INCONSISTENT_CLUSTER_ID;
  // INCONSISTENT_NODE_ID if it means another node, says it is this one, or is not the newest
  // process on its directory; UNSUPPORTED_VERSION.
  absl::Status Accept(const Hello& hello);

  // Whether the speaker belongs to a quorum that was recovered without this voter.
  bool IsSupersededBy(const Hello& hello) const {
    return hello.cluster_id == cluster_id_ && hello.generation > generation_;
  }

  // What the newest accepted process of `voter` said of its program; null if there was none.
  const ProgramFeatures* FeaturesOf(const VoterId& voter) const;

  // The newest accepted process of `voter`; none if there was none. Whether it is connected is not
  // known here.
  std::optional<HeardPeer> HeardOf(const VoterId& voter) const;

  // All that are remembered, by id; whether they are connected is not known here.
  std::vector<HeardPeer> Heard() const;

  // Whether the process that said this hello is still the newest on its directory.
  bool IsCurrent(const Hello& hello) const;

  // Whether `message` may come by a stream that this hello opened, and is for this voter.
  bool Fits(const Hello& hello, const Message& message) const {
    return message.from == hello.from && message.to == self_;
  }

  // True the first time that a voter is refused for this reason since it was last accepted: so that
  // retries fill no log. Also for refusals by the peer.
  bool IsNews(const VoterId& peer, ErrorCode code);

 private:
  struct Known {
    ProcessId process;
    ProgramFeatures features;
    std::string address;
    bool asks_to_join = false;
    // Orders by when it was heard of.
    uint64_t heard = 0;
  };

  absl::Status CheckAddressee(const Hello& hello) const;
  absl::Status CheckProcess(const Hello& hello) const;
  void Remember(const Hello& hello);

  const VoterId self_;
  const ProcessId process_;
  ClusterId cluster_id_;
  int64_t generation_ = 0;
  // At most kRememberedMax.
  std::map<VoterId, Known> known_;
  std::set<std::pair<VoterId, ErrorCode>> refused_;
  uint64_t heard_ = 0;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_PEER_GUARD_H_
