// Leader balance: gives partitions back to the first of their replicas, where that may lead again.
//
// Placement spreads first replicas evenly; every failure moves leaderships away from them, and
// nothing but this moves them back. Only members of the ISR are given leadership, so that nothing
// acknowledged is lost, and none whose disk is slow (slow_directories.h).
//
// Thread: any (pure functions).
// Source: Kafka's auto.leader.rebalance.enable, as its quorum does it (KAFKA-18743).
#ifndef CONTROLLER_LEADER_BALANCE_H_
#define CONTROLLER_LEADER_BALANCE_H_

#include "controller/commands.h"
#include "controller/state.h"
#include "rsm/record.h"

namespace millrace::controller {

// In one entry, of at most as many elections as the command says.
rsm::Decision<BalanceLeadersReply> BalanceLeaders(const State& state,
                                                  const BalanceLeadersCommand& command);

}  // namespace millrace::controller

#endif  // CONTROLLER_LEADER_BALANCE_H_
