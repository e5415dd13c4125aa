// GrpcControllerLink: ControllerLink over gRPC.
//
// Each session has a connection of its own, made anew, so that gRPC's back-off never stands before
// the session's; the broker's questions to the same controller share it, because nothing large or
// slow goes over it.
//
// Thread: the queue's, which must be the executor of whoever uses this.
#ifndef NODE_SERVICE_GRPC_CONTROLLER_LINK_H_
#define NODE_SERVICE_GRPC_CONTROLLER_LINK_H_

#include <memory>
#include <string>
#include <utility>

#include "node/controller_link.h"
#include "rpc/channel_pool.h"
#include "rpc/completion_queue_executor.h"

namespace millrace::node {

class GrpcControllerLink final : public ControllerLink {
 public:
  // `queue` outlives this. `credentials`: null for plaintext.
  explicit GrpcControllerLink(rpc::CompletionQueueExecutor* queue,
                              std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr)
      : queue_(queue), credentials_(std::move(credentials)) {}

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
  class SessionStream;

  template <class Response>
  void Ask(const char* method, const std::string& address,
           const google::protobuf::MessageLite& request, absl::Duration timeout,
           Done<Response> done);
  // The newest session's, if it is to `address`.
  std::shared_ptr<grpc::Channel> ChannelTo(const std::string& address, absl::Duration timeout);

  rpc::CompletionQueueExecutor* const queue_;
  const std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::string session_address_;
  std::shared_ptr<grpc::Channel> session_channel_;
};

}  // namespace millrace::node

#endif  // NODE_SERVICE_GRPC_CONTROLLER_LINK_H_
