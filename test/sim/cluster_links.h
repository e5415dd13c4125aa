// The seams between the processes of a simulated cluster, over ClusterNetwork: what the shipped
// server does with gRPC (raft/service, node/service, broker/service).
//
// ClusterQuorumLink: between controllers. ClusterControllerLink: from a broker to the controllers.
// ClusterReplicaChannel: from a follower's shard to a leader's; every message passes through its
// real encoder and decoder. ClusterRepairChannel: from a broker to another that may have what is
// damaged. An object serves one process and stays until the next one starts.
//
// Thread: the simulation's one; calls on the executors that the seams name.
#ifndef TEST_SIM_CLUSTER_LINKS_H_
#define TEST_SIM_CLUSTER_LINKS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/repair_channel.h"
#include "broker/replica_channel.h"
#include "node/controller_link.h"
#include "node/program_features.h"
#include "node/quorum_network.h"
#include "node/testing/sim_server.h"
#include "test/sim/cluster_network.h"

namespace millrace::sim {

class ClusterForwards;
class ClusterQuorumLink;

// One machine of the cluster as the links of others see it.
struct ClusterPeer {
  SimServer* server = nullptr;
  // Of the process that runs, or ran last.
  std::unique_ptr<ClusterQuorumLink> quorum;
  std::unique_ptr<node::ControllerLink> controllers;
  std::unique_ptr<broker::ReplicaChannel> replicas;
  std::unique_ptr<broker::RepairChannel> repairs;
  std::shared_ptr<ClusterForwards> forwards;
};

// What all links share.
struct ClusterPeers {
  ClusterNetwork* network = nullptr;
  // Null: there is no such machine.
  std::function<ClusterPeer*(int host)> find;
};

// "node7:9093".
std::string ControllerAddressOf(int host);
std::string BrokerAddressOf(int host);
// -1 if it is none of ours.
int HostOf(const std::string& address);

class ClusterQuorumLink final : public node::QuorumNetwork,
                                private raft::Transport,
                                private raft::FoundingChannel {
 public:
  ClusterQuorumLink(ClusterPeers peers, int self, Executor* owner)
      : all_(std::move(peers)), self_(self), owner_(owner) {}

  // node::QuorumNetwork.
  raft::Transport& transport() override { return *this; }
  raft::FoundingChannel& founding() override { return *this; }
  void SetFoundingAnswer(FoundingAnswer answer) override { answer_ = std::move(answer); }
  // No quorum is recovered here.
  void SetCluster(ClusterId cluster, int64_t /*generation*/) override { cluster_ = cluster; }
  // All machines run this program.
  const raft::ProgramFeatures* FeaturesOf(const raft::VoterId&) const override {
    return &features_;
  }
  // Directories are not lost in whole clusters: quorum_sim_test has that.
  std::vector<raft::HeardPeer> Heard() const override { return {}; }
  void SetOnHello(std::function<void()>) override {}

  // A connection to the peer's process was reset.
  void OnPeerDown(int host);

 private:
  // raft::Transport.
  void SetReceiver(raft::TransportReceiver* receiver) override { receiver_ = receiver; }
  void SetPeers(std::vector<raft::Peer> peers) override { peers_ = std::move(peers); }
  void Send(std::vector<raft::Message> messages) override;
  // raft::FoundingChannel.
  void Exchange(std::string address, raft::FoundingState mine, Callback callback) override;

  static ClusterQuorumLink* Find(const ClusterPeers& all, int host);

  const ClusterPeers all_;
  const int self_;
  Executor* const owner_;
  FoundingAnswer answer_;
  ClusterId cluster_;
  const raft::ProgramFeatures features_ = node::OwnFeatures();
  raft::TransportReceiver* receiver_ = nullptr;
  std::vector<raft::Peer> peers_;
};

class ClusterControllerLink final : public node::ControllerLink {
 public:
  ClusterControllerLink(ClusterPeers peers, int self, Executor* owner)
      : all_(std::move(peers)), self_(self), owner_(owner) {}

  std::unique_ptr<Stream> OpenSession(const std::string& address,
                                      const internal::v1::BrokerSessionRequest& first,
                                      absl::Duration connect_max, Received received) override;
  void RegisterBroker(const std::string& address,
                      const internal::v1::RegisterBrokerRequest& request, absl::Duration timeout,
                      Done<internal::v1::RegisterBrokerResponse> done) override;
  void AlterPartition(const std::string& address,
                      const internal::v1::AlterPartitionRequest& request, absl::Duration timeout,
                      Done<internal::v1::AlterPartitionResponse> done) override;
  void ReportLastCopies(const std::string& address,
                        const internal::v1::ReportLastCopiesRequest& request,
                        absl::Duration timeout,
                        Done<internal::v1::ReportLastCopiesResponse> done) override;
  void AssignReplicasToDirs(const std::string& address,
                            const internal::v1::AssignReplicasToDirsRequest& request,
                            absl::Duration timeout,
                            Done<internal::v1::AssignReplicasToDirsResponse> done) override;
  void AllocateProducerIds(const std::string& address,
                           const internal::v1::AllocateProducerIdsRequest& request,
                           absl::Duration timeout,
                           Done<internal::v1::AllocateProducerIdsResponse> done) override;

 private:
  template <class Request, class Response>
  void Ask(const std::string& address, const Request& request, absl::Duration timeout,
           Done<Response> done);

  const ClusterPeers all_;
  const int self_;
  Executor* const owner_;
};

class ClusterReplicaChannel final : public broker::ReplicaChannel {
 public:
  ClusterReplicaChannel(ClusterPeers peers, int self) : all_(std::move(peers)), self_(self) {}

  std::unique_ptr<broker::FollowerStream> Open(const std::string& address,
                                               const broker::FollowerHello& hello,
                                               Executor* executor,
                                               std::weak_ptr<broker::FollowerSink> sink) override;

 private:
  const ClusterPeers all_;
  const int self_;
};

class ClusterRepairChannel final : public broker::RepairChannel {
 public:
  ClusterRepairChannel(ClusterPeers peers, int self) : all_(std::move(peers)), self_(self) {}

  void ReadRange(const std::string& address, const broker::RangeQuery& query,
                 absl::Duration timeout, Executor* executor, broker::RangeDone done) override;

 private:
  const ClusterPeers all_;
  const int self_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_LINKS_H_
