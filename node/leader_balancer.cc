#include "node/leader_balancer.h"

#include <utility>

namespace millrace::node {

LeaderBalancer::LeaderBalancer(absl::Duration interval, const Clock* clock, Executor* executor,
                               std::function<void()> balance)
    : interval_(interval), clock_(clock), balance_(std::move(balance)), timer_(executor, [this] {
        OnLed();
        balance_();
      }) {}

void LeaderBalancer::OnLed() { timer_.Set(clock_->Now() + interval_); }

}  // namespace millrace::node
