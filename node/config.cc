#include "node/config.h"

#include <algorithm>
#include <array>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file_system.h"
#include "base/status.h"
#include "metadata/broker_config.h"

namespace millrace::node {
namespace {

// Keys of Kafka that people have in their files and that have no meaning here.
constexpr std::array kIgnoredKeys = {
    "background.threads",
    "compression.gzip.level",
    "compression.lz4.level",
    "compression.zstd.level",
    "controller.quorum.append.linger.ms",
    "inter.broker.protocol.version",
    "log.message.format.version",
    "log.preallocate",
    "metadata.max.idle.interval.ms",
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

// The advertised address of each listener: its own, unless advertised.listeners says another.
absl::Status ResolveAdvertised(NodeConfig* config) {
  ASSIGN_OR_RETURN(const std::vector<metadata::Listener> given,
                   ParseListeners(config->settings.advertised_listeners, "advertised.listeners"));
  config->advertised = config->listeners;
  for (const metadata::Listener& listener : given) {
    auto named = std::find_if(config->advertised.begin(), config->advertised.end(),
                              [&](const metadata::Listener& l) { return l.name == listener.name; });
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
  } else {
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
  const std::set<std::string> roles(settings.process_roles.begin(), settings.process_roles.end());
  if (roles != std::set<std::string>{"broker", "controller"}) {
    return Invalid("process.roles", *roles.begin(),
                   "alone is not supported yet: a process is controller and broker in one");
  }
  if (!settings.controller_quorum_voters.empty()) {
    return Invalid("controller.quorum.voters", settings.controller_quorum_voters,
                   "is not supported yet: a process is a quorum of one");
  }
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
  RETURN_IF_ERROR(CheckSupported(config.settings));
  config.node_id = NodeId(static_cast<int32_t>(config.settings.node_id));
  ASSIGN_OR_RETURN(config.listeners, ParseListeners(config.settings.listeners, "listeners"));
  if (config.listeners.empty()) return Invalid("listeners", "", "names no address to listen on");
  RETURN_IF_ERROR(ResolveAdvertised(&config));
  if (!config.settings.http_listener.empty()) {
    ASSIGN_OR_RETURN(config.http, ParseListener(config.settings.http_listener, "http.listener"));
  }
  ResolveDirectories(data_dir, &config);
  RETURN_IF_ERROR(CheckDirectories(config));
  return config;
}

}  // namespace millrace::node
