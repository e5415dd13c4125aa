#include "test/sim/cluster_broker_stream.h"

#include <utility>

#include "api/codec/fetch_codec.h"
#include "api/codec/produce_codec.h"
#include "api/codec/wire_writer.h"
#include "base/check.h"
#include "broker/broker.h"
#include "node/node.h"

namespace millrace::sim {
namespace {

std::unique_ptr<broker::ProduceStream> OpenAt(
    broker::Broker& broker, const broker::Caller& caller,
    std::function<void(api::ProduceStreamResponse)> answer) {
  return broker.OpenProduceStream(caller, std::move(answer));
}
std::unique_ptr<broker::FetchStream> OpenAt(broker::Broker& broker, const broker::Caller& caller,
                                            std::function<void(api::FetchStreamResponse)> answer) {
  return broker.OpenFetchStream(caller, std::move(answer));
}
void HandleBy(broker::ProduceStream& stream, api::ProduceStreamRequest request) {
  stream.Handle(std::move(request));
}
void HandleBy(broker::FetchStream& stream, api::FetchStreamRequest request) {
  CHECK_OK(stream.Handle(std::move(request)));
}

Bytes Encoded(const api::ProduceStreamRequest& request) {
  return api::Join(api::EncodeProduceStreamRequest(request));
}
Bytes Encoded(const api::ProduceStreamResponse& response) {
  return api::Join(api::EncodeProduceStreamResponse(response));
}
Bytes Encoded(const api::FetchStreamRequest& request) {
  return api::Join(api::EncodeFetchStreamRequest(request));
}
Bytes Encoded(const api::FetchStreamResponse& response) {
  return api::Join(api::EncodeFetchStreamResponse(response));
}
void Decode(const Bytes& message, absl::StatusOr<api::ProduceStreamRequest>* request) {
  *request = api::DecodeProduceStreamRequest(message);
}
void Decode(const Bytes& message, absl::StatusOr<api::ProduceStreamResponse>* response) {
  *response = api::DecodeProduceStreamResponse(message);
}
void Decode(const Bytes& message, absl::StatusOr<api::FetchStreamRequest>* request) {
  *request = api::DecodeFetchStreamRequest(message);
}
void Decode(const Bytes& message, absl::StatusOr<api::FetchStreamResponse>* response) {
  *response = api::DecodeFetchStreamResponse(message);
}
// Both ends are ours.
template <class Message>
Message Decoded(const Bytes& bytes) {
  absl::StatusOr<Message> message = absl::UnknownError("");
  Decode(bytes, &message);
  CHECK_OK(message);
  return *std::move(message);
}

}  // namespace

// What the broker's process holds; gone with it.
template <class Protocol>
struct ClusterBrokerStream<Protocol>::ServerSide {
  Executor* executor = nullptr;
  std::unique_ptr<typename Protocol::Stream> stream;
};

template <class Protocol>
std::shared_ptr<ClusterBrokerStream<Protocol>> ClusterBrokerStream<Protocol>::Open(
    ClusterNetwork* network, int from, int to, std::function<SimServer&()> find,
    const broker::Caller& caller, Events events) {
  const auto stream = std::make_shared<ClusterBrokerStream>();
  stream->events_ = std::move(events);
  stream->shard_ = network->random().Next();
  stream->connection_ = network->Connect(
      from, to,
      [weak = std::weak_ptr(stream), find = std::move(find),
       caller](const ClusterNetwork::ConnectionPtr& connection) {
        const auto self = weak.lock();
        return self != nullptr && self->TakeIn(find(), caller, connection);
      },
      [weak = std::weak_ptr(stream)] {
        if (const auto self = weak.lock(); self != nullptr) self->OnClosed();
      });
  return stream;
}

template <class Protocol>
bool ClusterBrokerStream<Protocol>::TakeIn(SimServer& server, const broker::Caller& caller,
                                           const ClusterNetwork::ConnectionPtr& connection) {
  if (!server.serving()) return false;
  const auto side = std::make_shared<ServerSide>();
  side->executor = &server.shard(shard_);
  server_ = side;
  const auto answer = [back = std::weak_ptr(connection),
                       weak = this->weak_from_this()](const Response& response) {
    const ClusterNetwork::ConnectionPtr open = back.lock();
    if (open == nullptr) return;
    open->Send(ClusterConnection::kAcceptor, [weak, bytes = Encoded(response)] {
      const auto self = weak.lock();
      if (self == nullptr || self->ended_) return;
      self->events_.answered(Decoded<Response>(bytes));
    });
  };
  side->executor->Post([side, broker = &server.node().broker(), caller, answer] {
    side->stream = OpenAt(*broker, caller, answer);
  });
  connection->SetOnClosed(ClusterConnection::kAcceptor,
                          [side] { side->executor->Post([side] { side->stream.reset(); }); });
  connection->Send(ClusterConnection::kAcceptor, [weak = this->weak_from_this()] {
    if (const auto self = weak.lock(); self != nullptr) self->OnConnected();
  });
  return true;
}

template <class Protocol>
void ClusterBrokerStream<Protocol>::OnConnected() {
  connected_ = true;
  for (Bytes& message : std::exchange(waiting_, {})) SendNow(std::move(message));
}

template <class Protocol>
void ClusterBrokerStream<Protocol>::Send(const Request& request) {
  if (ended_) return;
  Bytes message = Encoded(request);
  if (!connected_) return waiting_.push_back(std::move(message));
  SendNow(std::move(message));
}

template <class Protocol>
void ClusterBrokerStream<Protocol>::SendNow(Bytes message) {
  has_sent_ = true;
  connection_->Send(ClusterConnection::kOpener, [server = server_, message = std::move(message)] {
    const std::shared_ptr<ServerSide> side = server.lock();
    if (side == nullptr) return;
    side->executor->Post([side, message] {
      if (side->stream != nullptr) HandleBy(*side->stream, Decoded<Request>(message));
    });
  });
}

template <class Protocol>
void ClusterBrokerStream<Protocol>::End() {
  ended_ = true;
  connection_->Close(ClusterConnection::kOpener);
}

template <class Protocol>
void ClusterBrokerStream<Protocol>::OnClosed() {
  if (!std::exchange(ended_, true)) events_.closed(has_sent_);
}

template class ClusterBrokerStream<ProduceProtocol>;
template class ClusterBrokerStream<FetchProtocol>;

}  // namespace millrace::sim
