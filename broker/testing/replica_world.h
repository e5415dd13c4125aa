// ReplicaWorld: the replicas of one partition on three simulated brokers, with logs in memory, a
// model of the controller, and streams that keep their order but break, linger and lose what they
// carry; everything else happens in an order drawn from a seed. Crashes keep the page cache, or
// only what is durable. After every event it checks what must always hold:
//
// - one run of one broker leads in an epoch, and its high watermark never falls;
// - replicas have equal bytes below their high watermarks, for ever ("committed");
// - every broker with a seat (in-sync or eligible) has all that is committed, in a way that its
//   topic's level survives;
// - an acknowledged batch is the committed one at its offset; consumers get committed bytes only;
//   "latest" never goes backwards;
// - what was said to be deleted is deleted on the disk of every broker with a seat (KIP-107).
//
// In some worlds brokers are cut off from the controllers alone, too (S-33): then no leader says
// what another would make untrue later than a session timeout after that one led. In others
// min.insync.replicas is raised and lowered; in others again much is deleted.
//
// It ends with everything healed, and then all must come into sync and take records.
//
// Thread: the test's.
#ifndef BROKER_TESTING_REPLICA_WORLD_H_
#define BROKER_TESTING_REPLICA_WORLD_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/sim/sim_random.h"
#include "broker/replica.h"
#include "broker/testing/fake_replica_log.h"
#include "broker/testing/model_controller.h"

namespace millrace::broker {

class ReplicaWorld {
 public:
  struct Result {
    // What must hold and did not; empty: all held.
    std::string violation;
    int64_t events = 0;
    int acknowledged = 0;
    int deletions = 0;
    int elections = 0;
    // What leaders without contact were asked of the end of the log, or to take with less than
    // acks=all.
    int served_cut_off = 0;
    int refused_cut_off = 0;
  };
  static Result Run(uint64_t seed) { return ReplicaWorld(seed, Kind::kPlain).Run(); }
  static Result RunWithCutOffs(uint64_t seed) { return ReplicaWorld(seed, Kind::kCutOffs).Run(); }
  static Result RunWithMinChanges(uint64_t seed) {
    return ReplicaWorld(seed, Kind::kMinChanges).Run();
  }
  static Result RunWithDeletions(uint64_t seed) {
    return ReplicaWorld(seed, Kind::kDeletions).Run();
  }

 private:
  enum class Kind { kPlain, kCutOffs, kMinChanges, kDeletions };
  // S-33.
  struct Question {};
  struct Confirmation {
    std::vector<ReplicaPosition> positions;
  };
  using Upward = std::variant<AttachRequest, ReplicaPosition, ReplicaDetach, Confirmation>;
  using Downward = std::variant<AttachReply, ReplicaPush, ReplicaDetach, Question>;

  struct Node {
    NodeId id;
    // Null while down; then `disk` is what it will start from.
    std::unique_ptr<Replica> replica;
    FakeReplicaLog* log = nullptr;
    std::unique_ptr<FakeReplicaLog> disk;
    BrokerEpoch epoch;
    // What it has acknowledged may be gone, and it has not been in sync since.
    bool suspect = false;
    // How much of the controller's history it has read.
    size_t images = 0;
    // Not to be unfenced before it has read its own registration.
    size_t registered_at = 0;
    // With whether the replica was told already that there is no answer.
    std::deque<std::pair<IsrProposal, bool>> proposals;
    std::deque<IsrAnswer> answers;
    // Followers that may be pushed to.
    std::set<NodeId> sendable;
    // Below this its bytes are compared with the committed ones.
    Offset compared;
    uint64_t attach = 0;
    LeaderEpoch attach_epoch;
    // S-33.
    bool cut_off = false;
    ControllerContact contact;
  };
  // From one run of a follower to one run of a leader. A broken one may linger: what it carries
  // arrives late, though both sides know that it is gone.
  struct Stream {
    FollowerId follower;
    NodeId leader;
    BrokerEpoch leader_run;
    bool broken = false;
    std::deque<Upward> up;
    std::deque<Downward> down;
    // A question is under way, or its answer.
    std::optional<MonotonicTime> asked_at;
  };
  // A read of the leader's log that is under way.
  struct ColdRead {
    FollowerId follower;
    NodeId leader;
    BrokerEpoch leader_run;
    PendingPush push;
  };
  struct Sent {
    std::string value;
    api::Acks acks;
  };

