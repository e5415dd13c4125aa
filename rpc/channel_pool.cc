#include "rpc/channel_pool.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <limits>
#include <utility>

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
  if (channel == nullptr) channel = Make(std::string(address), connect_timeout);
  return channel;
}

std::shared_ptr<grpc::Channel> ChannelPool::GetGrowing(absl::string_view purpose,
                                                       absl::string_view address,
                                                       MonotonicTime now) {
  const std::lock_guard<std::mutex> lock(mutex_);
  Growing& growing = growing_[{std::string(address), std::string(purpose)}];
  const auto begin = [&](absl::Duration connect_timeout) {
    growing = {.channel = Make(std::string(address), connect_timeout),
               .connect_timeout = connect_timeout,
               .tried_since = now};
    return growing.channel;
  };
  if (growing.channel == nullptr) return begin(options_.connect_timeout);
  const grpc_connectivity_state state = growing.channel->GetState(/*try_to_connect=*/false);
  if (state == GRPC_CHANNEL_READY) {
    growing.connected = true;
    return growing.channel;
  }
  // Its connection was lost, or nobody needed one: the time for another one runs from now on.
  if (std::exchange(growing.connected, false) || state == GRPC_CHANNEL_IDLE) {
    growing.tried_since = now;
    return growing.channel;
  }
  // Nearly, since gRPC's clock is another one.
  if (now - growing.tried_since < growing.connect_timeout * 9 / 10) return growing.channel;
  return begin(growing.connect_timeout < kConnectMax
                   ? std::min(growing.connect_timeout * 2, kConnectMax)
                   : options_.connect_timeout);
}

std::shared_ptr<grpc::Channel> ChannelPool::Make(const std::string& address,
                                                 absl::Duration connect_timeout) const {
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
  return grpc::CreateCustomChannel(
      address,
      options_.credentials != nullptr ? options_.credentials : grpc::InsecureChannelCredentials(),
      arguments);
}

void ChannelPool::Drop(absl::string_view address) {
  const std::string key(address);
  const std::lock_guard<std::mutex> lock(mutex_);
  auto entry = channels_.lower_bound({key, std::string(), -absl::InfiniteDuration()});
  while (entry != channels_.end() && std::get<0>(entry->first) == key) {
    entry = channels_.erase(entry);
  }
  auto growing = growing_.lower_bound({key, std::string()});
  while (growing != growing_.end() && growing->first.first == key) {
    growing = growing_.erase(growing);
  }
}

}  // namespace millrace::rpc
