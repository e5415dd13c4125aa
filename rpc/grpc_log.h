// What gRPC says for itself, as lines of our log.
//
// Left alone it writes to stderr in a form of its own, and a line for each handshake that fails: a
// node whose certificate is not believed would fill the logs of all others.
//
// Thread: any.
#ifndef RPC_GRPC_LOG_H_
#define RPC_GRPC_LOG_H_

namespace millrace::rpc {

// From now on, for this process; at most one line per text in some seconds (line_limit.h). What is
// said at all, gRPC decides (GRPC_VERBOSITY; by default errors alone).
void TakeGrpcLog();

}  // namespace millrace::rpc

#endif  // RPC_GRPC_LOG_H_
