#include "tools/millrace/server_process.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/synchronization/mutex.h"
#include "base/counters.h"
#include "base/env.h"
#include "base/log.h"
#include "base/memory_budget.h"
#include "base/posix_file_system.h"
#include "base/status.h"
#include "base/system_clock.h"
#include "base/system_random.h"
#include "base/thread_executor.h"
#include "base/version.h"
#include "broker/service/grpc_forward_channel.h"
#include "broker/service/grpc_repair_channel.h"
#include "broker/service/grpc_replica_channel.h"
#include "broker/service/log_service.h"
#include "broker/service/replica_service.h"
#include "http/http_server.h"
#include "metadata/authorizer.h"
#include "metadata/broker_config.h"
#include "node/node.h"
#include "node/service/admin_service.h"
#include "node/service/controller_service.h"
#include "node/service/grpc_controller_link.h"
#include "rpc/channel_pool.h"
#include "rpc/completion_queue_executor.h"
#include "rpc/grpc_log.h"
#include "rpc/read_gate.h"
#include "rpc/server.h"
#include "storage/kv_rocksdb.h"
#include "tools/millrace/open_files.h"
#include "tools/millrace/process_news.h"
#include "tools/millrace/process_security.h"
#include "tools/millrace/quorum_server.h"

namespace millrace::tools {
namespace {

// Of each log directory.
constexpr int kColdReadThreads = 2;
// SIGTERM to exit takes no longer than this plus what the disks take to sync.
constexpr absl::Duration kDrain = absl::Seconds(2);
constexpr absl::Duration kGrace = absl::Seconds(1);

// Runs `start` with a callback and waits for it; for the steps of a life that has one thread.
absl::Status Await(absl::AnyInvocable<void(node::Node::Done) &&> start) {
  auto outcome = std::make_shared<std::promise<absl::Status>>();
  std::future<absl::Status> future = outcome->get_future();
  std::move(start)([outcome](absl::Status status) { outcome->set_value(std::move(status)); });
  return future.get();
}

rpc::ConnectionLimitOptions ConnectionLimitsOf(const metadata::BrokerConfig& config,
                                               int64_t open_files) {
  rpc::ConnectionLimitOptions limits;
  limits.connections_max = std::min(config.max_connections, ConnectionsThatFit(open_files));
  limits.connections_per_address_max = config.max_connections_per_ip;
  limits.creations_per_second_max = static_cast<double>(config.max_connection_creation_rate);
  return limits;
}

// Clients that hold all connections must not keep brokers from each other (KIP-402). On a listener
// that both use nobody could tell which of them comes.
void ExemptBrokers(const node::NodeConfig& config, std::vector<rpc::ListenerAddress>* listeners) {
  if (listeners->size() < 2) return;
  for (rpc::ListenerAddress& listener : *listeners) {
    listener.exempt_from_limits = listener.name == config.settings.inter_broker_listener_name;
  }
}

rpc::ServerOptions MakeServerOptions(const node::NodeConfig& config,
                                     const ProcessSecurity& security, int64_t open_files) {
  rpc::ServerOptions options;
  security.AddListeners(config.listeners, /*nodes_only=*/false, &options);
  ExemptBrokers(config, &options.listeners);
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  const int shards = static_cast<int>(config.settings.num_shards);
  options.queue_count = shards != 0 ? shards : std::max(1, cores - 1);
  options.receive_message_bytes_max = config.settings.socket_request_max_bytes;
  options.connection_idle_max = absl::Milliseconds(config.settings.connections_max_idle_ms);
  // Until the cluster's metadata is known.
  options.connection_limits = ConnectionLimitsOf(
      metadata::BrokerConfigOf(metadata::Image(), config.node_id, config.given), open_files);
  if (config.is_broker) options = broker::ReplicaService::Configure(std::move(options));
  return options;
}

// The advertised listeners with the ports that the system chose where 0 was asked for.
std::vector<metadata::Listener> WithBoundPorts(std::vector<metadata::Listener> advertised,
                                               const std::vector<rpc::ListenerAddress>& bound) {
  for (size_t i = 0; i < advertised.size(); ++i) {
    if (advertised[i].port == 0) advertised[i].port = static_cast<uint16_t>(bound[i].port);
  }
  return advertised;
}

class Process {
 public:
  // `open_files`: how many this process may have. `signals` outlives this, and is woken when there
  // is something for OnNews.
  Process(node::NodeConfig config, std::shared_ptr<const ProcessSecurity> security,
          int64_t open_files, const Signals* signals)
      : config_(std::move(config)),
        security_(std::move(security)),
        open_files_(open_files),
        signals_(signals),
        started_(signals),
        ended_(signals),
        inbound_budget_(config_.settings.memory_budget_bytes / 2),
        outbound_budget_(config_.settings.memory_budget_bytes / 2),
        gate_(rpc::ReadGate::Create(&inbound_budget_)),
        server_(MakeServerOptions(config_, *security_, open_files), &clock_, gate_, &metrics_) {
    env_.clock = &clock_;
    env_.files = &files_;
    env_.random = &random_;
    env_.metrics = &metrics_;
    env_.budget = &outbound_budget_;
    for (int i = 0; i < server_.queue_count(); ++i) env_.shards.push_back(server_.queue(i));
    env_.controller = strand_;
    env_.cold_reads_of = [this](const std::string& log_dir) {
      cold_reads_.push_back(
          std::make_unique<ThreadPool>(absl::StrCat("cold-read:", log_dir), kColdReadThreads));
      return cold_reads_.back().get();
    };
    env_.make_disk_executor = [](const std::string& name) {
      return std::make_unique<ThreadExecutor>(name);
    };
    env_.make_random = [] { return std::make_unique<SystemRandom>(); };
    node::Node::Network network = MakeNetwork();
    env_.controller = strand_;
    node_ = std::make_unique<node::Node>(
        config_, env_, &authorizer_,
        [](const std::string& path) -> absl::StatusOr<std::unique_ptr<storage::KvStore>> {
          return storage::RocksKvStore::Open(path);
        },
        network);
    DescribeProcess();
  }

