// DirectoryAssigner: tells the controller in which log directories replicas of this broker lie,
// where the metadata says something else: those that were made anew because their directory is
// lost, and those that were found elsewhere.
//
// Many go with one question, at most one is under way, and each is asked about, ever more rarely,
// until the metadata shows it or has no such replica any more: an answer alone proves nothing that
// the broker acts on.
//
// Thread: `home`.
// Source: KIP-858 (AssignReplicasToDirs), S-05.
#ifndef BROKER_DIRECTORY_ASSIGNER_H_
#define BROKER_DIRECTORY_ASSIGNER_H_

#include <cstddef>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/controller_channel.h"
#include "metadata/image.h"

namespace millrace::broker {

class DirectoryAssigner {
 public:
  struct Deps {
    NodeId self = kNoNode;
    Executor* home = nullptr;
    Clock* clock = nullptr;
    // May be null: there is no controller to tell.
    ControllerChannel* channel = nullptr;
  };
  // Of one question; what is left goes with the next.
  static constexpr size_t kReplicasMax = 1000;
  // Before what was not shown is asked again; doubled each time.
  static constexpr absl::Duration kRetryMin = absl::Milliseconds(100);
  static constexpr absl::Duration kRetryMax = absl::Seconds(5);

  explicit DirectoryAssigner(const Deps& deps);
  ~DirectoryAssigner();

  // This broker is registered: questions carry `epoch`.
  void OnRegistered(BrokerEpoch epoch);
  // The replica lies there. The newest word of a partition counts.
  void Assign(const TopicPartition& partition, DirectoryId directory);
  // Forgets what this image shows, or has no replica of.
  void OnMetadata(const metadata::Image& image);

  // Not shown by the metadata yet.
  size_t pending() const { return pending_.size(); }

 private:
  void SendNext();
  void OnResponse(const absl::StatusOr<internal::v1::AssignReplicasToDirsResponse>& response);

  const Deps deps_;
  BrokerEpoch epoch_ = kNoBrokerEpoch;
  std::map<TopicPartition, DirectoryId> pending_;
  // Of the question under way; empty: none is.
  std::vector<TopicPartition> asked_;
  // Where the next question of this round begins.
  TopicPartition next_;
  absl::Duration retry_ = kRetryMin;
  DeadlineTimer timer_;
  const std::shared_ptr<DirectoryAssigner*> alive_;
};

}  // namespace millrace::broker

#endif  // BROKER_DIRECTORY_ASSIGNER_H_
