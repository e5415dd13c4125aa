// Where the replicas of new partitions go.
//
// Leaders and followers are spread evenly, no two replicas of a partition on one broker, on
// different racks while there are enough, on active brokers while there are enough, on none that is
// cordoned, and over the log directories of each broker. Nothing is drawn: the caller's seed says
// where the round begins.
//
// Thread: one owner.
// Source: the striping of Kafka's rack-aware assignment (KIP-36).
#ifndef CONTROLLER_REPLICA_PLACEMENT_H_
#define CONTROLLER_REPLICA_PLACEMENT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "metadata/image.h"

namespace millrace::controller {

class ReplicaPlacer {
 public:
  // Over all brokers registered in `image`, which is only read here.
  ReplicaPlacer(const metadata::Image& image, uint64_t seed);

  // Cordoned ones too.
  int broker_count() const { return static_cast<int>(brokers_.size() + cordoned_.size()); }
  int active_count() const { return active_count_; }

  // Whether `replication_factor` replicas can be placed at all. Errors:
  // INVALID_REPLICATION_FACTOR with both numbers; BROKER_NOT_AVAILABLE if no broker is active.
  absl::Status Check(int replication_factor) const;

  // Replicas of the next partition, the leader-to-be (an active broker) first. REQUIRES: Check() is
  // OK for the factor.
  metadata::Replicas PlaceNext(int replication_factor);

  // A directory of `broker` for a replica that the user placed. REQUIRES: registered.
  DirectoryId NextDirectory(NodeId broker);

 private:
  struct Candidate {
    NodeId id;
    std::string rack;
    bool active = false;
    std::vector<DirectoryId> directories;
    size_t next_directory = 0;
  };

  size_t NextFollower(size_t from, const std::vector<size_t>& taken) const;
  DirectoryId NextDirectoryOf(Candidate* candidate);

  // Neighbours are on different racks as far as possible.
  std::vector<Candidate> brokers_;
  // Nothing is placed there but what the user says.
  std::vector<Candidate> cordoned_;
  int active_count_ = 0;
  uint64_t next_leader_ = 0;
  // Partitions placed, whose followers begin ever one broker further.
  uint64_t placed_ = 0;
};

}  // namespace millrace::controller

#endif  // CONTROLLER_REPLICA_PLACEMENT_H_
