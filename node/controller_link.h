// ControllerLink: how a broker's messages reach a controller: the seam of the session to the
// network. Implemented over gRPC by node/service, and by simulators.
//
// It knows addresses only; which of them leads is the session's business (broker_session.h).
// Nothing is retried.
//
// Thread: owner's executor, for calls and callbacks. A callback never runs inside the call that was
// given it.
#ifndef NODE_CONTROLLER_LINK_H_
#define NODE_CONTROLLER_LINK_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "millrace/internal/v1/controller_service.pb.h"

namespace millrace::node {

class ControllerLink {
 public:
  // One session's stream. Destroying it ends it, and nothing more is heard of it.
  class Stream {
   public:
    virtual ~Stream() = default;
    virtual void Send(const internal::v1::BrokerSessionRequest& request) = 0;
  };
  // An error is the end of the stream, and the last call.
  using Received = std::function<void(absl::StatusOr<internal::v1::BrokerSessionResponse>)>;
  template <class Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>) &&>;

  virtual ~ControllerLink() = default;

  // Begins at once: `first` goes out as soon as there is a connection. The answer to it may take
  // `connect_max`, of which half, at least, is for the connection.
  virtual std::unique_ptr<Stream> OpenSession(const std::string& address,
                                              const internal::v1::BrokerSessionRequest& first,
                                              absl::Duration connect_max, Received received) = 0;

  // One question each. Errors: the controller's; BROKER_NOT_AVAILABLE where it cannot be reached;
  // REQUEST_TIMED_OUT.
  virtual void RegisterBroker(const std::string& address,
                              const internal::v1::RegisterBrokerRequest& request,
                              absl::Duration timeout,
                              Done<internal::v1::RegisterBrokerResponse> done) = 0;
  virtual void AlterPartition(const std::string& address,
                              const internal::v1::AlterPartitionRequest& request,
                              absl::Duration timeout,
                              Done<internal::v1::AlterPartitionResponse> done) = 0;
  virtual void ReportLastCopies(const std::string& address,
                                const internal::v1::ReportLastCopiesRequest& request,
                                absl::Duration timeout,
                                Done<internal::v1::ReportLastCopiesResponse> done) = 0;
  virtual void AssignReplicasToDirs(const std::string& address,
                                    const internal::v1::AssignReplicasToDirsRequest& request,
                                    absl::Duration timeout,
                                    Done<internal::v1::AssignReplicasToDirsResponse> done) = 0;
  virtual void AllocateProducerIds(const std::string& address,
                                   const internal::v1::AllocateProducerIdsRequest& request,
                                   absl::Duration timeout,
                                   Done<internal::v1::AllocateProducerIdsResponse> done) = 0;
};

}  // namespace millrace::node

#endif  // NODE_CONTROLLER_LINK_H_
