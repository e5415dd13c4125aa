// ProduceStream: one client's pipelined produce (S-23).
//
// Answers come in the order of the batches per partition, and not over the stream: a slow partition
// holds up nobody else (S-37). After the first failure of a partition, later batches for it fail
// unappended with STREAM_ORDER_BROKEN until one comes with a higher `restart`: decided where the
// partition lives (StreamOrder), and here for partitions that cannot be found.
//
// Destroying it forgets the answers that are still out; what was appended stays.
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

class ProduceStream {
 public:
  using Sink = std::function<void(api::ProduceStreamResponse)>;

  ProduceStream(Gather* gather, const Caller& caller, Sink sink);
  ~ProduceStream();
  ProduceStream(const ProduceStream&) = delete;
  ProduceStream& operator=(const ProduceStream&) = delete;

  // Appends, in the order of the calls per partition. The sink is called, now or later, with every
  // partition's result once; a request without partitions gets one empty answer.
  void Handle(api::ProduceStreamRequest request);

  // Results that are still to come.
  int64_t outstanding() const;

 private:
  // Outlives the stream where answers are still out.
  struct State;
  // One request, until its last partition is answered.
  struct Request;
  // One partition of one request, in its queue.
  struct Slot;
  // One partition of this stream.
  struct Lane;

  void HandlePartition(api::ProducePartition partition, const std::shared_ptr<Request>& request,
                       api::Acks acks, MonotonicTime arrived, MonotonicTime deadline);
  static void Complete(const std::shared_ptr<State>& state, Lane* lane,
                       const std::shared_ptr<Slot>& slot, api::ProducePartitionResult result);
  static void Send(const std::shared_ptr<State>& state, const std::shared_ptr<Request>& request);

  const std::shared_ptr<State> state_;
};

}  // namespace millrace::broker

#endif  // BROKER_PRODUCE_STREAM_H_
