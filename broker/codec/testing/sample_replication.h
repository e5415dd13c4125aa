// Messages between followers and leaders of every kind, for the tests of the codec: filled in by
// hand, with no field at its default.
//
// Thread: any (pure functions).
#ifndef BROKER_CODEC_TESTING_SAMPLE_REPLICATION_H_
#define BROKER_CODEC_TESTING_SAMPLE_REPLICATION_H_

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "broker/codec/replication_encoder.h"

namespace millrace::broker {

inline std::string Join(const MessagePieces& pieces) {
  std::string bytes;
  for (const Bytes& piece : pieces) bytes += piece.ToString();
  return bytes;
}

inline TopicPartition SamplePartition(int partition = 3) {
  return {TopicId(Uuid(0x1112131415161718, 0x2122232425262728)), PartitionIndex(partition)};
}

inline FollowerHello SampleFollowerHello() {
  FollowerHello hello;
  hello.cluster_id = ClusterId(Uuid(7, 8));
  hello.follower = {NodeId(2), BrokerEpoch(40)};
  hello.leader = NodeId(1);
  hello.leader_epoch = BrokerEpoch(30);
  hello.leader_shard = 5;
  hello.window_bytes = 1 << 20;
  return hello;
}

inline FollowerMessage SampleFollowerMessage() {
  FollowerMessage message;
  AttachRequest& attach = message.attaches.emplace_back();
  attach.topic_partition = SamplePartition();
  attach.directory = DirectoryId(Uuid(9, 10));
  attach.leader_epoch = LeaderEpoch(6);
  attach.attach = 11;
  attach.last_epoch = LeaderEpoch(5);
  attach.end_offset = Offset(120);
  for (int i = 0; i < 2; ++i) {
    ReplicaPosition& position = message.positions.emplace_back();
    position.topic_partition = SamplePartition(i);
    position.leader_epoch = LeaderEpoch(6);
    position.attach = 10;
    position.position = {Offset(130 + i), Offset(125)};
  }
  message.positions[1].log_start = Offset(9);
  ReplicaDetach& detach = message.detaches.emplace_back();
  detach.topic_partition = SamplePartition(4);
  detach.leader_epoch = LeaderEpoch(2);
  detach.attach = 3;
  detach.status = MakeError(ErrorCode::kStorageError, "the directory failed");
  message.credit_bytes = 4096;
  message.confirms = true;
  return message;
}

inline OutgoingPush SamplePush(std::vector<Bytes> pieces, int64_t base = 130) {
  OutgoingPush out;
  out.push.topic_partition = SamplePartition();
  out.push.leader_epoch = LeaderEpoch(6);
  out.push.attach = 11;
  out.push.base_offset = Offset(base);
  out.push.high_watermark = Offset(125);
  out.push.log_start = Offset(7);
  out.pieces = std::move(pieces);
  return out;
}

inline LeaderMessage SampleLeaderMessage() {
  LeaderMessage message;
  AttachReply fits;
  fits.topic_partition = SamplePartition();
  fits.leader_epoch = LeaderEpoch(6);
  fits.attach = 11;
  fits.high_watermark = Offset(110);
  fits.log_start = Offset(7);
  AttachReply diverges = fits;
  diverges.diverging = storage::EpochEnd{LeaderEpoch(4), Offset(100)};
  AttachReply begins = fits;
  begins.reset_to = Offset(7);
  AttachReply refused = fits;
  refused.outcome = {ErrorCode::kFencedLeaderEpoch, "the leader epoch is 7", {}};
  message.replies = {fits, diverges, begins, refused};
  message.pushes.push_back(SamplePush({Bytes::FromString("small batch")}));
  message.pushes.push_back(SamplePush(
      {Bytes::FromString(std::string(3000, 'a')), Bytes::FromString(std::string(2000, 'b'))}, 200));
  message.pushes.push_back(SamplePush({}, 300));
  ReplicaDetach& detach = message.detaches.emplace_back();
  detach.topic_partition = SamplePartition(4);
  detach.leader_epoch = LeaderEpoch(2);
  detach.attach = 3;
  detach.status = MakeError(ErrorCode::kNotLeaderOrFollower, "leadership has moved");
  message.asks = true;
  return message;
}

// What a receiver sees of `message`.
inline ReceivedLeaderMessage AsReceived(const LeaderMessage& message) {
  ReceivedLeaderMessage received;
  received.replies = message.replies;
  received.detaches = message.detaches;
  received.asks = message.asks;
  for (const OutgoingPush& out : message.pushes) {
    ReplicaPush& push = received.pushes.emplace_back(out.push);
    std::string batches;
    for (const Bytes& piece : out.pieces) batches += piece.ToString();
    if (!batches.empty()) push.batches = Bytes::Copy(batches);
  }
  return received;
}

}  // namespace millrace::broker

#endif  // BROKER_CODEC_TESTING_SAMPLE_REPLICATION_H_
