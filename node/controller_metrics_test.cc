#include "node/controller_metrics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::node {
namespace {

class ControllerMetricsTest : public ::testing::Test {
 protected:
  double ValueOf(const std::string& name) {
    for (const MetricSample& metric : registry_.Collect()) {
      if (metric.name == name) return metric.value;
    }
    ADD_FAILURE() << name;
    return -1;
  }

  MetricRegistry registry_;
  ControllerMetrics metrics_{&registry_};
};

TEST_F(ControllerMetricsTest, TellsWhatTheStateSaysAndCountsOn) {
  controller::State state;
  state.partitions = {.reassigned = 2, .without_leader = 1};
  state.leader_elections = 5;
  state.recovering_elections = 1;
  metrics_.OnState(state);
  metrics_.OnState(state);
  EXPECT_EQ(ValueOf("millrace_controller_partitions_reassigned"), 2);
  EXPECT_EQ(ValueOf("millrace_controller_partitions_without_leader"), 1);
  EXPECT_EQ(ValueOf("millrace_controller_leader_elections_total"), 5);
  EXPECT_EQ(ValueOf("millrace_controller_unclean_elections_total"), 1);
  // A snapshot was installed: another state, which counts from nothing.
  metrics_.OnState(controller::State());
  EXPECT_EQ(ValueOf("millrace_controller_leader_elections_total"), 5);
  EXPECT_EQ(ValueOf("millrace_controller_partitions_reassigned"), 0);
}

TEST_F(ControllerMetricsTest, TheActiveControllerAloneTellsOfItselfAndOfTheBrokers) {
  controller::State state;
  state.brokers = {.active = 3, .fenced = 1};
  metrics_.OnState(state);
  EXPECT_EQ(ValueOf("millrace_active_controller_count"), 0);
  EXPECT_EQ(ValueOf("millrace_active_broker_count"), 0);
  metrics_.SetActive(true);
  EXPECT_EQ(ValueOf("millrace_active_controller_count"), 1);
  EXPECT_EQ(ValueOf("millrace_active_broker_count"), 3);
  EXPECT_EQ(ValueOf("millrace_fenced_broker_count"), 1);
  state.brokers = {.active = 2, .fenced = 2};
  metrics_.OnState(state);
  EXPECT_EQ(ValueOf("millrace_active_broker_count"), 2);
  EXPECT_EQ(ValueOf("millrace_fenced_broker_count"), 2);
  metrics_.SetActive(false);
  EXPECT_EQ(ValueOf("millrace_active_controller_count"), 0);
  EXPECT_EQ(ValueOf("millrace_fenced_broker_count"), 0);
}

}  // namespace
}  // namespace millrace::node
