// ReplicaChannel: the network between a follower's shard and a leader's, as both ends see it. A
// seam: gRPC (broker/service/), the simulator, and queues in memory in tests.
//
// One stream per (follower and its broker epoch, leader and its broker epoch, shard of each), which
// carries many partitions (S-14). It is ordered, loses nothing while it lives, and once ended never
// speaks again: whoever wants to go on opens another. Nothing is retried here.
//
// Thread: each end belongs to the executor of its shard, on which its sink hears of everything. A
// sink is never called from inside a call of its own stream.
#ifndef BROKER_REPLICA_CHANNEL_H_
#define BROKER_REPLICA_CHANNEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/bytes.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/repair_channel.h"
#include "broker/replica_messages.h"

namespace millrace::broker {

// Who follows, and whom it means to follow.
struct FollowerHello {
  ClusterId cluster_id;
  FollowerId follower;
  NodeId leader = kNoNode;
  BrokerEpoch leader_epoch = kNoBrokerEpoch;
  // Taken modulo the number of the leader's shards.
  int leader_shard = 0;
  // Bytes of batches that the leader may send before any is given back.
  int64_t window_bytes = 0;

  friend bool operator==(const FollowerHello&, const FollowerHello&) = default;
};

struct LeaderHello {
  int shard = 0;
  int shard_count = 1;

  friend bool operator==(const LeaderHello&, const LeaderHello&) = default;
};

// What a follower says at once.
struct FollowerMessage {
  std::vector<AttachRequest> attaches;
  std::vector<ReplicaPosition> positions;
  std::vector<ReplicaDetach> detaches;
  // Bytes of batches that are written, and that the leader may send again.
  int64_t credit_bytes = 0;
  // The positions here answer the leader's last question, LeaderMessage::asks.
  bool confirms = false;

  bool empty() const {
    return attaches.empty() && positions.empty() && detaches.empty() && credit_bytes == 0 &&
           !confirms;
  }
  friend bool operator==(const FollowerMessage&, const FollowerMessage&) = default;
};

// One push as it is sent: its batches in the pieces that the log gave, and none in `push`.
struct OutgoingPush {
  ReplicaPush push;
  std::vector<Bytes> pieces;
};

// What a leader says at once. Of one partition: the reply before the pushes of its attach, and a
// detach after them.
struct LeaderMessage {
  std::vector<AttachReply> replies;
  std::vector<OutgoingPush> pushes;
  std::vector<ReplicaDetach> detaches;
  // S-33: which partitions on this stream the follower follows still, in which leader epochs. Not
  // asked again before the answer.
  bool asks = false;

  bool empty() const { return replies.empty() && pushes.empty() && detaches.empty() && !asks; }
};

// The same as it is received: each push's batches in memory of their own, which a log may keep.
struct ReceivedLeaderMessage {
  std::vector<AttachReply> replies;
  std::vector<ReplicaPush> pushes;
  std::vector<ReplicaDetach> detaches;
  bool asks = false;

  friend bool operator==(const ReceivedLeaderMessage&, const ReceivedLeaderMessage&) = default;
};

// --- The follower's end ---

// What hears of one stream; gone, it hears nothing.
class FollowerSink {
 public:
  virtual ~FollowerSink() = default;
  // The leader takes part. First and once.
  virtual void OnHello(const LeaderHello& hello) = 0;
  virtual void OnMessage(ReceivedLeaderMessage message) = 0;
  // The last call: refused by the leader, or broken.
  virtual void OnClosed(const absl::Status& status) = 0;
};

class FollowerStream {
 public:
  // Ends the stream; its sink hears no more.
  virtual ~FollowerStream() = default;
  virtual void Send(FollowerMessage message) = 0;
};

class ReplicaChannel {
 public:
  virtual ~ReplicaChannel() = default;

  // Opens a stream to the leader at `address` ("host:port") for the shard that `executor` runs.
  // Messages may be sent at once. A failure is told by OnClosed, never from inside this call.
  virtual std::unique_ptr<FollowerStream> Open(const std::string& address,
                                               const FollowerHello& hello, Executor* executor,
                                               std::weak_ptr<FollowerSink> sink) = 0;
};

// --- The leader's end ---

// Thread: its shard's executor.
class LeaderSink {
 public:
  virtual ~LeaderSink() = default;
  virtual void OnMessage(FollowerMessage message) = 0;
  // The stream takes more again.
  virtual void OnWritable() = 0;
  // The last call.
  virtual void OnClosed() = 0;
};

// A stream that a follower has opened; the leader's shard holds it. Thread: its shard's executor,
// which need not be the one that the network calls on.
class LeaderStream {
 public:
  virtual ~LeaderStream() = default;
  // Answers the follower's hello; before everything else.
  virtual void Accept(const LeaderHello& hello) = 0;
  virtual void Send(LeaderMessage message) = 0;
  // Whether the leader may go on sending batches; after false, OnWritable follows.
  virtual bool writable() const = 0;
  // Ends the stream after what was sent before. OnClosed follows nevertheless.
  virtual void Close(const absl::Status& status) = 0;
};

// How a broker takes in what other brokers want of its replicas: the streams that followers open,
// and ranges for repairs. Thread: any, for the first and the last, whose answer comes on a shard;
// the shard's executor, which the first one names, for the second.
struct ReplicaIntake {
  std::function<Executor*(const FollowerHello&)> executor_of;
  std::function<std::shared_ptr<LeaderSink>(const FollowerHello&, std::shared_ptr<LeaderStream>)>
      take_in;
  std::function<void(const RangeQuery&, RangeDone)> read_range = nullptr;
};

}  // namespace millrace::broker

#endif  // BROKER_REPLICA_CHANNEL_H_
