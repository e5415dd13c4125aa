// FoundingSim: a seed's founding of a cluster: first everything goes wrong, then nothing does.
//
// Safety phase: nodes come late, crash between any two steps, lose or keep what they were writing,
// come back with wiped directories; messages are lost, delayed, doubled, reordered, cut off. Some
// seeds add a newcomer, a wrong list of voters, or an operator who puts directories away and back.
// Then all is healed, and everybody must belong to one cluster within a bound.
//
// Thread: one.
#ifndef RAFT_HOST_TESTING_FOUNDING_SIM_H_
#define RAFT_HOST_TESTING_FOUNDING_SIM_H_

#include <cstdint>
#include <map>
#include <string>

namespace millrace::raft::testing {

struct FoundingSimResult {
  // Empty if all went well.
  std::string violation;
  uint64_t trace_hash = 0;
  int64_t events = 0;
  std::map<std::string, int64_t> reached;
};

FoundingSimResult RunFoundingSeed(uint64_t seed, bool print_trace = false);

}  // namespace millrace::raft::testing

#endif  // RAFT_HOST_TESTING_FOUNDING_SIM_H_
