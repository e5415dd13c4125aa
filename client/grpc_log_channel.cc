#include "client/grpc_log_channel.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "api/codec/fetch_codec.h"
#include "api/codec/list_offsets_codec.h"
#include "api/codec/offset_for_leader_epoch_codec.h"
#include "api/codec/produce_codec.h"
#include "api/codec/watch_topics_codec.h"
#include "base/status.h"
#include "millrace/v1/log_service.pb.h"

namespace millrace::client {
namespace {

// Whether an answer to the health check shows that a server is there at all. One that does not know
// the check, or is not serving yet, will say by itself what it cannot do.
bool IsReachable(const absl::Status& status) {
  const ErrorCode code = CodeOf(status);
  return code != ErrorCode::kBrokerNotAvailable && code != ErrorCode::kRequestTimedOut &&
         code != ErrorCode::kCancelled && code != ErrorCode::kShuttingDown;
}

// A stream that ends without an error has ended too soon all the same.
absl::Status EndOf(const absl::Status& status) {
  if (!status.ok()) return status;
  return MakeError(ErrorCode::kBrokerNotAvailable, "the server has ended the stream");
}

}  // namespace

class GrpcLogChannel::ProduceHandler final : public rpc::ClientStreamHandler {
 public:
  ProduceHandler(GrpcLogChannel* channel, NodeId broker, std::string address,
                 std::shared_ptr<rpc::ClientStream> stream)
      : channel_(channel),
        broker_(broker),
        address_(std::move(address)),
        stream_(std::move(stream)) {}

  void OnMessage(Bytes message) override {
    const absl::StatusOr<api::ProduceStreamResponse> response =
        api::DecodeProduceStreamResponse(message);
    if (!response.ok()) return stream_->Cancel();
    channel_->events_->OnProduced(broker_, *response);
  }
  void OnDone(absl::Status status) override {
    channel_->produce_.erase(broker_);
    channel_->NoteProduceLost(address_);
    channel_->events_->OnProduceDown(broker_, EndOf(status));
  }

 private:
  GrpcLogChannel* const channel_;
  const NodeId broker_;
  const std::string address_;
  const std::shared_ptr<rpc::ClientStream> stream_;
};

class GrpcLogChannel::FetchHandler final : public rpc::ClientStreamHandler {
 public:
  FetchHandler(GrpcLogChannel* channel, NodeId broker, std::shared_ptr<rpc::ClientStream> stream)
      : channel_(channel), broker_(broker), stream_(std::move(stream)) {}

  void OnMessage(Bytes message) override {
    absl::StatusOr<api::FetchStreamResponse> response = api::DecodeFetchStreamResponse(message);
    if (!response.ok()) return stream_->Cancel();
    channel_->events_->OnFetched(broker_, *std::move(response));
  }
  void OnDone(absl::Status status) override {
    channel_->fetch_.erase(broker_);
    channel_->events_->OnFetchDown(broker_, EndOf(status));
  }

 private:
  GrpcLogChannel* const channel_;
  const NodeId broker_;
  const std::shared_ptr<rpc::ClientStream> stream_;
};

class GrpcLogChannel::WatchHandler final : public rpc::ClientStreamHandler {
 public:
  WatchHandler(GrpcLogChannel* channel, uint64_t number, std::shared_ptr<rpc::ClientStream> stream)
      : channel_(channel), number_(number), stream_(std::move(stream)) {}

  void OnMessage(Bytes message) override {
    const auto proto = rpc::ParseMessage<v1::WatchTopicsResponse>(message);
    if (!proto.ok()) return stream_->Cancel();
    const absl::StatusOr<api::WatchTopicsResponse> push = api::FromProto(*proto);
    if (!push.ok()) return stream_->Cancel();
    channel_->WatchPushed(number_, *push);
  }
  void OnDone(absl::Status status) override { channel_->WatchEnded(number_, EndOf(status)); }

