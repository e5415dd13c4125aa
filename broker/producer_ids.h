// ProducerIds: hands out producer ids, from blocks that the controller gives to this broker. No id
// is ever given twice: what is left of a block when the process ends is never used.
//
// The next block is asked for before the last one is used up, so that a producer rarely waits.
//
// Thread: `home`, which also runs the callbacks.
// Source: KIP-98 (producer ids), KIP-730 (blocks from the controller).
#ifndef BROKER_PRODUCER_IDS_H_
#define BROKER_PRODUCER_IDS_H_

#include <cstdint>
#include <deque>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "broker/controller_channel.h"

namespace millrace::broker {

class ProducerIds {
 public:
  using Done = absl::AnyInvocable<void(absl::StatusOr<ProducerId>) &&>;
  // Callers that may wait for a block at once.
  static constexpr size_t kWaitersMax = 10'000;

  // `controller` outlives this.
  ProducerIds(NodeId self, ControllerChannel* controller) : self_(self), controller_(controller) {}

  // This broker is registered: asks for the first block.
  void OnRegistered(BrokerEpoch epoch);

  // An id that nobody else has. Errors: BROKER_NOT_AVAILABLE before OnRegistered;
  // RESOURCE_EXHAUSTED when too many wait; those of the controller's answer.
  void Take(Done done);

 private:
  void Ask();
  void OnBlock(const absl::Status& status, int64_t first, int32_t count);

  const NodeId self_;
  ControllerChannel* const controller_;
  BrokerEpoch epoch_ = kNoBrokerEpoch;
  // What is left of the present block, and the one after it; empty ranges if there is none.
  int64_t next_ = 0;
  int64_t end_ = 0;
  int64_t reserve_next_ = 0;
  int64_t reserve_end_ = 0;
  bool asking_ = false;
  std::deque<Done> waiting_;
};

}  // namespace millrace::broker

#endif  // BROKER_PRODUCER_IDS_H_
