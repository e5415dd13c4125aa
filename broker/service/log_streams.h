// The streams of LogService: what ties one gRPC stream to the broker's side of it.
//
// Thread: the queue that took the stream.
#ifndef BROKER_SERVICE_LOG_STREAMS_H_
#define BROKER_SERVICE_LOG_STREAMS_H_

#include <memory>

#include "broker/broker.h"
#include "rpc/call_context.h"
#include "rpc/stream_call.h"

namespace millrace::broker {

// Who calls, as the broker knows callers.
Caller CallerOf(const rpc::CallContext& context);

// Handlers for streams just opened. `broker` outlives them.
std::unique_ptr<rpc::StreamHandler> ServeProduceStream(Broker* broker,
                                                       std::shared_ptr<rpc::ServerStream> stream);
std::unique_ptr<rpc::StreamHandler> ServeFetchStream(Broker* broker,
                                                     std::shared_ptr<rpc::ServerStream> stream);
std::unique_ptr<rpc::StreamHandler> ServeWatchTopics(Broker* broker,
                                                     std::shared_ptr<rpc::ServerStream> stream);

}  // namespace millrace::broker

#endif  // BROKER_SERVICE_LOG_STREAMS_H_
