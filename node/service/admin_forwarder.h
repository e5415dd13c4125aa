// AdminForwarder: sends the requests for the active controller that reach this node to wherever it
// is, as the bytes they came as. What it does next AdminRoute decides; this owns the calls and
// timers.
//
// Thread: the queue that the methods are registered on, except SetLeader.
#ifndef NODE_SERVICE_ADMIN_FORWARDER_H_
#define NODE_SERVICE_ADMIN_FORWARDER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "node/service/admin_route.h"
#include "rpc/call_context.h"
#include "rpc/channel_pool.h"
#include "rpc/completion_queue_executor.h"
#include "rpc/raw_bytes.h"
#include "rpc/unary_call.h"

namespace millrace::node {

struct AdminForwarderOptions {
  AdminRouteOptions route = {};
  // Of a forwarded call whose caller has set no deadline.
  absl::Duration forward_max = absl::Minutes(1);
  // What connections to controllers are made with; null: plaintext.
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;
  // Requests under way; beyond it the next is refused at once.
  size_t calls_max = 4096;
};

class AdminForwarder {
 public:
  using Reply = rpc::Reply<rpc::BytesList>;
  using Answered = absl::AnyInvocable<void(absl::StatusOr<rpc::BytesList>) &&>;
  // Asks this node's own controller; may be called again for the same bytes. `done` may be called
  // on any thread.
  using AskHere = std::function<void(Bytes request, Answered done)>;

  // REQUIRES: `queue` has ended when this is destroyed.
  AdminForwarder(const AdminForwarderOptions& options, NodeId self,
                 rpc::CompletionQueueExecutor* queue);
  ~AdminForwarder();

  struct Call {
    // Its path, "/millrace.v1.AdminService/CreateTopics".
    std::string method;
    bool read_only = false;
    Bytes request;
    AskHere ask_here;
  };
  // Answers `reply` with what the active controller says, or why none could be asked:
  // NOT_CONTROLLER, with the leader as a hint; OUTCOME_UNKNOWN; RESOURCE_EXHAUSTED at the bound.
  void Serve(const rpc::CallContext& context, Call call, Reply reply);

  // Who leads now, as far as this node knows. Thread: any.
  void SetLeader(const LeaderHint& leader);

 private:
  class RoutedCall;

  const AdminForwarderOptions options_;
  const NodeId self_;
  rpc::CompletionQueueExecutor* const queue_;
  rpc::ChannelPool channels_;
  LeaderHint leader_;
  // Those that are not answered yet, oldest first.
  std::map<uint64_t, std::shared_ptr<RoutedCall>> calls_;
  uint64_t next_call_ = 0;
};

}  // namespace millrace::node

#endif  // NODE_SERVICE_ADMIN_FORWARDER_H_
