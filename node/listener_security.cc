#include "node/listener_security.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"

namespace millrace::node {
namespace {

constexpr char kMap[] = "listener.security.protocol.map";
constexpr char kKeystore[] = "ssl.keystore.location";
constexpr char kTruststore[] = "ssl.truststore.location";

absl::Status Invalid(absl::string_view key, absl::string_view value, absl::string_view why) {
  return MakeError(ErrorCode::kInvalidConfig, absl::StrCat(key, ": '", value, "' ", why),
                   {.name = std::string(key), .value = std::string(value)});
}

absl::Status ParseMap(NodeConfig* config) {
  // As in Kafka a listener named after a protocol needs no entry.
  config->tls_listeners.insert("SSL");
  for (const std::string& entry : config->settings.listener_security_protocol_map) {
    const size_t colon = entry.find(':');
    if (colon == std::string::npos || colon == 0) {
      return Invalid(kMap, entry, "is not NAME:PROTOCOL, for example CONTROLLER:SSL");
    }
    const std::string name = entry.substr(0, colon);
    const std::string protocol = entry.substr(colon + 1);
    if (protocol == "SSL") {
      config->tls_listeners.insert(name);
    } else if (protocol == "PLAINTEXT") {
      config->tls_listeners.erase(name);
    } else {
      return Invalid(kMap, entry, "has a protocol other than PLAINTEXT and SSL");
    }
  }
  return absl::OkStatus();
}

// The listeners of this process, and those by which it finds controllers, if it is none itself.
// What advertised.listeners names is checked to be among them.
std::set<std::string> NamesOf(const NodeConfig& config) {
  const std::vector<std::string>& quorum = config.settings.controller_listener_names;
  std::set<std::string> names(quorum.begin(), quorum.end());
  for (const metadata::Listener& listener : config.listeners) names.insert(listener.name);
  return names;
}

bool IsNamedAfterProtocol(const std::string& name) { return name == "SSL" || name == "PLAINTEXT"; }

// A mistyped name would leave its listener in plaintext, and nobody would hear of it. So a map that
// is given says it of every listener that is not named after a protocol, as in Kafka; and names
// that are no listener's are let pass only where every other has its entry, since then they can be
// no slip: one file may serve controllers and brokers, whose listeners have different names.
absl::Status CheckNames(const NodeConfig& config) {
  const std::vector<std::string>& map = config.settings.listener_security_protocol_map;
  if (map.empty()) return absl::OkStatus();
  const std::set<std::string> names = NamesOf(config);
  std::set<std::string> mapped;
  std::vector<std::string> strangers;
  for (const std::string& entry : map) {
    const std::string name = entry.substr(0, entry.find(':'));
    mapped.insert(name);
    if (!names.contains(name) && !IsNamedAfterProtocol(name)) strangers.push_back(name);
  }
  std::string hint;
  if (!strangers.empty()) {
    hint = absl::StrCat("; ", absl::StrJoin(strangers, ", "),
                        " in the map is no listener of this process: was it meant?");
  }
  for (const std::string& name : names) {
    if (mapped.contains(name) || IsNamedAfterProtocol(name)) continue;
    return Invalid(kMap, absl::StrJoin(map, ","),
                   absl::StrCat("does not say how listener ", name, " is secured: add ", name,
                                ":SSL or ", name, ":PLAINTEXT", hint));
  }
  // A broker that does not know what the controllers' listener is called misses an entry, too.
  const bool controllers_unnamed = !config.is_controller && config.has_remote_session() &&
                                   config.settings.controller_listener_names.empty();
  const bool all_mapped = std::all_of(names.begin(), names.end(),
                                      [&](const auto& name) { return mapped.contains(name); });
  if (strangers.empty() || (all_mapped && !controllers_unnamed)) return absl::OkStatus();
  return Invalid(
      kMap, strangers.front(),
      absl::StrCat("is no listener of this process, which has ", absl::StrJoin(names, ", "),
                   ": correct the name, or leave it out; a broker names the listener of "
                   "the controllers in controller.listener.names"));
}

// Only the names that mean something to this process are kept.
void KeepUsed(NodeConfig* config) {
  std::set<std::string> used;
  const auto use = [&](const std::string& name) {
    const bool tls = config->tls_listeners.contains(name);
    if (tls) used.insert(name);
    return tls;
  };
  for (const metadata::Listener& listener : config->listeners) use(listener.name);
  for (const std::string& name : config->settings.controller_listener_names) {
    config->controllers_by_tls = use(name) || config->controllers_by_tls;
  }
  if (config->is_broker && !config->listeners.empty()) {
    const std::string& named = config->settings.inter_broker_listener_name;
    config->brokers_by_tls = use(named.empty() ? config->listeners.front().name : named);
  }
  config->tls_listeners = std::move(used);
}

absl::Status CheckFiles(const NodeConfig& config, bool has_others) {
  if (!config.uses_tls()) return absl::OkStatus();
  const NodeSettings& settings = config.settings;
  const std::string& first = *config.tls_listeners.begin();
  if (settings.ssl_keystore_location.empty()) {
    return Invalid(kKeystore, "",
                   absl::StrCat("must name a PEM file with this process's private key and "
                                "certificate, because listener ",
                                first, " takes TLS"));
  }
  const bool believes = (has_others && (config.controllers_by_tls || config.brokers_by_tls)) ||
                        settings.ssl_client_auth == "required";
  if (believes && settings.ssl_truststore_location.empty()) {
    return Invalid(kTruststore, "",
                   "must name a PEM file with the authority of the certificates that others show");
  }
  const std::string& name = settings.ssl_cluster_name;
  if (name.empty() || name.find_first_of("/ ") != std::string::npos) {
    return Invalid("ssl.cluster.name", name, "is no name without slashes and blanks");
  }
  return absl::OkStatus();
}

bool IsLoopback(absl::string_view host) {
  return host == "localhost" || host == "::1" || absl::StartsWith(host, "127.");
}

// What nodes tell each other decides what the cluster is: nobody on the way may read or change it.
absl::Status CheckBetweenNodes(const NodeConfig& config) {
  if (config.settings.allow_plaintext_between_nodes) return absl::OkStatus();
  const auto check = [](const metadata::Listener& listener, bool tls) {
    if (tls || IsLoopback(listener.host)) return absl::OkStatus();
    return Invalid("listeners", listener.ToString(),
                   absl::StrCat("would let the nodes of the cluster talk in plaintext where others "
                                "can listen in: set ",
                                kMap, "=", listener.name,
                                ":SSL and the ssl keys, or allow.plaintext.between.nodes=true on "
                                "a network that is protected in another way"));
  };
  for (const metadata::Listener& listener : config.controller_listeners) {
    RETURN_IF_ERROR(check(listener, config.tls_listeners.contains(listener.name)));
  }
  if (!config.is_broker) return absl::OkStatus();
  const std::string& named = config.settings.inter_broker_listener_name;
  for (const metadata::Listener& listener : config.listeners) {
    if (named.empty() || listener.name == named) return check(listener, config.brokers_by_tls);
  }
  return absl::OkStatus();
}

}  // namespace

void DeclareSecurity(ConfigSchema<NodeSettings>* schema) {
  (*schema)
      .List(&NodeSettings::listener_security_protocol_map,
            {.name = kMap,
             .doc =
                 "Which listeners take TLS: NAME:SSL or NAME:PLAINTEXT, separated by commas. If it "
                 "is given, it names every listener but those named SSL and PLAINTEXT. By "
                 "default the one that is named SSL takes TLS, and no other."})
      .Bool(
          &NodeSettings::allow_plaintext_between_nodes,
          {.name = "allow.plaintext.between.nodes",
           .default_value = "false",
           .doc = "Whether the listeners by which the processes of a cluster reach each other may "
                  "be in plaintext at an address that other machines reach."})
      .String(
          &NodeSettings::ssl_keystore_location,
          {.name = kKeystore,
           .doc = "PEM file: this process's private key, its certificate and the chain of that. "
                  "Read again every minute."})
      .String(&NodeSettings::ssl_keystore_type, {.name = "ssl.keystore.type",
                                                 .default_value = "PEM",
                                                 .doc = "Form of the key store.",
                                                 .allowed = {"PEM"}})
      .String(
          &NodeSettings::ssl_truststore_location,
          {.name = kTruststore,
           .doc = "PEM file: certificates of the authorities that are believed, of nodes and of "
                  "clients. Read again every minute."})
      .String(&NodeSettings::ssl_truststore_type, {.name = "ssl.truststore.type",
                                                   .default_value = "PEM",
                                                   .doc = "Form of the trust store.",
                                                   .allowed = {"PEM"}})
      .String(&NodeSettings::ssl_client_auth,
              {.name = "ssl.client.auth",
               .default_value = "none",
               .doc = "Whether clients must show a certificate on listeners with TLS. Nodes always "
                      "must.",
               .allowed = {"none", "requested", "required"}})
      .String(&NodeSettings::ssl_cluster_name,
              {.name = "ssl.cluster.name",
               .default_value = "millrace",
               .doc = "Name of the cluster in its nodes' certificates, which carry the URI "
                      "millrace://NAME/node/ID as a subject alternative name."});
}

absl::Status ResolveSecurity(NodeConfig* config) {
  RETURN_IF_ERROR(ParseMap(config));
  RETURN_IF_ERROR(CheckNames(*config));
  KeepUsed(config);
  const bool has_others = config->in_quorum() || config->has_remote_session();
  RETURN_IF_ERROR(CheckFiles(*config, has_others));
  return has_others ? CheckBetweenNodes(*config) : absl::OkStatus();
}

}  // namespace millrace::node
