#include "controller/machine.h"

#include "base/status.h"
#include "controller/broker_commands.h"
#include "controller/config_commands.h"
#include "controller/decommission_commands.h"
#include "controller/directory_commands.h"
#include "controller/election_commands.h"
#include "controller/feature_commands.h"
#include "controller/last_copies.h"
#include "controller/leader_balance.h"
#include "controller/partition_commands.h"
#include "controller/reassignment_commands.h"
#include "controller/request_memory.h"
#include "controller/slow_directories.h"
#include "controller/topic_commands.h"
#include "controller/topic_creation.h"
#include "metadata/apply.h"

namespace millrace::controller {

namespace {

// Runs `decide` if there is a cluster to decide about. Retriable: its founder is on the way.
template <class DecideFunction>
auto IfFounded(const State& state, DecideFunction&& decide) -> decltype(decide()) {
  if (!state.image.cluster_id().is_zero()) return decide();
  return {MakeError(ErrorCode::kNotController, "the cluster is not founded yet; try again"), {}};
}

}  // namespace

rsm::Decision<FoundClusterReply> Machine::Decide(const State& state,
                                                 const FoundClusterCommand& command, rsm::Now) {
  return FoundCluster(state, command);
}

rsm::Decision<v1::CreateTopicsResponse> Machine::Decide(const State& state,
                                                        const CreateTopicsCommand& command,
                                                        rsm::Now now) {
  return IfFounded(state, [&] {
    return DecideOnce(state.image, command.request, now,
                      [&] { return CreateTopics(state, command); });
  });
}

rsm::Decision<v1::DeleteTopicsResponse> Machine::Decide(const State& state,
                                                        const v1::DeleteTopicsRequest& request,
                                                        rsm::Now now) {
  return IfFounded(state, [&] {
    return DecideOnce(state.image, request, now, [&] { return DeleteTopics(state, request); });
  });
}

rsm::Decision<v1::CreatePartitionsResponse> Machine::Decide(const State& state,
                                                            const CreatePartitionsCommand& command,
                                                            rsm::Now now) {
  return IfFounded(state, [&] {
    return DecideOnce(state.image, command.request, now,
                      [&] { return CreatePartitions(state, command); });
  });
}

rsm::Decision<v1::ListTopicsResponse> Machine::Decide(const State& state,
                                                      const v1::ListTopicsRequest& request,
                                                      rsm::Now) {
  return IfFounded(state, [&] { return ListTopics(state, request); });
}

rsm::Decision<v1::DescribeTopicsResponse> Machine::Decide(const State& state,
                                                          const v1::DescribeTopicsRequest& request,
                                                          rsm::Now) {
  return IfFounded(state, [&] { return DescribeTopics(state, request); });
}

rsm::Decision<v1::DescribeConfigsResponse> Machine::Decide(
    const State& state, const v1::DescribeConfigsRequest& request, rsm::Now) {
  return IfFounded(state, [&] { return DescribeConfigs(state, request); });
}

rsm::Decision<v1::IncrementalAlterConfigsResponse> Machine::Decide(
    const State& state, const v1::IncrementalAlterConfigsRequest& request, rsm::Now now) {
  return IfFounded(state, [&] {
    return DecideOnce(state.image, request, now,
                      [&] { return IncrementalAlterConfigs(state, request); });
  });
}

rsm::Decision<v1::DescribeClusterResponse> Machine::Decide(const State& state,
                                                           const v1::DescribeClusterRequest&,
                                                           rsm::Now) {
  return IfFounded(state, [&] { return DescribeCluster(state); });
}

rsm::Decision<internal::v1::RegisterBrokerResponse> Machine::Decide(
    const State& state, const internal::v1::RegisterBrokerRequest& request, rsm::Now) {
  return IfFounded(state, [&] { return RegisterBroker(state, request); });
}

rsm::Decision<internal::v1::BrokerHeartbeatResponse> Machine::Decide(
    const State& state, const internal::v1::BrokerHeartbeatRequest& request, rsm::Now) {
  return IfFounded(state, [&] { return BrokerHeartbeat(state, request); });
}

rsm::Decision<FenceBrokerReply> Machine::Decide(const State& state,
                                                const FenceBrokerCommand& command, rsm::Now) {
  return IfFounded(state, [&] { return FenceBroker(state, command); });
}

rsm::Decision<v1::DescribeFeaturesResponse> Machine::Decide(const State& state,
                                                            const DescribeFeaturesCommand& command,
                                                            rsm::Now) {
  return IfFounded(state, [&] { return DescribeFeatures(state, command); });
}

rsm::Decision<v1::RaiseFeatureLevelResponse> Machine::Decide(
    const State& state, const RaiseFeatureLevelCommand& command, rsm::Now) {
  return IfFounded(state, [&] { return RaiseFeatureLevel(state, command); });
}

rsm::Decision<FailDirectoriesReply> Machine::Decide(const State& state,
                                                    const FailDirectoriesCommand& command,
                                                    rsm::Now) {
  return IfFounded(state, [&] { return FailDirectories(state, command); });
}

rsm::Decision<MarkSlowDirectoriesReply> Machine::Decide(const State& state,
                                                        const MarkSlowDirectoriesCommand& command,
                                                        rsm::Now) {
  return IfFounded(state, [&] { return MarkSlowDirectories(state, command); });
}

rsm::Decision<internal::v1::AssignReplicasToDirsResponse> Machine::Decide(
    const State& state, const internal::v1::AssignReplicasToDirsRequest& request, rsm::Now) {
  return IfFounded(state, [&] { return AssignReplicasToDirs(state, request); });
}

rsm::Decision<internal::v1::ReportLastCopiesResponse> Machine::Decide(
    const State& state, const internal::v1::ReportLastCopiesRequest& request, rsm::Now) {
  return IfFounded(state, [&] { return ReportLastCopies(state, request); });
}

rsm::Decision<internal::v1::AllocateProducerIdsResponse> Machine::Decide(
    const State& state, const internal::v1::AllocateProducerIdsRequest& request, rsm::Now) {
  return IfFounded(state, [&] { return AllocateProducerIds(state, request); });
}

rsm::Decision<internal::v1::AlterPartitionResponse> Machine::Decide(
    const State& state, const internal::v1::AlterPartitionRequest& request, rsm::Now) {
  return IfFounded(state, [&] { return AlterPartition(state, request); });
}

rsm::Decision<v1::CordonBrokerResponse> Machine::Decide(const State& state,
                                                        const v1::CordonBrokerRequest& request,
                                                        rsm::Now) {
  return IfFounded(state, [&] { return CordonBroker(state, request); });
}

rsm::Decision<v1::DecommissionBrokerResponse> Machine::Decide(
    const State& state, const DecommissionBrokerCommand& command, rsm::Now) {
  return IfFounded(state, [&] { return DecommissionBroker(state, command); });
}

rsm::Decision<v1::UnregisterBrokerResponse> Machine::Decide(
    const State& state, const v1::UnregisterBrokerRequest& request, rsm::Now) {
  return IfFounded(state, [&] { return UnregisterBroker(state, request); });
}

rsm::Decision<v1::ElectLeadersResponse> Machine::Decide(const State& state,
                                                        const v1::ElectLeadersRequest& request,
                                                        rsm::Now) {
  return IfFounded(state, [&] { return ElectLeaders(state, request); });
}

rsm::Decision<v1::AlterPartitionReassignmentsResponse> Machine::Decide(
    const State& state, const AlterReassignmentsCommand& command, rsm::Now) {
  return IfFounded(state, [&] { return AlterPartitionReassignments(state, command); });
}

rsm::Decision<v1::ListPartitionReassignmentsResponse> Machine::Decide(
    const State& state, const v1::ListPartitionReassignmentsRequest& request, rsm::Now) {
  return IfFounded(state, [&] { return ListPartitionReassignments(state, request); });
}

rsm::Decision<BalanceLeadersReply> Machine::Decide(const State& state,
                                                   const BalanceLeadersCommand& command, rsm::Now) {
  return IfFounded(state, [&] { return BalanceLeaders(state, command); });
}

absl::Status Machine::CheckRecord(const rsm::Record& record) {
  return metadata::CheckKnown({&record, 1});
}

State Machine::Apply(const State& state, LogIndex index, absl::Span<const rsm::Record> records) {
  return ApplyToState(state, index, records);
}

}  // namespace millrace::controller
