// IsServiceLink: whether an environment variable is one that Kubernetes sets in every pod for a
// Service of the same namespace. A Service called `millrace` or `millrace-clients` gets names that
// begin like those of our config keys, although nobody meant to configure anything.
//
// Source: Kubernetes, "Accessing the Service: Environment variables", and the "Docker links" that
// it keeps to.
//
// Thread: any.
#ifndef BASE_SERVICE_LINK_H_
#define BASE_SERVICE_LINK_H_

#include "absl/strings/string_view.h"

namespace millrace {

// Whether `name` with `value` is one of, for a Service S,
//   S_SERVICE_HOST=10.0.0.1        S_SERVICE_PORT=9092         S_SERVICE_PORT_CLIENT=9092
//   S_PORT=tcp://10.0.0.1:9092     S_PORT_9092_TCP=tcp://10.0.0.1:9092
//   S_PORT_9092_TCP_PROTO=tcp      S_PORT_9092_TCP_PORT=9092   S_PORT_9092_TCP_ADDR=10.0.0.1
// The value has to fit too: MILLRACE_PORT=9092 is somebody's guess at a key, not a link.
bool IsServiceLink(absl::string_view name, absl::string_view value);

}  // namespace millrace

#endif  // BASE_SERVICE_LINK_H_
