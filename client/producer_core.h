// ProducerCore: what a producer decides: when a batch leaves, what is sent again, in which order,
// and what each record's fate is. Pure: time, answers and batches come in, requests and fates go
// out.
//
// Batches are made elsewhere (the shell's slots, one per partition); the core takes them through
// BatchSource when the pipe to a partition's leader has room. Rules:
//   - A partition's batches leave in order. Several may be in flight, to one broker; after a
//   failure
//     all of them come back before the first is sent again under a higher restart number (S-23),
//     and so they do before the first goes to a new leader.
//   - With linger 0 an open batch leaves as soon as nothing is in flight to its broker, and fills
//     meanwhile; a full batch leaves as soon as a request may. A linger only makes open ones wait.
//     Other partitions' answers are not waited for longer than open_wait_max.
//   - An idempotent producer numbers its batches when they first leave (batch_sequence.h), so that
//     one whose answer was lost is sent again and kept once. Without an id nothing leaves.
//   - A broker that does not answer is suspected of being stopped. What was in flight to one that
//   leads
//     no more comes back soon: its answer, or the end of its stream.
//   - When a leader is lost, does not lead any more, or is known by a hint only, and nothing is
//     pushed for a while, leaders are to be watched at another server (watch_doubt.h).
//   - A failure that is retriable is tried again until `retries` or the batch's delivery deadline
//     is used up; the leader is taken from hints and pushed metadata, by the higher epoch only
//     (S-40).
//
// Thread: one owner (the producer's I/O strand, or a test).
#ifndef CLIENT_PRODUCER_CORE_H_
#define CLIENT_PRODUCER_CORE_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/produce.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "client/batch_sequence.h"
#include "client/watch_doubt.h"

namespace millrace::client {

// Which of the producer's partitions, in order of first use.
using SlotIndex = StrongId<struct SlotIndexTag, int32_t>;
// What ties a batch to whoever wants to hear of it; means nothing to the core.
using BatchToken = StrongId<struct BatchTokenTag, uint64_t>;

struct CoreBatch {
  BatchToken token;
  Bytes bytes;
  // When its first record was added.
  MonotonicTime created;
};

// Where finished batches and those still filling come from.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  // Appends all full batches of the slot, oldest first, and then, if `open_too`, the one that is
  // filling. May append nothing. Returns whether the slot still holds records; a source that cannot
  // look just now says no, and tells of them again by OnRecords.
  virtual bool Take(SlotIndex slot, bool open_too, std::vector<CoreBatch>* batches) = 0;
};

struct ProducerCoreOptions {
  api::Acks acks = api::Acks::kAll;
  absl::Duration linger;
  // How long an open batch that has lingered fills while only other partitions' batches are in
  // flight to its broker.
  absl::Duration open_wait_max = absl::Milliseconds(5);
  absl::Duration delivery_timeout = absl::Seconds(120);
  absl::Duration request_timeout = absl::Seconds(30);
  absl::Duration retry_backoff = absl::Milliseconds(100);
  // A broker that has not answered for so long is suspected.
  absl::Duration suspect_after = absl::Seconds(1);
  // How long one that leads no more may take to answer for what it was sent before.
  absl::Duration former_leader_grace = absl::Milliseconds(500);
  // How long nothing may be pushed about leaders when there must be something to tell.
  absl::Duration watch_patience = absl::Seconds(1);
  int64_t retries = INT32_MAX;
  int max_in_flight = 5;
  size_t request_bytes_max = 1 << 20;
  // Batches are numbered under a producer id (enable.idempotence).
  bool idempotent = false;
  std::string client_id;
};

