// BootstrapServers: the addresses by which a client finds its cluster, checked before any is tried.
//
// Not the brokers' own addresses: those are told by WatchTopics.
//
// Thread: any (pure functions).
#ifndef CLIENT_BOOTSTRAP_SERVERS_H_
#define CLIENT_BOOTSTRAP_SERVERS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace millrace::client {

// Each must be "host:port" or "[ipv6]:port" with a port from 1 to 65535. Errors: INVALID_CONFIG,
// naming the address; also if there is none.
absl::Status CheckBootstrapServers(const std::vector<std::string>& servers);

}  // namespace millrace::client

#endif  // CLIENT_BOOTSTRAP_SERVERS_H_
