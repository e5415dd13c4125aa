// ControllerSession: what the broker half of a process needs of the active controller: to belong to
// its cluster, to be registered, to follow its metadata, to be active, and to leave.
//
// Implemented twice: by the controller of the same process where that is the whole quorum
// (local_session.h), and over the network (remote_session.h).
//
// Thread: the controller executor, for calls and callbacks.
#ifndef NODE_CONTROLLER_SESSION_H_
#define NODE_CONTROLLER_SESSION_H_

#include <functional>
#include <map>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "broker/controller_channel.h"
#include "metadata/feed.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::node {

class ControllerSession {
 public:
  template <class T>
  using Done = absl::AnyInvocable<void(absl::StatusOr<T>) &&>;
  using DiskSpeeds = std::function<std::map<DirectoryId, absl::Duration>()>;

  virtual ~ControllerSession() = default;

  // Called at most once, when the session has ended for good: this process is not, or no longer,
  // the broker it says it is. What was asked then stays unanswered.
  virtual void SetOnEnded(std::function<void(const absl::Status&)> on_ended) = 0;

  // Calls back, once, when the cluster is founded and known here.
  virtual void AwaitCluster(absl::AnyInvocable<void(ClusterId) &&> known) = 0;
  // The request's cluster id is filled in. Goes on until a controller has answered; `done` runs,
  // once, when the feed shows the registration. Errors: the controller's refusal.
  virtual void Register(internal::v1::RegisterBrokerRequest request, Done<BrokerEpoch> done) = 0;
  // The log directories have recorded the epoch. `done` runs, once, when the broker is active.
  virtual void Activate(absl::AnyInvocable<void(absl::Status) &&> done) = 0;
  // From here on the controller is told, in each heartbeat, that this directory has failed.
  virtual void ReportFailedDirectory(DirectoryId directory) = 0;
  // From here on the controller is told, in each heartbeat, what this returns: how long syncs take.
  virtual void SetDiskSpeeds(DiskSpeeds speeds) = 0;
  // Called with each newer time at which the controllers had not fenced this broker (S-33); never,
  // if they are in this process alone.
  virtual void SetOnContact(std::function<void(MonotonicTime)> on_contact) = 0;
  // Hands over all that another broker can lead; `done` runs, once, when that is done or after
  // `max`. The broker must go on serving until then.
  virtual void Leave(absl::Duration max, Task done) = 0;

  // The committed metadata. REQUIRES: registered.
  virtual metadata::Feed& feed() = 0;
  // For the questions of the broker. Lives as long as this.
  virtual broker::ControllerChannel& channel() = 0;
  // What the start waits for, for a readiness probe; "" if for nothing.
  virtual std::string Progress() const = 0;
};

}  // namespace millrace::node

#endif  // NODE_CONTROLLER_SESSION_H_
