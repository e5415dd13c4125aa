// LeaderBalancer: while this node leads the quorum, it has leaderships given back from time to time
// to the brokers that placement meant for them.
//
// Thread: its executor's.
#ifndef NODE_LEADER_BALANCER_H_
#define NODE_LEADER_BALANCER_H_

#include <functional>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/deadline_timer.h"
#include "base/executor.h"

namespace millrace::node {

class LeaderBalancer {
 public:
  // `balance` submits the command (controller/leader_balance.h). All outlive this. An infinite
  // `interval`: never.
  LeaderBalancer(absl::Duration interval, const Clock* clock, Executor* executor,
                 std::function<void()> balance);

  // First called for after a whole interval: after an election brokers come back one by one.
  void OnLed();
  void OnLostLeadership() { timer_.Clear(); }

 private:
  const absl::Duration interval_;
  const Clock* const clock_;
  const std::function<void()> balance_;
  DeadlineTimer timer_;
};

}  // namespace millrace::node

#endif  // NODE_LEADER_BALANCER_H_
