// ConsumerCore: what a consumer decides: which partition is read from whom and from where, how much
// may be pushed ahead, where reading begins, and what is tried again. Pure: answers and time come
// in, requests and fetched batches go out.
//
// Rules:
//   - A partition is assigned to the stream of its leader, from the next offset. What was pushed
//     under an older assignment number is dropped, so that a seek is never followed by what lay
//     before it.
//   - A replica in this client's rack that the leader names is read from instead of the leader
//     (KIP-392), until a new epoch, a seek, or any trouble there: the leader alone knows what is
//     right. Positions are looked up and checked at the leader.
//   - Each stream is granted `prefetch_bytes` of credit, and gets back what the caller has taken or
//     what was dropped.
//   - Where a time is looked up the end is asked for first: reading begins there if no record is so
//     young, and so with the first that came after it was asked.
//   - Retriable failures are tried again after the back-off; a new leader, by hint or push and by
//     the higher epoch only (S-40), at once. Others stop the partition until the caller seeks.
//   - In a new leader epoch the leader is first asked where the epoch of the last record read ends
//     (KIP-320): if an unclean election took away what was read, the partition fails, or goes on
//     where the logs part if there is a policy for offsets out of range (read_position.h).
//   - When a leader is lost, does not lead any more, or is known by a hint only, and nothing is
//     pushed for a while, leaders are to be watched at another server (watch_doubt.h).
//   - A paused partition is not read, but where the caller begins in it is looked up all the same,
//     and kept until he has a position of his own: "latest" is not the end of another time.
//   - What the caller changes carries his generation, and what goes out carries it back: he drops
//     what was under way when he changed his mind.
//
// Thread: one owner (the consumer's I/O strand, or a test).
#ifndef CLIENT_CONSUMER_CORE_H_
#define CLIENT_CONSUMER_CORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/fetch.h"
#include "api/list_offsets.h"
#include "api/offset_for_leader_epoch.h"
#include "api/watch_topics.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "client/position.h"
#include "client/read_position.h"
#include "client/watch_doubt.h"

namespace millrace::client {

struct ConsumerCoreOptions {
  api::IsolationLevel isolation_level = api::IsolationLevel::kReadCommitted;
  // Where to go on from a position out of range; none: the partition fails.
  std::optional<Position::Kind> reset;
  int64_t prefetch_bytes = 16 << 20;
  int32_t partition_bytes_max = 1 << 20;
  absl::Duration retry_backoff = absl::Milliseconds(100);
  // How long a topic may be unknown before its partitions fail: it may just be in creation.
  absl::Duration unknown_topic_grace = absl::Seconds(1);
  // How long metadata with a lower leader epoch than the position's may be merely late. After that
  // the position is one of another log: the topic was made again, say.
  absl::Duration late_epoch_grace = absl::Seconds(10);
  std::string client_id;
  std::string rack;
  // How long the leader is read from after trouble with a near replica, whatever it names.
  absl::Duration near_replica_pause = absl::Seconds(5);
  // How long nothing may be pushed about leaders when there must be something to tell.
  absl::Duration watch_patience = absl::Seconds(1);
};

// Whose credit some bytes were pushed on.
struct CreditSource {
  NodeId broker;
  uint64_t stream = 0;
};

struct ConsumerOutput {
  struct Send {
    NodeId broker;
    api::FetchStreamRequest request;
  };
  struct Lookup {
    uint64_t number = 0;
    NodeId broker;
    api::ListOffsetsRequest request;
  };
  // Where the epochs of the last records read end.
  struct Check {
    uint64_t number = 0;
    NodeId broker;
    api::OffsetForLeaderEpochRequest request;
  };
  // Batches for the caller, who gives their bytes back by OnConsumed.
  struct Fetched {
    NamedPartition partition;
    uint64_t generation = 0;
    CreditSource source;
    api::BatchPieces batches;
  };
  // Where reading begins, once it was looked up; also after a reset.
  struct Resolved {
    NamedPartition partition;
    uint64_t generation = 0;
    Offset offset;
  };
  // The partition is not read any more until a seek.
  struct Failed {
    NamedPartition partition;
    uint64_t generation = 0;
    absl::Status status;
  };
  // Streams to open, before `sends`.
  std::vector<NodeId> connects;
  std::vector<Send> sends;
  std::vector<Lookup> lookups;
  std::vector<Check> checks;
  std::vector<Fetched> fetched;
  std::vector<Resolved> resolved;
  std::vector<Failed> failed;
  // The server that pushes leaders may be stopped: another one should.
  bool change_watch = false;

