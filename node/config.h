// NodeConfig: what one process is told at its start: who it is, where its data lies, where it
// listens and how much it may use. Names and defaults are Kafka's where Kafka has the key
// (differences on purpose: docs/configuration.md).
//
// The broker-wide defaults of topic configs (log.retention.ms and the like) and what can change at
// run time are declared in metadata/broker_config; ParseNodeConfig checks those too.
//
// Thread: any (values).
// Source: KIP-595, KIP-631 (roles and the quorum's keys); KIP-1186 (auto join).
#ifndef NODE_CONFIG_H_
#define NODE_CONFIG_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/config.h"
#include "base/ids.h"
#include "metadata/image.h"
#include "raft/host/transport.h"
#include "raft/options.h"

namespace millrace::node {

// The keys as they are written. ParseNodeConfig checks them against each other.
struct NodeSettings {
  int64_t node_id = 0;
  std::vector<std::string> process_roles;
  std::vector<std::string> listeners;
  std::vector<std::string> advertised_listeners;
  std::vector<std::string> controller_listener_names;
  std::string inter_broker_listener_name;
  std::vector<std::string> listener_security_protocol_map;
  bool allow_plaintext_between_nodes = false;
  std::string ssl_keystore_location;
  std::string ssl_keystore_type;
  std::string ssl_truststore_location;
  std::string ssl_truststore_type;
  std::string ssl_client_auth;
  std::string ssl_cluster_name;
  std::string broker_rack;
  std::string replica_selector_class;
  std::string controller_quorum_voters;
  bool controller_quorum_auto_join_enable = false;
  int64_t controller_quorum_auto_join_wait_ms = 0;
  int64_t initial_feature_level = 0;
  int64_t controller_quorum_heartbeat_interval_ms = 0;
  int64_t controller_quorum_election_timeout_ms = 0;
  int64_t metadata_log_segment_bytes = 0;
  int64_t metadata_log_max_record_bytes_between_snapshots = 0;
  int64_t metadata_log_max_snapshot_interval_ms = 0;
  std::vector<std::string> log_dirs;
  std::string log_dir;
  std::string metadata_log_dir;
  std::string http_listener;
  int64_t num_shards = 0;
  int64_t connections_max_idle_ms = 0;
  int64_t socket_request_max_bytes = 0;
  int64_t fetch_max_bytes = 0;
  int64_t memory_budget_bytes = 0;
  int64_t log_dir_reserve_bytes = 0;
  int64_t log_flush_offset_checkpoint_interval_ms = 0;
  int64_t log_initial_task_delay_ms = 0;
  int64_t num_recovery_threads_per_data_dir = 0;
  bool auto_create_topics_enable = false;
  int64_t request_timeout_ms = 0;
  int64_t broker_heartbeat_interval_ms = 0;
  int64_t broker_session_timeout_ms = 0;
  int64_t log_dir_slow_sync_ms = 0;
  bool auto_leader_rebalance_enable = false;
  int64_t leader_imbalance_check_interval_seconds = 0;
  int64_t unclean_recovery_timeout_ms = 0;
  int64_t controlled_shutdown_timeout_ms = 0;
  int64_t metrics_partitions_max = 0;
  std::string log_level;
};

const ConfigSchema<NodeSettings>& NodeSettingsSchema();

struct NodeConfig {
  NodeSettings settings;
  NodeId node_id;
  // process.roles. A process that is no broker has no partitions and registers as none.
  bool is_controller = true;
  bool is_broker = true;
  // Where to bind for clients; port 0 lets the system choose.
  std::vector<metadata::Listener> listeners;
  // Where to bind for the quorum: those of controller.listener.names, the first one preferred.
  // Never advertised to clients.
  std::vector<metadata::Listener> controller_listeners;
  // What clients are told, by the names of `listeners`; port 0: the port that was bound.
  std::vector<metadata::Listener> advertised;
  // The names of listeners that take TLS only; those of other processes may be among them.
  std::set<std::string> tls_listeners;
  // Whether controllers, and brokers, are connected to by TLS.
  bool controllers_by_tls = false;
  bool brokers_by_tls = false;
  // Of /metrics and the probes; absent: not served.
  std::optional<metadata::Listener> http;
  // The first voters of the quorum, sorted by id; empty: this process alone. Holds this process if,
  // and only if, it is a controller.
  std::vector<raft::Peer> quorum_voters;
  // Times of the quorum; all else by default. Valid.
  raft::Options raft;
  // Directories of partition logs, each an absolute or relative path. Of a process that is no
  // broker: only those given, which it does not use but looks at before it founds a cluster (S-18).
  std::vector<std::string> log_dirs;
  // Of a controller; a broker alone has none.
  std::string metadata_dir;
  // All values as given, but those of ignored keys: what the file layer of a topic's or broker's
  // configs is (metadata/topic_config.h), and what is described with its source.
  ConfigValues given;
  // What the user should know: keys of Kafka that have no meaning here, and the like.
  std::vector<std::string> warnings;

  // Whether this process is one of a quorum that others see: other controllers, or brokers in
  // processes of their own; one voter that has a listener for them is enough. Otherwise, if it is a
  // controller, it is the whole quorum of a broker in the same process.
  bool in_quorum() const {
    const bool can_be_reached = !quorum_voters.empty() && !controller_listeners.empty();
    return is_controller && (quorum_voters.size() > 1 || !is_broker || can_be_reached);
  }
  // Whether anything here takes or makes TLS connections.
  bool uses_tls() const { return !tls_listeners.empty(); }
  // Whether its broker, if it is one, finds the active controller over the network.
  bool has_remote_session() const { return is_broker && (in_quorum() || !is_controller); }
};

// `values` over the defaults; directories that are not given lie below `data_dir`.
// Errors: INVALID_CONFIG naming the key, its value and what is allowed.
absl::StatusOr<NodeConfig> ParseNodeConfig(const ConfigValues& values, const std::string& data_dir);

// "NAME://host:port" or "host:port" (name PLAINTEXT); an IPv6 host stands in brackets. Port 0 lets
// the system choose. Errors: INVALID_CONFIG.
absl::StatusOr<metadata::Listener> ParseListener(absl::string_view text, absl::string_view key);

}  // namespace millrace::node

#endif  // NODE_CONFIG_H_
