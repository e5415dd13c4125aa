// The controller's commands that are more than their proto request, with what Decide must not draw
// itself. All others enter Decide as millrace::v1 (public) or millrace::internal::v1 messages.
//
// Thread: any (values).
#ifndef CONTROLLER_COMMANDS_H_
#define CONTROLLER_COMMANDS_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "millrace/internal/v1/controller_service.pb.h"
#include "millrace/v1/admin_service.pb.h"

namespace millrace::controller {

// The first entry of a cluster's log (S-18). Repeated with the same id it changes nothing.
struct FoundClusterCommand {
  ClusterId cluster_id;
  // That the cluster begins at; 0: the highest that this program knows.
  int feature_level = 0;
};
struct FoundClusterReply {
  ClusterId cluster_id;
};

struct CreateTopicsCommand {
  v1::CreateTopicsRequest request;
  // REQUIRES: at least one per topic asked for, never used before.
  std::vector<TopicId> fresh_ids;
  // Where placement begins; drawn anew for each command.
  uint64_t placement_seed = 0;
};

struct CreatePartitionsCommand {
  v1::CreatePartitionsRequest request;
  uint64_t placement_seed = 0;
};

struct AlterReassignmentsCommand {
  v1::AlterPartitionReassignmentsRequest request;
  uint64_t placement_seed = 0;
};

struct DecommissionBrokerCommand {
  v1::DecommissionBrokerRequest request;
  uint64_t placement_seed = 0;
};

// The session of this broker ended.
struct FenceBrokerCommand {
  NodeId broker_id = kNoNode;
  // A later registration is left alone.
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
};
struct FenceBrokerReply {
  // Partitions that have no leader now.
  int partitions_without_leader = 0;
};

// Log directories of this broker failed (KIP-858).
struct FailDirectoriesCommand {
  NodeId broker_id = kNoNode;
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
  std::set<DirectoryId> directories = {};
};
struct FailDirectoriesReply {
  // That lie in the directories that were not known to have failed.
  int replicas = 0;
  // Of those, partitions that have no leader now.
  int partitions_without_leader = 0;
};

// Those of the broker's log directories whose disks are much slower than others (disk_speeds.h).
struct MarkSlowDirectoriesCommand {
  NodeId broker_id = kNoNode;
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
  // All of them; the others are well.
  std::set<DirectoryId> directories = {};
};
struct MarkSlowDirectoriesReply {
  // Leaderships that went to others; that stayed, because nobody in sync is better off; and that
  // came back.
  int moved = 0;
  int kept = 0;
  int given_back = 0;
};

// Gives leaderships back to the first of the replicas.
struct BalanceLeadersCommand {
  // What one entry may cost the clients of the partitions at most.
  int elections_max = 1000;
};
struct BalanceLeadersReply {
  int elections = 0;
};

// What one controller's program knows; brokers say it in their registration.
struct ControllerFeatures {
  NodeId node = kNoNode;
  // Both 0: not known.
  int32_t level_min = 0;
  int32_t level_max = 0;
  std::string version = {};
};

struct DescribeFeaturesCommand {
  // All voters and learners, sorted by node.
  std::vector<ControllerFeatures> controllers;
};

struct RaiseFeatureLevelCommand {
  v1::RaiseFeatureLevelRequest request;
  // As above.
  std::vector<ControllerFeatures> controllers;
};

}  // namespace millrace::controller

#endif  // CONTROLLER_COMMANDS_H_
