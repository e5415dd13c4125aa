// BrokerSession: the broker's side of its session with the active controller: which controller to
// ask, when to connect, to register, to send a heartbeat, and when to give a connection up. Pure:
// it is told what happened and says what to do.
//
// A session follows the metadata from its first connection on, as an observer, because only the
// metadata says which cluster this is. Once the broker has opened its log directories it registers,
// and opens a second stream under its broker epoch, which it then keeps alive. A break is mended at
// once, under the same epoch, so that a short one is never noticed (S-31); what goes on failing is
// tried at each controller in turn, after a wait with jitter. Hints of who leads are followed.
//
// Not here: the network (controller_link.h), what the stream brings (metadata/follower.h), and all
// decisions about the broker: those are the controller's.
//
// Thread: one owner.
// Source: KIP-631 (broker registration and heartbeats), KIP-841 (fencing), S-31, S-40.
#ifndef NODE_BROKER_SESSION_H_
#define NODE_BROKER_SESSION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "base/status.h"
#include "metadata/image.h"
#include "raft/host/transport.h"

namespace millrace::node {

struct BrokerSessionOptions {
  // Where controllers may be found; at least one.
  std::vector<raft::Peer> controllers;
  absl::Duration heartbeat_interval = absl::Milliseconds(500);
  // A controller that says nothing for so long is given up: the one that replaced it leads already.
  absl::Duration silence_max = absl::Milliseconds(1500);
  // The same for a new connection, until something comes. Where a way is longer than that it is
  // doubled for as long as no controller says anything, up to the second (KIP-601).
  absl::Duration connect_max = absl::Seconds(1);
  absl::Duration connect_max_max = absl::Seconds(10);
  // When every controller was tried: doubling from the one to the other, with jitter.
  absl::Duration wait_min = absl::Milliseconds(50);
  absl::Duration wait_max = absl::Milliseconds(300);
};

// What must be done, in this order.
struct BrokerSessionReady {
  struct Open {
    // Names the stream in all that is heard of it.
    uint64_t stream = 0;
    std::string address;
    // It is given up if nothing has come by then: half of it, at least, is for the connection.
    absl::Duration connect_max;
  };
  struct Register {
    uint64_t attempt = 0;
    std::string address;
  };

  // End the present stream; nothing more is heard of it.
  bool close = false;
  // The first heartbeat opens it.
  std::optional<Open> open;
  bool heartbeat = false;
  std::optional<Register> register_broker;

  bool empty() const { return !close && !open && !heartbeat && !register_broker; }
};

// What a controller says of a session.
struct SessionAnswer {
  // None: of an observer.
  std::optional<metadata::BrokerState> broker;
  bool may_stop = false;
  Term term;
  // The last one that it heard; 0: it does not say.
  int64_t heartbeat = 0;
};

class BrokerSession {
 public:
  enum class State {
    kFinding,    // The active controller.
    kFollowing,  // The metadata; not registered.
    kRegistering,
    kJoining,  // Registered, and fenced still or again.
    kActive,
    kLeaving,  // Hands its leaderships over.
    kMayStop,  // Nothing is left that another could lead.
    kEnded,    // For good: see failure().
  };

  // `random` outlives this. The first Ready opens a stream.
  BrokerSession(BrokerSessionOptions options, Random* random, MonotonicTime now);

  // ---- What happens. News of former streams and attempts is ignored. ----

  // Metadata has come.
  void OnMetadata(uint64_t stream, LogIndex applied, MonotonicTime now);
  void OnAnswer(uint64_t stream, const SessionAnswer& answer, MonotonicTime now);
  // By the other side, the network, or because what it brought was refused.
  void OnStreamEnded(uint64_t stream, const absl::Status& status, MonotonicTime now);
  void OnRegistered(uint64_t attempt, const absl::StatusOr<BrokerEpoch>& epoch, MonotonicTime now);
  // Somebody else knows who leads.
  void OnLeader(const LeaderHint& leader, MonotonicTime now);
  // At or after next_deadline(); too early does nothing.
  void Tick(MonotonicTime now);

  // ---- What the broker wants ----

  // The log directories are open.
  void Register(MonotonicTime now);
  // They have recorded the broker epoch: from here on it wants to be active.
  void Activate(MonotonicTime now);
  // Hand over the leaderships, and stop.
  void Leave(MonotonicTime now);
  // Something that a heartbeat carries has changed.
  void HeartbeatSoon(MonotonicTime now);

  // ---- What comes out ----

