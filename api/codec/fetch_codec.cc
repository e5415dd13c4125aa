#include "api/codec/fetch_codec.h"

#include <utility>

#include "api/codec/partition_fields.h"
#include "api/codec/plain_records.h"
#include "api/codec/run_collector.h"
#include "api/codec/wire_reader.h"

namespace millrace::api {
namespace {

// FetchPartition
constexpr uint32_t kOffsetField = 4;
constexpr uint32_t kPartitionMaxBytesField = 5;
constexpr uint32_t kLeaderEpochField = 6;
constexpr uint32_t kLastFetchedEpochField = 7;
// FetchRequest
constexpr uint32_t kRequestPartitionsField = 1;
constexpr uint32_t kMaxWaitField = 2;
constexpr uint32_t kMinBytesField = 3;
constexpr uint32_t kMaxBytesField = 4;
constexpr uint32_t kIsolationLevelField = 5;
constexpr uint32_t kFormatField = 6;
constexpr uint32_t kClientIdField = 7;
constexpr uint32_t kRackField = 8;
// FetchPartitionResult
constexpr uint32_t kHighWatermarkField = 6;
constexpr uint32_t kLastStableOffsetField = 7;
constexpr uint32_t kLogStartOffsetField = 8;
constexpr uint32_t kBatchesField = 9;
constexpr uint32_t kResultLeaderField = 11;
constexpr uint32_t kPreferredReplicaField = 12;
// FetchResponse
constexpr uint32_t kResponsePartitionsField = 1;
// FetchStreamRequest
constexpr uint32_t kAssignField = 1;
constexpr uint32_t kUnassignField = 2;
constexpr uint32_t kCreditField = 3;
constexpr uint32_t kStreamIsolationLevelField = 4;
constexpr uint32_t kStreamFormatField = 5;
constexpr uint32_t kStreamClientIdField = 6;
constexpr uint32_t kStreamRackField = 7;
constexpr uint32_t kAssignmentNumberField = 8;
// FetchStreamResponse
constexpr uint32_t kResponseAssignmentField = 1;
constexpr uint32_t kStreamPartitionsField = 2;

bool Decode(Slice message, FetchPartition* out) {
  WireReader reader(message);
  while (reader.Next()) {
    if (ReadNameField(reader, &out->name)) continue;
    if (reader.Is(kOffsetField, WireType::kVarint)) {
      out->offset = Offset(reader.Int64());
    } else if (reader.Is(kPartitionMaxBytesField, WireType::kVarint)) {
      out->bytes_max = reader.Int32();
    } else if (reader.Is(kLeaderEpochField, WireType::kVarint)) {
      out->leader_epoch = LeaderEpoch(reader.Int32());
    } else if (reader.Is(kLastFetchedEpochField, WireType::kVarint)) {
      out->last_fetched_epoch = LeaderEpoch(reader.Int32());
    } else {
      reader.Skip();
    }
  }
  return reader.ok();
}

bool Decode(const Bytes& message, FetchPartitionResult* out) {
  // What is not on the wire is proto3's default.
  out->high_watermark = out->last_stable_offset = out->log_start_offset = Offset(0);
  WireReader reader(message);
  RunCollector records;
  while (reader.Next()) {
    if (ReadNameField(reader, &out->name)) continue;
    if (ReadOutcomeField(reader, kResultLeaderField, &out->outcome)) continue;
    if (reader.Is(kHighWatermarkField, WireType::kVarint)) {
      out->high_watermark = Offset(reader.Int64());
    } else if (reader.Is(kLastStableOffsetField, WireType::kVarint)) {
      out->last_stable_offset = Offset(reader.Int64());
    } else if (reader.Is(kLogStartOffsetField, WireType::kVarint)) {
      out->log_start_offset = Offset(reader.Int64());
    } else if (reader.Is(kBatchesField, WireType::kLength)) {
      const Slice part = reader.Length();
      out->batches.clear();
      if (!part.empty()) {
        out->batches.push_back(message.Sub(part.data() - message.data(), part.size()));
      }
    } else if (reader.Is(kFetchRecordsField, WireType::kLength)) {
      const size_t begin = reader.field_begin();
      reader.Length();
      records.Add(message, begin, reader.position());
    } else if (reader.Is(kPreferredReplicaField, WireType::kVarint)) {
      out->preferred_read_replica = NodeId(reader.Int32());
    } else {
      reader.Skip();
    }
  }
  if (reader.ok()) out->plain_records = std::move(records).Take(message);
  return reader.ok();
}

// Reads the current field if it is `field`, a repeated message.
template <class T>
bool ReadRepeated(WireReader& reader, const Bytes& message, uint32_t field, std::vector<T>* out) {
  if (!reader.Is(field, WireType::kLength)) return false;
  const Slice part = reader.Length();
  if (!reader.ok()) return true;
  const Bytes inner =
      part.empty() ? Bytes() : message.Sub(part.data() - message.data(), part.size());
  const bool decoded = Decode(inner, &out->emplace_back());
  if (!decoded || out->size() > kMessagePartitionsMax) reader.Fail();
  return true;
}

template <class Sink>
void Put(Sink& sink, const FetchPartition& partition) {
  PutName(sink, partition.name);
  sink.Int(kOffsetField, partition.offset.value());
  sink.Int(kPartitionMaxBytesField, partition.bytes_max);
  if (partition.leader_epoch) sink.PresentInt(kLeaderEpochField, partition.leader_epoch->value());
  if (partition.last_fetched_epoch) {
    sink.PresentInt(kLastFetchedEpochField, partition.last_fetched_epoch->value());
  }
}

template <class Sink>
void Put(Sink& sink, const FetchPartitionResult& result) {
  PutName(sink, result.name);
  PutCodeAndMessage(sink, result.outcome);
  sink.Int(kHighWatermarkField, result.high_watermark.value());
  sink.Int(kLastStableOffsetField, result.last_stable_offset.value());
  sink.Int(kLogStartOffsetField, result.log_start_offset.value());
  sink.Pieces(kBatchesField, result.batches);
  sink.Encoded(result.plain_records);
  PutLeader(sink, kResultLeaderField, result.name, result.outcome);
  if (result.preferred_read_replica) {
    sink.PresentInt(kPreferredReplicaField, result.preferred_read_replica->value());
  }
}

template <class Sink, class T>
void PutRepeated(Sink& sink, uint32_t field, const std::vector<T>& items) {
  for (const T& item : items) {
    sink.Message(field, [&](auto& inner) { Put(inner, item); });
  }
}

}  // namespace

absl::StatusOr<FetchRequest> DecodeFetchRequest(const Bytes& message) {
  FetchRequest request;
  WireReader reader(message);
  while (reader.Next()) {
    if (ReadRepeated(reader, message, kRequestPartitionsField, &request.partitions)) continue;
    if (reader.Is(kMaxWaitField, WireType::kVarint)) {
      request.max_wait = FromMs(reader.Int32());
    } else if (reader.Is(kMinBytesField, WireType::kVarint)) {
      request.bytes_min = reader.Int32();
    } else if (reader.Is(kMaxBytesField, WireType::kVarint)) {
      request.bytes_max = reader.Int32();
    } else if (reader.Is(kIsolationLevelField, WireType::kVarint)) {
      request.isolation_level = static_cast<IsolationLevel>(reader.Int32());
    } else if (reader.Is(kFormatField, WireType::kVarint)) {
      request.format = static_cast<RecordFormat>(reader.Int32());
    } else if (reader.Is(kClientIdField, WireType::kLength)) {
      request.client_id = ToStdString(reader.Text());
    } else if (reader.Is(kRackField, WireType::kLength)) {
      request.rack = ToStdString(reader.Text());
    } else {
      reader.Skip();
    }
  }
  if (!reader.ok()) {
    return MalformedMessage("millrace.v1.FetchRequest", request.partitions.size());
  }
  return request;
}

absl::StatusOr<FetchStreamRequest> DecodeFetchStreamRequest(const Bytes& message) {
  FetchStreamRequest request;
  WireReader reader(message);
  while (reader.Next()) {
    if (ReadRepeated(reader, message, kAssignField, &request.assign)) continue;
    if (ReadRepeated(reader, message, kUnassignField, &request.unassign)) continue;
    if (reader.Is(kCreditField, WireType::kVarint)) {
      request.credit_bytes = reader.Int64();
    } else if (reader.Is(kStreamIsolationLevelField, WireType::kVarint)) {
      request.isolation_level = static_cast<IsolationLevel>(reader.Int32());
    } else if (reader.Is(kStreamFormatField, WireType::kVarint)) {
      request.format = static_cast<RecordFormat>(reader.Int32());
    } else if (reader.Is(kStreamClientIdField, WireType::kLength)) {
      request.client_id = ToStdString(reader.Text());
    } else if (reader.Is(kStreamRackField, WireType::kLength)) {
      request.rack = ToStdString(reader.Text());
    } else if (reader.Is(kAssignmentNumberField, WireType::kVarint)) {
      request.assignment_number = reader.Varint();
    } else {
      reader.Skip();
    }
  }
  if (!reader.ok()) {
    return MalformedMessage("millrace.v1.FetchStreamRequest",
                            std::max(request.assign.size(), request.unassign.size()));
  }
  return request;
}

absl::StatusOr<FetchResponse> DecodeFetchResponse(const Bytes& message) {
  FetchResponse response;
  WireReader reader(message);
  while (reader.Next()) {
    if (!ReadRepeated(reader, message, kResponsePartitionsField, &response.partitions)) {
      reader.Skip();
    }
  }
  if (!reader.ok()) return MalformedMessage("millrace.v1.FetchResponse");
  return response;
}

absl::StatusOr<FetchStreamResponse> DecodeFetchStreamResponse(const Bytes& message) {
  FetchStreamResponse response;
  WireReader reader(message);
  while (reader.Next()) {
    if (reader.Is(kResponseAssignmentField, WireType::kVarint)) {
      response.assignment_number = reader.Varint();
    } else if (!ReadRepeated(reader, message, kStreamPartitionsField, &response.partitions)) {
      reader.Skip();
    }
  }
  if (!reader.ok()) return MalformedMessage("millrace.v1.FetchStreamResponse");
  return response;
}

MessagePieces EncodeFetchRequest(const FetchRequest& request) {
  return EncodeMessage([&](auto& sink) {
    PutRepeated(sink, kRequestPartitionsField, request.partitions);
    sink.Int(kMaxWaitField, ToMs(request.max_wait));
    sink.Int(kMinBytesField, request.bytes_min);
    sink.Int(kMaxBytesField, request.bytes_max);
    sink.Int(kIsolationLevelField, static_cast<int32_t>(request.isolation_level));
    sink.Int(kFormatField, static_cast<int32_t>(request.format));
    sink.Text(kClientIdField, request.client_id);
    sink.Text(kRackField, request.rack);
  });
}

MessagePieces EncodeFetchStreamRequest(const FetchStreamRequest& request) {
  return EncodeMessage([&](auto& sink) {
    PutRepeated(sink, kAssignField, request.assign);
    PutRepeated(sink, kUnassignField, request.unassign);
    sink.Int(kCreditField, request.credit_bytes);
    sink.Int(kStreamIsolationLevelField, static_cast<int32_t>(request.isolation_level));
    sink.Int(kStreamFormatField, static_cast<int32_t>(request.format));
    sink.Text(kStreamClientIdField, request.client_id);
    sink.Text(kStreamRackField, request.rack);
    sink.Varint(kAssignmentNumberField, request.assignment_number);
  });
}

MessagePieces EncodeFetchResponse(const FetchResponse& response) {
  return EncodeMessage(
      [&](auto& sink) { PutRepeated(sink, kResponsePartitionsField, response.partitions); });
}

MessagePieces EncodeFetchStreamResponse(const FetchStreamResponse& response) {
  return EncodeMessage([&](auto& sink) {
    sink.Varint(kResponseAssignmentField, response.assignment_number);
    PutRepeated(sink, kStreamPartitionsField, response.partitions);
  });
}

}  // namespace millrace::api
