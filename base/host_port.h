// HostPort: an address as it is written, and as gRPC takes it.
//
// Thread: any.
#ifndef BASE_HOST_PORT_H_
#define BASE_HOST_PORT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace millrace {

// "host:port", with brackets around an IPv6 address.
std::string HostPort(absl::string_view host, int port);

}  // namespace millrace

#endif  // BASE_HOST_PORT_H_
