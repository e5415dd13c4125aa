// ReflectionService: grpc.reflection.v1alpha over our completion queues, so that grpcurl and its
// like can list and call what is served without the proto files. gRPC's own implementation brings a
// synchronous server with pollers of its own, which would stand between the queues and their
// sockets.
//
// Knows the descriptors that are linked into the program.
//
// Thread: its queue's thread.
#ifndef RPC_REFLECTION_SERVICE_H_
#define RPC_REFLECTION_SERVICE_H_

#include <string>
#include <vector>

#include "reflection.grpc.pb.h"
#include "rpc/stream_call.h"

namespace millrace::rpc {

class ReflectionService {
 public:
  // Adds itself to `server`, on `queue`; lists these services and itself. REQUIRES: not started.
  void Register(Server* server, CompletionQueueExecutor* queue,
                std::vector<std::string> service_names);

  static const char* full_name() {
    return grpc::reflection::v1alpha::ServerReflection::service_full_name();
  }

  // The answer to one request. Pure.
  static grpc::reflection::v1alpha::ServerReflectionResponse AnswerTo(
      const grpc::reflection::v1alpha::ServerReflectionRequest& request,
      const std::vector<std::string>& service_names);

 private:
  grpc::reflection::v1alpha::ServerReflection::WithRawMethod_ServerReflectionInfo<
      grpc::reflection::v1alpha::ServerReflection::AsyncService>
      service_;
};

}  // namespace millrace::rpc

#endif  // RPC_REFLECTION_SERVICE_H_