 private:
  GrpcLogChannel* const channel_;
  const uint64_t number_;
  const std::shared_ptr<rpc::ClientStream> stream_;
};

GrpcLogChannel::GrpcLogChannel(Options options, rpc::CompletionQueueExecutor* executor,
                               LogChannelEvents* events)
    : options_(std::move(options)),
      executor_(executor),
      events_(events),
      channels_(
          rpc::ChannelOptions{.keepalive_time = options_.keepalive_time,
                              .keepalive_timeout = options_.keepalive_timeout,
                              // One batch may be as large as a broker took it; how many come
                              // is bounded by credit.
                              .receive_message_bytes_max = std::numeric_limits<int32_t>::max(),
                              .credentials = options_.credentials}),
      servers_(options_.bootstrap_servers) {}

GrpcLogChannel::~GrpcLogChannel() = default;

std::shared_ptr<rpc::ClientStream> GrpcLogChannel::Start(
    absl::string_view purpose, const std::string& address, const char* method,
    rpc::ClientStreamHandlerFactory make_handler) {
  return rpc::StartStream(executor_, ChannelTo(purpose, address),
                          absl::StrCat("/millrace.v1.LogService/", method),
                          {.timeout = absl::InfiniteDuration()}, std::move(make_handler));
}

void GrpcLogChannel::Watch(std::vector<std::string> topics) {
  topics_ = std::move(topics);
  StartWatch();
}

// The connection itself would tell only when its keepalive has given up on the server.
void GrpcLogChannel::Suspect(const std::string& address) {
  if (watch_ == nullptr || servers_[server_ % servers_.size()] != address) return;
  ++server_;
  StartWatch();
}

void GrpcLogChannel::ChangeWatch() {
  // One that is being opened is given up in good time anyway.
  if (watch_ == nullptr || !pushed_ || servers_.size() < 2) return;
  ++server_;
  StartWatch();
}

void GrpcLogChannel::StartWatch() {
  const uint64_t number = ++watch_number_;
  pushed_ = false;
  if (watch_ != nullptr) watch_->Cancel();
  const std::string& address = servers_[server_ % servers_.size()];
  watch_ = Start("watch", address, "WatchTopics",
                 [this, number](std::shared_ptr<rpc::ClientStream> stream) {
                   return std::make_unique<WatchHandler>(this, number, std::move(stream));
                 });
  watch_->Write(
      rpc::SerializeMessage(api::ToProto({.topics = topics_, .metadata_index = metadata_index_})));
  watch_->WritesDone();
  executor_->PostAt(executor_->clock().Now() + options_.first_push_timeout, [this, number] {
    if (number != watch_number_ || pushed_) return;
    const std::shared_ptr<rpc::ClientStream> silent = watch_;
    WatchEnded(number, MakeError(ErrorCode::kRequestTimedOut, "no answer to WatchTopics"));
    if (silent != nullptr) silent->Cancel();
  });
}

void GrpcLogChannel::WatchPushed(uint64_t number, const api::WatchTopicsResponse& push) {
  if (number != watch_number_) return;
  pushed_ = true;
  failures_ = refusals_ = 0;
  metadata_index_ = std::max(metadata_index_, push.metadata_index);
  if (!push.brokers.empty()) {
    // The server in use stays the first to be asked.
    const std::string current = servers_[server_ % servers_.size()];
    servers_ = options_.bootstrap_servers;
    for (const api::BrokerAddress& broker : push.brokers) {
      if (broker.address.empty()) continue;
      if (std::find(servers_.begin(), servers_.end(), broker.address) == servers_.end()) {
        servers_.push_back(broker.address);
      }
    }
    const auto at = std::find(servers_.begin(), servers_.end(), current);
    server_ = at == servers_.end() ? 0 : static_cast<size_t>(at - servers_.begin());
  }
  events_->OnTopics(push);
}

void GrpcLogChannel::WatchEnded(uint64_t number, const absl::Status& why) {
  // Its timer, or its end, may come after the other.
  if (number != watch_number_ || watch_ == nullptr) return;
  watch_ = nullptr;
  const absl::Status annotated = Annotate(why, servers_[server_ % servers_.size()]);
  events_->OnWatchDown(annotated);
  // One may take what another refuses: a listener without TLS, a newer authority.
  refusals_ = CodeOf(why) == ErrorCode::kAuthorizationFailed ? refusals_ + 1 : 0;
  if (refusals_ >= servers_.size()) events_->OnWatchRefused(annotated);
  ++server_;
  ++failures_;
  // Where nobody knows what this client has seen, the cluster was founded anew.
  if (failures_ > servers_.size() && CodeOf(why) == ErrorCode::kRequestTimedOut) {
    metadata_index_ = LogIndex(0);
  }
  // Within the first round over the servers the next one is asked soon.
  const size_t rounds = std::min<size_t>(failures_ / servers_.size(), 16);
  const absl::Duration wait =
      std::min(options_.backoff_min * static_cast<int64_t>(1 << rounds), options_.backoff_max);
  executor_->PostAt(executor_->clock().Now() + wait, [this, number] {
    if (number == watch_number_) StartWatch();
  });
}

const std::string& GrpcLogChannel::ProduceAt(const std::string& address) const {
  const std::vector<std::string>& servers = options_.bootstrap_servers;
  return options_.produce_through_bootstrap ? servers[produce_server_ % servers.size()] : address;
}

// The next one is tried next, once for all streams that went through this one.
void GrpcLogChannel::NoteProduceLost(const std::string& address) {
  if (options_.produce_through_bootstrap && ProduceAt(address) == address) ++produce_server_;
}

void GrpcLogChannel::OpenProduce(NodeId broker, const std::string& address) {
  const std::string& at = ProduceAt(address);
  // The request of the health check for the server as a whole is an empty message.
  rpc::StartUnary(executor_, ChannelTo("produce", at), "/grpc.health.v1.Health/Check", {},
                  {.timeout = options_.connect_timeout},
                  [this, broker, at](absl::StatusOr<Bytes> answer) {
                    if (IsReachable(answer.status())) return StartProduce(broker, at);
                    NoteProduceLost(at);
                    events_->OnProduceDown(broker, Annotate(answer.status(), at));
                  });
}

void GrpcLogChannel::StartProduce(NodeId broker, const std::string& address) {
  produce_[broker] =
      Start("produce", address, "ProduceStream",
            [this, broker, address](std::shared_ptr<rpc::ClientStream> stream) {
              return std::make_unique<ProduceHandler>(this, broker, address, std::move(stream));
            });
  // The first message says for all of them how the stream is meant.
  if (options_.produce_through_bootstrap) {
    produce_[broker]->Write(api::EncodeProduceStreamRequest({.forward = true}));
  }
  events_->OnProduceUp(broker);
}

void GrpcLogChannel::SendProduce(NodeId broker, const api::ProduceStreamRequest& request) {
  const auto found = produce_.find(broker);
  if (found != produce_.end()) found->second->Write(api::EncodeProduceStreamRequest(request));
}

void GrpcLogChannel::CloseProduce(NodeId broker) {
  const auto found = produce_.find(broker);
  if (found != produce_.end()) found->second->Cancel();
}

void GrpcLogChannel::OpenFetch(NodeId broker, const std::string& address) {
  fetch_[broker] = Start("fetch", address, "FetchStream",
                         [this, broker](std::shared_ptr<rpc::ClientStream> stream) {
                           return std::make_unique<FetchHandler>(this, broker, std::move(stream));
                         });
}

void GrpcLogChannel::SendFetch(NodeId broker, const api::FetchStreamRequest& request) {
  const auto found = fetch_.find(broker);
  if (found != fetch_.end()) found->second->Write(api::EncodeFetchStreamRequest(request));
}

void GrpcLogChannel::CloseFetch(NodeId broker) {
  const auto found = fetch_.find(broker);
  if (found != fetch_.end()) found->second->Cancel();
}

void GrpcLogChannel::ListOffsets(const std::string& address, const api::ListOffsetsRequest& request,
                                 absl::Duration timeout, ListOffsetsCallback done) {
  rpc::StartUnaryTyped<v1::ListOffsetsResponse>(
      executor_, ChannelTo("fetch", address), "/millrace.v1.LogService/ListOffsets",
      api::ToProto(request), {.timeout = timeout},
      [done = std::move(done)](absl::StatusOr<v1::ListOffsetsResponse> proto) mutable {
        if (!proto.ok()) return std::move(done)(proto.status());
        std::move(done)(api::FromProto(*proto));
      });
}

void GrpcLogChannel::OffsetForLeaderEpoch(const std::string& address,
                                          const api::OffsetForLeaderEpochRequest& request,
                                          absl::Duration timeout, EpochEndsCallback done) {
  rpc::StartUnaryTyped<v1::OffsetForLeaderEpochResponse>(
      executor_, ChannelTo("fetch", address), "/millrace.v1.LogService/OffsetForLeaderEpoch",
      api::ToProto(request), {.timeout = timeout},
      [done = std::move(done)](absl::StatusOr<v1::OffsetForLeaderEpochResponse> proto) mutable {
        if (!proto.ok()) return std::move(done)(proto.status());
        std::move(done)(api::FromProto(*proto));
      });
}

void GrpcLogChannel::InitProducerId(const std::string& address, const std::string& client_id,
                                    absl::Duration timeout, ProducerIdCallback done) {
  v1::InitProducerIdRequest request;
  request.set_client_id(client_id);
  rpc::StartUnaryTyped<v1::InitProducerIdResponse>(
      executor_, ChannelTo("produce", ProduceAt(address)), "/millrace.v1.LogService/InitProducerId",
      request, {.timeout = timeout},
      [done = std::move(done)](absl::StatusOr<v1::InitProducerIdResponse> answer) mutable {
        if (!answer.ok()) return std::move(done)(answer.status());
        std::move(done)(
            api::ProducerIdentity{ProducerId(answer->producer_id()),
                                  ProducerEpoch(static_cast<int16_t>(answer->producer_epoch()))});
      });
}

}  // namespace millrace::client
