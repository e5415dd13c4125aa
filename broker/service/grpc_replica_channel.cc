#include "broker/service/grpc_replica_channel.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "broker/codec/replication_decoder.h"
#include "broker/codec/replication_encoder.h"
#include "rpc/channel_pool.h"
#include "rpc/client_call.h"

namespace millrace::broker {
namespace {

constexpr char kFollow[] = "/millrace.internal.v1.ReplicaService/Follow";

// Between a stream's events and its sink.
class Handler final : public rpc::ClientStreamHandler {
 public:
  Handler(std::weak_ptr<FollowerSink> sink, std::shared_ptr<rpc::ClientStream> stream,
          std::shared_ptr<bool> ended)
      : sink_(std::move(sink)), stream_(std::move(stream)), ended_(std::move(ended)) {}

  // Taken in piece by piece instead.
  void OnMessage(Bytes) override {}
  void TakeIn(rpc::ReceivedMessage message) override {
    const std::shared_ptr<FollowerSink> sink = sink_.lock();
    if (*ended_ || sink == nullptr) return;
    absl::StatusOr<FollowResponse> response = DecodeFollowResponse(message.pieces());
    if (response.ok() && response->hello.has_value() == greeted_) {
      response = MakeError(ErrorCode::kCorruptMessage,
                           "a leader says its hello first and once, and nothing before");
    }
    if (!response.ok()) {
      // Where one message cannot be read, those behind it mean nothing either.
      stream_->Cancel();
      *ended_ = true;
      return sink->OnClosed(response.status());
    }
    if (!std::exchange(greeted_, true)) return sink->OnHello(*response->hello);
    sink->OnMessage(std::move(response->message));
  }

  void OnDone(absl::Status status) override {
    const std::shared_ptr<FollowerSink> sink = sink_.lock();
    if (std::exchange(*ended_, true) || sink == nullptr) return;
    if (status.ok()) status = MakeError(ErrorCode::kCancelled, "the leader has ended the stream");
    sink->OnClosed(status);
  }

 private:
  const std::weak_ptr<FollowerSink> sink_;
  const std::shared_ptr<rpc::ClientStream> stream_;
  // Shared with the stream's owner, who sets it at the end.
  const std::shared_ptr<bool> ended_;
  bool greeted_ = false;
};

class Stream final : public FollowerStream {
 public:
  Stream(std::shared_ptr<rpc::ClientStream> stream, std::shared_ptr<bool> ended)
      : stream_(std::move(stream)), ended_(std::move(ended)) {}
  ~Stream() override {
    if (!std::exchange(*ended_, true)) stream_->Cancel();
  }
  void Send(FollowerMessage message) override { stream_->Write(EncodeFollowerMessage(message)); }

 private:
  const std::shared_ptr<rpc::ClientStream> stream_;
  const std::shared_ptr<bool> ended_;
};

std::shared_ptr<grpc::Channel> FreshChannel(const std::string& address,
                                            const ReplicaChannelOptions& options) {
  rpc::ChannelOptions channel;
  channel.keepalive_time = options.keepalive_time;
  channel.keepalive_timeout = options.keepalive_timeout;
  channel.credentials = options.credentials;
  // gRPC gives an attempt at least this long.
  channel.reconnect_backoff_min = options.connect_timeout;
  channel.reconnect_backoff_max = options.connect_timeout;
  // One batch may be as large as the leader's listener took it.
  channel.receive_message_bytes_max = std::numeric_limits<int32_t>::max();
  return rpc::ChannelPool(channel).Get("replica", address);
}

}  // namespace

std::unique_ptr<FollowerStream> GrpcReplicaChannel::Open(const std::string& address,
                                                         const FollowerHello& hello,
                                                         Executor* executor,
                                                         std::weak_ptr<FollowerSink> sink) {
  const auto queue = std::find(queues_.begin(), queues_.end(), executor);
  CHECK(queue != queues_.end()) << "shards are queues";
  auto ended = std::make_shared<bool>(false);
  rpc::ClientCallOptions call;
  call.timeout = absl::InfiniteDuration();
  std::shared_ptr<rpc::ClientStream> stream =
      rpc::StartStream(*queue, FreshChannel(address, options_), kFollow, call,
                       [sink = std::move(sink), ended](std::shared_ptr<rpc::ClientStream> opened) {
                         return std::make_unique<Handler>(sink, std::move(opened), ended);
                       });
  stream->Write(EncodeFollowerHello(hello));
  return std::make_unique<Stream>(std::move(stream), std::move(ended));
}

}  // namespace millrace::broker
