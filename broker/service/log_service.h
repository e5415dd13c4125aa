// LogService: writing to and reading from partitions over gRPC, in front of a Broker.
//
// The hot calls (Produce, ProduceStream, Fetch, FetchStream) are raw bytes on both sides: api/codec
// turns them into api structs that share the message's memory, and answers go out by reference to
// the broker's. The others are parsed into their messages. Every queue of the server takes every
// call, so a request that arrives at its partition's shard costs no hand-off between threads.
//
// Not here: what a call means (broker/), and flow control and the memory budget (rpc/).
//
// Thread: everything on the queue that took the call.
#ifndef BROKER_SERVICE_LOG_SERVICE_H_
#define BROKER_SERVICE_LOG_SERVICE_H_

#include "broker/broker.h"
#include "millrace/v1/log_service.grpc.pb.h"
#include "rpc/server.h"

namespace millrace::broker {

class LogService {
 public:
  // The broker outlives the service.
  explicit LogService(Broker* broker) : broker_(broker) {}

  // Adds the service and its methods on every queue, which are the broker's shards. REQUIRES: the
  // server has not started; this outlives it.
  void Register(rpc::Server* server);

 private:
  using V1 = v1::LogService;
  using Service = V1::WithRawMethod_Produce<V1::WithRawMethod_ProduceStream<V1::WithRawMethod_Fetch<
      V1::WithRawMethod_FetchStream<V1::WithRawMethod_WatchTopics<V1::WithRawMethod_ListOffsets<
          V1::WithRawMethod_DeleteRecords<V1::WithRawMethod_InitProducerId<
              V1::WithRawMethod_OffsetForLeaderEpoch<V1::Service>>>>>>>>>;

  void RegisterHot(rpc::Server* server, rpc::CompletionQueueExecutor* queue);
  void RegisterCold(rpc::Server* server, rpc::CompletionQueueExecutor* queue);

  Broker* const broker_;
  Service service_;
};

}  // namespace millrace::broker

#endif  // BROKER_SERVICE_LOG_SERVICE_H_
