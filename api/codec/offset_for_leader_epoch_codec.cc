#include "api/codec/offset_for_leader_epoch_codec.h"

#include <utility>

#include "api/codec/proto_fields.h"

namespace millrace::api {

absl::StatusOr<OffsetForLeaderEpochRequest> FromProto(
    const v1::OffsetForLeaderEpochRequest& proto) {
  OffsetForLeaderEpochRequest request;
  for (const v1::OffsetForLeaderEpochPartition& from : proto.partitions()) {
    OffsetForLeaderEpochPartition partition;
    RETURN_IF_ERROR(NameFromProto(from, &partition.name));
    if (from.has_current_leader_epoch()) {
      partition.current_leader_epoch = LeaderEpoch(from.current_leader_epoch());
    }
    partition.leader_epoch = LeaderEpoch(from.leader_epoch());
    request.partitions.push_back(std::move(partition));
  }
  return request;
}

absl::StatusOr<OffsetForLeaderEpochResponse> FromProto(
    const v1::OffsetForLeaderEpochResponse& proto) {
  OffsetForLeaderEpochResponse response;
  for (const v1::OffsetForLeaderEpochPartitionResult& from : proto.partitions()) {
    OffsetForLeaderEpochPartitionResult result;
    RETURN_IF_ERROR(NameFromProto(from, &result.name));
    result.outcome = OutcomeFromProto(from);
    result.leader_epoch = LeaderEpoch(from.leader_epoch());
    result.end_offset = Offset(from.end_offset());
    response.partitions.push_back(std::move(result));
  }
  return response;
}

v1::OffsetForLeaderEpochRequest ToProto(const OffsetForLeaderEpochRequest& request) {
  v1::OffsetForLeaderEpochRequest proto;
  for (const OffsetForLeaderEpochPartition& partition : request.partitions) {
    v1::OffsetForLeaderEpochPartition* to = proto.add_partitions();
    NameToProto(partition.name, to);
    if (partition.current_leader_epoch) {
      to->set_current_leader_epoch(partition.current_leader_epoch->value());
    }
    to->set_leader_epoch(partition.leader_epoch.value());
  }
  return proto;
}

v1::OffsetForLeaderEpochResponse ToProto(const OffsetForLeaderEpochResponse& response) {
  v1::OffsetForLeaderEpochResponse proto;
  for (const OffsetForLeaderEpochPartitionResult& result : response.partitions) {
    v1::OffsetForLeaderEpochPartitionResult* to = proto.add_partitions();
    NameToProto(result.name, to);
    OutcomeToProto(result.name, result.outcome, to);
    to->set_leader_epoch(result.leader_epoch.value());
    to->set_end_offset(result.end_offset.value());
  }
  return proto;
}

}  // namespace millrace::api
