// BrokerRole: the broker half of a process, from its log directories to serving and back down
// again: opens and recovers the directories, registers (a new broker epoch), has the epoch recorded
// in every directory, follows the metadata, is unfenced; and at a stop hands its leaderships over
// first.
//
// A broker needs no directory beside its log directories: their meta.properties say which cluster
// and which broker they belong to. Where they are new, the controllers say it.
//
// Cut off from the controllers it goes on serving under its epoch; only a controller that says that
// another process has taken its place ends it.
//
// Thread: the controller executor, except where said otherwise.
#ifndef NODE_BROKER_ROLE_H_
#define NODE_BROKER_ROLE_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/counters.h"
#include "base/env.h"
#include "broker/broker.h"
#include "metadata/authorizer.h"
#include "metadata/broker_config.h"
#include "millrace/v1/admin_service.pb.h"
#include "node/config.h"
#include "node/controller_session.h"

namespace millrace::node {

// The cluster that the log directories belong to; zero: none of them tells, all being new or, some
// of them, on a disk that fails. That disk may hold another cluster's: whoever opens it checks.
// Blocks. Errors: those of a meta.properties that is damaged or none, by its path;
// INCONSISTENT_CLUSTER_ID if they name two clusters.
absl::StatusOr<ClusterId> ClusterOfLogDirs(FileSystem& files,
                                           const std::vector<std::string>& log_dirs);

// What the broker is at, as `millrace_broker_state` shows it: the names and numbers of Kafka's
// BrokerState.
enum class BrokerLifeState : uint8_t {
  kNotRunning = 0,
  // Asks the controllers which cluster this is.
  kStarting = 1,
  // Opens its log directories and recovers logs, registers, follows the metadata, is still fenced.
  kRecovery = 2,
  // Was active: being fenced later for a while changes nothing.
  kRunning = 3,
  // Hands its leaderships over, and serves.
  kPendingControlledShutdown = 6,
  // Closes its logs.
  kShuttingDown = 7,
};

class BrokerRole {
 public:
  using Done = absl::AnyInvocable<void(absl::Status) &&>;

  // All outlive this, but `config` and `env`, which are copied.
  // `replicas`, `repairs`: the ways to other brokers; null if there are none.
  BrokerRole(const NodeConfig& config, const Env& env, const metadata::Authorizer* authorizer,
             broker::ReplicaChannel* replicas = nullptr, broker::RepairChannel* repairs = nullptr);
  ~BrokerRole();

  // `done` runs once the broker is active, or when it cannot be. `known`: what ClusterOfLogDirs
  // says, or zero. `session` outlives this. Later than that, `ended` is called, at most once, when
  // the controllers have said that this process is no longer the broker.
  void Start(ControllerSession* session, ClusterId known,
             std::vector<metadata::Listener> advertised, Done done,
             std::function<void(const absl::Status&)> ended);

  // Hands over what others can lead, then drains for up to `drain` and closes everything cleanly.
  // May be called during the start, which then stays without its callback.
  void Stop(absl::Duration drain, Done done);

  // Called with each image that may have changed the broker's config, the first one included, on
  // the controller executor. Set before Start.
  using OnConfig = std::function<void(const metadata::BrokerConfig&)>;
  void SetOnConfig(OnConfig on_config) { on_config_ = std::move(on_config); }

  // Drawn anew by every process.
  IncarnationId incarnation() const { return incarnation_; }

  // Null until the log directories are being opened.
  broker::Broker* broker() { return broker_.get(); }

  // OK once all replicas that the metadata wants here are open. Thread: any.
  absl::Status Ready() const;

  // Runs `then` when the broker has followed the metadata up to `index`, or after a bound: a
  // directory that hangs must not keep the controller's answer back.
  void AfterFollowed(LogIndex index, Task then);

  void ChecksumReplica(
      const v1::ChecksumReplicaRequest& request, const metadata::Principal& principal,
      std::function<bool()> given_up,
      absl::AnyInvocable<void(absl::StatusOr<v1::ChecksumReplicaResponse>) &&> done);
  void DescribeLogDirs(
      const v1::DescribeLogDirsRequest& request,
      absl::AnyInvocable<void(absl::StatusOr<v1::DescribeLogDirsResponse>) &&> done);

 private:
  // The steps of a start.
  void Open(ClusterId cluster_id);
  void OnOpened(absl::StatusOr<std::vector<broker::OpenedLogDir>> dirs);
  internal::v1::RegisterBrokerRequest RegistrationOf(
      const std::vector<broker::OpenedLogDir>& dirs) const;
  void OnRegistered(absl::StatusOr<BrokerEpoch> epoch);
  void OnRecorded(const absl::Status& status);
  void OnMetadata(const metadata::Update& update);
  void OnActive(const absl::Status& status);
  void Finish(const absl::Status& status);

  void Close();
  void Enter(BrokerLifeState state) { state_gauge_.Set(static_cast<int>(state)); }
  broker::BrokerOptions MakeOptions(ClusterId cluster_id) const;

  const NodeConfig config_;
  const Env env_;
  const metadata::Authorizer* const authorizer_;
  broker::ReplicaChannel* const replicas_;
  broker::RepairChannel* const repairs_;
  const IncarnationId incarnation_;
  Gauge& state_gauge_;
  std::unique_ptr<Random> random_;
  ControllerSession* session_ = nullptr;
  std::vector<metadata::Listener> advertised_;
  std::unique_ptr<broker::Broker> broker_;
  BrokerEpoch epoch_ = kNoBrokerEpoch;
  Done started_;
  std::function<void(const absl::Status&)> ended_;
  OnConfig on_config_;
  bool config_told_ = false;
  // The directories are being opened, or the epoch recorded: not to be closed in between.
  bool busy_ = false;
  bool stopping_ = false;
  bool may_close_ = false;
  absl::Duration drain_;
  Done stopped_;
  // Read by probes on other threads.
  std::atomic<bool> serving_{false};
  std::atomic<bool> followed_{false};
  // Set once, before serving_: what recovery_progress may be asked of.
  std::atomic<broker::Broker*> shown_{nullptr};
};

}  // namespace millrace::node

#endif  // NODE_BROKER_ROLE_H_