  ~Process() {
    // What runs on the strands refers to the node: they end first.
    server_.Shutdown(absl::ZeroDuration());
    server_.StopQueues();
    if (quorum_server_ != nullptr) {
      quorum_server_->Shutdown(absl::ZeroDuration());
      quorum_server_->StopQueues();
    }
    controller_.Shutdown();
    for (const std::unique_ptr<ThreadPool>& pool : cold_reads_) pool->Shutdown();
  }

  // The first part of the start, after which it goes on by itself: it may have to wait for other
  // processes.
  absl::Status Start() {
    RETURN_IF_ERROR(StartHttp());
    RETURN_IF_ERROR(node_->Open());
    if (config_.in_quorum()) RETURN_IF_ERROR(StartQuorumServer());
    if (config_.is_broker) {
      // Bound first: registration needs the ports. Connections wait in the backlog until we serve.
      RETURN_IF_ERROR(server_.Bind());
    } else {
      // Answers at once, and says NOT_CONTROLLER until the quorum has a leader.
      RegisterAdmin();
      RETURN_IF_ERROR(server_.Start());
    }
    node_->SetOnEnded([this](const absl::Status& status) { ended_.Set(status); });
    if (config_.is_broker) {
      node_->SetOnBrokerConfig([this](const metadata::BrokerConfig& config) {
        server_.SetConnectionLimits(ConnectionLimitsOf(config, open_files_));
      });
    }
    node_->Start(WithBoundPorts(config_.advertised, server_.listeners()),
                 [this](const absl::Status& status) { started_.Set(status); });
    return absl::OkStatus();
  }

  // What has happened since. Errors: what keeps it from going on.
  absl::Status OnNews() {
    absl::Status status;
    if (started_.Take(&status)) {
      RETURN_IF_ERROR(status);
      RETURN_IF_ERROR(Serve());
    }
    if (!ended_.Take(&status)) return absl::OkStatus();
    signals_->Release();
    // What it holds is closed cleanly all the same.
    if (const absl::Status stopped = Stop(); !stopped.ok()) {
      LOG_ERROR("server", "not stopped cleanly", {{"error", stopped.ToString()}});
    }
    return status;
  }

  absl::Status Stop() {
    LOG_INFO("server", "stopping", {});
    server_.SetServing(false);
    // The broker first: it hands over what it leads and answers what is parked, so that the calls
    // end by themselves.
    const absl::Status stopped =
        Await([this](node::Node::Done done) { node_->Stop(kDrain, std::move(done)); });
    server_.Shutdown(kGrace);
    if (quorum_server_ != nullptr) quorum_server_->Shutdown(kGrace);
    LOG_INFO("server", "stopped", {{"clean", stopped.ok()}});
    return stopped;
  }

