// SimScenario: a seed's life of a cluster: first everything goes wrong, then nothing does.
//
// Safety phase: proposals, reads and changes of voters while servers crash, hang and lose disks and
// the network loses, delays and cuts; only what the cluster should survive. Liveness phase: all is
// healed, and everything must finish in a bound: one leader, all members equal, no election while a
// member that was cut off returns, no leader without a majority.
//
// Thread: one.
#ifndef RAFT_TESTING_SIM_SCENARIO_H_
#define RAFT_TESTING_SIM_SCENARIO_H_

#include <cstdint>
#include <map>
#include <string>

namespace millrace::raft::testing {

struct SimResult {
  // Empty if all went well.
  std::string violation;
  uint64_t trace_hash = 0;
  int64_t events = 0;
  int64_t committed = 0;
  int64_t reads = 0;
  std::map<std::string, int64_t> reached;
};

SimResult RunSeed(uint64_t seed, bool print_trace = false);

}  // namespace millrace::raft::testing

#endif  // RAFT_TESTING_SIM_SCENARIO_H_
