// What a GrpcTransport is told at its start, and what it stands on.
//
// Thread: any (values).
#ifndef RAFT_SERVICE_TRANSPORT_OPTIONS_H_
#define RAFT_SERVICE_TRANSPORT_OPTIONS_H_

#include <grpcpp/security/credentials.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/random.h"
#include "raft/host/hello.h"
#include "raft/types.h"
#include "rpc/completion_queue_executor.h"

namespace millrace::raft {

struct TransportOptions {
  VoterId self;
  // "host:port" where peers reach this node's controller listener.
  std::string address;
  ProcessId process;
  // Said to peers.
  ProgramFeatures features = {};
  // Said to peers: see Hello.
  bool asks_to_join = false;
  // What connections to a peer are made with; kNoNode: to any node. Null: plaintext.
  std::function<std::shared_ptr<grpc::ChannelCredentials>(NodeId peer)> credentials = {};

  // Unsent bytes to one peer beyond which messages to it are dropped.
  int64_t queued_bytes_max = 32 << 20;
  // Bytes from one stream that wait for the owner, beyond which the stream is not read.
  int64_t inbound_bytes_max = 16 << 20;
  // A connection that brings nothing is asked whether it lives, and given up without an answer: how
  // a peer is missed that vanished without a reset.
  absl::Duration keepalive_time = absl::Seconds(1);
  absl::Duration keepalive_timeout = absl::Seconds(2);
  absl::Duration connect_timeout = absl::Seconds(1);
  // Of one exchange of founding states.
  absl::Duration founding_timeout = absl::Seconds(1);
};

struct TransportDeps {
  // Where the transport lives and its owner hears of everything. May be `queue` itself: then a
  // message costs no hand-off between threads.
  Executor* owner = nullptr;
  // Runs the calls to peers.
  rpc::CompletionQueueExecutor* queue = nullptr;
  const Clock* clock = nullptr;
  Random* random = nullptr;
  MetricRegistry* metrics = nullptr;
};

}  // namespace millrace::raft

#endif  // RAFT_SERVICE_TRANSPORT_OPTIONS_H_
