// BrokerSessions: which brokers are alive, as the active controller sees it, and what it therefore
// wants decided: fence this one, activate that one, drain a third. Pure: it is told of streams,
// heartbeats and committed changes, and holds the decisions that are due. Heartbeats never go
// through the log; the few changes that follow from them do.
//
// Silence for the session timeout ends a session; a stream that breaks shortens it to a short
// grace, because a process that dies is known by its sockets long before its silence. That holds
// only for a stream of this leader that it did not close itself: after an election every broker has
// a full session, and longer by the time for which the leader before may have gone on without
// knowing of the election: what that one told a broker counts there as contact (S-33). A link that
// breaks again and again says nothing about the process behind it: then the full session counts,
// and who was fenced over it is let back later each time. A pause of the controller is nobody
// else's silence: whatever it could not hear meanwhile extends all sessions.
//
// A directory whose disk is much slower than others (disk_speeds.h) is one more such decision.
//
// Not here: the streams themselves, and the metadata on them (node/broker_session_server.h).
//
// Thread: the controller executor.
// Source: S-31; KIP-631 (heartbeats, fencing, controlled shutdown), KIP-858 (failed directories).
#ifndef CONTROLLER_BROKER_SESSIONS_H_
#define CONTROLLER_BROKER_SESSIONS_H_

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "base/strong_id.h"
#include "controller/disk_speeds.h"
#include "metadata/image.h"

namespace millrace::controller {

struct BrokerSessionOptions {
  // Silence that ends a session: broker.session.timeout.ms.
  absl::Duration timeout = absl::Seconds(3);
  // How long after an election the leader before may have gone on.
  absl::Duration former_leader_max = absl::ZeroDuration();
  // What is left of a session whose stream has broken.
  absl::Duration broken_stream_grace = absl::Milliseconds(200);
  // The stream of one process that breaks so often in `breaks_window` has no grace, but a full
  // session.
  int breaks_max = 3;
  absl::Duration breaks_window = absl::Minutes(1);
  // How long such a broker stays fenced at least; doubled each time.
  absl::Duration hold_min = absl::Seconds(1);
  absl::Duration hold_max = absl::Minutes(1);
  // Something is to be heard at least so often, be it only the own timer; later by more than
  // `stall_min` is a stall of the controller.
  absl::Duration pulse = absl::Milliseconds(500);
  absl::Duration stall_min = absl::Milliseconds(100);
  // A decision that failed is asked for again after this.
  absl::Duration retry_after = absl::Milliseconds(200);
  // The broker of a process that is the whole cluster: no run of it is fenced for silence, since
  // nobody else could take over. kNoNode if there is none.
  NodeId lone_broker = kNoNode;
  DiskSpeedOptions disks = {};
};

using SessionStreamId = StrongId<struct SessionStreamIdTag, uint64_t>;

// What a broker says of itself in every heartbeat.
struct BrokerHeartbeatReport {
  NodeId broker = kNoNode;
  BrokerEpoch epoch = kNoBrokerEpoch;
  // The metadata log is applied up to here.
  LogIndex applied;
  bool want_active = false;
  bool want_shutdown = false;
  std::set<DirectoryId> failed_directories = {};
  // How long syncs take in the directories that had any lately.
  DiskSpeeds::Syncs syncs = {};
};

// A change that the controller is to decide, as one command (broker_commands.h).
struct SessionDecision {
  enum class Kind : uint8_t { kFence, kActivate, kShutDown, kFailDirectories, kSlowDirectories };
  Kind kind = Kind::kFence;
  NodeId broker = kNoNode;
  BrokerEpoch epoch = kNoBrokerEpoch;
  // Of kActivate and kShutDown.
  LogIndex applied;
  // Of kFailDirectories; of kSlowDirectories, all that are slow from now on.
  std::set<DirectoryId> directories = {};
  // Of kSlowDirectories: what has changed, for people.
  std::string why = {};

  friend bool operator==(const SessionDecision&, const SessionDecision&) = default;
};

class BrokerSessions {
 public:
  // `own_run`: that of the broker of this process, which lives as long as whoever watches it and is
  // never fenced for silence; zero if there is none. Runs before it are dead, and watched like any.
  BrokerSessions(const BrokerSessionOptions& options, IncarnationId own_run);

