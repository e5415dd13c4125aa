// AdminGrpc: AdminService as gRPC serves it, with every method raw: requests are answered as bytes
// where they are passed on, and those that cannot be parsed are answered by us.
//
// Thread: made before the server starts, then gRPC's.
#ifndef NODE_SERVICE_ADMIN_GRPC_H_
#define NODE_SERVICE_ADMIN_GRPC_H_

#include "millrace/v1/admin_service.grpc.pb.h"

namespace millrace::node {
struct AdminMethods {
  using V1 = v1::AdminService;
  using Quorum = V1::WithRawMethod_DescribeQuorum<
      V1::WithRawMethod_AddController<V1::WithRawMethod_RemoveController<
          V1::WithRawMethod_TransferControllerLeadership<V1::Service>>>>;
  using Features = V1::WithRawMethod_DescribeFeatures<V1::WithRawMethod_RaiseFeatureLevel<Quorum>>;
  using Cluster = V1::WithRawMethod_DescribeCluster<
      V1::WithRawMethod_DescribeLogDirs<V1::WithRawMethod_ChecksumReplica<Features>>>;
  using Configs =
      V1::WithRawMethod_DescribeConfigs<V1::WithRawMethod_IncrementalAlterConfigs<Cluster>>;
  using Partitions = V1::WithRawMethod_ElectLeaders<V1::WithRawMethod_AlterPartitionReassignments<
      V1::WithRawMethod_ListPartitionReassignments<V1::WithRawMethod_CordonBroker<
          V1::WithRawMethod_DecommissionBroker<V1::WithRawMethod_UnregisterBroker<Configs>>>>>>;
  using Service = V1::WithRawMethod_CreateTopics<
      V1::WithRawMethod_CreatePartitions<V1::WithRawMethod_DeleteTopics<
          V1::WithRawMethod_ListTopics<V1::WithRawMethod_DescribeTopics<Partitions>>>>>;
};

using AdminGrpc = AdminMethods::Service;

}  // namespace millrace::node

#endif  // NODE_SERVICE_ADMIN_GRPC_H_
