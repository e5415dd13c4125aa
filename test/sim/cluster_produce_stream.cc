#include "test/sim/cluster_produce_stream.h"

#include <utility>

#include "api/codec/produce_codec.h"
#include "api/codec/wire_writer.h"
#include "base/check.h"
#include "broker/broker.h"
#include "broker/produce_stream.h"
#include "node/node.h"

namespace millrace::sim {

// What the broker's process holds; gone with it.
struct ClusterProduceStream::ServerSide {
  Executor* executor = nullptr;
  std::unique_ptr<broker::ProduceStream> stream;
};

std::shared_ptr<ClusterProduceStream> ClusterProduceStream::Open(ClusterNetwork* network, int from,
                                                                 int to,
                                                                 std::function<SimServer&()> find,
                                                                 const broker::Caller& caller,
                                                                 Events events) {
  const auto stream = std::make_shared<ClusterProduceStream>();
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

bool ClusterProduceStream::TakeIn(SimServer& server, const broker::Caller& caller,
                                  const ClusterNetwork::ConnectionPtr& connection) {
  if (!server.serving()) return false;
  const auto side = std::make_shared<ServerSide>();
  side->executor = &server.shard(shard_);
  server_ = side;
  const auto answer = [back = std::weak_ptr(connection),
                       weak = weak_from_this()](const api::ProduceStreamResponse& response) {
    const ClusterNetwork::ConnectionPtr open = back.lock();
    if (open == nullptr) return;
    open->Send(ClusterConnection::kAcceptor,
               [weak, bytes = api::Join(api::EncodeProduceStreamResponse(response))] {
                 const auto self = weak.lock();
                 if (self == nullptr || self->ended_) return;
                 auto read = api::DecodeProduceStreamResponse(bytes);
                 CHECK_OK(read);
                 self->events_.answered(*std::move(read));
               });
  };
  side->executor->Post([side, broker = &server.node().broker(), caller, answer] {
    side->stream = broker->OpenProduceStream(caller, answer);
  });
  connection->SetOnClosed(ClusterConnection::kAcceptor,
                          [side] { side->executor->Post([side] { side->stream.reset(); }); });
  connection->Send(ClusterConnection::kAcceptor, [weak = weak_from_this()] {
    if (const auto self = weak.lock(); self != nullptr) self->OnConnected();
  });
  return true;
}

void ClusterProduceStream::OnConnected() {
  connected_ = true;
  for (Bytes& message : std::exchange(waiting_, {})) SendNow(std::move(message));
}

void ClusterProduceStream::Send(const api::ProduceStreamRequest& request) {
  if (ended_) return;
  Bytes message = api::Join(api::EncodeProduceStreamRequest(request));
  if (!connected_) return waiting_.push_back(std::move(message));
  SendNow(std::move(message));
}

void ClusterProduceStream::SendNow(Bytes message) {
  has_sent_ = true;
  connection_->Send(ClusterConnection::kOpener, [server = server_, message = std::move(message)] {
    const std::shared_ptr<ServerSide> side = server.lock();
    if (side == nullptr) return;
    side->executor->Post([side, message] {
      auto request = api::DecodeProduceStreamRequest(message);
      CHECK_OK(request);
      if (side->stream != nullptr) side->stream->Handle(*std::move(request));
    });
  });
}

void ClusterProduceStream::End() {
  ended_ = true;
  connection_->Close(ClusterConnection::kOpener);
}

void ClusterProduceStream::OnClosed() {
  if (!std::exchange(ended_, true)) events_.closed(has_sent_);
}

}  // namespace millrace::sim
