// FreshChannel: a connection of this transport's own to one peer.
//
// A channel that has never failed: gRPC's own back-off never stands before ours, a name is resolved
// anew for each attempt, and nothing else shares the connection.
//
// Thread: any.
#ifndef RAFT_SERVICE_FRESH_CHANNEL_H_
#define RAFT_SERVICE_FRESH_CHANNEL_H_

#include <memory>
#include <string>

#include "raft/service/transport_options.h"
#include "rpc/channel_pool.h"

namespace millrace::raft {

// `peer`: who has to be there, if connections show that; kNoNode: any node.
inline std::shared_ptr<grpc::Channel> FreshChannel(NodeId peer, const std::string& address,
                                                   const TransportOptions& options) {
  rpc::ChannelOptions channel;
  if (options.credentials != nullptr) channel.credentials = options.credentials(peer);
  channel.adapts_windows = false;
  channel.keepalive_time = options.keepalive_time;
  channel.keepalive_timeout = options.keepalive_timeout;
  // gRPC gives an attempt at least this long.
  channel.reconnect_backoff_min = options.connect_timeout;
  channel.reconnect_backoff_max = options.connect_timeout;
  return rpc::ChannelPool(channel).Get("raft", address);
}

}  // namespace millrace::raft

#endif  // RAFT_SERVICE_FRESH_CHANNEL_H_
