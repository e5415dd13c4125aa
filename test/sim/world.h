// World: one server and its clients, from one seed: a schedule of work and faults, the history of
// what clients saw, and the judgement at the end.
//
// First a safety phase: clients create topics, produce and fetch while processes are killed, power
// is lost, disks fail or fill up and clocks jump. Then the liveness phase: faults end, the server
// must come back within a bound, everything that was acknowledged must be there, exactly, and
// everything must work. Some worlds lose power once more after that, and are read again.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_WORLD_H_
#define TEST_SIM_WORLD_H_

#include "absl/status/status.h"
#include "test/sim/admin_client.h"
#include "test/sim/faults.h"
#include "test/sim/record_clients.h"
#include "test/sim/verdict.h"
#include "test/sim/world_state.h"

namespace millrace::sim {

class World {
 public:
  explicit World(const WorldOptions& options);
  ~World();

  // Both phases. Errors: the first violation, or what did not come back in time.
  absl::Status Run();
  const WorldReport& report() const { return state_.report; }

 private:
  void ScheduleClients();
  void ActAsSomeClient();
  absl::Status Judge();

  WorldState state_;
  RecordClients records_;
  AdminClient admin_;
  Faults faults_;
  Verdict verdict_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_WORLD_H_
