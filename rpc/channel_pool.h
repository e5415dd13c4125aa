// ChannelPool: one channel per (purpose, address), with our keepalive and size limits. Channels of
// different purposes never share a connection, so that bulk data does not stand in the way of
// heartbeats.
//
// Channels connect lazily and reconnect by themselves with back-off. How long an attempt may take
// is a property of a channel (KIP-601): who does not know the way asks with GetGrowing.
//
// Thread: any (a mutex around the map).
#ifndef RPC_CHANNEL_POOL_H_
#define RPC_CHANNEL_POOL_H_

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"

namespace millrace::rpc {

inline constexpr int kFixedWindowBytes = 1 << 20;
// The most that an attempt to connect may take that is given more and more time.
inline constexpr absl::Duration kConnectMax = absl::Seconds(10);

struct ChannelOptions {
  // Pings after this much silence, and how long an answer may take until the connection is dead.
  absl::Duration keepalive_time = absl::Seconds(20);
  absl::Duration keepalive_timeout = absl::Seconds(5);
  absl::Duration reconnect_backoff_min = absl::Milliseconds(50);
  // An attempt to connect that takes longer has failed: more than a busy server needs to answer.
  absl::Duration connect_timeout = absl::Milliseconds(500);
  absl::Duration reconnect_backoff_max = absl::Seconds(1);
  int64_t receive_message_bytes_max = 64 << 20;
  // gRPC pings whoever sends data, to fit the window of its flow control to the line. Where
  // messages are small that is as much work as they are: without, the window is kFixedWindowBytes.
  bool adapts_windows = true;
  // Plaintext, or TLS to whoever was meant when they were made.
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;
};

class ChannelPool {
 public:
  explicit ChannelPool(ChannelOptions options) : options_(std::move(options)) {}

  // The channel to `address` ("host:port") for `purpose`, made at first use.
  std::shared_ptr<grpc::Channel> Get(absl::string_view purpose, absl::string_view address) {
    return Get(purpose, address, options_.connect_timeout);
  }
  // One whose attempts to connect may take `connect_timeout`, for ways that are longer than usual:
  // another channel for each time.
  std::shared_ptr<grpc::Channel> Get(absl::string_view purpose, absl::string_view address,
                                     absl::Duration connect_timeout);

  // One for a way of which nobody knows how long it is: short attempts at first, so that one who is
  // off is left soon; where nothing came about in its time, those of the next channel have twice as
  // much, up to kConnectMax, and then it begins anew. What has helped once stays. To be asked
  // before each call, at `now`.
  std::shared_ptr<grpc::Channel> GetGrowing(absl::string_view purpose, absl::string_view address,
                                            MonotonicTime now);

  // Forgets the channels to `address`; calls under way keep theirs.
  void Drop(absl::string_view address);

 private:
  struct Growing {
    std::shared_ptr<grpc::Channel> channel;
    absl::Duration connect_timeout;
    // Since when it has been tried without success; of no meaning while it is connected.
    MonotonicTime tried_since;
    bool connected = false;
  };

  std::shared_ptr<grpc::Channel> Make(const std::string& address,
                                      absl::Duration connect_timeout) const;

  const ChannelOptions options_;
  std::mutex mutex_;
  // By (address, purpose, time to connect). Guarded by mutex_.
  std::map<std::tuple<std::string, std::string, absl::Duration>, std::shared_ptr<grpc::Channel>>
      channels_;
  // By (address, purpose). Guarded by mutex_.
  std::map<std::pair<std::string, std::string>, Growing> growing_;
};

}  // namespace millrace::rpc

#endif  // RPC_CHANNEL_POOL_H_
