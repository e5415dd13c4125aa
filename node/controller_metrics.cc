#include "node/controller_metrics.h"

namespace millrace::node {

namespace {

void Advance(int64_t now, int64_t* seen, Counter* counter) {
  counter->Add(now < *seen ? now : now - *seen);
  *seen = now;
}

}  // namespace

ControllerMetrics::ControllerMetrics(MetricRegistry* registry)
    : reassigned_(registry->AddGauge("millrace_controller_partitions_reassigned",
                                     "Partitions on their way to other brokers.")),
      without_leader_(registry->AddGauge("millrace_controller_partitions_without_leader",
                                         "Partitions that have no leader.")),
      elections_(registry->AddCounter("millrace_controller_leader_elections_total",
                                      "Partitions that were given another leader.")),
      unclean_elections_(registry->AddCounter(
          "millrace_controller_unclean_elections_total",
          "Leaders elected that may lack acknowledged records: by command, by config, or as the "
          "greatest of the last copies.")),
      active_controllers_(registry->AddGauge("millrace_active_controller_count",
                                             "1 on the controller that leads, and decides.")),
      active_brokers_(registry->AddGauge("millrace_active_broker_count",
                                         "Brokers that are registered and not fenced, told by the "
                                         "active controller.")),
      fenced_brokers_(registry->AddGauge("millrace_fenced_broker_count",
                                         "Brokers that are registered and fenced, told by the "
                                         "active controller.")) {}

void ControllerMetrics::OnState(const controller::State& state) {
  reassigned_.Set(state.partitions.reassigned);
  without_leader_.Set(state.partitions.without_leader);
  Advance(state.leader_elections, &elections_seen_, &elections_);
  Advance(state.recovering_elections, &unclean_elections_seen_, &unclean_elections_);
  brokers_ = state.brokers;
  ShowBrokers();
}

void ControllerMetrics::SetActive(bool active) {
  active_ = active;
  active_controllers_.Set(active ? 1 : 0);
  ShowBrokers();
}

void ControllerMetrics::ShowBrokers() {
  active_brokers_.Set(active_ ? brokers_.active : 0);
  fenced_brokers_.Set(active_ ? brokers_.fenced : 0);
}

}  // namespace millrace::node
