// SimServer: one machine of the simulated world: its disk, its clock, and on it the shipped node,
// constructed on that disk at each start and destroyed at each crash.
//
// kill -9 keeps the page cache, with all that is not on the disk yet; power loss loses or tears
// what no sync had covered. Both end the process between two events, or before a chosen file-system
// call (ArmCrash). The image store, which is only a cache of the log, may lose its latest writes at
// a power loss.
//
// Thread: the simulation's one.
#ifndef NODE_TESTING_SIM_SERVER_H_
#define NODE_TESTING_SIM_SERVER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/config.h"
#include "base/env.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "metadata/authorizer.h"
#include "node/node.h"
#include "storage/fake_kv_store.h"

namespace millrace::sim {

class SimServer {
 public:
  // `config`: keys of the server's config. `random` is this machine's own stream. `name` tells its
  // executors from those of other machines.
  SimServer(SimLoop* loop, SimRandom random, ConfigValues config, std::string name = "");
  ~SimServer();

  // Asked at each start, when the process has its executors: its ways to others, which must stay
  // until the next start. Without it the process knows no other.
  void SetNetwork(std::function<node::Node::Network()> network) { network_ = std::move(network); }
  // Called when the start is done, before anything else happens: calls may come from here on.
  void SetOnServing(std::function<void()> on_serving) { on_serving_ = std::move(on_serving); }

  // Begins to start a process. REQUIRES: none runs.
  void Start();
  bool running() const { return process_ != nullptr; }
  // The outcome of the start; none while it is under way, or if nothing runs.
  const std::optional<absl::Status>& started() const { return started_; }
  bool serving() const { return running() && started_.has_value() && started_->ok(); }

  // Called at the end of each process, while its objects still exist: for what clients hold of it.
  void SetOnDown(std::function<void()> on_down) { on_down_ = std::move(on_down); }
  // Runs before each call to the disk, whichever disk that is: where a call takes time.
  void SetLatency(std::function<void(const SimCall&)> latency);

  // kill -9: the process is gone, what it wrote is in the page cache.
  void Kill();
  // The machine loses power.
  void LosePower(CrashMode mode);
  // Crashes before the disk's `calls`-th changing call from now, also in the middle of an event, as
  // LosePower(*mode) does, or as Kill where there is no mode. The event runs to its end and what it
  // does no longer counts: CrashIfDue must follow each event. A crash of another kind disarms.
  void ArmCrash(uint64_t calls, std::optional<CrashMode> mode);
  // SIGSTOP: nothing of the process runs until it is resumed or gone. What was begun on the disk is
  // done. No effect unless it runs.
  void Pause();
  void Resume();
  bool paused() const { return paused_; }
  // The moment of an armed crash has passed, in this event.
  bool dying() const { return armed_image_ != nullptr; }
  // True if it crashed now.
  bool CrashIfDue();
  // SIGTERM; `done` when the process has ended.
  void Stop(std::function<void(absl::Status)> done);

  // REQUIRES: running, for those below.
  node::Node& node() { return *process_->node; }
  // Where calls arrive.
  SimExecutor& shard() { return *process_->shards.front(); }
  SimExecutor& shard(uint64_t i) { return *process_->shards[i % process_->shards.size()]; }
  size_t shard_count() const { return process_->shards.size(); }
  const MetricRegistry& metrics() const { return process_->metrics; }
  SimExecutor& controller() { return *process_->controller; }

  SimFileSystem& disk() { return *disk_; }
  // An empty disk takes the place of this one. REQUIRES: nothing runs.
  void Wipe();
  // Takes over another machine's disk, which gets an empty one. REQUIRES: nothing runs on either.
  void UseDiskOf(SimServer* other) { disk_.swap(other->disk_); }
  SimClock& clock() { return clock_; }
  // Raised by each start: an answer of an earlier process must not be taken for this one's.
  int incarnation() const { return incarnation_; }

 private:
  // All that a process has beside the disk.
  struct Process {
    MetricRegistry metrics;
    std::unique_ptr<MemoryBudget> budget;
    std::unique_ptr<SimRandom> random;
    std::vector<std::unique_ptr<SimExecutor>> shards;
    std::unique_ptr<SimExecutor> controller;
    std::unique_ptr<SimExecutor> cold_reads;
    // Those of the disks, which the node owns.
    std::vector<SimExecutor*> disks;
    Env env;
    std::unique_ptr<node::Node> node;
  };

  class DiskExecutor;

  // All that run the process.
  std::vector<SimExecutor*> Executors();
  void MakeEnv(const node::NodeConfig& config);
  void DestroyProcess();
  void UseDisk(std::unique_ptr<SimFileSystem> disk);

  SimLoop* const loop_;
  SimRandom random_;
  const ConfigValues config_;
  const std::string name_;
  SimClock clock_;
  metadata::AllowAllAuthorizer authorizer_;
  std::unique_ptr<SimFileSystem> disk_;
  storage::FakeKvStore images_;
  std::unique_ptr<Process> process_;
  std::optional<absl::Status> started_;
  int incarnation_ = 0;
  bool paused_ = false;
  std::function<void()> on_down_;
  std::function<node::Node::Network()> network_;
  std::function<void()> on_serving_;
  std::function<void(const SimCall&)> latency_;
  // What an armed crash will leave; null until it is due.
  std::unique_ptr<SimFileSystem> armed_image_;
  std::optional<CrashMode> armed_mode_;
};

}  // namespace millrace::sim

#endif  // NODE_TESTING_SIM_SERVER_H_
