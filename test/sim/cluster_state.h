// ClusterState: what the parts of a simulated cluster share: time, machines and what lies between
// them, the topics as clients know them, and the history.
//
// Not here: what clients do (cluster_clients.h), what goes wrong (cluster_faults.h), and the
// judgement (cluster_verdict.h).
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_STATE_H_
#define TEST_SIM_CLUSTER_STATE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_random.h"
#include "base/status.h"
#include "broker/shard.h"
#include "metadata/image.h"
#include "node/testing/sim_server.h"
#include "test/sim/cluster_links.h"
#include "test/sim/cluster_network.h"
#include "test/sim/history.h"

namespace millrace::sim {

struct ClusterOptions {
  uint64_t seed = 1;
  int controllers = 3;
  int brokers = 3;
  // The first brokers are the controllers too.
  bool combined = false;
  // Length of the safety phase, in virtual time.
  absl::Duration duration = absl::Seconds(10);
  // What may go wrong; all by default.
  bool kills = true;
  bool power_losses = true;
  bool clean_stops = true;
  bool pauses = true;
  bool cuts = true;
  // Wall clocks jump by minutes.
  bool clock_jumps = true;
  bool slow_disks = true;
  // Partitions move to other brokers, get more and fewer replicas, and are moved back.
  bool reassignments = false;
  // Leaders are elected by command: the preferred ones, and, of topics set aside for it, those that
  // may lack what was acknowledged.
  bool elections = false;
  // Brokers are cordoned, decommissioned and unregistered.
  bool decommissions = false;
  // Log directories fail.
  bool disk_errors = true;
  // Disks fill up, and get room again.
  bool full_disks = true;
  // One broker, at most, gets an empty disk, or an empty log directory.
  bool wipes = true;
  // Instead, its log directories may be put back as they were under an earlier registration.
  bool restores = false;
  // At the end bits are flipped in the logs of single replicas.
  bool log_damage = true;
  // The brokers are in two racks.
  bool racks = true;
  // They pass on what others lead.
  bool forwarding = true;
  // Clients delete the first records of partitions.
  bool deletions = false;
  // Consumers are pushed records.
  bool fetch_streams = false;
};

// What a run was made of; printed by the runner, and summed over seeds to see what was reached.
struct ClusterReport {
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  int64_t produced = 0;
  int64_t acknowledged = 0;
  int64_t records_read = 0;
  std::map<std::string, int64_t> reached;
  // After a violation: what each replica holds.
  std::string logs;
};

struct ClusterTopic {
  std::string name;
  TopicId id;
  // All that it ever acknowledged was promised to be on disks.
  bool durable = true;
  // Its durability, and the outcome is not known.
  bool altering = false;
  // Set aside: a leader that may lack what was acknowledged is elected where the config says so, or
  // an administrator.
  bool unclean = false;
  int partitions = 1;

  TopicPartition Partition(int index) const { return {id, PartitionIndex(index)}; }
};

struct ClusterState {
  explicit ClusterState(const ClusterOptions& cluster_options);
  ~ClusterState();

  // Remembers the first violation; the run ends with it.
  void Note(absl::Status status) {
    if (!status.ok() && violation.ok()) violation = std::move(status);
  }
  void Reached(const std::string& what) { ++report.reached[what]; }

  // --- Machines, by host number, which is the node's id ---
  SimServer& server(int host) { return *peers.at(host).server; }
  bool is_controller(int host) const { return host <= options.controllers; }
  // Empty: in none.
  std::string RackOf(int host) const {
    return options.racks ? (host % 2 == 0 ? "rack-even" : "rack-odd") : "";
  }
  bool is_broker(int host) const { return options.combined || host > options.controllers; }
  std::vector<int> hosts() const;
  std::vector<int> broker_hosts() const;
  // The newest that any controller has committed; null: none runs. Until the next event.
  const metadata::Image* committed_image();
  // Mostly the one that holds itself for the leader; any other at times.
  int LikelyController();
  int any(const std::vector<int>& of) { return of[random.Below(of.size())]; }
  void Start(int host);
  void Kill(int host);
  void LosePower(int host, CrashMode mode);
  // Before a crash that comes by itself: `silent` as with ClusterNetwork::OnDown.
  void SetOnDown(int host, bool silent);
  // As the broker there describes it; nullopt: it has none, or does not serve. Drives the loop.
  std::optional<broker::ReplicaState> ReplicaOn(int host, const TopicPartition& partition);
  // A broker that serves clients, as far as anybody sees from outside.
  bool serving(int host) { return server(host).serving(); }