  // Call until empty, after each of the calls above.
  BrokerSessionReady TakeReady();
  MonotonicTime next_deadline() const;
  State state() const;
  // The newest: nothing else is of interest.
  uint64_t stream() const { return stream_; }
  // kNoBrokerEpoch before the registration.
  BrokerEpoch epoch() const { return epoch_; }
  // What the next heartbeat says is its number.
  int64_t heartbeat() const { return heartbeat_; }
  bool want_active() const { return want_active_; }
  bool want_shutdown() const { return want_shutdown_; }
  // Who leads, and where: whoever a stream is established with; else nobody.
  LeaderHint leader() const;
  // S-33: at this time the controllers had not fenced this broker; zero: it was not active yet. It
  // lies before a heartbeat that the controller had heard when it said so. An answer says nothing
  // of the time at which it is read, which may be long after it came, if the process stood still;
  // nor of a heartbeat that was sent before it came, which may be lost.
  MonotonicTime contact() const { return contact_; }
  // When the active controller was heard last.
  MonotonicTime last_heard() const { return last_heard_; }
  // Why the session has ended for good: this process has been replaced by another of its id, or
  // does not belong to this cluster; nothing but a restart can help. OK: it has not.
  const absl::Status& failure() const { return failure_; }
  // What a user should know now: "no controller answers at ...", or "" when there is nothing.
  std::string Progress() const;

 private:
  bool connected() const { return current_.has_value(); }
  void Heard(MonotonicTime now);
  // The controller was replaced and does not know it yet: what it says of this broker may not be so
  // any more. As if it had said that it does not lead.
  void LeaveFormerLeader(MonotonicTime now);
  void SendHeartbeat(MonotonicTime now);
  // Gives the heartbeat that goes out now its number.
  void CountHeartbeat(MonotonicTime now);
  // A time before the last heartbeat was sent that the controller had heard when it said `answer`.
  MonotonicTime ContactOf(const SessionAnswer& answer);
  // Ends the stream, if there is one.
  void Close();
  void Open(const raft::Peer& controller, MonotonicTime now);
  // To the next controller: now if one was not tried yet in this round, else after a wait.
  void Seek(MonotonicTime now);
  std::optional<raft::Peer> NextUntried() const;
  bool Tried(const std::string& address) const;
  // Of another controller, or of this node's own voter.
  void AdoptHint(const LeaderHint& hint, bool own_voter);
  void ForgetNamed();
  // How long the present controller may take to say something.
  absl::Duration ConnectMax() const;
  absl::Duration Doubled(int times) const;
  // It did not.
  void CountSilence();
  // Whether who refuses for good speaks for the cluster. A process at a controller's address that
  // is of another cluster, takes TLS only, or is no controller must not stop a broker that the
  // others take in, nor must the leader that it names, which is of the other cluster too. It ends
  // only if all refuse or name as the leader one that does, or if this node's own voter has named
  // it.
  bool IsOfOurCluster(const absl::Status& refusal);
  void AskRegistration();
  void Fail(const absl::Status& status);

  const BrokerSessionOptions options_;
  Random* const random_;

  // The stream that is open or being opened.
  std::optional<raft::Peer> current_;
  uint64_t stream_ = 0;
  // Something came on it.
  bool established_ = false;
  MonotonicTime opened_at_;
  MonotonicTime established_at_;
  MonotonicTime last_heard_;
  // Of the last answer that was believed, and when that came.
  Term term_;
  MonotonicTime term_heard_;

  // Whom to try first, before the others in their order, of which `next_` is the first.
  std::optional<raft::Peer> preferred_;
  size_t next_ = 0;
  // In this round, without lasting success.
  std::vector<std::string> tried_;
  int rounds_failed_ = 0;
  // Of the present round: somebody was silent; somebody was not, be it to refuse. A controller that
  // is off gets no more time while others answer: it would hold up the way to the one they elect.
  bool heard_silence_ = false;
  bool heard_somebody_ = false;
  // Rounds since the last success in which nobody said anything.
  int rounds_silent_ = 0;
  // Unless those who answer go on to name it, which they do not for long of one that is off.
  std::string named_;
  int named_silent_ = 0;
  // It is of the cluster for certain.
  bool named_by_own_voter_ = false;
  // What a controller said last, since somebody last spoke for the cluster.
  struct Word {
    // For good: itself, or the leader that it named.
    bool refuses = false;
    std::string names;
  };
  // Of those in the options, by address.
  std::map<std::string, Word> words_;
  // When there is no stream: of the next round.
  MonotonicTime seek_at_;
  std::string last_failure_;

  bool want_registration_ = false;
  bool want_active_ = false;
  bool want_shutdown_ = false;
  BrokerEpoch epoch_ = kNoBrokerEpoch;
  // An attempt to register is under way.
  bool registering_ = false;
  uint64_t attempt_ = 0;
  // When to try again.
  MonotonicTime register_at_;
  std::optional<metadata::BrokerState> broker_;
  bool may_stop_ = false;
  LogIndex applied_;
  MonotonicTime heartbeat_at_ = MonotonicTime::Never();
  // Of all streams together.
  int64_t heartbeat_ = 0;
  // Heartbeats of this stream that may be answered yet, by number, with the times before which they
  // were not sent. The first opened it.
  std::map<int64_t, MonotonicTime> sent_;
  MonotonicTime contact_;
  absl::Status failure_;

  BrokerSessionReady ready_;
};

// "finding the controller", "active"...
absl::string_view BrokerSessionStateName(BrokerSession::State state);

}  // namespace millrace::node

#endif  // NODE_BROKER_SESSION_H_
