// What the messages of several calls have in common: the fields that name a partition, and those
// that say how it fared. One place for each, used by the hot codecs and the typed ones.
//
// Thread: any (pure functions).
#ifndef API_CODEC_PARTITION_FIELDS_H_
#define API_CODEC_PARTITION_FIELDS_H_

#include <string>

#include "absl/time/time.h"
#include "api/codec/wire_reader.h"
#include "api/codec/wire_writer.h"
#include "api/partition_name.h"
#include "base/status.h"

namespace millrace::api {

// Every message that names a partition has it in these fields.
inline constexpr uint32_t kTopicField = 1;
inline constexpr uint32_t kTopicIdField = 2;
inline constexpr uint32_t kPartitionField = 3;
// Every result has its outcome in these; the leader's field differs.
inline constexpr uint32_t kCodeField = 4;
inline constexpr uint32_t kMessageField = 5;

inline std::string ToStdString(Slice text) { return std::string(text); }

// The id in `bytes`: 16 bytes, or none for zero. False on another length.
inline bool ReadTopicId(Slice bytes, TopicId* id) {
  *id = TopicId();
  if (bytes.empty()) return true;
  absl::StatusOr<TopicId> parsed = TopicId::FromBytes(bytes);
  if (!parsed.ok()) return false;
  *id = *parsed;
  return true;
}

// Reads the current field if it names the partition. False: it is another field, still to be read.
// `Reader`: WireReader or ScatteredReader.
template <class Reader>
bool ReadNameField(Reader& reader, PartitionName* name) {
  if (reader.Is(kTopicField, WireType::kLength)) {
    name->topic = ToStdString(reader.Text());
  } else if (reader.Is(kTopicIdField, WireType::kLength)) {
    if (!ReadTopicId(reader.Length(), &name->topic_id)) reader.Fail();
  } else if (reader.Is(kPartitionField, WireType::kVarint)) {
    name->partition = PartitionIndex(reader.Int32());
  } else {
    return false;
  }
  return true;
}

template <class Sink>
void PutName(Sink& sink, const PartitionName& name) {
  sink.Text(kTopicField, name.topic);
  if (!name.topic_id.is_zero()) sink.Text(kTopicIdField, name.topic_id.ToBytes());
  sink.Int(kPartitionField, name.partition.value());
}

// Reads the current field if it is part of the outcome.
bool ReadOutcomeField(WireReader& reader, uint32_t leader_field, PartitionOutcome* outcome);

template <class Sink>
void PutCodeAndMessage(Sink& sink, const PartitionOutcome& outcome) {
  sink.Int(kCodeField, static_cast<int32_t>(outcome.code));
  // Messages may quote what a client sent.
  if (IsUtf8(outcome.message)) {
    sink.Text(kMessageField, outcome.message);
  } else {
    sink.Text(kMessageField, ToUtf8(outcome.message));
  }
}

template <class Sink>
void PutLeader(Sink& sink, uint32_t field, const PartitionName& name,
               const PartitionOutcome& outcome) {
  if (!outcome.leader) return;
  sink.Message(field, [&](auto& leader) {
    if (!name.topic_id.is_zero()) leader.Text(1, name.topic_id.ToBytes());
    leader.Int(2, outcome.leader->leader.value());
    leader.Int(3, outcome.leader->leader_epoch.value());
    leader.Text(4, outcome.leader->address);
  });
}

inline absl::Duration FromMs(int32_t ms) { return absl::Milliseconds(ms); }
// Clamped to what the wire can say.
int32_t ToMs(absl::Duration duration);

// The most partitions that one message may name: on the wire an entry may be two bytes, in memory
// it is some hundred.
inline constexpr size_t kMessagePartitionsMax = 100'000;

// The error of every message that cannot be decoded; `partitions`: as many were read of it.
absl::Status MalformedMessage(absl::string_view type, size_t partitions = 0);

}  // namespace millrace::api

#endif  // API_CODEC_PARTITION_FIELDS_H_
