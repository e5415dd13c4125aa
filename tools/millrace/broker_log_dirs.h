// DescribeLogDirsOf: the log directories of any broker: each answers for its own alone, so that the
// others are asked at the address that the cluster knows of them.
//
// Thread: main; blocks.
#ifndef TOOLS_MILLRACE_BROKER_LOG_DIRS_H_
#define TOOLS_MILLRACE_BROKER_LOG_DIRS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/admin.h"
#include "tools/millrace/command.h"

namespace millrace::tools {

// "host:port" of each listener, which are "NAME://host:port".
std::vector<std::string> AddressesOf(const v1::BrokerDescription& broker);

// Asks whom `admin` asks first, then the broker itself, for at most two seconds. Errors: those of
// the calls.
absl::StatusOr<v1::DescribeLogDirsResponse> DescribeLogDirsOf(const v1::BrokerDescription& broker,
                                                              const GlobalOptions& global,
                                                              client::Admin* admin);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_BROKER_LOG_DIRS_H_
