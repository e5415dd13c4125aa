// CatchUpShare: how much of what a broker may send to replicas that come with throttled
// reassignments is one shard's.
//
// A throttle is a part of the reassignment that it is for (metadata/image.h). Of several that a
// broker leads, the least counts, for all of them together; its shards divide that by how many of
// those partitions each has. Every shard finds out its share by itself, from the same image.
//
// Not here: the bytes (leader_streams.h), whom it holds back (leader_role.h).
//
// Thread: its shard's executor.
#ifndef BROKER_REPLICATION_CATCH_UP_SHARE_H_
#define BROKER_REPLICATION_CATCH_UP_SHARE_H_

#include <cstdint>
#include <map>

#include "base/ids.h"
#include "metadata/delta.h"
#include "metadata/image.h"

namespace millrace::broker {

class CatchUpShare {
 public:
  // Of shard `shard` of broker `self`.
  CatchUpShare(NodeId self, int shard, int shard_count)
      : self_(self), shard_(shard), shard_count_(shard_count) {}

  // Bytes per second from now on; 0: no limit. `delta`: all that is new since the last image, or
  // since the empty one. Costs O(delta).
  int64_t OnImage(const metadata::Image& image, const metadata::Delta& delta);

 private:
  void Note(const metadata::Image& image, const TopicPartition& id);

  const NodeId self_;
  const int shard_;
  const int shard_count_;
  // The throttles of the partitions that this broker leads, on all shards.
  std::map<TopicPartition, int64_t> throttles_;
};

}  // namespace millrace::broker

#endif  // BROKER_REPLICATION_CATCH_UP_SHARE_H_
