// The declaration of every process-level key: name, default, range, meaning.
#include <limits>

#include "node/config.h"
#include "node/listener_security.h"
#include "node/quorum_settings_schema.h"

namespace millrace::node {
namespace {

constexpr int64_t kMaxInt = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxLong = std::numeric_limits<int64_t>::max();

using Schema = ConfigSchema<NodeSettings>;

void DeclareIdentity(Schema* schema) {
  (*schema)
      .Int(&NodeSettings::node_id, {.name = "node.id",
                                    .default_value = "1",
                                    .doc = "Id of this process in its cluster, for life.",
                                    .min = 0,
                                    .max = kMaxInt})
      .List(&NodeSettings::process_roles,
            {.name = "process.roles",
             .default_value = "controller,broker",
             .doc = "What this process is. Both in one process is the embedded default.",
             .allowed = {"controller", "broker"}})
      .String(&NodeSettings::broker_rack,
              {.name = "broker.rack",
               .doc = "Rack of this broker; replicas of a partition are spread over racks."})
      .String(&NodeSettings::replica_selector_class,
              {.name = "replica.selector.class",
               .default_value = "rack",
               .doc = "Which replica serves a reader. rack: an in-sync one in the rack that the "
                      "reader names (client.rack), the leader if there is none or none is named; "
                      "leader: always the leader. Kafka has class names here, and the leader for "
                      "default.",
               .allowed = {"rack", "leader"}});
}

void DeclareListeners(Schema* schema) {
  (*schema)
      .List(
          &NodeSettings::listeners,
          {.name = "listeners",
           .default_value = "PLAINTEXT://localhost:9092",
           .doc = "Addresses to listen on: NAME://host:port, separated by commas. Port 0 lets the "
                  "system choose."})
      .List(&NodeSettings::advertised_listeners,
            {.name = "advertised.listeners",
             .doc = "Addresses that clients are told to use; by default those of listeners."})
      .List(&NodeSettings::controller_listener_names,
            {.name = "controller.listener.names",
             .doc = "Names of those listeners that the quorum uses, and that are not advertised to "
                    "clients. Needed where other controllers, or brokers in processes of their "
                    "own, are to reach this one."})
      .String(&NodeSettings::inter_broker_listener_name,
              {.name = "inter.broker.listener.name",
               .doc = "Name of the listener by which brokers reach each other; by default the "
                      "first of each."})
      .String(&NodeSettings::http_listener,
              {.name = "http.listener",
               .default_value = "localhost:9464",
               .doc = "host:port of /metrics, /healthz and /readyz; empty for none."})
      .Int(&NodeSettings::connections_max_idle_ms,
           {.name = "connections.max.idle.ms",
            .default_value = "600000",
            .doc = "A connection without a call for this long is closed.",
            .min = 1000,
            .max = kMaxInt});
}

void DeclareDirectories(Schema* schema) {
  (*schema)
      .List(&NodeSettings::log_dirs,
            {.name = "log.dirs",
             .doc = "Directories of partition logs, separated by commas; by default log.dir."})
      .String(&NodeSettings::log_dir,
              {.name = "log.dir",
               .doc = "Directory of partition logs; by default 'logs' in the data directory."})
      .String(
          &NodeSettings::metadata_log_dir,
          {.name = "metadata.log.dir",
           .doc = "Directory of the metadata log; by default 'metadata' in the data directory."})
      .Int(&NodeSettings::log_dir_reserve_bytes,
           {.name = "log.dir.reserve.bytes",
            .default_value = "67108864",
            .doc =
                "Free space per log directory below which produce is refused, so that all else can "
                "go on.",
            .min = 0,
            .max = kMaxLong})
      .Int(&NodeSettings::num_recovery_threads_per_data_dir,
           {.name = "num.recovery.threads.per.data.dir",
            .default_value = "2",
            .doc = "Threads that read logs after an unclean stop, per directory.",
            .min = 1,
            .max = 64})
      .Int(&NodeSettings::log_flush_offset_checkpoint_interval_ms,
           {.name = "log.flush.offset.checkpoint.interval.ms",
            .default_value = "60000",
            .doc = "How often the recovery point is written: recovery reads only what lies beyond.",
            .min = 1,
            .max = kMaxInt})
      .Int(&NodeSettings::log_initial_task_delay_ms,
           {.name = "log.initial.task.delay.ms",
            .default_value = "30000",
            .doc = "How long after the start the first retention check comes.",
            .min = 0,
            .max = kMaxInt});
}

void DeclareLimits(Schema* schema) {
  (*schema)
      .Int(&NodeSettings::num_shards,
           {.name = "num.shards",
            .default_value = "0",
            .doc = "Threads that serve partitions; 0 means one fewer than the processors.",
            .min = 0,
            .max = 1024})
      .Int(&NodeSettings::socket_request_max_bytes,
           {.name = "socket.request.max.bytes",
            .default_value = "104857600",
            .doc = "The largest request a client may send.",
            .min = 1024,
            .max = kMaxInt})
      .Int(&NodeSettings::fetch_max_bytes,
           {.name = "fetch.max.bytes",
            .default_value = "57671680",
            .doc = "The most one fetch returns, whatever the client asks for.",
            .min = 1024,
            .max = kMaxInt})
      .Int(&NodeSettings::memory_budget_bytes,
           {.name = "memory.budget.bytes",
            .default_value = "268435456",
            .doc = "Bytes of produce and fetch in flight in this process, half of them for each; "
                   "past it clients wait.",
            .min = 1 << 20,
            .max = kMaxLong})
      .Int(&NodeSettings::metrics_partitions_max,
           {.name = "metrics.partitions.max",
            .default_value = "100",
            .doc = "Partitions of this broker with metrics of their own; 0: none. It bounds what a "
                   "scrape returns.",
            .min = 0,
            .max = 1'000'000})
      .Int(&NodeSettings::request_timeout_ms,
           {.name = "request.timeout.ms",
            .default_value = "30000",
            .doc = "The longest a call inside the cluster waits.",
            .min = 1,
            .max = kMaxInt})
      .String(&NodeSettings::log_level, {.name = "log.level",
                                         .default_value = "info",
                                         .doc = "Least severe log lines written.",
                                         .allowed = {"debug", "info", "warn", "error"}});
}

void DeclareCluster(Schema* schema) {
  (*schema)
      .Bool(&NodeSettings::auto_create_topics_enable,
            {.name = "auto.create.topics.enable",
             .default_value = "false",
             .doc = "Whether naming an unknown topic creates it. Only false is supported."})
      .Bool(&NodeSettings::auto_leader_rebalance_enable,
            {.name = "auto.leader.rebalance.enable",
             .default_value = "true",
             .doc = "Whether the controller gives partitions back to the first of their replicas "
                    "when that is in sync again."})
      .Int(&NodeSettings::leader_imbalance_check_interval_seconds,
           {.name = "leader.imbalance.check.interval.seconds",
            .default_value = "300",
            .doc = "How often it does.",
            .min = 1,
            .max = kMaxInt})
      .Int(&NodeSettings::unclean_recovery_timeout_ms,
           {.name = "unclean.recovery.timeout.ms",
            .default_value = "300000",
            .doc = "How long all that may lead a partition are waited for when every one that is "
                   "back may have lost its end, as after a power loss of all, before the greatest "
                   "of those leads.",
            .min = 0,
            .max = kMaxInt})
      .Int(&NodeSettings::broker_heartbeat_interval_ms,
           {.name = "broker.heartbeat.interval.ms",
            .default_value = "500",
            .doc = "How often a broker tells the controller that it lives.",
            .min = 10,
            .max = kMaxInt})
      .Int(&NodeSettings::broker_session_timeout_ms,
           {.name = "broker.session.timeout.ms",
            .default_value = "3000",
            .doc = "Silence after which a broker is fenced.",
            .min = 100,
            .max = kMaxInt})
      .Int(&NodeSettings::log_dir_slow_sync_ms,
           {.name = "log.dir.slow.sync.ms",
            .default_value = "500",
            .doc = "Of controllers: a log directory is slow when a sync in it takes at least so "
                   "long, and ten times as long as in the median of all others, for 5 seconds. "
                   "What other brokers can lead is then led there, until it is well again. 0: "
                   "never.",
            .min = 0,
            .max = kMaxInt})
      .Int(&NodeSettings::controlled_shutdown_timeout_ms,
           {.name = "controlled.shutdown.timeout.ms",
            .default_value = "5000",
            .doc = "How long a stop may take before it is cut short.",
            .min = 100,
            .max = kMaxInt});
}

}  // namespace

const ConfigSchema<NodeSettings>& NodeSettingsSchema() {
  static const Schema* const schema = [] {
    auto* s = new Schema;
    DeclareIdentity(s);
    DeclareQuorum(s);
    DeclareListeners(s);
    DeclareSecurity(s);
    DeclareDirectories(s);
    DeclareLimits(s);
    DeclareCluster(s);
    return s;
  }();
  return *schema;
}

}  // namespace millrace::node
