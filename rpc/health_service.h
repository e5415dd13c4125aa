// HealthService: grpc.health.v1 over our completion queues. gRPC's own implementation uses its
// callback API, whose pollers sleep when idle, so it is not used.
//
// Every served service has the server's status; there is no status per service.
//
// Thread: its queue's thread, SetServing: any.
#ifndef RPC_HEALTH_SERVICE_H_
#define RPC_HEALTH_SERVICE_H_

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "health.grpc.pb.h"
#include "rpc/completion_queue_executor.h"
#include "rpc/stream_call.h"
#include "rpc/unary_call.h"

namespace millrace::rpc {

class HealthService : public std::enable_shared_from_this<HealthService> {
 public:
  explicit HealthService(CompletionQueueExecutor* queue) : queue_(queue) {}

  // Adds itself to `server`; answers for the services of these names. REQUIRES: not started.
  void Register(Server* server, std::vector<std::string> service_names);

  void SetServing(bool serving);

  static const char* full_name() { return grpc::health::v1::Health::service_full_name(); }

 private:
  class Watcher;
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;

  // SERVICE_UNKNOWN for a name that is not served.
  Status StatusOf(const std::string& service) const;

  CompletionQueueExecutor* const queue_;
  grpc::health::v1::Health::WithRawMethod_Watch<grpc::health::v1::Health::AsyncService> service_;
  std::vector<std::string> service_names_;
  // Queue's thread only.
  bool serving_ = false;
  std::set<Watcher*> watchers_;
};

}  // namespace millrace::rpc

#endif  // RPC_HEALTH_SERVICE_H_
