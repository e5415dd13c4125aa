// World: one server and its clients, from one seed: a schedule of work and faults, the history of
// what clients saw, and the judgement at the end.
//
// First a safety phase: clients create topics, produce and fetch while processes are killed, power
// is lost, disks fail or fill up and clocks jump. Then the liveness phase: faults end, the server
// must come back within a bound, and everything that was acknowledged must be there, exactly.
//
// Every message between a client and the server passes through its real encoder and decoder.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_WORLD_H_
#define TEST_SIM_WORLD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "api/fetch.h"
#include "api/produce.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_random.h"
#include "test/sim/history.h"
#include "node/testing/sim_server.h"

namespace millrace::sim {

struct WorldOptions {
  uint64_t seed = 1;
  // Length of the safety phase, in virtual time.
  absl::Duration duration = absl::Seconds(20);
  // Faults that may happen; all by default.
  bool kills = true;
  bool power_losses = true;
  bool disk_errors = true;
  bool full_disks = true;
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

class World {
 public:
  explicit World(const WorldOptions& options);
  ~World();

  // Both phases. Errors: the first violation, or what did not come back in time.
  absl::Status Run();
  const WorldReport& report() const { return report_; }

 private:
  struct Topic {
    std::string name;
    TopicId id;
    int partitions = 0;
    bool durable = true;
    bool deleted = false;
  };

  // Time passes on the network: calls `then` after a drawn delay, on the clients' executor.
  void AfterDelay(Task then);
  // Runs `call` on the server, where requests arrive, unless it is not serving: then `refused`.
  void AtServer(std::function<void()> call, std::function<void()> refused);

  void ScheduleClients();
  void Produce();
  void SendBatch(const Topic& topic, PartitionIndex partition);
  void OnProduced(const TopicPartition& partition, const std::vector<std::string>& values,
                  const api::ProducePartitionResult& result);
  void Fetch();
  void OnFetched(const TopicPartition& partition, Offset from,
                 const api::FetchPartitionResult& result);
  void CreateTopic();
  void DeleteTopic();
  void DeleteRecords();

  void ScheduleFaults();
  void InjectFault();
  void Restart();
  void EnsureRunning();

  absl::Status Heal();
  absl::Status ReadEverything();
  absl::Status ReadPartition(const Topic& topic, PartitionIndex partition);
  // Remembers the first violation; the run ends with it.
  void Note(absl::Status status);
  void Reached(const std::string& what) { ++report_.reached[what]; }

  const WorldOptions options_;
  SimRandom random_;
  SimLoop loop_;
  std::unique_ptr<SimExecutor> clients_;
  std::unique_ptr<SimServer> server_;
  History history_;
  std::vector<Topic> topics_;
  WorldReport report_;
  absl::Status violation_;
  int64_t next_value_ = 0;
  bool safety_phase_ = true;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_WORLD_H_