 private:
  // The ways to other processes, and on which thread they end: a message that comes for the
  // controller, or for the session with it, costs no hand-off.
  node::Node::Network MakeNetwork() {
    node::Node::Network network;
    rpc::CompletionQueueExecutor* queue = nullptr;
    if (config_.in_quorum()) {
      quorum_server_ = std::make_unique<QuorumServer>(
          config_,
          QuorumServer::Dependencies{
              .security = security_, .clock = &clock_, .random = &random_, .metrics = &metrics_});
      network.quorum = quorum_server_.get();
      queue = quorum_server_->server()->queue(0);
    } else if (config_.has_remote_session()) {
      // With a queue of its own it would be the one that looks at all sockets, for every shard.
      queue = server_.queue(0);
    }
    if (queue != nullptr) strand_ = queue;
    if (config_.is_broker) {
      std::vector<rpc::CompletionQueueExecutor*> shards;
      for (int i = 0; i < server_.queue_count(); ++i) shards.push_back(server_.queue(i));
      repair_channel_ = std::make_unique<broker::GrpcRepairChannel>(shards, security_->ToBroker());
      network.repairs = repair_channel_.get();
      broker::ReplicaChannelOptions options;
      options.credentials = security_->ToBroker();
      replica_channel_ = std::make_unique<broker::GrpcReplicaChannel>(std::move(shards), options);
      network.replicas = replica_channel_.get();
    }
    if (config_.has_remote_session()) {
      controller_link_ =
          std::make_unique<node::GrpcControllerLink>(queue, security_->ToController());
      network.controllers = controller_link_.get();
    }
    return network;
  }

  // Serves at once: the others cannot be waited for before they can reach this one.
  absl::Status StartQuorumServer() {
    quorum_server_->SetIdentity(node_->voter_id(), node_->start_count());
    internal_service_ =
        std::make_unique<node::ControllerService>(node_.get(), &authorizer_, MakeQuorumAccess());
    internal_service_->Register(quorum_server_->server());
    forwarded_service_ = MakeAdminService();
    forwarded_service_->Register(quorum_server_->server());
    return quorum_server_->Start();
  }

  // The start is done: clients may come.
  absl::Status Serve() {
    if (config_.is_broker) {
      if (config_.has_remote_session()) ForwardCalls();
      log_service_ = std::make_unique<broker::LogService>(&node_->broker());
      log_service_->Register(&server_);
      replica_service_ = std::make_unique<broker::ReplicaService>(node_->broker().replica_intake());
      replica_service_->Register(&server_);
      RegisterAdmin();
      RETURN_IF_ERROR(server_.Start());
    }
    server_.SetServing(true);
    Announce();
    serving_.store(true);
    return absl::OkStatus();
  }

  // Not before Serve is done: the node is a little earlier than what lets clients reach it.
  absl::Status Ready() const {
    RETURN_IF_ERROR(node_->Ready());
    if (serving_.load()) return absl::OkStatus();
    return MakeError(ErrorCode::kBrokerNotAvailable, "the listeners for clients are not open yet");
  }

  // What other brokers lead is passed on to them.
  void ForwardCalls() {
    node_->broker().ForwardCalls(config_.settings.inter_broker_listener_name,
                                 [this, credentials = security_->ToBroker()](int shard) {
                                   return std::make_unique<broker::GrpcForwardChannel>(
                                       server_.queue(shard),
                                       rpc::ChannelOptions{.credentials = credentials});
                                 });
  }

  node::QuorumAccess MakeQuorumAccess() {
    return {.self = config_.node_id,
            .control = &node_->quorum(),
            .leaders = strand_ != &controller_ ? &node_->leaders() : nullptr,
            .executor = strand_,
            .credentials = security_->ToController()};
  }
  std::unique_ptr<node::AdminService> MakeAdminService() {
    return std::make_unique<node::AdminService>(node_.get(), &authorizer_, MakeQuorumAccess());
  }
  void RegisterAdmin() {
    admin_service_ = MakeAdminService();
    admin_service_->Register(&server_);
  }

  absl::Status StartHttp() {
    if (!config_.http.has_value()) return absl::OkStatus();
    ASSIGN_OR_RETURN(http_, http::HttpServer::Start(
                                {.host = config_.http->host, .port = config_.http->port}, &metrics_,
                                [this] { return node_->Healthy(); }, [this] { return Ready(); }));
    return absl::OkStatus();
  }

  void DescribeProcess() {
    metrics_
        .AddGauge("millrace_build_info", "Always 1; the version is a label.",
                  {{"version", kVersion}})
        .Set(1);
    metrics_.AddCallback(
        "millrace_memory_budget_used_bytes", "Bytes of produce and fetch in flight.",
        MetricSample::Kind::kGauge, [this] {
          return static_cast<double>(inbound_budget_.used_bytes() + outbound_budget_.used_bytes());
        });
    metrics_.AddCallback("millrace_memory_budget_limit_bytes", "What memory.budget.bytes allows.",
                         MetricSample::Kind::kGauge, [this] {
                           return static_cast<double>(inbound_budget_.limit_bytes() +
                                                      outbound_budget_.limit_bytes());
                         });
    security_->AddMetrics(&metrics_);
  }

