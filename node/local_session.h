// LocalSession: the session of a broker with the controller of its own process, where that is the
// whole quorum: no network, no heartbeats, and metadata straight from the log.
//
// Nobody watches over such a broker, and nobody could take over from it: it lives and dies with its
// controller.
//
// Thread: the controller executor.
#ifndef NODE_LOCAL_SESSION_H_
#define NODE_LOCAL_SESSION_H_

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "node/controller_host.h"
#include "node/controller_session.h"

namespace millrace::node {

class LocalSession final : public ControllerSession, private broker::ControllerChannel {
 public:
  template <class T>
  using Done = ControllerSession::Done<T>;

  // REQUIRES: `controller` leads, for as long as this lives, and its cluster is founded.
  LocalSession(NodeId self, ControllerHost* controller) : self_(self), controller_(controller) {}

  // ControllerSession.
  void SetOnEnded(std::function<void(const absl::Status&)> /*on_ended*/) override {}
  void AwaitCluster(absl::AnyInvocable<void(ClusterId) &&> known) override;
  void Register(internal::v1::RegisterBrokerRequest request, Done<BrokerEpoch> done) override;
  void Activate(absl::AnyInvocable<void(absl::Status) &&> done) override;
  // Told once: nothing is placed there any more, until the next registration.
  void ReportFailedDirectory(DirectoryId directory) override;
  // There is no other disk to compare with.
  void SetDiskSpeeds(DiskSpeeds /*speeds*/) override {}
  void SetOnContact(std::function<void(MonotonicTime)> /*on_contact*/) override {}
  void Leave(absl::Duration /*max*/, Task done) override { std::move(done)(); }
  metadata::Feed& feed() override { return controller_->feed(); }
  broker::ControllerChannel& channel() override { return *this; }
  std::string Progress() const override { return ""; }

 private:
  void TellFailedDirectories();

  // broker::ControllerChannel.
  void AlterPartition(internal::v1::AlterPartitionRequest request,
                      Done<internal::v1::AlterPartitionResponse> done) override;
  void ReportLastCopies(internal::v1::ReportLastCopiesRequest request,
                        Done<internal::v1::ReportLastCopiesResponse> done) override;
  void AssignReplicasToDirs(internal::v1::AssignReplicasToDirsRequest request,
                            Done<internal::v1::AssignReplicasToDirsResponse> done) override;
  void AllocateProducerIds(internal::v1::AllocateProducerIdsRequest request,
                           Done<internal::v1::AllocateProducerIdsResponse> done) override;

  const NodeId self_;
  ControllerHost* const controller_;
  BrokerEpoch epoch_ = kNoBrokerEpoch;
  std::set<DirectoryId> failed_directories_;
};

}  // namespace millrace::node

#endif  // NODE_LOCAL_SESSION_H_
