// ControllerChannel: how the broker asks the active controller. A seam: the process that also
// leads the quorum asks its own controller (node/), a broker-only one asks over gRPC
// (node/service/), the simulator over its network.
//
// Not here: registration, heartbeats and the metadata, which are the session's (node/); and what to
// ask, which is the caller's. Nothing is retried: who asks knows whether its question still stands.
//
// Thread: calls on the broker's `home` executor, which also runs every callback. A callback never
// runs inside the call, and none runs once the channel is destroyed.
// Source: KIP-497 (AlterPartition), KIP-730 (producer ids from the controller), KIP-858
// (AssignReplicasToDirs), S-15.
#ifndef BROKER_CONTROLLER_CHANNEL_H_
#define BROKER_CONTROLLER_CHANNEL_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"

namespace millrace::internal::v1 {
// millrace/internal/v1/controller_service.pb.h, which whoever calls includes.
class AllocateProducerIdsRequest;
class AllocateProducerIdsResponse;
class AlterPartitionRequest;
class AlterPartitionResponse;
class AssignReplicasToDirsRequest;
class AssignReplicasToDirsResponse;
class ReportLastCopiesRequest;
class ReportLastCopiesResponse;
}  // namespace millrace::internal::v1

namespace millrace::broker {

class ControllerChannel {
 public:
  template <class Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>) &&>;

  virtual ~ControllerChannel() = default;

  // Asks for new in-sync sets, of many partitions at once. The caller fills in its id and epoch.
  // OK carries an outcome per partition, with its state as it is now. Errors: NOT_CONTROLLER while
  // no controller leads or can be reached, and nothing was changed: ask again, the metadata will
  // say when; REQUEST_TIMED_OUT and OUTCOME_UNKNOWN, when some of it may take effect, as the
  // metadata will show; STALE_BROKER_EPOCH and BROKER_ID_NOT_REGISTERED, when this process has
  // been replaced by another.
  virtual void AlterPartition(internal::v1::AlterPartitionRequest request,
                              Done<internal::v1::AlterPartitionResponse> done) = 0;

  // Tells in which log directories replicas of this broker lie. OK carries an outcome for each; the
  // metadata shows them. Errors: as above; it may be asked again at any time.
  virtual void AssignReplicasToDirs(internal::v1::AssignReplicasToDirsRequest request,
                                    Done<internal::v1::AssignReplicasToDirsResponse> done) = 0;

  // Tells what replicas of this broker hold of partitions that nobody may lead (S-32). The metadata
  // shows what came of it. Errors: as above; it may be asked again at any time.
  virtual void ReportLastCopies(internal::v1::ReportLastCopiesRequest request,
                                Done<internal::v1::ReportLastCopiesResponse> done) = 0;

  // A block of producer ids that nobody else is given, ever. Errors: as above; a block whose answer
  // was lost is simply never used.
  virtual void AllocateProducerIds(internal::v1::AllocateProducerIdsRequest request,
                                   Done<internal::v1::AllocateProducerIdsResponse> done) = 0;
};

}  // namespace millrace::broker

#endif  // BROKER_CONTROLLER_CHANNEL_H_