struct ProducerOutput {
  struct Send {
    NodeId broker;
    api::ProduceStreamRequest request;
  };
  // The end of one batch.
  struct Fate {
    BatchToken token;
    SlotIndex slot;
    // OK, or why.
    absl::Status status;
    Offset base_offset = kNoOffset;
    int64_t log_append_time_ms = -1;
  };
  std::vector<Send> sends;
  std::vector<Fate> fates;
  // Streams to open (again), because something is to be sent there.
  std::vector<NodeId> connects;
  // Streams that have not answered in time: to be cancelled. OnStreamDown follows.
  std::vector<NodeId> resets;
  // Brokers that may be stopped: what they tell of leaders is not to be relied on. Once for each
  // request that is not answered.
  std::vector<NodeId> suspects;
  // Who is to be asked for a producer id; OnProducerId follows.
  std::optional<NodeId> ask_producer_id;
  // The server that pushes leaders has no news: another one should.
  bool change_watch = false;
};

class ProducerCore {
 public:
  // `source` outlives the core.
  ProducerCore(ProducerCoreOptions options, BatchSource* source)
      : options_(std::move(options)), source_(source), watch_doubt_(options_.watch_patience) {}

  // REQUIRES: not added before.
  SlotIndex AddPartition(const std::string& topic, TopicId topic_id, PartitionIndex partition);

  // The slot has records now: at least one, or (`full`) a full batch.
  void OnRecords(SlotIndex slot, bool full, MonotonicTime now);
  // Something was pushed about topics. What it says of partitions follows by OnLeader and
  // OnTopicGone.
  void OnPush() { watch_doubt_.End(); }
  // Who leads; kNoNode if nobody does. An epoch below the known one is ignored.
  void OnLeader(SlotIndex slot, NodeId leader, LeaderEpoch epoch, MonotonicTime now);
  // The topic was deleted, or made again as another one: its records fail, those that are added
  // later too, until a leader is told again. What is in flight is still answered.
  void OnTopicGone(SlotIndex slot, const absl::Status& why);
  void OnStreamUp(NodeId broker, MonotonicTime now);
  // What was in flight there has an unknown outcome.
  void OnStreamDown(NodeId broker, const absl::Status& why, MonotonicTime now);
  void OnResponse(NodeId broker, const api::ProduceStreamResponse& response, MonotonicTime now);
  // The answer to ask_producer_id.
  void OnProducerId(const absl::StatusOr<api::ProducerIdentity>& identity, MonotonicTime now);
  void OnTime(MonotonicTime now);
  // While flushing nothing lingers.
  void SetFlushing(bool flushing, MonotonicTime now);
  // Gives up on everything.
  void FailAll(const absl::Status& why);

  // When OnTime is wanted next.
  MonotonicTime next_deadline() const;
  // Nothing known of is queued or in flight.
  bool idle() const;
  // What is to be done; call after each step.
  ProducerOutput TakeOutput();

 private:
  struct Batch {
    CoreBatch core;
    int64_t attempts = 0;
    bool in_flight = false;
    // It has its number under the partition's present id.
    bool stamped = false;
    // Why the latest attempt failed.
    absl::Status failure;
  };
  struct Partition {
    api::PartitionName name;
    NodeId leader = kNoNode;
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
    // When that was heard of.
    MonotonicTime led_since;
    // Oldest first: those in flight, then those waiting. Re-sent ones are in flight in part only
    // after all have come back.
    std::deque<Batch> batches;
    int in_flight = 0;
    // To whom; means nothing while none is.
    NodeId in_flight_at = kNoNode;
    uint32_t restart = 0;
    // A batch failed: nothing more leaves until all in flight have come back.
    bool broken = false;
    // Nothing leaves before; zero: no wait.
    MonotonicTime retry_at;
    // Of an idempotent producer.
    BatchSequence sequence;
    // Why nothing leaves any more; OK: it does.
    absl::Status gone;
    // What the source holds, as far as it told.
    bool has_open = false;
    bool has_full = false;
    // Since when the oldest of it waits, and since when what is open fills: behind full ones, since
    // the latest of them was full.
    MonotonicTime waiting_since;
    MonotonicTime open_since;
    // The linger of what is open has passed.
    bool lingered = false;
    // And it has filled for open_wait_max since, and since full ones were taken before it.
    bool overdue = false;
    MonotonicTime taken_at;
  };
  // Which batches of a request are unanswered: by slot, with the token.
  struct Request {
    MonotonicTime sent;
    std::map<SlotIndex, BatchToken> batches;
  };
  struct Broker {
    bool up = false;
    bool connecting = false;
    // It did not answer in time and is being cancelled.
    bool resetting = false;
    // Why the latest stream ended.
    absl::Status down;
    // Unanswered, oldest first.
    std::map<uint64_t, Request> requests;
    // The latest that it was suspected for; 0: none.
    uint64_t suspected = 0;
  };