  ReplicaWorld(uint64_t seed, Kind kind);
  Result Run();

  // --- One event ---
  void Step();
  void Drain(Node* node);
  void Deliver();
  void DeliverUp(Stream* stream, Upward message);
  void DeliverDown(Stream* stream, Downward message);
  void ReadImage(Node* node);
  void Disk(Node* node);
  void Produce(Node* node);
  void Delete(Node* node);
  void Push(Node* node);
  void FinishRead();
  void Controller();
  void Answer(Node* node);
  void PassTime(bool far);
  void Fetch(Node* node);
  void FetchNearby(Node* node);
  void CheckServed(const FetchAnswer& answer);

  // --- Cut off from the controllers ---
  void StepCutOffs();
  void Hear(Node* node);
  void Ask(Node* node);
  void Confirm(Stream* stream, Node* follower);
  void TakeConfirmation(Stream* stream, Node* leader, const Confirmation& confirmation);
  void ServeAtEnd(Node* node);

  // --- Faults ---
  void Fault();
  void Crash(Node* node);
  void Start(Node* node);
  void Break(Stream* stream);
  void BreakAllOf(NodeId node);

  // --- Checks ---
  void Check(Node* node);
  void CompareCommitted(Node* node);
  void CheckSeats();
  void Answered(Node* node, const ProduceReply& reply);
  void Fail(const std::string& what);
  void Heal();
  bool AllInSync();
  std::string Describe() const;

  Node* Pick();
  Node* NodeOf(NodeId id) { return &nodes_[static_cast<size_t>(id.value() - 1)]; }
  Stream* StreamTo(const Node& follower, NodeId leader);
  // Whether somebody else keeps what this one may lose.
  bool MayLose(const Node& node);
  Offset Kept(const Node& node) const;
  uint64_t Draw(uint64_t below) { return random_.Below(below); }
  bool Chance(uint64_t one_in) { return Draw(one_in) == 0; }
  static Bytes BatchOf(const std::string& value, int records);
  Now now() const { return {now_, WallTime{1'767'225'600'000}}; }

  sim::SimRandom random_;
  const Kind kind_;
  TopicSettings settings_;
  std::unique_ptr<ModelController> controller_;
  std::vector<Node> nodes_;
  std::deque<Stream> streams_;
  std::deque<ColdRead> reads_;
  Outbox outbox_;
  MonotonicTime now_ = MonotonicTime::FromNanos(1'000'000'000);
  bool slow_images_ = false;
  // No faults any more; and no records either.
  bool healed_ = false;
  bool quiet_ = false;

  uint64_t next_produce_ = 1;
  std::map<ProduceId, Sent> sent_;
  // Batches below some replica's high watermark, by base offset, as they must be everywhere.
  std::map<Offset, Bytes> committed_;
  Offset committed_end_;
  // Asked for, and answered.
  Offset deleted_below_;
  Offset gone_below_;
  // Who leads, or led, in an epoch, and its high watermark.
  std::map<LeaderEpoch, std::pair<FollowerId, Offset>> leaders_;
  // When somebody was first seen to lead in an epoch.
  std::map<LeaderEpoch, MonotonicTime> led_since_;
  LeaderEpoch latest_epoch_;
  Offset latest_;
  Result result_;
};

}  // namespace millrace::broker

#endif  // BROKER_TESTING_REPLICA_WORLD_H_
