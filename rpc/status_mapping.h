// Between our statuses and gRPC's: the ErrorCode, offending name and value and the leader hint
// travel as a millrace.v1.ErrorInfo in the standard "grpc-status-details-bin" (google.rpc.Status).
//
// Thread: any (pure functions).
#ifndef RPC_STATUS_MAPPING_H_
#define RPC_STATUS_MAPPING_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace millrace::rpc {

// The name that an error is about when a server's certificate is not what was expected.
inline constexpr char kUntrustedName[] = "certificate";

// OK becomes OK; an error keeps its message and takes its code's canonical status code.
grpc::Status ToGrpcStatus(const absl::Status& status);

// The inverse. A status without our detail (gRPC's own, or a foreign server's) gets the closest
// ErrorCode: a message over the receive limit MESSAGE_TOO_LARGE, UNAVAILABLE BROKER_NOT_AVAILABLE,
// DEADLINE_EXCEEDED REQUEST_TIMED_OUT. That TLS found somebody there who is not to be trusted is
// BROKER_NOT_AVAILABLE about kUntrustedName: another server may be the one that was meant.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace millrace::rpc

#endif  // RPC_STATUS_MAPPING_H_
