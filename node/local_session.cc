#include "node/local_session.h"

#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "node/session_decisions.h"

namespace millrace::node {

void LocalSession::AwaitCluster(absl::AnyInvocable<void(ClusterId) &&> known) {
  std::move(known)(controller_->committed_image().cluster_id());
}

void LocalSession::Register(internal::v1::RegisterBrokerRequest request, Done<BrokerEpoch> done) {
  request.set_cluster_id(controller_->committed_image().cluster_id().ToBytes());
  controller_->Submit(request, [this, done = std::move(done)](
                                   absl::StatusOr<internal::v1::RegisterBrokerResponse> reply,
                                   LogIndex index) mutable {
    if (!reply.ok()) return std::move(done)(reply.status());
    // Of a new registration only the log knows the epoch: it is the entry's index.
    epoch_ = BrokerEpoch(reply->broker_epoch() != 0 ? reply->broker_epoch() : index.value());
    if (!failed_directories_.empty()) TellFailedDirectories();
    std::move(done)(epoch_);
  });
}

void LocalSession::Activate(absl::AnyInvocable<void(absl::Status) &&> done) {
  internal::v1::BrokerHeartbeatRequest request;
  request.set_broker_id(self_.value());
  request.set_broker_epoch(epoch_.value());
  request.set_applied_index(controller_->committed_index().value());
  request.set_want_active(true);
  controller_->Submit(
      request, [done = std::move(done)](absl::StatusOr<internal::v1::BrokerHeartbeatResponse> reply,
                                        LogIndex) mutable {
        if (!reply.ok()) return std::move(done)(reply.status());
        if (reply->state() != internal::v1::BROKER_STATE_ACTIVE) {
          return std::move(done)(
              MakeError(ErrorCode::kUnknownServerError,
                        "the controller keeps this broker fenced after registration"));
        }
        std::move(done)(absl::OkStatus());
      });
}

void LocalSession::ReportFailedDirectory(DirectoryId directory) {
  failed_directories_.insert(directory);
  if (epoch_ != kNoBrokerEpoch) TellFailedDirectories();
}

void LocalSession::TellFailedDirectories() {
  CarryOut(controller_,
           {.kind = controller::SessionDecision::Kind::kFailDirectories,
            .broker = self_,
            .epoch = epoch_,
            .applied = LogIndex(0),
            .directories = failed_directories_},
           [](const absl::Status& status, bool /*may_stop*/) {
             if (status.ok()) return;
             LOG_ERROR("node", "a failed log directory is still taken for one that works",
                       {{"error", status.ToString()}});
           });
}

void LocalSession::AlterPartition(internal::v1::AlterPartitionRequest request,
                                  Done<internal::v1::AlterPartitionResponse> done) {
  controller_->Submit(
      request, [done = std::move(done)](absl::StatusOr<internal::v1::AlterPartitionResponse> reply,
                                        LogIndex) mutable { std::move(done)(std::move(reply)); });
}

void LocalSession::AssignReplicasToDirs(internal::v1::AssignReplicasToDirsRequest request,
                                        Done<internal::v1::AssignReplicasToDirsResponse> done) {
  controller_->Submit(request, [done = std::move(done)](
                                   absl::StatusOr<internal::v1::AssignReplicasToDirsResponse> reply,
                                   LogIndex) mutable { std::move(done)(std::move(reply)); });
}

void LocalSession::ReportLastCopies(internal::v1::ReportLastCopiesRequest request,
                                    Done<internal::v1::ReportLastCopiesResponse> done) {
  controller_->Submit(request, [done = std::move(done)](
                                   absl::StatusOr<internal::v1::ReportLastCopiesResponse> reply,
                                   LogIndex) mutable { std::move(done)(std::move(reply)); });
}

void LocalSession::AllocateProducerIds(internal::v1::AllocateProducerIdsRequest request,
                                       Done<internal::v1::AllocateProducerIdsResponse> done) {
  controller_->Submit(request, [done = std::move(done)](
                                   absl::StatusOr<internal::v1::AllocateProducerIdsResponse> reply,
                                   LogIndex) mutable { std::move(done)(std::move(reply)); });
}

}  // namespace millrace::node
