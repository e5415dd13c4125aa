// OfflineReplicas: replicas that cannot be used although the metadata does not say so. A log that
// is found damaged is its broker's knowledge alone (S-35): the last copy of a partition keeps its
// seat, and its broker the leadership, so that only the broker can tell that nothing is served.
//
// Thread: main; blocks.
#ifndef TOOLS_MILLRACE_OFFLINE_REPLICAS_H_
#define TOOLS_MILLRACE_OFFLINE_REPLICAS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "client/admin.h"
#include "tools/millrace/command.h"

namespace millrace::tools {

struct OfflineReplica {
  std::string topic;
  int32_t partition = 0;
  int32_t broker = 0;
  // As its broker says.
  std::string why;
};

// Asks the brokers of `topics` that run, and adds what they say cannot be used to the offline
// replicas described there. A broker that does not answer is passed over: what the metadata says is
// shown all the same.
std::vector<OfflineReplica> AddOfflineReplicas(const GlobalOptions& global, client::Admin* admin,
                                               std::vector<v1::TopicDescription>* topics);

// Whether `broker` is one of the offline replicas of `partition`.
bool IsOffline(const v1::PartitionDescription& partition, int32_t broker);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_OFFLINE_REPLICAS_H_
