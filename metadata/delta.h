// Delta: what one log entry (or a jump between images) changed, for those who make the world follow
// the metadata: replicas to start, stop and re-role, configs to take over, watches to answer.
//
// "Removed" is only what a record named; what is merely missing in a newer image is "absent", and
// must not be deleted from any disk (S-20); nor may what is only placed elsewhere in it (`whole`).
//
// Thread: any (a value).
#ifndef METADATA_DELTA_H_
#define METADATA_DELTA_H_

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/ids.h"
#include "metadata/image.h"
#include "rsm/record.h"

namespace millrace::metadata {

struct RemovedTopic {
  TopicId id;
  std::string name;

  friend auto operator<=>(const RemovedTopic&, const RemovedTopic&) = default;
};

struct Delta {
  LogIndex from;
  LogIndex to;
  // Found by comparing images: no record is known that made any of the changes, and data of what
  // has left this broker is kept (S-20).
  bool whole = false;
  bool founded_or_feature_changed = false;
  // Registered or of another state.
  std::set<NodeId> brokers_changed;
  std::set<NodeId> brokers_removed;
  std::set<TopicId> topics_created;
  // By a record that names the id: their data may be deleted.
  std::set<RemovedTopic> topics_removed;
  // Known before, not there now, and no record says why: keep their data.
  std::set<RemovedTopic> topics_absent;
  // Created or changed in any field; those of removed topics are not listed.
  std::set<TopicPartition> partitions_changed;
  std::set<ConfigOwner> configs_changed;
  // Remembered, or forgotten; for the image store.
  std::set<RequestClientId> request_clients_changed;
  std::set<RequestKey> completed_requests_changed;

  bool empty() const;
  friend bool operator==(const Delta&, const Delta&) = default;
};

// What `records`, applied to `before` giving `after`, changed. Costs O(records).
Delta DeltaOf(const Image& before, const Image& after, absl::Span<const rsm::Record> records);

// What `earlier` and then `later` changed together: what comes and goes in between is not listed as
// there. Costs O(later). REQUIRES: `later` begins where `earlier` ends.
Delta Joined(Delta earlier, const Delta& later);

// All differences between two images, found by comparing everything; for a node that starts from a
// stored image or was sent one.
Delta DeltaBetween(const Image& before, const Image& after);

}  // namespace millrace::metadata

#endif  // METADATA_DELTA_H_