  // This node leads: brokers that are not fenced have a full session from when nobody else does.
  void Begin(const metadata::Image& image, MonotonicTime now);
  // It no longer leads: nothing is watched and nothing is due.
  void End();
  // A committed entry registered the broker or changed its state. A session of an earlier epoch
  // ends.
  void OnBroker(const metadata::BrokerImage& broker, MonotonicTime now);
  // A committed entry unregistered the broker: its session is forgotten, and nothing more is
  // decided about it.
  void OnBrokerRemoved(NodeId broker);

  // The process registered at `epoch` has a stream, which replaces any that it had. Ignored, as all
  // below are, if that is not the latest registration, or nothing is watched.
  void OnStreamOpened(NodeId broker, BrokerEpoch epoch, SessionStreamId stream, MonotonicTime now);
  void OnHeartbeat(const BrokerHeartbeatReport& report, MonotonicTime now);
  // The broker was heard of on another way than its stream.
  void OnContact(NodeId broker, BrokerEpoch epoch, MonotonicTime now);
  // The broker's end is gone. Not for a stream that this node closed itself.
  void OnStreamBroken(NodeId broker, SessionStreamId stream, MonotonicTime now);
  // This node closed the stream: the session runs on.
  void OnStreamClosed(NodeId broker, SessionStreamId stream, MonotonicTime now);

  // What became of a decision, after the change that it may have committed was told by OnBroker.
  // `may_stop`: of a kShutDown.
  void OnDecided(const SessionDecision& decision, const absl::Status& outcome, bool may_stop,
                 MonotonicTime now);

  void OnTime(MonotonicTime now);
  // When OnTime is due; Never() while nobody is watched.
  MonotonicTime next_deadline() const;

  // The decisions that came due, of each broker at most one until OnDecided.
  std::vector<SessionDecision> TakeDecisions();

  // Nothing that could be led elsewhere is led by the broker any more.
  bool MayStop(NodeId broker) const;
  // Brokers with a stream.
  int connected() const;

 private:
  struct Session {
    BrokerEpoch epoch = kNoBrokerEpoch;
    // Ends by silence.
    bool watched = true;
    metadata::BrokerState state = metadata::BrokerState::kFenced;
    // 0: none.
    SessionStreamId stream;
    // When the session ends; Never for a fenced broker and for one that is not watched.
    MonotonicTime deadline = MonotonicTime::Never();
    // Of this process' streams, within the window.
    std::deque<MonotonicTime> breaks = {};
    absl::Duration hold = absl::ZeroDuration();
    // Not activated before.
    MonotonicTime held_until = {};
    // The newest, unless it speaks for a stream or session that is over.
    BrokerHeartbeatReport wish = {};
    // Decided already.
    std::set<DirectoryId> failed_directories = {};
    // As committed.
    std::set<DirectoryId> slow_directories = {};
    bool may_stop = false;
    bool deciding = false;
    // After a decision that failed.
    MonotonicTime retry_at = {};
  };

  // Null if `epoch` is not the broker's latest registration.
  Session* Find(NodeId broker, BrokerEpoch epoch);
  // To be called first in whatever tells the time: finds out whether the controller was stalled.
  void NoteTime(MonotonicTime now);
  // The session lasts in full from now on: the broker is heard by this leader alone.
  void Renew(Session* session, MonotonicTime now);
  bool IsFlapping(Session* session, MonotonicTime now) const;
  // It would be active, were it not for the hold.
  static bool MayBecomeActive(const Session& session);
  // Puts out the next decision about the broker, if one is due.
  void Evaluate(NodeId broker, Session* session, MonotonicTime now);
  void Decide(NodeId broker, Session* session, SessionDecision::Kind kind);
  void DecideSlowness(NodeId broker, Session* session, MonotonicTime now);
  // When Evaluate has something to do without being told of anything new.
  static MonotonicTime DueTime(const Session& session);

  const BrokerSessionOptions options_;
  const IncarnationId own_run_;
  bool leading_ = false;
  // In order of id, so that decisions come in one order.
  std::map<NodeId, Session> sessions_;
  DiskSpeeds disks_;
  // When the time was last told.
  MonotonicTime noted_;
  std::vector<SessionDecision> due_;
};

}  // namespace millrace::controller

#endif  // CONTROLLER_BROKER_SESSIONS_H_
