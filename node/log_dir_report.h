// What is told of the log directories of a broker and of what is in them: to operators when they
// were opened, and to whoever asks.
//
// Thread: any (pure functions, but for the log lines).
#ifndef NODE_LOG_DIR_REPORT_H_
#define NODE_LOG_DIR_REPORT_H_

#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "broker/broker.h"
#include "millrace/v1/admin_service.pb.h"

namespace millrace::node {

// Log lines: how the directories were left, and what is damaged in them.
void LogOpenedDirs(const std::vector<broker::OpenedLogDir>& dirs);

// Of the partitions only those of `topics`, unless it is empty.
v1::DescribeLogDirsResponse DescriptionOf(NodeId broker,
                                          const std::vector<broker::LogDirDescription>& dirs,
                                          const std::set<std::string>& topics = {});

v1::ChecksumReplicaResponse DescriptionOf(NodeId broker, const broker::ReplicaChecksum& sum);

}  // namespace millrace::node

#endif  // NODE_LOG_DIR_REPORT_H_
