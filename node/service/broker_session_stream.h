// The server's end of one BrokerSession stream: messages of gRPC's queue to BrokerSessionServer's
// strand, and back.
//
// Whatever is sent goes out as fast as the other end reads: the server is told that it may send the
// next one once the stream's own write queue has room.
//
// Thread: made and called on the stream's queue.
#ifndef NODE_SERVICE_BROKER_SESSION_STREAM_H_
#define NODE_SERVICE_BROKER_SESSION_STREAM_H_

#include <memory>

#include "base/executor.h"
#include "metadata/authorizer.h"
#include "node/broker_session_server.h"
#include "rpc/refusal_log.h"
#include "rpc/stream_call.h"

namespace millrace::node {

// All that is pointed to outlives the stream's queue; `owner` is the server's executor. `refusals`
// hears of brokers that are not who they say.
std::unique_ptr<rpc::StreamHandler> ServeBrokerSession(BrokerSessionServer* server, Executor* owner,
                                                       const metadata::Authorizer* authorizer,
                                                       rpc::RefusalLog* refusals,
                                                       std::shared_ptr<rpc::ServerStream> stream);

}  // namespace millrace::node

#endif  // NODE_SERVICE_BROKER_SESSION_STREAM_H_
