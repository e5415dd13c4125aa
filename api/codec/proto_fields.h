// What the typed codecs have in common: the name of a partition and its outcome, in generated
// messages that all have the same fields for them.
//
// Not for the hot messages, which never become generated ones (produce_codec.h, fetch_codec.h).
//
// Thread: any (pure functions).
#ifndef API_CODEC_PROTO_FIELDS_H_
#define API_CODEC_PROTO_FIELDS_H_

#include <string>

#include "absl/status/status.h"
#include "api/codec/partition_fields.h"
#include "api/codec/wire_reader.h"
#include "api/partition_name.h"
#include "base/status.h"

namespace millrace::api {

template <class Proto>
absl::Status NameFromProto(const Proto& proto, PartitionName* name) {
  name->topic = proto.topic();
  name->partition = PartitionIndex(proto.partition());
  if (ReadTopicId(proto.topic_id(), &name->topic_id)) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidRequest, "a topic id has 16 bytes",
                   {.name = "topic_id", .value = std::to_string(proto.topic_id().size())});
}

template <class Proto>
void NameToProto(const PartitionName& name, Proto* proto) {
  proto->set_topic(name.topic);
  if (!name.topic_id.is_zero()) proto->set_topic_id(name.topic_id.ToBytes());
  proto->set_partition(name.partition.value());
}

template <class Proto>
PartitionOutcome OutcomeFromProto(const Proto& proto) {
  PartitionOutcome outcome;
  outcome.code = static_cast<ErrorCode>(proto.code());
  outcome.message = proto.message();
  if (proto.has_leader()) {
    outcome.leader =
        LeaderHint{NodeId(proto.leader().leader_id()), LeaderEpoch(proto.leader().leader_epoch()),
                   proto.leader().address()};
  }
  return outcome;
}

template <class Proto>
void OutcomeToProto(const PartitionName& name, const PartitionOutcome& outcome, Proto* proto) {
  proto->set_code(static_cast<decltype(proto->code())>(outcome.code));
  proto->set_message(IsUtf8(outcome.message) ? outcome.message : ToUtf8(outcome.message));
  if (!outcome.leader) return;
  auto* leader = proto->mutable_leader();
  if (!name.topic_id.is_zero()) leader->set_topic_id(name.topic_id.ToBytes());
  leader->set_leader_id(outcome.leader->leader.value());
  leader->set_leader_epoch(outcome.leader->leader_epoch.value());
  leader->set_address(outcome.leader->address);
}

}  // namespace millrace::api

#endif  // API_CODEC_PROTO_FIELDS_H_
