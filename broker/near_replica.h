// NearReplica: which replica a reader should be served by, as the metadata has it: replicas spread
// over racks, and reading in one's own rack saves the traffic between them (KIP-392).
//
// A reader that names its rack is told by a leader in another rack which in-sync follower is
// nearer; the follower then decides for itself whether it may serve (replica.h). That a follower is
// in sync means that it holds everything below the high watermark, so any offset that the leader
// has served.
//
// Thread: any (pure functions).
#ifndef BROKER_NEAR_REPLICA_H_
#define BROKER_NEAR_REPLICA_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "metadata/image.h"

namespace millrace::broker {

// Whether `broker` is in `rack`, which is not empty.
bool IsInRack(const metadata::Image& image, NodeId broker, absl::string_view rack);

// The in-sync, active follower in `rack` by which `leader`'s answers to a reader there can be
// given; several share the partitions. Nullopt: there is none, `leader` is in that rack itself, or
// does not lead the partition.
std::optional<NodeId> NearReplicaOf(const metadata::Image& image, const TopicPartition& partition,
                                    NodeId leader, absl::string_view rack);

}  // namespace millrace::broker

#endif  // BROKER_NEAR_REPLICA_H_
