#include "node/leader_balancer.h"

#include <memory>

#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "gtest/gtest.h"

namespace millrace::node {
namespace {

class LeaderBalancerTest : public ::testing::Test {
 protected:
  std::unique_ptr<LeaderBalancer> Make(absl::Duration interval) {
    return std::make_unique<LeaderBalancer>(interval, &clock_, executor_.get(),
                                            [this] { ++balanced_; });
  }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  std::unique_ptr<sim::SimExecutor> executor_ = loop_.MakeExecutor("controller", &clock_);
  int balanced_ = 0;
};

TEST_F(LeaderBalancerTest, WhoeverLeadsBalancesOncePerIntervalAndOnlyThen) {
  const auto balancer = Make(absl::Seconds(300));
  loop_.RunFor(absl::Seconds(1000));
  EXPECT_EQ(balanced_, 0);
  executor_->RunNow([&] { balancer->OnLed(); });
  loop_.RunFor(absl::Seconds(299));
  EXPECT_EQ(balanced_, 0);
  loop_.RunFor(absl::Seconds(2));
  EXPECT_EQ(balanced_, 1);
  loop_.RunFor(absl::Seconds(600));
  EXPECT_EQ(balanced_, 3);
  executor_->RunNow([&] { balancer->OnLostLeadership(); });
  loop_.RunFor(absl::Seconds(1000));
  EXPECT_EQ(balanced_, 3);
}

TEST_F(LeaderBalancerTest, AnInfiniteIntervalIsNever) {
  const auto balancer = Make(absl::InfiniteDuration());
  executor_->RunNow([&] { balancer->OnLed(); });
  loop_.RunFor(absl::Hours(1000));
  EXPECT_EQ(balanced_, 0);
}

}  // namespace
}  // namespace millrace::node
