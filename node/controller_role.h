// ControllerRole: the controller half of a process, from its metadata directory to a part in the
// quorum: directory, metadata log, founding (a new cluster only), leadership. Alone it is the whole
// quorum; one of several first has to know which cluster it belongs to (node/quorum_founding.h).
//
// Not here: decisions about the cluster (controller/), and the broker half (broker_role.h).
//
// Thread: the controller executor, except where said otherwise.
#ifndef NODE_CONTROLLER_ROLE_H_
#define NODE_CONTROLLER_ROLE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/env.h"
#include "controller/commands.h"
#include "controller/leader_watch.h"
#include "node/broker_session_server.h"
#include "node/config.h"
#include "node/controller_host.h"
#include "node/directory_replacer.h"
#include "node/leader_balancer.h"
#include "node/metadata_dir.h"
#include "node/quorum_founding.h"
#include "node/quorum_network.h"
#include "node/raft_quorum_control.h"
#include "node/voter_addresses.h"
#include "storage/kv_store.h"

namespace millrace::node {

class ControllerRole {
 public:
  using Done = absl::AnyInvocable<void(absl::Status) &&>;
  // Opens the store for the metadata image below a path; called on a thread that may block.
  using OpenImages =
      std::function<absl::StatusOr<std::unique_ptr<storage::KvStore>>(const std::string& path)>;

  // All that is pointed to outlives this. `network`: null for the whole quorum. `own_run`: of the
  // broker of this process; zero if there is none.
  ControllerRole(const NodeConfig& config, const Env& env, OpenImages open_images,
                 QuorumNetwork* network, controller::LeaderWatch* leaders,
                 RaftQuorumControl* quorum, IncarnationId own_run = {});
  ~ControllerRole();

  // Reads the metadata directory and, where it is the whole quorum, its log. Blocks. Errors: those
  // of CheckFounding (with others in the quorum only if it promised already), MetadataDir::Open,
  // ControllerHost::Open and the image store, with the path; those of CheckVotersLog where no other
  // voter could replace what is lost.
  absl::Status Open();

  // `done` runs once commands are taken: here, with the cluster founded, where this is the whole
  // quorum; else by whoever leads. `belongs`: one of several is known, durably, to belong to its
  // cluster. REQUIRES: Open succeeded.
  void Start(Done done, Task belongs = nullptr);

  // REQUIRES: Open succeeded. Thread: any.
  raft::VoterId voter_id() const { return {config_.node_id, dir_->directory_id()}; }
  int64_t start_count() const { return dir_->start_count(); }

  // Called once, when failed() has become true.
  void SetOnFailed(Task on_failed) { on_failed_ = std::move(on_failed); }

  // Null until the metadata log is open.
  ControllerHost* host() { return host_.get(); }
  // What the voters' and learners' programs know, as far as this node has heard; empty unless it
  // leads. Sorted by node.
  std::vector<controller::ControllerFeatures> Features() const;
  // The streams of brokers and observers; serves while this node leads.
  BrokerSessionServer& sessions() { return sessions_; }
  // Why host() is null.
  absl::Status NotOpen() const;

  // Whether somebody leads the quorum, as far as is known here. Thread: any.
  bool led() const { return led_.load(); }
  // The metadata log has stopped for good. Thread: any.
  bool failed() const { return failed_.load(); }

 private:
  // The steps of Start.
  void JoinQuorum();
  void OnBelongs(absl::StatusOr<raft::FoundingResult> result);
  void StartHost();
  void OnLeader(const LeaderHint& leader);
  void OnLed();
  void NoteLed();
  void FoundCluster();
  void RememberCluster(ClusterId cluster_id);
  void Finish(const absl::Status& status);

  // Blocks. Into opened_host_.
  absl::Status OpenHost(QuorumPlace place);
  // One of a quorum starts with its whole log, or as a newcomer, or not at all.
  absl::Status CheckLog();
  // No log directory keeps it from founding a cluster, or having one.
  absl::Status CheckFounds() const;
  // Whether a controller's program knows the cluster's feature level.
  absl::Status CheckMayVote(const raft::VoterId& voter) const;
  // What only the leader does begins, or ends.
  void OnLeadership(bool leads);
  // What this node says of itself to its peers.
  raft::FoundingState OwnState() const;
  void BalanceLeaders();

  const NodeConfig config_;
  const Env env_;
  const OpenImages open_images_;
  QuorumNetwork* const network_;
  controller::LeaderWatch* const leaders_;
  RaftQuorumControl* const quorum_;
  BrokerSessionServer sessions_;
  LeaderBalancer balancer_;
  // Null for the whole quorum; the second from JoinQuorum on.
  std::unique_ptr<DirectoryReplacer> replacer_;
  std::unique_ptr<VoterAddresses> addresses_;
  // Of the metadata directory: the log's, and the image store's.
  std::unique_ptr<Executor> metadata_disk_;
  std::unique_ptr<Executor> image_disk_;
  std::unique_ptr<Random> founding_random_;
  raft::FoundingRecord founding_record_;
  // Zero unless the log directories belong to a cluster and the metadata directory to none.
  ClusterId join_only_;
  std::unique_ptr<QuorumFounding> founding_;
  // Of one of several controllers, once they are known.
  ClusterId cluster_id_;
  int64_t generation_ = 0;
  std::unique_ptr<MetadataDir> dir_;
  std::unique_ptr<storage::KvStore> images_;
  // Opened on the metadata directory's strand, where host_ must be left alone: it is asked for on
  // the controller executor all the while.
  std::unique_ptr<ControllerHost> opened_host_;
  std::unique_ptr<ControllerHost> host_;
  Done started_;
  Task belongs_;
  Task on_failed_;
  std::atomic<bool> led_{false};
  std::atomic<bool> failed_{false};
  // Held weakly by what subscribes for longer.
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace millrace::node

#endif  // NODE_CONTROLLER_ROLE_H_
