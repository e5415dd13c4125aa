#include "rpc/channel_pool.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <limits>

namespace millrace::rpc {
namespace {

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

}  // namespace

std::shared_ptr<grpc::Channel> ChannelPool::Get(absl::string_view purpose,
                                                absl::string_view address,
                                                absl::Duration connect_timeout) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::shared_ptr<grpc::Channel>& channel =
      channels_[{std::string(address), std::string(purpose), connect_timeout}];
  if (channel != nullptr) return channel;
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(options_.keepalive_time));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, Milliseconds(options_.keepalive_timeout));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // In spite of its name, the time that an attempt has.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, Milliseconds(connect_timeout));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS,
                   Milliseconds(options_.reconnect_backoff_min));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, Milliseconds(options_.reconnect_backoff_max));
  arguments.SetInt(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
                   static_cast<int>(std::min<int64_t>(options_.receive_message_bytes_max,
                                                      std::numeric_limits<int>::max())));
  arguments.SetInt(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);
  if (!options_.adapts_windows) {
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kFixedWindowBytes);
  }
  // Retries are ours to decide: the client knows what is idempotent.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // Cluster and client traffic goes to named addresses, never through a web proxy.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Equal targets would else share a connection between channels.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  channel = grpc::CreateCustomChannel(
      std::string(address),
      options_.credentials != nullptr ? options_.credentials : grpc::InsecureChannelCredentials(),
      arguments);
  return channel;
}

void ChannelPool::Drop(absl::string_view address) {
  const std::string key(address);
  const std::lock_guard<std::mutex> lock(mutex_);
  auto entry = channels_.lower_bound({key, std::string(), -absl::InfiniteDuration()});
  while (entry != channels_.end() && std::get<0>(entry->first) == key) {
    entry = channels_.erase(entry);
  }
}

}  // namespace millrace::rpc
