// Method: a service's method as the server sees it: something that accepts calls on one queue once
// the server runs. RegisterUnary and RegisterStream make them.
//
// Thread: made before the server starts; Start and all that follows: its queue's thread.
#ifndef RPC_METHOD_H_
#define RPC_METHOD_H_

#include <grpcpp/server_context.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "rpc/call_context.h"
#include "rpc/completion_queue_executor.h"
#include "rpc/peer_identity.h"
#include "rpc/read_gate.h"

namespace millrace::rpc {

// What calls need of the server they belong to. Outlives them: calls hold it by shared_ptr.
struct CallHost {
  // Null: messages are not counted.
  std::shared_ptr<ReadGate> gate;
  // The listener by which a peer's connection came in.
  std::function<std::string(const std::string& peer)> listener_of;
  // Which calls are let in.
  CallPolicy policy = {};
  // Calls that each method keeps ready for clients, per queue.
  int ready_calls_per_method = 8;
  // Unsent bytes of a stream from which it is not writable.
  int64_t stream_write_bytes_max = 4 << 20;
};

// Who calls, for a call that `executor` has accepted.
CallContext MakeCallContext(const grpc::ServerContext& context, const CallHost& host,
                            CompletionQueueExecutor* executor);

class Method {
 public:
  virtual ~Method() = default;

  // Begins to accept calls.
  virtual void Start(std::shared_ptr<const CallHost> host) = 0;
  virtual CompletionQueueExecutor* queue() const = 0;
};

}  // namespace millrace::rpc

#endif  // RPC_METHOD_H_
