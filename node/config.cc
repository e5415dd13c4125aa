#include "node/config.h"

#include <algorithm>
#include <array>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file_system.h"
#include "base/status.h"
#include "metadata/broker_config.h"
#include "metadata/config_warning.h"
#include "node/listener_security.h"
#include "node/quorum_voters.h"

namespace millrace::node {
namespace {

// Keys of Kafka that people have in their files and that have no meaning here.
constexpr std::array kIgnoredKeys = {
    "background.threads",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.zstd.level",
    "controller.quorum.append.linger.ms",
    "controller.quorum.election.backoff.max.ms",
    "controller.quorum.fetch.timeout.ms",
    "controller.quorum.request.timeout.ms",
    "controller.quorum.retry.backoff.ms",
    "inter.broker.protocol.version",
    "log.message.format.version",
    "log.preallocate",
    "metadata.log.segment.ms",
    "metadata.max.idle.interval.ms",
    "metadata.max.retention.bytes",
    "metadata.max.retention.ms",
    "num.io.threads",
    "num.network.threads",
    "num.replica.fetchers",
    "queued.max.requests",
    "replica.fetch.wait.max.ms",
    "replica.socket.receive.buffer.bytes",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "zookeeper.connect",
};

bool IsIgnored(absl::string_view key) {
  return std::find(kIgnoredKeys.begin(), kIgnoredKeys.end(), key) != kIgnoredKeys.end();
}

bool IsMetadataKey(absl::string_view name) {
  const std::vector<ConfigKey>& keys = metadata::BrokerMetadataKeys();
  return std::any_of(keys.begin(), keys.end(),
                     [&](const ConfigKey& key) { return key.name == name; });
}

absl::Status Invalid(absl::string_view key, absl::string_view value, absl::string_view why) {
  return MakeError(ErrorCode::kInvalidConfig, absl::StrCat(key, ": '", value, "' ", why),
                   {.name = std::string(key), .value = std::string(value)});
}

absl::StatusOr<std::vector<metadata::Listener>> ParseListeners(
    const std::vector<std::string>& texts, absl::string_view key) {
  std::vector<metadata::Listener> listeners;
  std::set<std::string> names;
  for (const std::string& text : texts) {
    ASSIGN_OR_RETURN(metadata::Listener listener, ParseListener(text, key));
    if (!names.insert(listener.name).second) {
      return Invalid(key, text, "repeats the name of another listener");
    }
    listeners.push_back(std::move(listener));
  }
  return listeners;
}

// A broker alone may say what the controllers' listeners are called, as in the files of Kafka, but
// has none of them.
absl::Status CheckNoneIsTheQuorums(const NodeConfig& config) {
  for (const std::string& name : config.settings.controller_listener_names) {
    for (const metadata::Listener& listener : config.listeners) {
      if (listener.name != name) continue;
      return Invalid("controller.listener.names", name,
                     "is the name of one of listeners, but this process is no controller: leave it "
                     "out of listeners");
    }
  }
  return absl::OkStatus();
}

// Takes the quorum's listeners out of those for clients, in the order of controller.listener.names.
absl::Status SplitListeners(NodeConfig* config) {
  constexpr char kKey[] = "controller.listener.names";
  if (!config->is_controller) return CheckNoneIsTheQuorums(*config);
  for (const std::string& name : config->settings.controller_listener_names) {
    const auto named = std::find_if(config->listeners.begin(), config->listeners.end(),
                                    [&](const metadata::Listener& l) { return l.name == name; });
    if (named == config->listeners.end()) {
      return Invalid(kKey, name, "is not the name of one of listeners, or stands here twice");
    }
    if (config->is_broker && name == config->settings.inter_broker_listener_name) {
      return Invalid(kKey, name,
                     "is also inter.broker.listener.name: brokers and the quorum need listeners of "
                     "their own");
    }
    config->controller_listeners.push_back(std::move(*named));
    config->listeners.erase(named);
  }
  if (config->controller_listeners.empty() && config->in_quorum()) {
    return Invalid(
        kKey, "",
        "must name one of listeners, because other processes of the cluster "
        "need an address of this controller; for example listeners="
        "PLAINTEXT://localhost:9092,CONTROLLER://:9093 and controller.listener.names=CONTROLLER");
  }
  if (!config->listeners.empty()) return absl::OkStatus();
  if (config->is_broker) {
    return Invalid("listeners", "",
                   "names no address for clients: a broker needs one that is not in "
                   "controller.listener.names");
  }
  config->warnings.push_back(
      "every listener is in controller.listener.names: clients and the command line cannot reach "
      "this process; add one to listeners");
  return absl::OkStatus();
}

// Where other brokers find this one: see metadata::BrokerImage::ListenerFor.
absl::Status CheckInterBrokerListener(const NodeConfig& config) {
  const std::string& name = config.settings.inter_broker_listener_name;
  if (!config.is_broker || name.empty()) return absl::OkStatus();
  const bool is_there = std::any_of(config.listeners.begin(), config.listeners.end(),
                                    [&](const metadata::Listener& l) { return l.name == name; });
  if (is_there) return absl::OkStatus();
  return Invalid("inter.broker.listener.name", name, "is not the name of one of listeners");
}

// The advertised address of each listener: its own, unless advertised.listeners says another.
absl::Status ResolveAdvertised(NodeConfig* config) {
  ASSIGN_OR_RETURN(const std::vector<metadata::Listener> given,
                   ParseListeners(config->settings.advertised_listeners, "advertised.listeners"));
  config->advertised = config->listeners;
  for (const metadata::Listener& listener : given) {
    auto named = std::find_if(config->advertised.begin(), config->advertised.end(),
                              [&](const metadata::Listener& l) { return l.name == listener.name; });
    const std::vector<metadata::Listener>& quorums = config->controller_listeners;
    if (std::any_of(quorums.begin(), quorums.end(),
                    [&](const metadata::Listener& l) { return l.name == listener.name; })) {
      return Invalid("advertised.listeners", listener.ToString(),
                     "is one of controller.listener.names, which clients are not told of");
    }
    if (named == config->advertised.end()) {
      return Invalid("advertised.listeners", listener.ToString(),
                     absl::StrCat("has no listener named ", listener.name, " to advertise"));
    }
    *named = listener;
  }
  for (const metadata::Listener& listener : config->advertised) {
    if (listener.host == "0.0.0.0" || listener.host == "::") {
      return Invalid("advertised.listeners", listener.ToString(),
                     "cannot be advertised: clients need an address they can reach; set "
                     "advertised.listeners");
    }
  }
  return absl::OkStatus();
}

void ResolveDirectories(const std::string& data_dir, NodeConfig* config) {
  const NodeSettings& settings = config->settings;
  if (!settings.log_dirs.empty()) {
    config->log_dirs = settings.log_dirs;
  } else if (!settings.log_dir.empty()) {
    config->log_dirs = {settings.log_dir};
  } else if (config->is_broker) {
    config->log_dirs = {JoinPath(data_dir, "logs")};
  }
  config->metadata_dir = settings.metadata_log_dir.empty() ? JoinPath(data_dir, "metadata")
                                                           : settings.metadata_log_dir;
}

absl::Status CheckDirectories(const NodeConfig& config) {
  std::set<std::string> seen = {config.metadata_dir};
  for (const std::string& path : config.log_dirs) {
    if (!seen.insert(path).second) {
      return Invalid("log.dirs", path, "is named twice, or is the metadata directory");
    }
  }
  return absl::OkStatus();
}

// What is a legal value of a key, but not built yet: refused rather than ignored.
absl::Status CheckSupported(const NodeSettings& settings) {
  if (settings.auto_create_topics_enable) {
    return Invalid("auto.create.topics.enable", "true",
                   "is not supported: create topics with `millrace topic create`");
  }
  if (settings.metadata_log_segment_bytes % 4096 != 0) {
    return Invalid("metadata.log.segment.bytes", absl::StrCat(settings.metadata_log_segment_bytes),
                   "is not a multiple of 4096");
  }
  return absl::OkStatus();
}

absl::Status ResolveRoles(NodeConfig* config) {
  const std::vector<std::string>& roles = config->settings.process_roles;
  const auto has = [&roles](absl::string_view role) {
    return std::find(roles.begin(), roles.end(), role) != roles.end();
  };
  config->is_controller = has("controller");
  config->is_broker = has("broker");
  if (config->is_controller || config->is_broker) return absl::OkStatus();
  return Invalid("process.roles", "", "names no role: controller, broker or both");
}

// Who the first voters are, and whether this process may be one of them.
absl::Status ResolveVoters(NodeConfig* config) {
  constexpr char kKey[] = "controller.quorum.voters";
  const std::string& text = config->settings.controller_quorum_voters;
  ASSIGN_OR_RETURN(config->quorum_voters, ParseQuorumVoters(text));
  const std::vector<raft::Peer>& voters = config->quorum_voters;
  if (voters.empty() && config->is_controller && config->is_broker) return absl::OkStatus();
  if (voters.empty()) {
    return Invalid(kKey, "",
                   absl::StrCat("must say where the controllers are, because process.roles is ",
                                config->is_broker ? "broker" : "controller",
                                " alone; for example 1@localhost:9093"));
  }
  const bool has_self = std::any_of(voters.begin(), voters.end(), [&](const raft::Peer& voter) {
    return voter.node == config->node_id;
  });
  if (config->is_controller && !has_self) {
    return Invalid(kKey, text,
                   absl::StrCat("does not name this process, which is a controller with node.id ",
                                config->node_id.value(), ": add ", config->node_id.value(),
                                "@host:port, or correct node.id"));
  }
  if (!config->is_controller && has_self) {
    return Invalid(kKey, text,
                   absl::StrCat("names this process, node.id ", config->node_id.value(),
                                ", which is a broker and no controller: give it another node.id, "
                                "or process.roles=controller,broker"));
  }
  return absl::OkStatus();
}

// The controller of this process serves no other, though half of what it takes is there.
void WarnOfNobodyElse(NodeConfig* config) {
  if (!config->is_controller || config->in_quorum()) return;
  if (!config->controller_listeners.empty()) {
    config->warnings.push_back(absl::StrCat(
        "the listener ", config->controller_listeners.front().ToString(),
        " of controller.listener.names is not opened, because controller.quorum.voters names "
        "nobody: other processes cannot join; give all of them controller.quorum.voters, ",
        config->node_id.value(), "@host:port"));
  } else if (!config->quorum_voters.empty()) {
    config->warnings.push_back(
        "controller.quorum.voters says where other processes find this controller, but it has no "
        "listener for them, and they cannot join: add one to listeners, and its name to "
        "controller.listener.names");
  }
}

// A voter that is found at another port than it listens on is right behind a port mapping, and
// otherwise a slip that would keep the quorum waiting.
void WarnOfPorts(NodeConfig* config) {
  for (const raft::Peer& voter : config->quorum_voters) {
    if (voter.node != config->node_id || config->controller_listeners.empty()) continue;
    const std::string port = voter.address.substr(voter.address.rfind(':') + 1);
    const bool bound =
        std::any_of(config->controller_listeners.begin(), config->controller_listeners.end(),
                    [&](const metadata::Listener& l) { return absl::StrCat(l.port) == port; });
    if (bound) continue;
    config->warnings.push_back(absl::StrCat(
        "controller.quorum.voters says that this process is at ", voter.address,
        ", but it listens for the quorum on ", config->controller_listeners.front().ToString()));
  }
}

absl::StatusOr<raft::Options> RaftOptionsOf(const NodeSettings& settings) {
  raft::Options options;
  options.heartbeat_interval = absl::Milliseconds(settings.controller_quorum_heartbeat_interval_ms);
  options.election_timeout_min = absl::Milliseconds(settings.controller_quorum_election_timeout_ms);
  options.election_timeout_max = options.election_timeout_min * 1.375;
  // Longer than from one change to the next under load, and not worth a key.
  options.commit_notice_delay = absl::Milliseconds(20);
  if (options.heartbeat_interval * 3 > options.election_timeout_min) {
    return Invalid("controller.quorum.heartbeat.interval.ms",
                   absl::StrCat(settings.controller_quorum_heartbeat_interval_ms),
                   absl::StrCat("is more than a third of controller.quorum.election.timeout.ms, ",
                                settings.controller_quorum_election_timeout_ms));
  }
  RETURN_IF_ERROR(options.Validate());
  return options;
}

// All that the keys of the quorum and of the listeners say about each other.
absl::Status ResolveQuorum(NodeConfig* config) {
  RETURN_IF_ERROR(ResolveRoles(config));
  RETURN_IF_ERROR(ResolveVoters(config));
  RETURN_IF_ERROR(SplitListeners(config));
  RETURN_IF_ERROR(CheckInterBrokerListener(*config));
  RETURN_IF_ERROR(ResolveSecurity(config));
  WarnOfNobodyElse(config);
  WarnOfPorts(config);
  ASSIGN_OR_RETURN(config->raft, RaftOptionsOf(config->settings));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<metadata::Listener> ParseListener(absl::string_view text, absl::string_view key) {
  metadata::Listener listener{.name = "PLAINTEXT"};
  absl::string_view address = text;
  if (const size_t scheme = text.find("://"); scheme != absl::string_view::npos) {
    listener.name = std::string(text.substr(0, scheme));
    address = text.substr(scheme + 3);
  }
  const size_t colon = address.rfind(':');
  int port = -1;
  if (listener.name.empty() || colon == absl::string_view::npos ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return Invalid(key, text, "is not NAME://host:port with a port from 0 to 65535");
  }
  absl::string_view host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != absl::string_view::npos) {
    return Invalid(key, text, "has an IPv6 address without brackets: write [::1]:9092");
  }
  if (host.empty()) host = "0.0.0.0";
  listener.host = std::string(host);
  listener.port = static_cast<uint16_t>(port);
  return listener;
}

absl::StatusOr<NodeConfig> ParseNodeConfig(const ConfigValues& values,
                                           const std::string& data_dir) {
  NodeConfig config;
  ConfigValues own;
  std::vector<ConfigKey> known = NodeSettingsSchema().keys();
  known.insert(known.end(), metadata::BrokerMetadataKeys().begin(),
               metadata::BrokerMetadataKeys().end());
  for (const auto& [name, value] : values) {
    if (IsIgnored(name)) {
      config.warnings.push_back(
          absl::StrCat("config key ", name, " has no meaning here and is ignored"));
      continue;
    }
    if (NodeSettingsSchema().Find(name) != nullptr) {
      own[name] = value;
    } else if (!IsMetadataKey(name)) {
      return UnknownConfigKey(known, name);
    }
    config.given[name] = value;
  }
  ASSIGN_OR_RETURN(config.settings, NodeSettingsSchema().Parse(own));
  RETURN_IF_ERROR(metadata::CheckStaticBrokerConfigs(config.given));
  if (std::string warning = metadata::BrokerConfigWarning(config.given); !warning.empty()) {
    config.warnings.push_back(std::move(warning));
  }
  RETURN_IF_ERROR(CheckSupported(config.settings));
  config.node_id = NodeId(static_cast<int32_t>(config.settings.node_id));
  ASSIGN_OR_RETURN(config.listeners, ParseListeners(config.settings.listeners, "listeners"));
  if (config.listeners.empty()) return Invalid("listeners", "", "names no address to listen on");
  RETURN_IF_ERROR(ResolveQuorum(&config));
  RETURN_IF_ERROR(ResolveAdvertised(&config));
  if (!config.settings.http_listener.empty()) {
    ASSIGN_OR_RETURN(config.http, ParseListener(config.settings.http_listener, "http.listener"));
  }
  ResolveDirectories(data_dir, &config);
  RETURN_IF_ERROR(CheckDirectories(config));
  return config;
}

}  // namespace millrace::node
