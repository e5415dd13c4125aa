// The controller's machine: what a command does to the cluster, as records, and what records do to
// the controller's state. To be run by an rsm::Host over the metadata log.
//
// Decide reads the state and draws nothing: times come as Now, fresh ids and seeds in the command.
// It returns a reply and the records that make it true; Apply is the only way the state changes.
// The commands themselves live in the files *_commands; this header is their list. Changes that
// carry a request id take effect once (request_memory.h).
//
// Thread: any (pure functions of values).
#ifndef CONTROLLER_MACHINE_H_
#define CONTROLLER_MACHINE_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "controller/commands.h"
#include "controller/state.h"
#include "rsm/record.h"

namespace millrace::controller {

struct Machine {
  using State = controller::State;

  // Founding; needs nothing. All other commands are refused before it.
  static rsm::Decision<FoundClusterReply> Decide(const State&, const FoundClusterCommand&,
                                                 rsm::Now);
  // Topics (topic_commands.h).
  static rsm::Decision<v1::CreateTopicsResponse> Decide(const State&, const CreateTopicsCommand&,
                                                        rsm::Now);
  static rsm::Decision<v1::DeleteTopicsResponse> Decide(const State&,
                                                        const v1::DeleteTopicsRequest&, rsm::Now);
  static rsm::Decision<v1::CreatePartitionsResponse> Decide(const State&,
                                                            const CreatePartitionsCommand&,
                                                            rsm::Now);
  static rsm::Decision<v1::ListTopicsResponse> Decide(const State&, const v1::ListTopicsRequest&,
                                                      rsm::Now);
  static rsm::Decision<v1::DescribeTopicsResponse> Decide(const State&,
                                                          const v1::DescribeTopicsRequest&,
                                                          rsm::Now);
  // Configs (config_commands.h).
  static rsm::Decision<v1::DescribeConfigsResponse> Decide(const State&,
                                                           const v1::DescribeConfigsRequest&,
                                                           rsm::Now);
  static rsm::Decision<v1::IncrementalAlterConfigsResponse> Decide(
      const State&, const v1::IncrementalAlterConfigsRequest&, rsm::Now);
  // Brokers (broker_commands.h).
  static rsm::Decision<v1::DescribeClusterResponse> Decide(const State&,
                                                           const v1::DescribeClusterRequest&,
                                                           rsm::Now);
  static rsm::Decision<internal::v1::RegisterBrokerResponse> Decide(
      const State&, const internal::v1::RegisterBrokerRequest&, rsm::Now);
  static rsm::Decision<internal::v1::BrokerHeartbeatResponse> Decide(
      const State&, const internal::v1::BrokerHeartbeatRequest&, rsm::Now);
  static rsm::Decision<FenceBrokerReply> Decide(const State&, const FenceBrokerCommand&, rsm::Now);
  // Feature levels (feature_commands.h).
  static rsm::Decision<v1::DescribeFeaturesResponse> Decide(const State&,
                                                            const DescribeFeaturesCommand&,
                                                            rsm::Now);
  static rsm::Decision<v1::RaiseFeatureLevelResponse> Decide(const State&,
                                                             const RaiseFeatureLevelCommand&,
                                                             rsm::Now);
  // Log directories (directory_commands.h).
  static rsm::Decision<FailDirectoriesReply> Decide(const State&, const FailDirectoriesCommand&,
                                                    rsm::Now);
  // Slow disks (slow_directories.h).
  static rsm::Decision<MarkSlowDirectoriesReply> Decide(const State&,
                                                        const MarkSlowDirectoriesCommand&,
                                                        rsm::Now);
  static rsm::Decision<internal::v1::ReportLastCopiesResponse> Decide(
      const State&, const internal::v1::ReportLastCopiesRequest&, rsm::Now);
  static rsm::Decision<internal::v1::AssignReplicasToDirsResponse> Decide(
      const State&, const internal::v1::AssignReplicasToDirsRequest&, rsm::Now);
  static rsm::Decision<internal::v1::AllocateProducerIdsResponse> Decide(
      const State&, const internal::v1::AllocateProducerIdsRequest&, rsm::Now);
  // Brokers that leave for good (decommission_commands.h).
  static rsm::Decision<v1::CordonBrokerResponse> Decide(const State&,
                                                        const v1::CordonBrokerRequest&, rsm::Now);
  static rsm::Decision<v1::DecommissionBrokerResponse> Decide(const State&,
                                                              const DecommissionBrokerCommand&,
                                                              rsm::Now);
  static rsm::Decision<v1::UnregisterBrokerResponse> Decide(const State&,
                                                            const v1::UnregisterBrokerRequest&,
                                                            rsm::Now);
  // Partitions (partition_commands.h, election_commands.h, leader_balance.h).
  static rsm::Decision<internal::v1::AlterPartitionResponse> Decide(
      const State&, const internal::v1::AlterPartitionRequest&, rsm::Now);
  static rsm::Decision<v1::ElectLeadersResponse> Decide(const State&,
                                                        const v1::ElectLeadersRequest&, rsm::Now);
  // Reassignments (reassignment_commands.h).
  static rsm::Decision<v1::AlterPartitionReassignmentsResponse> Decide(
      const State&, const AlterReassignmentsCommand&, rsm::Now);
  static rsm::Decision<v1::ListPartitionReassignmentsResponse> Decide(
      const State&, const v1::ListPartitionReassignmentsRequest&, rsm::Now);
  static rsm::Decision<BalanceLeadersReply> Decide(const State&, const BalanceLeadersCommand&,
                                                   rsm::Now);

  // Whether Apply can take this record; see metadata/apply.h. A host asks before it applies, and
  // stops the node with the error.
  static absl::Status CheckRecord(const rsm::Record& record);

  // The state after the entry at `index`. REQUIRES: CheckRecord is OK for all of `records`.
  static State Apply(const State& state, LogIndex index, absl::Span<const rsm::Record> records);
};

}  // namespace millrace::controller

#endif  // CONTROLLER_MACHINE_H_
