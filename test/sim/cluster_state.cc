#include "test/sim/cluster_state.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "broker/broker.h"
#include "test/sim/cluster_forward_channel.h"

namespace millrace::sim {
namespace {

// Short checks, so that rolls, checkpoints and balances happen within seconds.
ConfigValues ConfigOf(const ClusterOptions& options, int host, const std::string& rack,
                      bool controller, bool broker) {
  SimRandom random = SimRandom(options.seed).Fork("config").Fork(absl::StrCat(host));
  std::vector<std::string> voters;
  for (int i = 1; i <= options.controllers; ++i) {
    voters.push_back(absl::StrCat(i, "@", ControllerAddressOf(i)));
  }
  std::vector<std::string> roles;
  std::vector<std::string> listeners;
  if (controller) {
    roles.push_back("controller");
    listeners.push_back(absl::StrCat("CONTROLLER://", ControllerAddressOf(host)));
  }
  if (broker) {
    roles.push_back("broker");
    listeners.push_back(absl::StrCat("PLAINTEXT://", BrokerAddressOf(host)));
  }
  ConfigValues config = {{"node.id", absl::StrCat(host)},
                         {"process.roles", absl::StrJoin(roles, ",")},
                         {"listeners", absl::StrJoin(listeners, ",")},
                         {"controller.listener.names", "CONTROLLER"},
                         {"allow.plaintext.between.nodes", "true"},
                         {"controller.quorum.voters", absl::StrJoin(voters, ",")},
                         {"metadata.log.max.record.bytes.between.snapshots",
                          OneIn(random, 2) ? "1048576" : "20971520"},
                         {"leader.imbalance.check.interval.seconds", "2"},
                         // Well below what the cluster has to heal.
                         {"unclean.recovery.timeout.ms", "20000"},
                         {"http.listener", ""}};
  if (broker) {
    config["log.dirs"] = "disk-a,disk-b";
    config["log.retention.check.interval.ms"] = "700";
    config["log.flush.offset.checkpoint.interval.ms"] = "900";
    config["log.dir.reserve.bytes"] = "65536";
    if (options.log_damage) config["log.scrub.interval.ms"] = "2000";
    if (!rack.empty()) config["broker.rack"] = rack;
    config["num.shards"] = absl::StrCat(1 + random.Below(2));
  }
  return config;
}

}  // namespace

ClusterState::ClusterState(const ClusterOptions& cluster_options)
    : options(cluster_options),
      random(SimRandom(cluster_options.seed).Fork("cluster")),
      loop(cluster_options.seed),
      clients(loop.MakeExecutor("clients")),
      network(&loop, random.Fork("network")) {
  const int all = options.combined ? options.brokers : options.controllers + options.brokers;
  for (int host = 1; host <= all; ++host) AddMachine(host);
}

ClusterState::~ClusterState() {
  loop.SetAfterEvent(nullptr);
  // Answers on their way refer to the world.
  clients->Shutdown();
  for (const int host : hosts()) Kill(host);
  network.End();
}

void ClusterState::AddMachine(int host) {
  servers.push_back(std::make_unique<SimServer>(
      &loop, random.Fork(absl::StrCat("server-", host)),
      ConfigOf(options, host, RackOf(host), is_controller(host), is_broker(host)),
      absl::StrCat(host, "/")));
  SimServer* const server = servers.back().get();
  peers[host].server = server;
  network.AddHost(host, [server] { return server->dying(); });
  const ClusterPeers all = {.network = &network, .find = [this](int other) -> ClusterPeer* {
                              const auto found = peers.find(other);
                              return found == peers.end() ? nullptr : &found->second;
                            }};
  server->SetNetwork([this, server, host, all] {
    ClusterPeer& peer = peers.at(host);
    node::Node::Network ways;
    if (is_controller(host)) {
      peer.quorum = std::make_unique<ClusterQuorumLink>(all, host, &server->controller());
      ways.quorum = peer.quorum.get();
    }
    if (is_broker(host)) {
      peer.forwards = std::make_shared<ClusterForwards>();
      peer.controllers = std::make_unique<ClusterControllerLink>(all, host, &server->controller());
      peer.replicas = std::make_unique<ClusterReplicaChannel>(all, host);
      ways.controllers = peer.controllers.get();
      peer.repairs = std::make_unique<ClusterRepairChannel>(all, host);
      ways.replicas = peer.replicas.get();
      ways.repairs = peer.repairs.get();
    }
    return ways;
  });
  if (!is_broker(host) || !options.forwarding) return;
  server->SetOnServing([this, server, host, all] {
    server->node().broker().ForwardCalls("", [this, server, host, all](int shard) {
      return std::make_unique<ClusterForwardChannel>(
          all, host, &server->shard(static_cast<uint64_t>(shard)), peers.at(host).forwards);
    });
  });
}

std::vector<int> ClusterState::hosts() const {
  std::vector<int> all;
  for (const auto& [host, peer] : peers) all.push_back(host);
  return all;
}

std::vector<int> ClusterState::broker_hosts() const {
  std::vector<int> all = hosts();
  std::erase_if(all, [&](int host) { return !is_broker(host); });
  return all;
}

const metadata::Image* ClusterState::committed_image() {
  const metadata::Image* newest = nullptr;
  for (int host = 1; host <= options.controllers; ++host) {
    if (!server(host).running()) continue;
    const metadata::Image* const image = server(host).node().committed_image();
    if (image == nullptr) continue;
    if (newest == nullptr || image->index() > newest->index()) newest = image;
  }
  return newest;
}

const ClusterTopic* ClusterState::FindEvenDeleted(TopicId id) const {
  for (const auto& topic : deleted) {
    if (topic->id == id) return topic.get();
  }
  return Find(id);
}

int ClusterState::LikelyController() {
  for (int host = 1; host <= options.controllers; ++host) {
    if (!server(host).running()) continue;
    if (server(host).node().leaders().leader().leader != NodeId(host)) continue;
    if (!OneIn(random, 8)) return host;
  }
  return 1 + static_cast<int>(random.Below(static_cast<uint64_t>(options.controllers)));
}

const ClusterTopic* ClusterState::Find(TopicId id) const {
  for (const auto& topic : topics) {
    if (topic->id == id) return topic.get();
  }
  return nullptr;
}

bool ClusterState::IsDeleted(TopicId id) const {
  return std::any_of(deleted.begin(), deleted.end(),
                     [&](const auto& topic) { return topic->id == id; });
}

std::string ClusterState::NameOf(const TopicPartition& partition) const {
  const ClusterTopic* const topic = Find(partition.topic_id);
  if (topic == nullptr) return "?";
  return absl::StrCat(topic->name, "-", partition.partition.value(), " (",
                      topic->durable ? "durable" : "replicated", ")");
}

std::optional<broker::ReplicaState> ClusterState::ReplicaOn(int host,
                                                            const TopicPartition& partition) {
  if (!serving(host)) return std::nullopt;
  std::optional<std::vector<broker::LogDirDescription>> dirs;
  server(host).controller().RunNow([&] {
    server(host).node().broker().DescribeLogDirs(
        [&](std::vector<broker::LogDirDescription> found) { dirs = std::move(found); });
  });
  if (!loop.RunUntil([&] { return dirs.has_value(); }, absl::Seconds(5))) return std::nullopt;
  for (const broker::LogDirDescription& dir : *dirs) {
    for (const broker::ReplicaState& state : dir.replicas) {
      if (state.topic_partition == partition) return state;
    }
  }
  return std::nullopt;
}

void ClusterState::Start(int host) {
  if (server(host).running() || away.contains(host)) return;
  network.OnUp(host);
  server(host).Start();
}

void ClusterState::SetOnDown(int host, bool silent) {
  // Before the process goes: what connections hold of it goes first.
  server(host).SetOnDown([this, host, silent] {
    CountWhatItDid(host);
    if (is_broker(host)) peers.at(host).forwards->OnDown();
    network.OnDown(host, silent);
  });
}

void ClusterState::CountWhatItDid(int host) {
  for (const MetricSample& sample : server(host).metrics().Collect()) {
    const bool told =
        absl::StrContains(sample.name, "isr_") || absl::StrContains(sample.name, "cuts_below") ||
        absl::StrContains(sample.name, "lost_data") || absl::StrContains(sample.name, "election") ||
        absl::StrContains(sample.name, "sessions_ended") ||
        absl::StrContains(sample.name, "log_repaired_ranges") ||
        absl::StrContains(sample.name, "snapshot");
    if (told && sample.kind == MetricSample::Kind::kCounter && sample.value > 0) {
      report.reached[sample.name] += static_cast<int64_t>(sample.value);
    }
  }
}

void ClusterState::Kill(int host) {
  if (!server(host).running()) return;
  SetOnDown(host, /*silent=*/false);
  server(host).Kill();
  for (const auto& [other, peer] : peers) {
    if (other == host || peer.quorum == nullptr || network.cut(host, other)) continue;
    network.After(network.Delay(host, other), [this, other = other, host] {
      if (network.up(other) && !network.cut(host, other)) peers.at(other).quorum->OnPeerDown(host);
    });
  }
}

void ClusterState::LosePower(int host, CrashMode mode) {
  SetOnDown(host, /*silent=*/true);
  server(host).LosePower(mode);
}

}  // namespace millrace::sim
