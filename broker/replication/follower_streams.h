// FollowerStreams: the ways of one shard's followers to their leaders: one stream per shard of each
// leading broker, opened when a replica there wants to attach, closed when none is left.
//
// It carries what replicas say and what they are told, and decides nothing about them. Credit is
// given back to the leader as the logs have written what it sent, so what waits here for the disk
// is bounded by the window. A stream that ends is told to each of its replicas as a detach; when
// they attach again is theirs to say (they back off).
//
// A leader that has registered again, or has another address, has its streams closed: they are
// keyed by both broker epochs (S-14).
//
// Thread: its shard's executor.
#ifndef BROKER_REPLICATION_FOLLOWER_STREAMS_H_
#define BROKER_REPLICATION_FOLLOWER_STREAMS_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/counters.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/replica_channel.h"
#include "broker/replication/replica_port.h"
#include "metadata/image.h"

namespace millrace::broker {

class FollowerStreams {
 public:
  struct Deps {
    NodeId self = kNoNode;
    ClusterId cluster_id;
    int shard = 0;
    Executor* executor = nullptr;
    // Null: there is no network, and nobody can be followed.
    ReplicaChannel* channel = nullptr;
    ReplicaPort* replicas = nullptr;
    // inter.broker.listener.name; empty: the first of each broker.
    std::string listener;
    int64_t window_bytes = 8 << 20;
    // May be null: of batches.
    Counter* bytes_received = nullptr;
  };

  explicit FollowerStreams(const Deps& deps);
  ~FollowerStreams();

  // `own_epoch`: of this broker's registration, if the image shows it; nobody is followed before.
  void OnImage(std::shared_ptr<const metadata::Image> image, BrokerEpoch own_epoch);

  // --- What replicas want; goes out with Flush ---
  void Attach(const AttachTo& attach);
  void Tell(const PositionTo& position);
  void Detach(const DetachTo& detach);

  // Sends what has gathered, and closes streams that nobody needs. True if replicas were told of
  // something, and have to be drained.
  bool Flush();

  // Ends all streams; replicas are not told.
  void Close();

  size_t stream_count() const;

 private:
  class Stream;
  using Streams = std::map<int, std::shared_ptr<Stream>>;
  // A broker that is followed, in one run of it.
  struct Leader {
    BrokerEpoch epoch = kNoBrokerEpoch;
    std::string address;
    // 0: not known yet.
    int shard_count = 0;
    // By the leader's shard.
    Streams streams;
    // Wait for shard_count.
    std::vector<AttachRequest> waiting;
  };

  // Where to reach a broker, and in which run. Errors: BROKER_NOT_AVAILABLE.
  absl::StatusOr<std::pair<BrokerEpoch, std::string>> Find(NodeId broker) const;
  std::shared_ptr<Stream> OpenStream(NodeId node, Leader* leader, int shard);
  void Route(NodeId node, Leader* leader, const AttachRequest& request);
  // The partition's present stream, if any, carries it no more.
  void Forget(const TopicPartition& partition);
  void Refuse(const AttachRequest& request, const absl::Status& status);
  void CloseLeader(NodeId node, const absl::Status& status);
  // Tells all replicas of a stream that has ended.
  void Detached(const std::shared_ptr<Stream>& stream, const absl::Status& status);

  // What streams hear.
  void OnHello(Stream* stream, const LeaderHello& hello);
  void OnMessage(Stream* stream, ReceivedLeaderMessage message);
  void OnClosed(Stream* stream, const absl::Status& status);

  const Deps deps_;
  std::shared_ptr<const metadata::Image> image_;
  BrokerEpoch own_epoch_ = kNoBrokerEpoch;
  std::map<NodeId, Leader> leaders_;
  // Whose streams fail to open, one after the other.
  std::set<NodeId> unreachable_;
  // The stream that carries each partition. Never iterated.
  absl::flat_hash_map<TopicPartition, Stream*> by_partition_;
  // Those that could not even be asked; told with the next Flush.
  std::vector<ReplicaDetach> refused_;
};

}  // namespace millrace::broker

#endif  // BROKER_REPLICATION_FOLLOWER_STREAMS_H_
