#include "api/codec/delete_records_codec.h"

#include <utility>

#include "api/codec/proto_fields.h"

namespace millrace::api {

absl::StatusOr<DeleteRecordsRequest> FromProto(const v1::DeleteRecordsRequest& proto) {
  DeleteRecordsRequest request;
  request.timeout = FromMs(proto.timeout_ms());
  for (const v1::DeleteRecordsPartition& from : proto.partitions()) {
    DeleteRecordsPartition partition;
    RETURN_IF_ERROR(NameFromProto(from, &partition.name));
    partition.before_offset = Offset(from.before_offset());
    request.partitions.push_back(std::move(partition));
  }
  return request;
}

absl::StatusOr<DeleteRecordsResponse> FromProto(const v1::DeleteRecordsResponse& proto) {
  DeleteRecordsResponse response;
  for (const v1::DeleteRecordsPartitionResult& from : proto.partitions()) {
    DeleteRecordsPartitionResult result;
    RETURN_IF_ERROR(NameFromProto(from, &result.name));
    result.outcome = OutcomeFromProto(from);
    result.log_start_offset = Offset(from.log_start_offset());
    response.partitions.push_back(std::move(result));
  }
  return response;
}

v1::DeleteRecordsRequest ToProto(const DeleteRecordsRequest& request) {
  v1::DeleteRecordsRequest proto;
  proto.set_timeout_ms(ToMs(request.timeout));
  for (const DeleteRecordsPartition& partition : request.partitions) {
    v1::DeleteRecordsPartition* to = proto.add_partitions();
    NameToProto(partition.name, to);
    to->set_before_offset(partition.before_offset.value());
  }
  return proto;
}

v1::DeleteRecordsResponse ToProto(const DeleteRecordsResponse& response) {
  v1::DeleteRecordsResponse proto;
  for (const DeleteRecordsPartitionResult& result : response.partitions) {
    v1::DeleteRecordsPartitionResult* to = proto.add_partitions();
    NameToProto(result.name, to);
    OutcomeToProto(result.name, result.outcome, to);
    to->set_log_start_offset(result.log_start_offset.value());
  }
  return proto;
}

}  // namespace millrace::api
