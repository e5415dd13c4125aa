#include "node/session_decisions.h"

#include <string>
#include <utility>

#include "base/log.h"

namespace millrace::node {

using controller::FailDirectoriesReply;
using controller::FenceBrokerReply;
using controller::MarkSlowDirectoriesReply;
using controller::SessionDecision;
using internal::v1::BrokerHeartbeatResponse;

namespace {

void WarnOfLeaderless(int partitions, NodeId broker) {
  if (partitions == 0) return;
  LOG_WARN("node", "partitions have no leader until a broker with their records is back",
           {{"partitions", partitions}, {"broker", broker.value()}});
}

void TellMoves(NodeId broker, const std::string& why, const MarkSlowDirectoriesReply& reply) {
  LOG_WARN("node", "a disk has become much slower than others, or is well again",
           {{"broker", broker.value()},
            {"reason", why},
            {"leaderships_moved", reply.moved},
            {"leaderships_kept", reply.kept},
            {"leaderships_given_back", reply.given_back}});
}

internal::v1::BrokerHeartbeatRequest HeartbeatFor(const SessionDecision& decision) {
  internal::v1::BrokerHeartbeatRequest request;
  request.set_broker_id(decision.broker.value());
  request.set_broker_epoch(decision.epoch.value());
  request.set_applied_index(decision.applied.value());
  request.set_want_active(decision.kind == SessionDecision::Kind::kActivate);
  request.set_want_shutdown(decision.kind == SessionDecision::Kind::kShutDown);
  return request;
}

}  // namespace

void CarryOut(ControllerHost* host, const SessionDecision& decision, SessionDecided done) {
  const NodeId broker = decision.broker;
  switch (decision.kind) {
    case SessionDecision::Kind::kFence:
      return host->Submit(controller::FenceBrokerCommand{broker, decision.epoch},
                          [broker, done = std::move(done)](absl::StatusOr<FenceBrokerReply> reply,
                                                           LogIndex) mutable {
                            if (reply.ok())
                              WarnOfLeaderless(reply->partitions_without_leader, broker);
                            std::move(done)(reply.status(), false);
                          });
    case SessionDecision::Kind::kFailDirectories:
      return host->Submit(
          controller::FailDirectoriesCommand{broker, decision.epoch, decision.directories},
          [broker, done = std::move(done)](absl::StatusOr<FailDirectoriesReply> reply,
                                           LogIndex) mutable {
            if (reply.ok()) WarnOfLeaderless(reply->partitions_without_leader, broker);
            std::move(done)(reply.status(), false);
          });
    case SessionDecision::Kind::kSlowDirectories:
      return host->Submit(
          controller::MarkSlowDirectoriesCommand{broker, decision.epoch, decision.directories},
          [broker, why = decision.why, done = std::move(done)](
              absl::StatusOr<MarkSlowDirectoriesReply> reply, LogIndex) mutable {
            if (reply.ok()) TellMoves(broker, why, *reply);
            std::move(done)(reply.status(), false);
          });
    case SessionDecision::Kind::kActivate:
    case SessionDecision::Kind::kShutDown:
      return host->Submit(HeartbeatFor(decision),
                          [done = std::move(done)](absl::StatusOr<BrokerHeartbeatResponse> reply,
                                                   LogIndex) mutable {
                            std::move(done)(reply.status(), reply.ok() && reply->may_stop());
                          });
  }
}

}  // namespace millrace::node
