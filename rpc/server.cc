#include "rpc/server.h"

#include <grpcpp/security/server_credentials.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "rpc/channel_pool.h"
#include "rpc/health_service.h"
#include "rpc/reflection_service.h"

namespace millrace::rpc {
namespace {

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(
      std::min<int64_t>(absl::ToInt64Milliseconds(duration), std::numeric_limits<int>::max()));
}

int ToInt(int64_t value) {
  return static_cast<int>(std::min<int64_t>(value, std::numeric_limits<int>::max()));
}

// Empty where no listener takes TLS: nothing is asked then.
CallPolicy PolicyOf(const ServerOptions& options) {
  CallPolicy policy;
  policy.cluster = options.cluster;
  if (options.tls == nullptr) return policy;
  for (const ListenerAddress& listener : options.listeners) {
    policy.listeners[listener.name] = listener.security;
  }
  return policy;
}

}  // namespace

Server::Server(ServerOptions options, const Clock* clock, std::shared_ptr<ReadGate> gate,
               MetricRegistry* metrics)
    : options_(std::move(options)),
      clock_(clock),
      metrics_(metrics),
      builder_(std::make_unique<grpc::ServerBuilder>()),
      gate_(std::move(gate)),
      limits_(options_.connection_limits) {
  CHECK_GE(options_.queue_count, 1);
  for (const ListenerAddress& listener : options_.listeners) {
    CHECK(!listener.security.tls || options_.tls != nullptr) << listener.name;
  }
  for (int i = 0; i < options_.queue_count; ++i) {
    queues_.push_back(std::make_unique<CompletionQueueExecutor>(builder_->AddCompletionQueue(),
                                                                clock_, absl::StrCat("shard-", i)));
  }
  health_ = std::make_shared<HealthService>(queue(0));
  reflection_ = std::make_unique<ReflectionService>();
}

Server::~Server() {
  Shutdown(absl::ZeroDuration());
  StopQueues();
}

// gRPC keeps the pointer until BuildAndStart.
void Server::AddService(grpc::Service* service, const std::string& full_name) {
  builder_->RegisterService(service);
  service_names_.push_back(full_name);
}

void Server::AddMethod(std::shared_ptr<Method> method) {
  CHECK(server_ == nullptr) << "a method was registered after the server's start";
  methods_.push_back(std::move(method));
}

void Server::Configure(grpc::ServerBuilder* builder) const {
  // The size of what we send is bounded where it is made; a limit here would only break streams.
  builder->SetMaxReceiveMessageSize(ToInt(options_.receive_message_bytes_max));
  builder->SetMaxSendMessageSize(-1);
  if (!options_.adapts_windows) {
    builder->AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    builder->AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kFixedWindowBytes);
  }
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                              ToInt(options_.concurrent_streams_per_connection_max));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options_.keepalive_time));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                              Milliseconds(options_.keepalive_timeout));
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                              Milliseconds(options_.client_ping_interval_min));
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                              Milliseconds(options_.connection_idle_max));
  builder->AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                              Milliseconds(options_.handshake_timeout));
}

absl::Status Server::Bind() {
  CHECK(bound_.empty()) << "bound twice";
  std::vector<ListenSocket> sockets;
  std::vector<ListenerAddress> bound;
  for (const ListenerAddress& address : options_.listeners) {
    ASSIGN_OR_RETURN(std::vector<ListenSocket> of_address, Listen(address));
    bound.push_back(of_address.front().address);
    for (ListenSocket& socket : of_address) sockets.push_back(std::move(socket));
  }
  sockets_ = std::move(sockets);
  bound_ = std::move(bound);
  return absl::OkStatus();
}

absl::Status Server::Start() {
  CHECK(server_ == nullptr) << "started twice";
  if (bound_.empty()) RETURN_IF_ERROR(Bind());
  // Last, since they list the services that were added.
  health_->Register(this, service_names_);
  reflection_->Register(this, queue(0), service_names_);
  Configure(builder_.get());
  // No port of gRPC's own: all connections come through our accept loop.
  hand_over_ = builder_->experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      grpc::InsecureServerCredentials());
  if (options_.tls != nullptr) {
    hand_over_tls_ = builder_->experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        options_.tls->ForServer());
  }
  server_ = builder_->BuildAndStart();
  CHECK(server_ != nullptr) << "gRPC refused to start a server that binds no port itself";

  auto host = std::make_shared<CallHost>();
  host->gate = gate_;
  host->ready_calls_per_method = options_.ready_calls_per_method;
  host->stream_write_bytes_max = options_.stream_write_bytes_max;
  host->policy = PolicyOf(options_);
  acceptor_ = std::make_unique<Acceptor>(
      std::move(sockets_), &limits_, options_.handshake_timeout, clock_, metrics_,
      [plaintext = hand_over_.get(), with_tls = hand_over_tls_.get(), shown = options_.tls.get()](
          int listener_fd, int fd, bool tls) {
        if (tls) shown->CountHandshake();
        grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
        connection.listener_fd = listener_fd;
        connection.fd = fd;
        (tls ? with_tls : plaintext)->HandleNewConnection(&connection);
      });
  host->listener_of = [acceptor = acceptor_.get()](const std::string& peer) {
    return acceptor->ListenerOf(peer);
  };
  // Connections that come before a method is ready wait inside gRPC.
  for (const std::shared_ptr<Method>& method : methods_) {
    method->queue()->Post([method, host] { method->Start(host); });
  }
  return absl::OkStatus();
}

void Server::SetServing(bool serving) { health_->SetServing(serving); }

void Server::Shutdown(absl::Duration grace) {
  if (server_ == nullptr || shut_down_) return;
  shut_down_ = true;
  acceptor_->StopAccepting();
  SetServing(false);
  for (const auto& queue : queues_) {
    queue->Post([queue = queue.get()] { queue->DrainCalls(); });
  }
  // Blocks until every call has ended, by itself or cancelled at the deadline; the queues' threads
  // complete them meanwhile.
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(grace));
}

void Server::StopQueues() {
  for (const auto& queue : queues_) queue->Shutdown();
}

}  // namespace millrace::rpc
