// Env: the seams of one process, for composition roots only, which hand on the part that is needed.
//
// Thread: any (a struct of borrowed pointers; all outlive what is composed over them).
#ifndef BASE_ENV_H_
#define BASE_ENV_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/counters.h"
#include "base/executor.h"
#include "base/file_system.h"
#include "base/memory_budget.h"
#include "base/random.h"

namespace millrace {

struct Env {
  Clock* clock = nullptr;
  FileSystem* files = nullptr;
  Random* random = nullptr;
  MetricRegistry* metrics = nullptr;
  MemoryBudget* budget = nullptr;
  // The strands: broker shards, the controller, and a source of disk executors (one per directory).
  std::vector<Executor*> shards;
  Executor* controller = nullptr;
  // A small pool for reads that may block on the disk of a log directory; a task may run on any of
  // its threads. One for each directory that is asked for, so that a disk that hangs takes the
  // threads of nobody else (S-37).
  std::function<Executor*(const std::string& log_dir)> cold_reads_of;
  std::function<std::unique_ptr<Executor>(const std::string& name)> make_disk_executor;
  // A source of randomness for another strand: a Random has one owner.
  std::function<std::unique_ptr<Random>()> make_random;
};

}  // namespace millrace

#endif  // BASE_ENV_H_
