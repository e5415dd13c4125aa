#include "broker/service/replica_service.h"

#include <algorithm>
#include <memory>

#include "base/status.h"
#include "broker/codec/replication_decoder.h"
#include "broker/codec/replication_encoder.h"
#include "broker/service/grpc_replica_channel.h"
#include "rpc/parsed_call.h"
#include "rpc/peer_identity.h"
#include "rpc/stream_call.h"

namespace millrace::broker {
namespace {

// The stream as the leader's shard holds it.
class Stream final : public LeaderStream {
 public:
  explicit Stream(const std::shared_ptr<rpc::ServerStream>& stream) : stream_(stream) {}

  void Accept(const LeaderHello& hello) override { Write(EncodeLeaderHello(hello)); }
  void Send(LeaderMessage message) override { Write(EncodeLeaderMessage(message)); }
  bool writable() const override {
    const std::shared_ptr<rpc::ServerStream> stream = stream_.lock();
    return stream != nullptr && stream->writable();
  }
  void Close(const absl::Status& status) override {
    if (const std::shared_ptr<rpc::ServerStream> stream = stream_.lock()) stream->Finish(status);
  }

 private:
  void Write(MessagePieces message) {
    const std::shared_ptr<rpc::ServerStream> stream = stream_.lock();
    if (stream != nullptr) stream->Write(std::move(message));
  }

  // The stream's handler must not keep it alive through the shard.
  const std::weak_ptr<rpc::ServerStream> stream_;
};

// Carries what happens to a stream from its queue to its shard.
class FollowHandler final : public rpc::StreamHandler {
 public:
  FollowHandler(const ReplicaIntake* intake, rpc::RefusalLog* refusals,
                std::shared_ptr<rpc::ServerStream> stream)
      : intake_(*intake), refusals_(refusals), stream_(std::move(stream)) {}

  // Taken in piece by piece instead.
  void OnMessage(Bytes) override {}
  void TakeIn(rpc::ReceivedMessage message) override {
    request_ = DecodeFollowRequest(message.pieces());
  }
  void OnTakenIn() override {
    absl::StatusOr<FollowRequest> request = std::exchange(request_, FollowRequest());
    if (request.ok() && request->hello.has_value() != (shard_ == nullptr)) {
      request = MakeError(ErrorCode::kCorruptMessage,
                          "a follower says its hello first and once, and nothing before");
    }
    if (!request.ok()) return stream_->Finish(request.status());
    if (shard_ != nullptr) {
      return Tell([message = std::move(request->message)](LeaderSink* sink) mutable {
        sink->OnMessage(std::move(message));
      });
    }
    if (absl::Status is_it =
            rpc::CheckClaim(stream_->context(), request->hello->follower.broker, "a follower");
        !is_it.ok()) {
      refusals_->Refused(stream_->context(), is_it);
      return stream_->Finish(std::move(is_it));
    }
    shard_ = intake_.executor_of(*request->hello);
    if (shard_ == nullptr) {
      return stream_->Finish(MakeError(ErrorCode::kBrokerNotAvailable, "this broker is starting"));
    }
    OnShard([end = end_, take_in = intake_.take_in, hello = *request->hello,
             stream = std::make_shared<Stream>(stream_)] { end->sink = take_in(hello, stream); });
  }

  void OnHalfClose() override { stream_->Finish(absl::OkStatus()); }
  void OnWritable() override {
    Tell([](LeaderSink* sink) { sink->OnWritable(); });
  }
  void OnDone(bool /*cancelled*/) override {
    if (shard_ == nullptr) return;
    OnShard([end = end_] {
      if (const auto sink = std::exchange(end->sink, nullptr); sink != nullptr) sink->OnClosed();
    });
  }

 private:
  // Of the stream, at its shard.
  struct End {
    std::shared_ptr<LeaderSink> sink;
  };

  template <class F>
  void Tell(F tell) {
    if (shard_ == nullptr) return;
    OnShard([end = end_, tell = std::move(tell)]() mutable {
      const std::shared_ptr<LeaderSink> sink = end->sink;
      if (sink != nullptr) tell(sink.get());
    });
  }
  // At once if this is its queue: no event of a stream comes from within a call of the shard.
  template <class F>
  void OnShard(F f) {
    if (shard_->IsCurrent()) return f();
    shard_->Post(std::move(f));
  }

  const ReplicaIntake& intake_;
  rpc::RefusalLog* const refusals_;
  const std::shared_ptr<rpc::ServerStream> stream_;
  // Null before the hello.
  Executor* shard_ = nullptr;
  const std::shared_ptr<End> end_ = std::make_shared<End>();
  // The message that was taken in last.
  absl::StatusOr<FollowRequest> request_ = FollowRequest();
};

}  // namespace

rpc::ServerOptions ReplicaService::Configure(rpc::ServerOptions options) {
  // Half of what followers may ask for.
  options.client_ping_interval_min =
      std::min(options.client_ping_interval_min, ReplicaChannelOptions().keepalive_time / 2);
  return options;
}

void ReplicaService::Register(rpc::Server* server) {
  server->AddService(&service_, V1::service_full_name());
  refusals_ = std::make_unique<rpc::RefusalLog>(server->clock(), "replica", "refused a follower");
  for (int i = 0; i < server->queue_count(); ++i) {
    // Positions do not wait behind what is produced: a disk that hangs, and keeps all of that,
    // would stop the partitions on the others (S-37).
    RegisterStream(
        server, server->queue(i), &service_, &Service::RequestFollow,
        [intake = &intake_, refusals = refusals_.get()](std::shared_ptr<rpc::ServerStream> stream) {
          return std::make_unique<FollowHandler>(intake, refusals, std::move(stream));
        },
        rpc::AtGate::kPasses);
    rpc::RegisterParsed<internal::v1::ReadRangeRequest, internal::v1::ReadRangeResponse>(
        server, server->queue(i), &service_, &Service::RequestReadRange,
        [this](const rpc::CallContext& context, const internal::v1::ReadRangeRequest& request,
               rpc::Reply<internal::v1::ReadRangeResponse> reply) {
          ReadRange(context, request, std::move(reply));
        });
  }
}

void ReplicaService::ReadRange(const rpc::CallContext& context,
                               const internal::v1::ReadRangeRequest& request,
                               rpc::Reply<internal::v1::ReadRangeResponse> reply) const {
  const auto read = [&]() -> absl::StatusOr<RangeQuery> {
    RangeQuery query;
    ASSIGN_OR_RETURN(query.cluster_id, ClusterId::FromBytes(request.cluster_id()));
    query.broker = NodeId(request.broker_id());
    RETURN_IF_ERROR(rpc::CheckClaim(context, query.broker, "a broker that repairs its log"));
    ASSIGN_OR_RETURN(query.topic_partition.topic_id, TopicId::FromBytes(request.topic_id()));
    query.topic_partition.partition = PartitionIndex(request.partition());
    query.from = Offset(request.from_offset());
    query.to = Offset(request.to_offset());
    query.bytes_max = static_cast<size_t>(std::max(request.max_bytes(), 0));
    return query;
  };
  const absl::StatusOr<RangeQuery> query = read();
  if (!query.ok()) return reply(query.status());
  intake_.read_range(*query, [reply = std::move(reply)](absl::StatusOr<Bytes> batches) mutable {
    if (!batches.ok()) return reply(batches.status());
    internal::v1::ReadRangeResponse response;
    response.set_batches(batches->data(), batches->size());
    reply(std::move(response));
  });
}

}  // namespace millrace::broker
