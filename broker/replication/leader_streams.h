// LeaderStreams: the streams that followers have opened to one shard, and what goes out on them.
//
// A hello is checked first (S-14): cluster, both brokers and their epochs. A follower's epoch that
// the metadata here does not show yet waits for it, an older one is closed; so is every stream of a
// run that ended.
//
// Each stream has a window of bytes, and takes what is to be pushed from its partitions in turn.
// What is in memory goes first; reads of the disk, for those that catch up, are made one at a time
// for each log directory, on its cold-read pool, and only while half of the window is free (S-37):
// a disk that hangs holds up the catch-up of its own partitions. A new high watermark alone rides
// on the next message, or goes after 1 ms. Nothing is done for a partition that has nothing new.
//
// Followers whose catch-up is throttled (ReplicaPort::IsThrottled) share one rate, over all
// streams: while it is spent their partitions stand aside, in turn, and hold up nobody else.
//
// Not here: what is pushed, and what positions mean (replica.h).
//
// Thread: its shard's executor.
#ifndef BROKER_REPLICATION_LEADER_STREAMS_H_
#define BROKER_REPLICATION_LEADER_STREAMS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/byte_throttle.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/replica_channel.h"
#include "broker/replication/replica_port.h"
#include "metadata/image.h"

namespace millrace::broker {

class LeaderStreams {
 public:
  struct Deps {
    NodeId self = kNoNode;
    ClusterId cluster_id;
    int shard = 0;
    int shard_count = 1;
    Executor* executor = nullptr;
    const Clock* clock = nullptr;
    ReplicaPort* replicas = nullptr;
    // May be null: of batches; and of those, what was sent under the throttle.
    Counter* bytes_sent = nullptr;
    Counter* throttled_bytes_sent = nullptr;
  };

  explicit LeaderStreams(const Deps& deps);
  ~LeaderStreams();

  // A follower's stream has come in. The caller keeps what is returned for as long as the stream
  // lives, and tells it what happens.
  std::shared_ptr<LeaderSink> Open(const FollowerHello& hello,
                                   std::shared_ptr<LeaderStream> stream);

  // `own_epoch`: of this broker's registration, if the image shows it; hellos wait until then.
  void OnImage(std::shared_ptr<const metadata::Image> image, BrokerEpoch own_epoch);

  // What may be sent per second to followers that are throttled; 0: as much as there is. Takes
  // effect with the next Flush.
  void SetCatchUpRate(int64_t bytes_per_s);

  // --- What replicas want; goes out with Flush ---
  void Reply(const AttachReplyTo& reply);
  void Detach(const DetachTo& detach);
  void OnSendable(const Sendable& sendable);

  // Asks all followers which partitions they follow still (S-33), but for those who have not
  // answered yet. Positions that answer reach the replicas as confirmed, as of the question.
  void Ask();

  // Sends what there is to send, as far as windows and network allow. Replicas may want more then.
  void Flush();

  // Ends all streams; replicas are not told.
  void Close(const absl::Status& status);

  size_t stream_count() const;

 private:
  class Session;
  using Sessions = std::vector<std::shared_ptr<Session>>;

  // Whether a hello fits; nullopt: the next image may tell.
  std::optional<absl::Status> Check(const FollowerHello& hello) const;
  // Accepts or refuses a session that waits, as the metadata has it now.
  void Judge(const std::shared_ptr<Session>& session);
  // The session that carries the partition for this follower; null if none does.
  Session* Carrier(NodeId follower, const TopicPartition& partition) const;
  // Out of the table, and its replicas are told.
  void Remove(Session* session);
  void OnMessage(Session* session, FollowerMessage message);

  // A partition that waits for the throttle.
  struct Held {
    std::weak_ptr<Session> session;
    TopicPartition partition;
  };

  void Pump(Session* session);
  void TakeInto(Session* session, LeaderMessage* message);
  void CountSent(int64_t bytes, bool throttled);
  // Stands aside until the throttle lets it go on.
  void Hold(Session* session, const TopicPartition& partition);
  // The first one that waits is ready again. The session that it is of; null: it waits no more.
  std::shared_ptr<Session> ReleaseFirst();
  void OnThrottleTimer();
  // The next read of each directory of which none is under way.
  void ReadCold(Session* session);
  // `spent`: of the throttle, before it was known how much it is.
  void OnColdRead(const std::shared_ptr<Session>& session, const ReplicaPush& header, int64_t spent,
                  absl::StatusOr<storage::ReadResult> read);
  void OnTimer();

  const Deps deps_;
  std::shared_ptr<const metadata::Image> image_;
  BrokerEpoch own_epoch_ = kNoBrokerEpoch;
  // By follower; one for each of its shards.
  std::map<NodeId, Sessions> sessions_;
  // For high watermarks that nothing has carried; armed only while there are some.
  DeadlineTimer timer_;
  ByteThrottle catch_up_;
  // In turn, over all sessions. The timer is armed while there are some.
  std::deque<Held> held_;
  DeadlineTimer throttle_timer_;
};

}  // namespace millrace::broker

#endif  // BROKER_REPLICATION_LEADER_STREAMS_H_
