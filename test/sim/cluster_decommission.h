// ClusterDecommission: one broker at a time is cordoned, decommissioned and perhaps stopped and
// unregistered, while clients and faults go on; administrators ask again, change their mind, and
// let it come back into service, or not.
//
// From the answer that it holds nothing until the cordon is lifted it must hold nothing. At the end
// what was begun must end, and nothing of any partition may be left on a broker said to be drained.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_DECOMMISSION_H_
#define TEST_SIM_CLUSTER_DECOMMISSION_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "test/sim/cluster_state.h"

namespace millrace::sim {

class ClusterDecommission {
 public:
  explicit ClusterDecommission(ClusterState* world) : world_(*world) {}

  // What administrators do next.
  void Act();
  // The same where nothing fails any more: what was begun goes on to its end.
  void GoOn();
  // What has not ended yet; "": nothing.
  std::string WhatIsNotDone() const;
  // REQUIRES: all has ended. Errors: the drained broker holds something. Drives the loop.
  absl::Status Judge();
  // One that stays away comes back into service; false: there is none.
  bool BringBack();

 private:
  enum class Stage : uint8_t {
    kNone,
    kCordoned,
    kDraining,
    kDrained,
    // Drained, stopped, and to be unregistered.
    kStopped,
    kUnregistered,
    // The cordon is being lifted; whether it is, is not known.
    kLifting,
  };

  void Begin();
  void Cordon(bool cordoned);
  void Decommission();
  void OnAnswer(const v1::DecommissionBrokerResponse& response);
  void Unregister();
  // Partitions that the metadata has on the broker.
  int ReplicasInMetadata();

  ClusterState& world_;
  Stage stage_ = Stage::kNone;
  int broker_ = 0;
  bool asking_ = false;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_DECOMMISSION_H_
