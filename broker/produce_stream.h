// ProduceStream: one client's pipelined produce (S-23).
//
// Answers come in the order of the batches per partition, and not over the stream: a slow partition
// holds up nobody else (S-37). After the first failure of a partition, later batches for it fail
// unappended with STREAM_ORDER_BROKEN until one comes with a higher `restart`: decided where the
// partition lives (StreamOrder), and here for partitions that cannot be found.
//
// A client that asks for it in its first message has batches for partitions that other brokers lead
// passed on to them, each partition over one ordered stream (forward_lane.h). Where they go changes
// only when all earlier batches of the partition on this stream have been answered, and none of
// them failed since the client raised `restart`: what was refused in one place is never overtaken
// by what is appended in another. Whatever came from another broker is answered here.
//
// Destroying it forgets the answers that are still out; what was appended stays, and what was
// passed on may be.
//
// Thread: its gather's edge, where the sink is called.
#ifndef BROKER_PRODUCE_STREAM_H_
#define BROKER_PRODUCE_STREAM_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "api/produce.h"
#include "broker/gather.h"

namespace millrace::broker {

class Forwarder;

class ProduceStream {
 public:
  using Sink = std::function<void(api::ProduceStreamResponse)>;

  // `forwarder` may be null: nothing is passed on.
  ProduceStream(Gather* gather, Forwarder* forwarder, const Caller& caller, Sink sink);
  ~ProduceStream();
  ProduceStream(const ProduceStream&) = delete;
  ProduceStream& operator=(const ProduceStream&) = delete;

  // Appends, in the order of the calls per partition. The sink is called, now or later, with every
  // partition's result once; a request without partitions gets one empty answer.
  void Handle(api::ProduceStreamRequest request);

  // Results that are still to come.
  int64_t outstanding() const;
  // False while so many of this stream's bytes are at other brokers that no more should be read
  // from its client. Turns true only right before a call of the sink.
  bool may_read() const;

 private:
  // Outlives the stream where answers are still out.
  struct State;
  // One request, until its last partition is answered.
  struct Request;
  // One partition of one request, in its queue.
  struct Slot;
  // One partition of this stream.
  struct Lane;

  void HandlePartition(api::ProducePartition partition, const std::shared_ptr<Request>& request);
  // That the answer for a partition which cannot be found waits in.
  Lane* LaneOfLost(const api::PartitionName& name);
  // Whether another broker answers for the lane from now on, or still.
  bool IsElsewhere(Lane* lane, const api::PartitionName& name, bool settled);
  void Append(api::ProducePartition partition, const TopicPartition& topic_partition, Lane* lane,
              const std::shared_ptr<Slot>& slot, api::ProducePartitionResult result);
  void PassOn(api::ProducePartition partition, Lane* lane, const std::shared_ptr<Slot>& slot,
              api::ProducePartitionResult result);
  void OpenForward(Lane* lane);
  void FollowLeaders();
  static void Complete(const std::shared_ptr<State>& state, Lane* lane,
                       const std::shared_ptr<Slot>& slot, api::ProducePartitionResult result);
  static void Send(const std::shared_ptr<State>& state, const std::shared_ptr<Request>& request);

  const std::shared_ptr<State> state_;
};

}  // namespace millrace::broker

#endif  // BROKER_PRODUCE_STREAM_H_
