#include "api/codec/list_offsets_codec.h"

#include <utility>

#include "api/codec/proto_fields.h"

namespace millrace::api {

absl::StatusOr<ListOffsetsRequest> FromProto(const v1::ListOffsetsRequest& proto) {
  ListOffsetsRequest request;
  request.isolation_level = static_cast<IsolationLevel>(proto.isolation_level());
  for (const v1::ListOffsetsPartition& from : proto.partitions()) {
    ListOffsetsPartition partition;
    RETURN_IF_ERROR(NameFromProto(from, &partition.name));
    partition.position = static_cast<OffsetPosition>(from.position());
    partition.timestamp_ms = from.timestamp_ms();
    if (from.has_leader_epoch()) partition.leader_epoch = LeaderEpoch(from.leader_epoch());
    request.partitions.push_back(std::move(partition));
  }
  return request;
}

absl::StatusOr<ListOffsetsResponse> FromProto(const v1::ListOffsetsResponse& proto) {
  ListOffsetsResponse response;
  for (const v1::ListOffsetsPartitionResult& from : proto.partitions()) {
    ListOffsetsPartitionResult result;
    RETURN_IF_ERROR(NameFromProto(from, &result.name));
    result.outcome = OutcomeFromProto(from);
    result.offset = Offset(from.offset());
    result.timestamp_ms = from.timestamp_ms();
    result.leader_epoch = LeaderEpoch(from.leader_epoch());
    response.partitions.push_back(std::move(result));
  }
  return response;
}

v1::ListOffsetsRequest ToProto(const ListOffsetsRequest& request) {
  v1::ListOffsetsRequest proto;
  proto.set_isolation_level(static_cast<v1::IsolationLevel>(request.isolation_level));
  for (const ListOffsetsPartition& partition : request.partitions) {
    v1::ListOffsetsPartition* to = proto.add_partitions();
    NameToProto(partition.name, to);
    to->set_position(static_cast<v1::OffsetPosition>(partition.position));
    to->set_timestamp_ms(partition.timestamp_ms);
    if (partition.leader_epoch) to->set_leader_epoch(partition.leader_epoch->value());
  }
  return proto;
}

v1::ListOffsetsResponse ToProto(const ListOffsetsResponse& response) {
  v1::ListOffsetsResponse proto;
  for (const ListOffsetsPartitionResult& result : response.partitions) {
    v1::ListOffsetsPartitionResult* to = proto.add_partitions();
    NameToProto(result.name, to);
    OutcomeToProto(result.name, result.outcome, to);
    to->set_offset(result.offset.value());
    to->set_timestamp_ms(result.timestamp_ms);
    to->set_leader_epoch(result.leader_epoch.value());
  }
  return proto;
}

}  // namespace millrace::api
