// DescribeLogDirsOf and ReplicaAsker: the log directories and replicas of any broker: each answers
// for its own alone, so that the others are asked at the address that the cluster knows of them.
//
// Thread: main; blocks.
#ifndef TOOLS_MILLRACE_BROKER_LOG_DIRS_H_
#define TOOLS_MILLRACE_BROKER_LOG_DIRS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/admin.h"
#include "tools/millrace/command.h"

namespace millrace::tools {

// "host:port" of each listener, which are "NAME://host:port".
std::vector<std::string> AddressesOf(const v1::BrokerDescription& broker);

// Asks whom `admin` asks first, then the broker itself, for at most two seconds, for the partitions
// of `topics`, or all if there are none. Errors: those of the calls.
absl::StatusOr<v1::DescribeLogDirsResponse> DescribeLogDirsOf(
    const v1::BrokerDescription& broker, const GlobalOptions& global, client::Admin* admin,
    const std::vector<std::string>& topics = {});

// Connections to the brokers, each asked about its own replicas.
class ReplicaAsker {
 public:
  // `global` outlives this.
  ReplicaAsker(const v1::DescribeClusterResponse& cluster, const GlobalOptions& global);

  // A broker that is still opening the partition is waited for, as long as for an answer. Errors:
  // BROKER_NOT_AVAILABLE; those of the call.
  absl::StatusOr<v1::ChecksumReplicaResponse> Ask(int32_t broker,
                                                  const v1::ChecksumReplicaRequest& request);

 private:
  const GlobalOptions& global_;
  std::map<int32_t, std::vector<std::string>> addresses_;
  std::map<int32_t, std::unique_ptr<client::Admin>> admins_;
};

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_BROKER_LOG_DIRS_H_
