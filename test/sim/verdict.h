// Verdict: the end of a simulated world: faults are over, the server must come back within a
// bound, everything that was acknowledged must be there, exactly, and all of it must work again.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_VERDICT_H_
#define TEST_SIM_VERDICT_H_

#include "absl/status/status.h"
#include "test/sim/admin_client.h"
#include "test/sim/record_clients.h"
#include "test/sim/world_state.h"

namespace millrace::sim {

class Verdict {
 public:
  Verdict(WorldState* world, RecordClients* records, AdminClient* admin)
      : world_(*world), records_(*records), admin_(*admin) {}

  // Starts the server and waits until it is ready. REQUIRES: nothing runs.
  absl::Status ComeBack();
  // Topics are as acknowledged, every partition holds what it must.
  absl::Status ReadEverything();
  // Every partition takes a record and gives it back.
  absl::Status WriteEverywhere();

 private:
  absl::Status CheckTopics();
  absl::Status ReadPartition(const SimTopic& topic, const TopicPartition& partition);
  absl::Status WritePartition(const SimTopic& topic, const TopicPartition& partition);
  absl::StatusOr<api::FetchPartitionResult> FetchAt(const TopicPartition& partition, Offset offset);

  WorldState& world_;
  RecordClients& records_;
  AdminClient& admin_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_VERDICT_H_
