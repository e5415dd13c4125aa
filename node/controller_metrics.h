// ControllerMetrics: what the controller's state says of the cluster, as metrics. Every controller
// has them, as far as it has applied the metadata; the counts of brokers only the active one, so
// that they may be added up.
//
// Thread: one owner.
#ifndef NODE_CONTROLLER_METRICS_H_
#define NODE_CONTROLLER_METRICS_H_

#include <cstdint>

#include "base/counters.h"
#include "controller/state.h"

namespace millrace::node {

class ControllerMetrics {
 public:
  // `registry` outlives this.
  explicit ControllerMetrics(MetricRegistry* registry);

  // The state after a committed entry, or one that is begun with: counts in it that are lower than
  // before are those of another state, and start anew.
  void OnState(const controller::State& state);
  // Whether this controller is the active one: it leads, and decides.
  void SetActive(bool active);

 private:
  void ShowBrokers();

  Gauge& reassigned_;
  Gauge& without_leader_;
  Counter& elections_;
  Counter& unclean_elections_;
  Gauge& active_controllers_;
  Gauge& active_brokers_;
  Gauge& fenced_brokers_;
  bool active_ = false;
  controller::BrokerCounts brokers_;
  // Of the state seen last.
  int64_t elections_seen_ = 0;
  int64_t unclean_elections_seen_ = 0;
};

}  // namespace millrace::node

#endif  // NODE_CONTROLLER_METRICS_H_
