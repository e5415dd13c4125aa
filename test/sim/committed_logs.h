// CommittedLogs: what is committed stays as it is, checked while a simulated cluster runs. Each
// time it looks, every replica that is open is compared, batch by batch, below its high watermark
// with what was below any replica's high watermark before:
//
// - equal batches at equal offsets, whatever was elected, cut or wiped in between;
// - one run of one broker leads in an epoch (S-01), and its high watermark never falls.
//
// The verdict at a run's end (cluster_verdict.h) would not see a difference that heals itself, and
// a consumer may have read it. Where a leader was elected that may lack what was committed, of
// topics set aside for that, leaders elected since are compared with each other. Topics of level
// `replicated` are left out of the first check where power may fail everywhere at once: they may
// lose their end then, knowingly (S-32).
//
// Thread: the simulation's one.
#ifndef TEST_SIM_COMMITTED_LOGS_H_
#define TEST_SIM_COMMITTED_LOGS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "broker/broker.h"
#include "test/sim/cluster_state.h"

namespace millrace::sim {

class CommittedLogs {
 public:
  explicit CommittedLogs(ClusterState* world) : world_(*world) {}

  // Asks every broker that serves what its replicas are; what each answers is checked when it does,
  // and noted in the world if it must not be so.
  void Look();

 private:
  // A process of a broker.
  using Run = std::pair<int, int>;
  struct Batch {
    uint32_t crc = 0;
    size_t size = 0;
    Offset next;
  };
  struct Leadership {
    Run leader;
    Offset high_watermark;
  };

  void Check(Run run, const std::vector<broker::LogDirDescription>& dirs);
  // Whether it can be compared: others still have what an election without proof gave up.
  bool HoldsWhatIsPromised(const ClusterTopic& topic, const broker::ReplicaState& replica);
  absl::Status CheckLeadership(Run run, const broker::ReplicaState& replica);
  absl::Status CheckCommitted(int host, const ClusterTopic& topic,
                              const broker::ReplicaState& replica);

  ClusterState& world_;
  std::map<TopicPartition, std::map<Offset, Batch>> committed_;
  // Since which election without proof, of topics set aside for those.
  std::map<TopicPartition, LeaderEpoch> committed_since_;
  std::map<std::pair<TopicPartition, LeaderEpoch>, Leadership> leaderships_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_COMMITTED_LOGS_H_