  bool empty() const {
    return !change_watch && connects.empty() && sends.empty() && lookups.empty() &&
           checks.empty() && fetched.empty() && resolved.empty() && failed.empty();
  }
};

class ConsumerCore {
 public:
  explicit ConsumerCore(ConsumerCoreOptions options)
      : options_(std::move(options)), watch_doubt_(options_.watch_patience) {}

  // Replaces the assignment.
  void Assign(const std::map<NamedPartition, Position>& partitions, uint64_t generation,
              MonotonicTime now);
  // All three do nothing for a partition that is not assigned. A paused one stays so when it is
  // sought. A pause forgets what was fetched, and what was asked about it; Resume goes on at
  // `from`; none: where the caller began, who has not been told yet which offset that is.
  void Seek(const NamedPartition& partition, Position to, uint64_t generation, MonotonicTime now);
  void Pause(const NamedPartition& partition, uint64_t generation, MonotonicTime now);
  void Resume(const NamedPartition& partition, const std::optional<Position>& from,
              uint64_t generation, MonotonicTime now);

  // What was pushed about one topic.
  void OnTopic(const api::TopicLeaders& topic, MonotonicTime now);
  void OnStreamDown(NodeId broker, const absl::Status& why, MonotonicTime now);
  void OnFetched(NodeId broker, api::FetchStreamResponse response, MonotonicTime now);
  // The answer to a Lookup.
  void OnOffsets(uint64_t number, const absl::StatusOr<api::ListOffsetsResponse>& response,
                 MonotonicTime now);
  // The answer to a Check.
  void OnEpochEnds(uint64_t number,
                   const absl::StatusOr<api::OffsetForLeaderEpochResponse>& response,
                   MonotonicTime now);
  // The caller has taken so many bytes, or dropped them.
  void OnConsumed(const CreditSource& source, int64_t bytes, MonotonicTime now);
  void OnTime(MonotonicTime now);

  // When OnTime is wanted next.
  MonotonicTime next_deadline() const;
  // What is to be done; call after each step.
  ConsumerOutput TakeOutput() { return std::exchange(output_, {}); }

 private:
  struct Partition {
    uint64_t generation = 0;
    // Zero until the topic is known.
    TopicId topic_id;
    NodeId leader = kNoNode;
    LeaderEpoch leader_epoch = kNoLeaderEpoch;
    // Where to begin, until it is looked up.
    std::optional<Position> looking;
    // It is looked up by the reset policy: the caller has a position.
    bool resetting = false;
    // Where the caller began, once that is known.
    std::optional<ReadPosition> began;
    // Of a time that is looked up: the position is the end of before, where reading begins if no
    // record is so young.
    bool has_end = false;
    // The lookup or check under way; 0: none.
    uint64_t question = 0;
    // What to fetch next; valid unless looking, or if it is known as the end.
    ReadPosition position;
    // The position is known to lie on the log of this epoch's leader.
    LeaderEpoch checked = kNoLeaderEpoch;
    // Metadata that knows the position's epoch is awaited until then.
    MonotonicTime late_at = MonotonicTime::Never();
    // On whose stream it is assigned, and since which number; kNoNode: on none.
    NodeId assigned_at = kNoNode;
    uint64_t assigned_number = 0;
    // Nothing is asked before; zero: no wait.
    MonotonicTime retry_at;
    // Whom the leader named to read from; kNoNode: the leader itself.
    NodeId near_replica = kNoNode;
    MonotonicTime leader_only_until;
    // The topic is unknown, and taken for deleted from then on; Never: it exists, or nothing was
    // told.
    MonotonicTime gone_at = MonotonicTime::Never();
    bool paused = false;
    bool failed = false;

