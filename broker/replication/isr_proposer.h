// IsrProposer: asks the controller for the in-sync sets that this broker's leaders want, all of
// them in one AlterPartition, at most one under way (KIP-497). What comes meanwhile waits, the
// newest of each partition.
//
// Nothing is sent again: a replica whose proposal had no answer proposes again by itself, from what
// the metadata says then (S-15).
//
// Thread: `home`; answers are told there too.
#ifndef BROKER_REPLICATION_ISR_PROPOSER_H_
#define BROKER_REPLICATION_ISR_PROPOSER_H_

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/controller_channel.h"
#include "broker/replica_messages.h"

namespace millrace::broker {

class IsrProposer {
 public:
  using OnAnswer = std::function<void(const IsrAnswer&)>;

  // `channel` may be null: there is no controller to ask, and every answer is NOT_CONTROLLER.
  IsrProposer(NodeId self, Executor* home, ControllerChannel* channel, OnAnswer on_answer);
  ~IsrProposer();

  // This broker is registered: proposals carry `epoch`.
  void OnRegistered(BrokerEpoch epoch);
  // Each is answered once, later, but for those that a newer one of the same partition replaces.
  void Propose(const std::vector<IsrProposal>& proposals);

 private:
  using Proposals = std::map<TopicPartition, IsrProposal>;

  void SendNext();
  void OnResponse(const absl::StatusOr<internal::v1::AlterPartitionResponse>& response);
  void Answer(const IsrProposal& proposal, const absl::Status& status,
              std::optional<IsrAnswer::State> state);

  const NodeId self_;
  Executor* const home_;
  ControllerChannel* const channel_;
  const OnAnswer on_answer_;
  BrokerEpoch epoch_ = kNoBrokerEpoch;
  Proposals waiting_;
  // Of the request that is under way; empty: none is.
  Proposals asked_;
  const std::shared_ptr<IsrProposer*> alive_;
};

}  // namespace millrace::broker

#endif  // BROKER_REPLICATION_ISR_PROPOSER_H_
