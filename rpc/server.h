// Server: a gRPC server over completion queues that are strands, with our accept loop in front,
// size limits, keepalive, health (grpc.health.v1) and reflection.
//
//   Server server(options, &clock, ReadGate::Create(&budget), &metrics);  // Its queues run from
//   here. server.AddService(&service, LogService::service_full_name()); RegisterUnary(&server,
//   server.queue(0), &service, ...);  // Also RegisterStream. RETURN_IF_ERROR(server.Start());
//   ...
//   server.Shutdown(grace);  // Then end what runs on the queues.
//   server.StopQueues();
//
// Thread: one owner, not on a queue. queue(i) may be used by any thread while the server lives.
#ifndef RPC_SERVER_H_
#define RPC_SERVER_H_

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "rpc/acceptor.h"
#include "rpc/completion_queue_executor.h"
#include "rpc/connection_limits.h"
#include "rpc/listen_socket.h"
#include "rpc/method.h"
#include "rpc/read_gate.h"
#include "rpc/tls.h"

namespace millrace::rpc {

struct ServerOptions {
  std::vector<ListenerAddress> listeners = {};
  // One strand and thread each.
  int queue_count = 1;
  // Larger messages fail their call with RESOURCE_EXHAUSTED, which our client reads as
  // MESSAGE_TOO_LARGE.
  int64_t receive_message_bytes_max = 16 << 20;
  int64_t concurrent_streams_per_connection_max = 1024;
  int ready_calls_per_method = 8;
  int64_t stream_write_bytes_max = 4 << 20;
  // We ping a silent client after the first, and give it up after the second.
  absl::Duration keepalive_time = absl::Seconds(60);
  absl::Duration keepalive_timeout = absl::Seconds(20);
  // A client that pings more often than this is disconnected.
  absl::Duration client_ping_interval_min = absl::Seconds(4);
  // A connection without a call for this long is closed.
  absl::Duration connection_idle_max = absl::Minutes(10);
  // Time a client has from connecting to a complete TLS and HTTP/2 handshake.
  absl::Duration handshake_timeout = absl::Seconds(10);
  // As ChannelOptions::adapts_windows.
  bool adapts_windows = true;
  ConnectionLimitOptions connection_limits = {};
  // What is shown on the listeners that take TLS; null only if there are none.
  std::shared_ptr<const Tls> tls = nullptr;
  // The cluster that its nodes' certificates name.
  std::string cluster = {};
};

class HealthService;
class ReflectionService;

class Server {
 public:
  // `gate` stands before the process's memory budget, and may be shared by servers; null: messages
  // are not counted. `clock` and `metrics` outlive the server.
  Server(ServerOptions options, const Clock* clock, std::shared_ptr<ReadGate> gate,
         MetricRegistry* metrics);
  ~Server();

  const Clock* clock() const { return clock_; }
  int queue_count() const { return static_cast<int>(queues_.size()); }
  CompletionQueueExecutor* queue(int i) { return queues_[i].get(); }

  // Both REQUIRE: not started. `service` outlives the server; `full_name` (the generated
  // X::service_full_name()) is what reflection and health list it by.
  void AddService(grpc::Service* service, const std::string& full_name);
  void AddMethod(std::shared_ptr<Method> method);

  // Binds all listeners and begins to serve. Errors: ADDRESS_IN_USE, INVALID_CONFIG; nothing is
  // served then.
  absl::Status Start();

  // Only the first half of Start: binds and listens, so that the ports are known; connections wait
  // in the kernel's backlog until Start. Errors: as Start.
  absl::Status Bind();

  // The bound listeners with their actual ports; empty before Bind or Start.
  const std::vector<ListenerAddress>& listeners() const { return bound_; }

  // What grpc.health.v1 answers; not serving until set. Thread: any.
  void SetServing(bool serving);

  // Stops accepting, asks every stream to end, waits for calls up to `grace`, then cancels the
  // rest. The queues go on as executors. REQUIRES: not on a queue.
  void Shutdown(absl::Duration grace);

  // Ends the queues' threads; tasks that are left are destroyed. REQUIRES: Shutdown was called, or
  // Start never succeeded.
  void StopQueues();

  // Instead of those of the options, from the next connection on. Thread: any.
  void SetConnectionLimits(ConnectionLimitOptions limits) { limits_.Set(limits); }

  int64_t open_connections() const { return acceptor_ ? acceptor_->open_connections() : 0; }

 private:
  void Configure(grpc::ServerBuilder* builder) const;

  const ServerOptions options_;
  const Clock* const clock_;
  MetricRegistry* const metrics_;
  std::unique_ptr<grpc::ServerBuilder> builder_;
  const std::shared_ptr<ReadGate> gate_;
  std::vector<std::unique_ptr<CompletionQueueExecutor>> queues_;
  std::shared_ptr<HealthService> health_;
  std::unique_ptr<ReflectionService> reflection_;
  std::vector<std::string> service_names_;
  std::vector<std::shared_ptr<Method>> methods_;
  // Bound, until the acceptor takes them.
  std::vector<ListenSocket> sockets_;
  std::vector<ListenerAddress> bound_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> hand_over_;
  // The same for TLS; null without.
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> hand_over_tls_;
  std::unique_ptr<grpc::Server> server_;
  LimitSetting limits_;
  std::unique_ptr<Acceptor> acceptor_;
  bool shut_down_ = false;
};

}  // namespace millrace::rpc

#endif  // RPC_SERVER_H_