    NodeId source() const { return near_replica == kNoNode ? leader : near_replica; }
    bool is_late() const {
      return !failed && !looking && leader != kNoNode && position.epoch > leader_epoch;
    }
    // One leader per epoch: where it is the position's own there is nothing to ask.
    bool needs_check() const {
      return !looking && position.epoch != kNoLeaderEpoch && position.epoch < leader_epoch &&
             checked != leader_epoch;
    }
    // What the reset policy makes of the position of a paused one is no matter: the caller's
    // counts.
    bool needs_lookup() const { return looking && !(paused && resetting); }
    bool may_ask(MonotonicTime now) const {
      return !failed && question == 0 && leader != kNoNode && now >= retry_at;
    }
  };
  struct Broker {
    bool open = false;
    // Which of the streams that there were; answers of former ones are told by it.
    uint64_t stream = 0;
    // Bytes to give back with the next message.
    int64_t owed = 0;
  };
  using Assigned = std::map<NamedPartition, Partition>;

  void Begin(Partition* partition, const Position& position, uint64_t generation,
             MonotonicTime now) const;
  void Detach(const NamedPartition& name, Partition* partition);
  void Fail(const NamedPartition& name, Partition* partition, const absl::Status& status);
  void Retry(Partition* partition, MonotonicTime now);
  // Of a hint.
  void AdoptHint(Partition* partition, const LeaderHint& hint, MonotonicTime now);
  void NoteNearReplica(Partition* partition, const api::FetchPartitionResult& result, NodeId from,
                       MonotonicTime now) const;
  // The leader is read from again.
  void LeaveNearReplica(Partition* partition, MonotonicTime now) const;
  static void ForgetTopic(Partition* partition);
  static bool AdoptLeader(Partition* partition, NodeId leader, LeaderEpoch epoch);
  void Refuse(const NamedPartition& name, Partition* partition,
              const api::PartitionOutcome& outcome, NodeId from, MonotonicTime now);
  void Reset(const NamedPartition& name, Partition* partition,
             const api::PartitionOutcome& outcome);
  // False if the batches are nothing new.
  bool Accept(const NamedPartition& name, Partition* partition, const CreditSource& source,
              api::FetchPartitionResult* result, MonotonicTime now);
  void OnOffset(const NamedPartition& name, Partition* partition,
                const api::ListOffsetsPartitionResult& result, NodeId from, MonotonicTime now);
  void OnEpochEnd(const NamedPartition& name, Partition* partition,
                  const api::OffsetForLeaderEpochPartitionResult& result, NodeId from,
                  MonotonicTime now);
  // Hands the answer for each partition of a lookup or check to `take`(name, partition, result,
  // from), if it is still wanted.
  template <class Response, class Take>
  void OnAnswer(uint64_t number, const absl::StatusOr<Response>& response, MonotonicTime now,
                Take take);
  Assigned::iterator Find(const api::PartitionName& name);
  api::PartitionName WireName(const NamedPartition& name, const Partition& partition) const;
  // Asks for what is wanted and not under way.
  void Advance(MonotonicTime now);
  void LookUp(MonotonicTime now);
  void CheckPositions(MonotonicTime now);
  void AwaitLateMetadata(MonotonicTime now);
  void NoteQuestion(uint64_t number, const NamedPartition& name, Partition* partition);
  void AssignReady(MonotonicTime now);
  api::FetchStreamRequest& MessageTo(NodeId broker);
  void SendMessages();

  const ConsumerCoreOptions options_;
  Assigned partitions_;
  std::map<NodeId, Broker> brokers_;
  // Which partitions a lookup or check is for.
  struct Question {
    NodeId broker;
    std::vector<NamedPartition> partitions;
  };
  std::map<uint64_t, Question> questions_;
  // What goes out at the end of the step.
  std::map<NodeId, api::FetchStreamRequest> messages_;
  WatchDoubt watch_doubt_;
  uint64_t next_question_ = 1;
  uint64_t next_stream_ = 1;
  uint64_t next_assignment_ = 1;
  ConsumerOutput output_;
};

}  // namespace millrace::client

#endif  // CLIENT_CONSUMER_CORE_H_
