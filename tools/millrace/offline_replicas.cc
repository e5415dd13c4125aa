#include "tools/millrace/offline_replicas.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "tools/millrace/broker_log_dirs.h"

namespace millrace::tools {
namespace {

// A damaged replica gives its seat up, unless it is the last one that has one: a member of an
// in-sync set of several need not be asked, and one that hangs holds nobody up.
bool MayBeUnknownToTheCluster(const v1::PartitionDescription& partition, int32_t broker) {
  const auto& isr = partition.in_sync_replicas();
  const bool in_sync = std::find(isr.begin(), isr.end(), broker) != isr.end();
  return !IsOffline(partition, broker) && !(in_sync && isr.size() > 1);
}

std::set<int32_t> BrokersOf(const std::vector<v1::TopicDescription>& topics) {
  std::set<int32_t> brokers;
  for (const v1::TopicDescription& topic : topics) {
    for (const v1::PartitionDescription& partition : topic.partitions()) {
      for (const int32_t broker : partition.replicas()) {
        if (MayBeUnknownToTheCluster(partition, broker)) brokers.insert(broker);
      }
    }
  }
  return brokers;
}

using Partitions = std::map<std::pair<std::string, int32_t>, v1::PartitionDescription*>;

// What one broker says.
void Add(const v1::DescribeLogDirsResponse& response, const Partitions& partitions,
         std::vector<OfflineReplica>* offline) {
  for (const v1::LogDirDescription& dir : response.log_dirs()) {
    for (const v1::LogDirPartition& replica : dir.partitions()) {
      if (replica.code() == v1::ERROR_CODE_UNSPECIFIED) continue;
      const auto found = partitions.find({replica.topic(), replica.partition()});
      // It may have been moved or deleted since.
      if (found == partitions.end()) continue;
      v1::PartitionDescription* const partition = found->second;
      const auto& replicas = partition->replicas();
      const int32_t broker = response.broker_id();
      if (std::find(replicas.begin(), replicas.end(), broker) == replicas.end()) continue;
      if (!IsOffline(*partition, broker)) partition->add_offline_replicas(broker);
      offline->push_back({replica.topic(), replica.partition(), broker, replica.message()});
    }
  }
}

}  // namespace

std::vector<OfflineReplica> AddOfflineReplicas(const GlobalOptions& global, client::Admin* admin,
                                               std::vector<v1::TopicDescription>* topics) {
  std::vector<OfflineReplica> offline;
  const std::set<int32_t> brokers = BrokersOf(*topics);
  if (brokers.empty()) return offline;
  const absl::StatusOr<v1::DescribeClusterResponse> cluster = admin->DescribeCluster({});
  if (!cluster.ok()) return offline;
  std::vector<std::string> names;
  Partitions partitions;
  for (v1::TopicDescription& topic : *topics) {
    names.push_back(topic.name());
    for (v1::PartitionDescription& partition : *topic.mutable_partitions()) {
      partitions[{topic.name(), partition.partition()}] = &partition;
    }
  }
  for (const v1::BrokerDescription& broker : cluster->brokers()) {
    if (broker.fenced() || !brokers.contains(broker.broker_id())) continue;
    const absl::StatusOr<v1::DescribeLogDirsResponse> dirs =
        DescribeLogDirsOf(broker, global, admin, names);
    if (dirs.ok()) Add(*dirs, partitions, &offline);
  }
  return offline;
}

bool IsOffline(const v1::PartitionDescription& partition, int32_t broker) {
  const auto& offline = partition.offline_replicas();
  return std::find(offline.begin(), offline.end(), broker) != offline.end();
}

}  // namespace millrace::tools