  // --- Clients ---
  // Runs `serve` where the request arrives; it posts to an executor of the process and has `reply`
  // called there. `done` is called once, on the clients' executor: with what was replied, or
  // BROKER_NOT_AVAILABLE, or REQUEST_TIMED_OUT: whether it had an effect is not known then.
  template <class Response>
  void Ask(int host, absl::Duration timeout,
           std::function<void(SimServer&, std::function<void(Response)>)> serve,
           std::function<void(absl::StatusOr<Response>)> done);

  // "topic-0-2 (durable)".
  std::string NameOf(const TopicPartition& partition) const;
  const ClusterTopic* Find(TopicId id) const;
  // Also one that is being deleted: until it is, it takes records and elects leaders.
  const ClusterTopic* FindEvenDeleted(TopicId id) const;
  bool IsDeleted(TopicId id) const;
  std::shared_ptr<ClusterTopic> AnyTopic() {
    return topics.empty() ? nullptr : topics[random.Below(topics.size())];
  }
  TopicPartition AnyPartition(const ClusterTopic& topic) {
    return topic.Partition(static_cast<int>(random.Below(static_cast<uint64_t>(topic.partitions))));
  }

  const ClusterOptions options;
  SimRandom random;
  SimLoop loop;
  std::unique_ptr<SimExecutor> clients;
  ClusterNetwork network;
  std::map<int, ClusterPeer> peers;
  std::vector<std::unique_ptr<SimServer>> servers;
  // Stopped by administrators, and not to be started by anybody else.
  std::set<int> away;
  History history;
  std::vector<std::shared_ptr<ClusterTopic>> topics;
  // Those that are being deleted, or are gone: nothing is expected of them but that they go.
  std::vector<std::shared_ptr<ClusterTopic>> deleted;
  // The newest leader epoch, of partitions whose leader was elected although it may lack what was
  // acknowledged (cluster_elections.h).
  std::map<TopicPartition, LeaderEpoch> elected_without_proof;
  // Of each partition, the newest leader epoch that any controller has shown to be committed.
  std::map<TopicPartition, LeaderEpoch> newest_epochs;
  // Where a producer found that what its batch follows on is gone.
  std::set<TopicPartition> sequences_lost;
  ClusterReport report;
  absl::Status violation;
  // Clients and faults go on until this falls.
  bool safety_phase = true;

 private:
  void AddMachine(int host);
  // Adds what the process has counted to the report: call at its end.
  void CountWhatItDid(int host);
};

template <class Response>
void ClusterState::Ask(int host, absl::Duration timeout,
                       std::function<void(SimServer&, std::function<void(Response)>)> serve,
                       std::function<void(absl::StatusOr<Response>)> done) {
  auto answered = std::make_shared<bool>(false);
  const auto answer = [this, answered, done](absl::StatusOr<Response> response) {
    clients->Post([answered, done, response = std::move(response)]() mutable {
      if (!std::exchange(*answered, true)) done(std::move(response));
    });
  };
  auto connection = network.Connect(
      0, host, [](const ClusterNetwork::ConnectionPtr&) { return true; },
      [answer] { answer(MakeError(ErrorCode::kBrokerNotAvailable, "the connection broke")); });
  connection->Send(ClusterConnection::kOpener, [this, host, connection, serve, answer] {
    serve(server(host), [connection, answer](Response response) {
      connection->Send(ClusterConnection::kAcceptor, [connection, answer, response] {
        answer(response);
        connection->Close(ClusterConnection::kOpener);
      });
    });
  });
  network.After(timeout, [connection, answer] {
    if (connection->open(ClusterConnection::kOpener)) {
      answer(MakeError(ErrorCode::kRequestTimedOut, "no answer in time"));
    }
    connection->Close(ClusterConnection::kOpener);
  });
}

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_STATE_H_
