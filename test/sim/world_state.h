// WorldState: what the parts of a simulated world share: time, the server, the network to it, the
// topics as clients know them, and the history.
//
// Not here: what clients do (record_clients.h, admin_client.h), what goes wrong (faults.h), and the
// judgement (verdict.h).
//
// Thread: the simulation's one.
#ifndef TEST_SIM_WORLD_STATE_H_
#define TEST_SIM_WORLD_STATE_H_

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
#include "absl/time/time.h"
#include "base/ids.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_random.h"
#include "node/testing/sim_server.h"
#include "test/sim/history.h"

namespace millrace::sim {

struct WorldOptions {
  uint64_t seed = 1;
  // Length of the safety phase, in virtual time.
  absl::Duration duration = absl::Seconds(8);
  // Faults that may happen; all by default.
  bool kills = true;
  bool power_losses = true;
  bool clean_stops = true;
  bool disk_errors = true;
  bool full_disks = true;
  bool bit_flips = true;
  bool clock_jumps = true;
};

// What a run was made of; printed by the runner, and summed over seeds to see what was reached.
struct WorldReport {
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  int64_t produced = 0;
  int64_t acknowledged = 0;
  int64_t records_read = 0;
  // Counts by name: "kill", "power-loss-torn", "restart-after-failure", ...
  std::map<std::string, int64_t> reached;
};

// A topic as its creator knows it. From the wish to delete it on, nothing is promised of it until
// the deletion is acknowledged; then it must not exist.
struct SimTopic {
  enum class State { kLive, kDeleting, kDeleted };
  // When a leader epoch was seen: each incarnation of the server must show a higher one (S-01).
  struct SeenEpoch {
    int incarnation = 0;
    int32_t leader_epoch = -1;
    // Somebody led then: only a leadership that ends raises the epoch.
    bool led = false;
  };

  TopicPartition Partition(int index) const { return {id, PartitionIndex(index)}; }
  bool live() const { return state == State::kLive; }

  std::string name;
  TopicId id;
  State state = State::kLive;
  bool durable = true;
  // As acknowledged, and the most that was ever asked for.
  int partitions = 0;
  int partitions_max = 0;
  // Acknowledged settings; nullopt while a change is under way or its outcome unknown.
  std::map<std::string, std::optional<std::string>> configs;
  std::map<int, SeenEpoch> epochs;
};

struct WorldState {
  WorldState(const WorldOptions& world_options, ConfigValues config)
      : options(world_options),
        random(world_options.seed),
        loop(world_options.seed),
        clients(loop.MakeExecutor("clients")),
        server(&loop, random.Fork("server"), std::move(config)) {}

  // Remembers the first violation; the run ends with it.
  void Note(absl::Status status) {
    if (!status.ok() && violation.ok()) violation = std::move(status);
  }
  void Reached(const std::string& what) { ++report.reached[what]; }

  absl::Duration NetworkDelay() {
    return Between(random, absl::Microseconds(50),
                   absl::Microseconds(OneIn(random, 50) ? 20000 : 600));
  }
  // Time passes on the network: calls `then` on the clients' executor.
  void AfterDelay(Task then) { clients->PostAt(loop.now() + NetworkDelay(), std::move(then)); }
  // Runs `call` on one of the server's shards, where requests arrive, unless it is not serving:
  // then `refused`.
  void AtServer(
      std::function<void()> call, std::function<void()> refused = [] {}) {
    AfterDelay([this, shard = random.Next(), call = std::move(call), refused = std::move(refused)] {
      if (!server.serving()) return refused();
      server.shard(shard).Post(call);
    });
  }

  std::shared_ptr<SimTopic> AnyLiveTopic() {
    std::vector<std::shared_ptr<SimTopic>> live;
    for (const auto& topic : topics) {
      if (topic->live()) live.push_back(topic);
    }
    return live.empty() ? nullptr : live[random.Below(live.size())];
  }
  // Some partitions get most of the work, so that their segments roll.
  TopicPartition AnyPartition(const SimTopic& topic) {
    const auto count = static_cast<uint64_t>(topic.partitions);
    return topic.Partition(OneIn(random, 3) ? static_cast<int>(random.Below(count)) : 0);
  }

  const WorldOptions options;
  SimRandom random;
  SimLoop loop;
  std::unique_ptr<SimExecutor> clients;
  SimServer server;
  History history;
  std::vector<std::shared_ptr<SimTopic>> topics;
  WorldReport report;
  absl::Status violation;
  // Clients and faults go on until this falls.
  bool safety_phase = true;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_WORLD_STATE_H_
