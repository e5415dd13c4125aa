// The simulation of a whole quorum: what happens to it in one run, from one seed.
//
// First a safety phase: clients change and read topics while controllers crash, pause and lose
// their disks, messages are lost and links cut, voters come and go. Then everything is healed, and
// within bounds the quorum has to work again, every member must have all, and every acknowledged
// change must be there; the history of all clients must be linearizable.
//
// Thread: one.
#ifndef TEST_SIM_QUORUM_SCENARIO_H_
#define TEST_SIM_QUORUM_SCENARIO_H_

#include <cstdint>
#include <map>
#include <string>

namespace millrace::sim {

struct QuorumRun {
  // Empty if all went well.
  std::string violation;
  // For a violated history: the calls about that topic.
  std::string history;
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  int64_t committed = 0;
  int64_t answered = 0;
  // The search for an order of the clients' calls was broken off.
  bool inconclusive = false;
  std::map<std::string, int64_t> reached;
};

QuorumRun RunQuorumSeed(uint64_t seed);

}  // namespace millrace::sim

#endif  // TEST_SIM_QUORUM_SCENARIO_H_
