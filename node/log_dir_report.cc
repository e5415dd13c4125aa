#include "node/log_dir_report.h"

#include <string>

#include "base/log.h"
#include "base/status.h"

namespace millrace::node {

void LogOpenedDirs(const std::vector<broker::OpenedLogDir>& dirs) {
  for (const broker::OpenedLogDir& dir : dirs) {
    if (!dir.status.ok()) {
      LOG_ERROR("node", "a log directory is offline",
                {{"path", dir.path},
                 {"code", ErrorCodeName(CodeOf(dir.status))},
                 {"error", dir.status.message()}});
      continue;
    }
    uint64_t cut_bytes = 0;
    for (const storage::ReplicaReport& replica : dir.state.replicas) {
      cut_bytes += replica.cut_bytes;
      if (replica.status.ok()) continue;
      LOG_ERROR("node", "a partition is offline",
                {{"topic", replica.topic_name},
                 {"partition", replica.topic_partition.partition.value()},
                 {"code", ErrorCodeName(CodeOf(replica.status))},
                 {"error", replica.status.message()}});
    }
    LOG_INFO("node", "log directory opened",
             {{"path", dir.path},
              {"new", dir.state.is_new},
              {"clean", dir.state.clean},
              {"replicas", dir.state.replicas.size()},
              {"torn_bytes_cut", cut_bytes}});
  }
}

v1::DescribeLogDirsResponse DescriptionOf(NodeId broker,
                                          const std::vector<broker::LogDirDescription>& dirs,
                                          const std::set<std::string>& topics) {
  v1::DescribeLogDirsResponse response;
  response.set_broker_id(broker.value());
  for (const broker::LogDirDescription& dir : dirs) {
    v1::LogDirDescription* out = response.add_log_dirs();
    out->set_path(dir.path);
    out->set_directory_id(dir.directory_id.ToBytes());
    out->set_code(static_cast<v1::ErrorCode>(CodeOf(dir.status)));
    out->set_message(std::string(dir.status.message()));
    out->set_total_bytes(static_cast<int64_t>(dir.total_bytes));
    out->set_free_bytes(static_cast<int64_t>(dir.free_bytes));
    out->set_slow(dir.slow);
    for (const broker::ReplicaState& replica : dir.replicas) {
      if (!topics.empty() && !topics.contains(replica.topic)) continue;
      v1::LogDirPartition* partition = out->add_partitions();
      partition->set_topic(replica.topic);
      partition->set_topic_id(replica.topic_partition.topic_id.ToBytes());
      partition->set_partition(replica.topic_partition.partition.value());
      partition->set_size_bytes(replica.size_bytes);
      partition->set_log_start_offset(replica.log_start_offset.value());
      partition->set_end_offset(replica.end_offset.value());
      partition->set_code(static_cast<v1::ErrorCode>(CodeOf(replica.status)));
      partition->set_message(std::string(replica.status.message()));
    }
  }
  return response;
}

v1::ChecksumReplicaResponse DescriptionOf(NodeId broker, const broker::ReplicaChecksum& sum) {
  v1::ChecksumReplicaResponse response;
  response.set_code(static_cast<v1::ErrorCode>(sum.outcome.code));
  response.set_message(sum.outcome.message);
  response.set_broker_id(broker.value());
  response.set_leader_epoch(sum.leader_epoch.value());
  response.set_is_leader(sum.is_leader);
  response.set_log_start_offset(sum.log_start_offset.value());
  response.set_end_offset(sum.end_offset.value());
  response.set_from_offset(sum.from_offset.value());
  response.set_next_offset(sum.next_offset.value());
  response.set_bytes(sum.bytes);
  response.set_crc32c(sum.crc32c);
  return response;
}

}  // namespace millrace::node
