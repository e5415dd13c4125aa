// SimEnv: the seams of one simulated process, for tests of the parts of a node.
//
// Thread: the test's one.
#ifndef NODE_TESTING_SIM_ENV_H_
#define NODE_TESTING_SIM_ENV_H_

#include <functional>
#include <memory>
#include <string>

#include "base/env.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"

namespace millrace::node {

struct SimEnv {
  SimEnv() {
    env.clock = &clock;
    env.files = &files;
    env.random = &random;
    env.metrics = &metrics;
    env.budget = &budget;
    env.shards = {shard.get()};
    env.controller = controller.get();
    env.cold_reads_of = [this](const std::string&) { return cold_reads.get(); };
    env.make_disk_executor = [this](const std::string& name) -> std::unique_ptr<Executor> {
      return loop.MakeExecutor(name, &clock);
    };
    env.make_random = [this] { return std::make_unique<sim::SimRandom>(random.Next()); };
  }

  // As on the controller executor.
  void On(const std::function<void()>& step) { controller->RunNow(step); }
  [[nodiscard]] bool Until(const std::function<bool()>& done) {
    return loop.RunUntil(done, absl::Seconds(30));
  }

  sim::SimLoop loop{1};
  sim::SimClock clock{loop.time()};
  sim::SimFileSystem files;
  sim::SimRandom random{1};
  MetricRegistry metrics;
  MemoryBudget budget{int64_t{16} << 20};
  std::unique_ptr<sim::SimExecutor> shard = loop.MakeExecutor("shard", &clock);
  std::unique_ptr<sim::SimExecutor> controller = loop.MakeExecutor("controller", &clock);
  std::unique_ptr<sim::SimExecutor> cold_reads = loop.MakeExecutor("cold-reads", &clock);
  Env env;
};

}  // namespace millrace::node

#endif  // NODE_TESTING_SIM_ENV_H_
