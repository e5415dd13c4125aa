// LastCopyReporter: tells the controller where the logs of this broker end, of partitions that have
// neither a leader nor a replica that is known to have all that was acknowledged (S-32).
//
// Such a log stays as it is while the metadata stays in its leader epoch, so that an end may be
// told at any time. Each is told again, ever more rarely, until the metadata shows a leader.
//
// Thread: `home`.
// Source: KIP-966 (unclean recovery).
#ifndef BROKER_LAST_COPY_REPORTER_H_
#define BROKER_LAST_COPY_REPORTER_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/controller_channel.h"
#include "metadata/feed.h"

namespace millrace::broker {

// Where the log of a replica ends.
struct ReplicaEnd {
  // Of the last batch; kNoLeaderEpoch if there is none.
  LeaderEpoch last_epoch = kNoLeaderEpoch;
  Offset end_offset;
};

class LastCopyReporter {
 public:
  using Ends = std::map<TopicPartition, ReplicaEnd>;
  struct Deps {
    NodeId self = kNoNode;
    Executor* home = nullptr;
    Clock* clock = nullptr;
    // May be null: there is no controller to tell.
    ControllerChannel* channel = nullptr;
    // The ends of all logs that are open here, after all that follows from the metadata so far; on
    // `home`, later.
    std::function<void(absl::AnyInvocable<void(Ends) &&>)> gather;
  };
  // Of one report; what is left goes with the next.
  static constexpr size_t kReplicasMax = 1000;
  // Before what has no leader yet is told again; doubled each time.
  static constexpr absl::Duration kRetryMin = absl::Milliseconds(100);
  static constexpr absl::Duration kRetryMax = absl::Seconds(5);

  explicit LastCopyReporter(Deps deps);
  ~LastCopyReporter();

  // This broker is registered: reports carry `epoch`.
  void OnRegistered(BrokerEpoch epoch);
  void OnMetadata(const metadata::Update& update);

  // Partitions with a replica here that have nobody.
  size_t lost() const { return lost_.size(); }

 private:
  // With the epoch in which they are lost.
  using Lost = std::map<TopicPartition, LeaderEpoch>;

  void Send();
  // `asked`: what was lost when the ends were asked for.
  void OnGathered(const Lost& asked, const Ends& ends);
  void OnAnswered();

  const Deps deps_;
  BrokerEpoch epoch_ = kNoBrokerEpoch;
  Lost lost_;
  // Where the next report of this round begins.
  TopicPartition next_;
  bool busy_ = false;
  absl::Duration retry_ = kRetryMin;
  DeadlineTimer timer_;
  const std::shared_ptr<LastCopyReporter*> alive_;
};

}  // namespace millrace::broker

#endif  // BROKER_LAST_COPY_REPORTER_H_