  // The one line that people and scripts wait for.
  void Announce() const {
    std::vector<std::string> addresses;
    for (const rpc::ListenerAddress& listener : server_.listeners()) {
      addresses.push_back(
          absl::StrCat(listener.name, "://", rpc::HostPort(listener.host, listener.port)));
    }
    LOG_INFO("server", "serving",
             {{"listeners", absl::StrJoin(addresses, ",")},
              {"http_port", http_ == nullptr ? 0 : http_->port()},
              {"version", kVersion}});
  }

  const node::NodeConfig config_;
  const std::shared_ptr<const ProcessSecurity> security_;
  const int64_t open_files_;
  const Signals* const signals_;
  Outcome started_;
  // Read by the probes' threads.
  std::atomic<bool> serving_{false};
  Outcome ended_;
  SystemClock clock_;
  SystemRandom random_;
  PosixFileSystem files_;
  MetricRegistry metrics_;
  // Requests and answers apart: readers that take nothing must not keep producers out.
  MemoryBudget inbound_budget_;
  MemoryBudget outbound_budget_;
  metadata::AllowAllAuthorizer authorizer_;
  ThreadExecutor controller_{"controller"};
  // That one, or the queue of the network to other processes.
  Executor* strand_ = &controller_;
  // One per log directory, made with the broker.
  std::vector<std::unique_ptr<ThreadPool>> cold_reads_;
  std::shared_ptr<rpc::ReadGate> gate_;
  // What has strands of its own, on which the others run: it outlives them.
  rpc::Server server_;
  std::unique_ptr<QuorumServer> quorum_server_;
  Env env_;
  std::unique_ptr<node::GrpcControllerLink> controller_link_;
  std::unique_ptr<broker::GrpcReplicaChannel> replica_channel_;
  std::unique_ptr<broker::GrpcRepairChannel> repair_channel_;
  std::unique_ptr<node::Node> node_;
  std::unique_ptr<broker::LogService> log_service_;
  std::unique_ptr<broker::ReplicaService> replica_service_;
  std::unique_ptr<node::AdminService> admin_service_;
  // On the controller listeners: what other controllers pass on, and what brokers ask.
  std::unique_ptr<node::AdminService> forwarded_service_;
  std::unique_ptr<node::ControllerService> internal_service_;
  std::unique_ptr<http::HttpServer> http_;
};

// gRPC's threads share one set of polled sockets by default: an event wakes one of them to look and
// mostly another to act. A controller has few connections and two queues, so each queue polls its
// own; that is a fifth of its time for a change. With thousands of clients it would cost more than
// it saves. Before gRPC's first use.
void PollConnectionsByQueue() { setenv("GRPC_POLL_STRATEGY", "poll", /*overwrite=*/0); }

// Blocks of a fetch or produce are some 100 KiB to a few MiB, come and go with each request, and by
// default are mapped from the kernel and given back each time: half the time of a read from the
// page cache then goes into faults and zeroed pages. Kept by the process they are used again.
void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  mallopt(M_TRIM_THRESHOLD, 32 << 20);
}

}  // namespace

absl::Status RunServerProcess(node::NodeConfig config) {
  KeepFreedMemory();
  if (!config.is_broker) PollConnectionsByQueue();
  // Debian's abseil looks for deadlocks at every lock that gRPC takes.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const Signals signals;
  InitLogging(LogLevel::kInfo);
  rpc::TakeGrpcLog();
  RETURN_IF_ERROR(SetLogLevel(config.settings.log_level));
  for (const std::string& warning : config.warnings) LOG_WARN("server", warning, {});
  ASSIGN_OR_RETURN(ProcessSecurity security, ProcessSecurity::Create(config));
  const int64_t open_files = RaiseOpenFileLimit();
  Process process(std::move(config), std::make_shared<const ProcessSecurity>(std::move(security)),
                  open_files, &signals);
  absl::Status status = process.Start();
  while (status.ok()) {
    if (!signals.WaitForNews()) {
      signals.Release();
      return process.Stop();
    }
    status = process.OnNews();
    if (status.ok()) continue;
    // Said now: what ends with the process may take long, as the recovery of a log directory does,
    // and whoever does not want to wait for it ends the process by a signal.
    LOG_ERROR("server", "cannot go on", {{"error", status.ToString()}});
  }
  signals.Release();
  return status;
}

}  // namespace millrace::tools