  Partition& At(SlotIndex slot) { return partitions_[static_cast<size_t>(slot.value())]; }
  const Partition& At(SlotIndex slot) const {
    return partitions_[static_cast<size_t>(slot.value())];
  }
  SlotIndex SlotNamed(const api::PartitionName& name) const;
  // When what is open does not wait for other partitions' answers any more.
  MonotonicTime OverdueAt(const Partition& partition) const {
    return std::max(partition.open_since + options_.linger, partition.taken_at) +
           options_.open_wait_max;
  }
  // Whether that time is still to come, and matters.
  bool WaitsForOthers(const Partition& partition) const;
  bool MayTakeOpen(const Partition& partition, const Broker& broker, MonotonicTime now) const;
  void SendReady(MonotonicTime now);
  void SendTo(NodeId id, Broker* broker, MonotonicTime now);
  void ConnectIfWanted(NodeId id, Broker* broker, MonotonicTime now);
  static void AddToRequest(const Partition& partition, const Batch& batch,
                           api::ProduceRequest* request);
  // Whether the partition's batches can be numbered, asking for an id if need be. REQUIRES:
  // idempotent.
  bool HasIdentity(Partition* partition, MonotonicTime now);
  // The next batch of the partition that may leave, taken from the source if need be; null if none.
  Batch* NextBatch(SlotIndex slot, const Broker& broker, MonotonicTime now);
  void Acknowledge(SlotIndex slot, BatchToken token, const api::ProducePartitionResult& result);
  // Takes over a newer leader; false if the known one is as new.
  static bool AdoptLeader(Partition* partition, NodeId leader, LeaderEpoch epoch,
                          MonotonicTime now);
  void FailAttempt(SlotIndex slot, BatchToken token, NodeId from, const absl::Status& why,
                   MonotonicTime now);
  void SettleIfReturned(Partition* partition);
  void Report(SlotIndex slot, const Batch& batch, absl::Status status);
  void TakeFromSource(SlotIndex slot, bool open_too);
  void FailWaiting(SlotIndex slot);
  void ExpireBatches(MonotonicTime now);
  // When the oldest request to a broker has taken too long: to be suspected, or to be reset.
  MonotonicTime SuspicionAt(const Broker& broker) const;
  MonotonicTime ResetAt(const Broker& broker) const;
  // When a partition's batches are called back from its former leader; Never if none are there.
  MonotonicTime CallBackAt(const Partition& partition) const;
  void Reset(NodeId id);
  absl::Status Expired(const Partition& partition, const Batch& batch) const;
  static void Remove(Partition* partition, BatchToken token);
  static Batch* Find(Partition* partition, BatchToken token);

  const ProducerCoreOptions options_;
  BatchSource* const source_;
  std::vector<Partition> partitions_;
  std::map<std::pair<TopicId, PartitionIndex>, SlotIndex> slots_;
  std::map<NodeId, Broker> brokers_;
  uint64_t next_request_ = 1;
  // Where the next round of requests begins, so that no partition starves behind another.
  size_t first_slot_ = 0;
  bool flushing_ = false;
  // The newest id, for partitions that begin; why there is none; whether one was asked for.
  api::ProducerIdentity identity_;
  absl::Status identity_failure_;
  bool identity_asked_ = false;
  // Nobody is asked before; zero: no wait.
  MonotonicTime identity_retry_at_;
  WatchDoubt watch_doubt_;
  ProducerOutput output_;
};

}  // namespace millrace::client

#endif  // CLIENT_PRODUCER_CORE_H_
