#include "api/codec/produce_codec.h"

#include <utility>

#include "api/codec/partition_fields.h"
#include "api/codec/plain_records.h"
#include "api/codec/produce_fields.h"
#include "api/codec/produce_intake.h"
#include "api/codec/wire_reader.h"

namespace millrace::api {
namespace {

// ProducePartitionResult
constexpr uint32_t kBaseOffsetField = 6;
constexpr uint32_t kLogAppendTimeField = 7;
constexpr uint32_t kLogStartOffsetField = 8;
constexpr uint32_t kLevelField = 9;
constexpr uint32_t kResultLeaderField = 10;
// ProduceResponse
constexpr uint32_t kResponsePartitionsField = 1;

bool Decode(Slice message, ProducePartitionResult* out) {
  // What is not on the wire is proto3's default.
  out->base_offset = Offset(0);
  out->log_append_time_ms = 0;
  out->log_start_offset = Offset(0);
  WireReader reader(message);
  while (reader.Next()) {
    if (ReadNameField(reader, &out->name)) continue;
    if (ReadOutcomeField(reader, kResultLeaderField, &out->outcome)) continue;
    if (reader.Is(kBaseOffsetField, WireType::kVarint)) {
      out->base_offset = Offset(reader.Int64());
    } else if (reader.Is(kLogAppendTimeField, WireType::kVarint)) {
      out->log_append_time_ms = reader.Int64();
    } else if (reader.Is(kLogStartOffsetField, WireType::kVarint)) {
      out->log_start_offset = Offset(reader.Int64());
    } else if (reader.Is(kLevelField, WireType::kVarint)) {
      out->level = static_cast<DurabilityLevel>(reader.Int32());
    } else {
      reader.Skip();
    }
  }
  return reader.ok();
}

// Both responses have their results in a repeated field.
bool DecodeResults(WireReader& reader, uint32_t field, std::vector<ProducePartitionResult>* out) {
  if (!reader.Is(field, WireType::kLength)) return false;
  const Slice part = reader.Length();
  if (reader.ok() && !Decode(part, &out->emplace_back())) reader.Fail();
  return true;
}

template <class Sink>
void Put(Sink& sink, const ProducePartition& partition) {
  PutName(sink, partition.name);
  sink.Pieces(kBatchesField, {&partition.batches, 1});
  sink.Encoded(partition.plain_records);
  if (partition.leader_epoch) sink.PresentInt(kLeaderEpochField, partition.leader_epoch->value());
  if (partition.topic_checksum) {
    sink.PresentFixed32(kTopicChecksumField, *partition.topic_checksum);
  }
  sink.Varint(kRestartField, partition.restart);
}

template <class Sink>
void Put(Sink& sink, const ProduceRequest& request) {
  for (const ProducePartition& partition : request.partitions) {
    sink.Message(kRequestPartitionsField, [&](auto& inner) { Put(inner, partition); });
  }
  sink.Int(kAcksField, static_cast<int32_t>(request.acks));
  sink.Int(kTimeoutField, ToMs(request.timeout));
  sink.Text(kClientIdField, request.client_id);
}

template <class Sink>
void PutResults(Sink& sink, uint32_t field, const std::vector<ProducePartitionResult>& results) {
  for (const ProducePartitionResult& result : results) {
    sink.Message(field, [&](auto& inner) {
      PutName(inner, result.name);
      PutCodeAndMessage(inner, result.outcome);
      inner.Int(kBaseOffsetField, result.base_offset.value());
      inner.Int(kLogAppendTimeField, result.log_append_time_ms);
      inner.Int(kLogStartOffsetField, result.log_start_offset.value());
      inner.Int(kLevelField, static_cast<int32_t>(result.level));
      PutLeader(inner, kResultLeaderField, result.name, result.outcome);
    });
  }
}

}  // namespace

absl::StatusOr<ProduceRequest> DecodeProduceRequest(const Bytes& message) {
  const Slice piece = message;
  Reservation none;
  return TakeInProduceRequest({&piece, 1}, &none);
}

absl::StatusOr<ProduceStreamRequest> DecodeProduceStreamRequest(const Bytes& message) {
  const Slice piece = message;
  Reservation none;
  return TakeInProduceStreamRequest({&piece, 1}, &none);
}

absl::StatusOr<ProduceResponse> DecodeProduceResponse(const Bytes& message) {
  ProduceResponse response;
  WireReader reader(message);
  while (reader.Next()) {
    if (!DecodeResults(reader, kResponsePartitionsField, &response.partitions)) reader.Skip();
  }
  if (!reader.ok()) return MalformedMessage("millrace.v1.ProduceResponse");
  return response;
}

absl::StatusOr<ProduceStreamResponse> DecodeProduceStreamResponse(const Bytes& message) {
  ProduceStreamResponse response;
  WireReader reader(message);
  while (reader.Next()) {
    if (reader.Is(kRequestNumberField, WireType::kVarint)) {
      response.request_number = reader.Varint();
    } else if (!DecodeResults(reader, kStreamBodyField, &response.partitions)) {
      reader.Skip();
    }
  }
  if (!reader.ok()) return MalformedMessage("millrace.v1.ProduceStreamResponse");
  return response;
}

MessagePieces EncodeProduceRequest(const ProduceRequest& request) {
  return EncodeMessage([&](auto& sink) { Put(sink, request); });
}

MessagePieces EncodeProduceStreamRequest(const ProduceStreamRequest& request) {
  return EncodeMessage([&](auto& sink) {
    sink.Varint(kRequestNumberField, request.request_number);
    sink.Message(kStreamBodyField, [&](auto& inner) { Put(inner, request.request); });
    sink.Varint(kForwardField, request.forward ? 1 : 0);
  });
}

MessagePieces EncodeProduceResponse(const ProduceResponse& response) {
  return EncodeMessage(
      [&](auto& sink) { PutResults(sink, kResponsePartitionsField, response.partitions); });
}

MessagePieces EncodeProduceStreamResponse(const ProduceStreamResponse& response) {
  return EncodeMessage([&](auto& sink) {
    sink.Varint(kRequestNumberField, response.request_number);
    PutResults(sink, kStreamBodyField, response.partitions);
  });
}

}  // namespace millrace::api
