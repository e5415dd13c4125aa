// The layout of what followers and leaders say to each other: one frame per partition and message,
// its constants, and the order of each kind's fields, said once for writing and reading. The page
// of it, with an example, is docs/formats/replication_messages.md.
//
// Thread: any (constants and pure functions).
#ifndef BROKER_CODEC_REPLICATION_FORMAT_H_
#define BROKER_CODEC_REPLICATION_FORMAT_H_

#include <cstddef>
#include <cstdint>

#include "broker/replica_messages.h"

namespace millrace::broker {

// Of all frames; said in the hello.
inline constexpr int32_t kReplicationVersion = 1;

// The first byte of every frame. Numbers are never reused.
enum class FrameKind : uint8_t {
  kAttach = 1,
  kPosition = 2,
  kDetach = 3,
  kCredit = 4,
  kAttachReply = 5,
  kPush = 6,
  kLogStart = 7,
};

// FollowRequest's and FollowResponse's fields, as tags: (field number << 3) | 2 (length-delimited).
inline constexpr uint32_t kReplicaHelloTag = (1 << 3) | 2;
inline constexpr uint32_t kReplicaFrameTag = (2 << 3) | 2;
// Frames that who does not know their kind steps over: FollowRequest's `extensions`.
inline constexpr uint32_t kReplicaExtensionTag = (4 << 3) | 2;
// FollowRequest's `confirms`, FollowResponse's `asks`: (field number << 3) | 0 (varint). Who does
// not know it steps over it, and confirms nothing.
inline constexpr uint32_t kReplicaFlagTag = (3 << 3) | 0;

// Of the reasons that travel with a refusal; longer ones are cut.
inline constexpr size_t kReasonBytesMax = 512;

// What every frame but a credit begins with, behind its kind: topic id, partition, leader epoch,
// attach number.
inline constexpr size_t kFrameKeyBytes = 16 + 4 + 4 + 8;
// Of a push before its batches: base offset, high watermark, log start.
inline constexpr size_t kPushFieldsBytes = 3 * 8;

// An archive takes the fields of a message in order: it writes or reads them.

template <class Archive, class M>
void VisitKey(Archive& archive, M& message) {
  archive.Uuid(message.topic_partition.topic_id);
  archive.Natural(message.topic_partition.partition, "partition");
  archive.Natural(message.leader_epoch, "leader epoch");
  archive.Number(message.attach, "attach number");
}

template <class Archive, class M>
void VisitAttach(Archive& archive, M& attach) {
  archive.Uuid(attach.directory);
  archive.OrNone(attach.last_epoch, "last epoch");
  archive.Natural(attach.end_offset, "end offset");
}

template <class Archive, class M>
void VisitPosition(Archive& archive, M& position) {
  archive.Natural(position.position.written, "written offset");
  archive.Natural(position.position.durable, "durable offset");
}

template <class Archive, class Start>
void VisitLogStart(Archive& archive, Start& log_start) {
  archive.Natural(log_start, "log start");
}

template <class Archive, class M>
void VisitAttachReply(Archive& archive, M& reply) {
  archive.Outcome(reply.outcome);
  archive.Optional(reply.diverging, [&archive](auto& end) {
    archive.OrNone(end.epoch, "diverging epoch");
    archive.OrNone(end.end_offset, "diverging offset");
  });
  archive.Optional(reply.reset_to,
                   [&archive](auto& offset) { archive.Natural(offset, "reset offset"); });
  archive.OrNone(reply.high_watermark, "high watermark");
  archive.OrNone(reply.log_start, "log start");
}

template <class Archive, class M>
void VisitPush(Archive& archive, M& push) {
  archive.Natural(push.base_offset, "base offset");
  archive.OrNone(push.high_watermark, "high watermark");
  archive.OrNone(push.log_start, "log start");
}

}  // namespace millrace::broker

#endif  // BROKER_CODEC_REPLICATION_FORMAT_H_
