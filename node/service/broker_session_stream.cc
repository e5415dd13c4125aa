#include "node/service/broker_session_stream.h"

#include <utility>

#include "base/status.h"
#include "millrace/internal/v1/controller_service.pb.h"
#include "node/service/authorize.h"
#include "rpc/message.h"
#include "rpc/peer_identity.h"

namespace millrace::node {
namespace {

using internal::v1::BrokerSessionRequest;
using internal::v1::BrokerSessionResponse;

// What the two sides have in common; each has its own part.
class Link final : public std::enable_shared_from_this<Link> {
 public:
  Link(BrokerSessionServer* server, Executor* owner,
       const std::shared_ptr<rpc::ServerStream>& stream)
      : server_(server), owner_(owner), queue_(stream->context().executor), stream_(stream) {}

  // ---- On the queue ----

  // Runs `call(server, id)` on the owner's strand, in the order asked.
  template <class Call>
  void Tell(Call call) {
    owner_->Post([self = shared_from_this(), call = std::move(call)]() mutable {
      call(self->server_, self->id_);
    });
  }
  void OnWritable() {
    if (std::exchange(room_wanted_, false)) TellSendable();
  }

  // ---- On the owner's strand ----

  void Open();
  void Send(const BrokerSessionResponse& response) {
    queue_->Post([self = shared_from_this(), message = rpc::SerializeMessage(response)]() mutable {
      self->Write(std::move(message));
    });
  }
  void End(const absl::Status& status) {
    if (const auto stream = stream_.lock()) stream->Finish(status);
  }

 private:
  void Write(rpc::BytesList message) {
    const auto stream = stream_.lock();
    if (stream == nullptr) return;
    stream->Write(std::move(message));
    if (stream->writable()) {
      TellSendable();
    } else {
      room_wanted_ = true;
    }
  }
  void TellSendable() {
    Tell([](BrokerSessionServer* server, BrokerSessionServer::StreamId id) {
      server->OnSendable(id);
    });
  }

  BrokerSessionServer* const server_;
  Executor* const owner_;
  Executor* const queue_;
  const std::weak_ptr<rpc::ServerStream> stream_;
  // Queue: a message went out that filled the stream's write queue.
  bool room_wanted_ = false;
  // Owner: the server's name for the stream.
  BrokerSessionServer::StreamId id_;
};

// What the server holds of it.
class SessionStream final : public BrokerSessionStream {
 public:
  explicit SessionStream(std::shared_ptr<Link> link) : link_(std::move(link)) {}

  void Send(BrokerSessionResponse response) override { link_->Send(response); }
  void End(const absl::Status& status) override { link_->End(status); }

 private:
  const std::shared_ptr<Link> link_;
};

void Link::Open() { id_ = server_->Open(std::make_unique<SessionStream>(shared_from_this())); }

class SessionHandler final : public rpc::StreamHandler {
 public:
  SessionHandler(std::shared_ptr<Link> link, rpc::RefusalLog* refusals,
                 std::shared_ptr<rpc::ServerStream> stream)
      : link_(std::move(link)), refusals_(refusals), stream_(std::move(stream)) {}

  void OnMessage(Bytes message) override {
    absl::StatusOr<BrokerSessionRequest> request = rpc::ParseMessage<BrokerSessionRequest>(message);
    absl::Status status = request.status();
    if (status.ok()) {
      status = rpc::CheckClaim(stream_->context(), NodeId(request->broker_id()), "a node");
      if (!status.ok()) refusals_->Refused(stream_->context(), status);
    }
    if (!status.ok()) return stream_->Finish(std::move(status));
    link_->Tell([request = *std::move(request)](BrokerSessionServer* server,
                                                BrokerSessionServer::StreamId id) {
      server->OnRequest(id, request);
    });
  }
  void OnHalfClose() override { stream_->Finish(absl::OkStatus()); }
  void OnWritable() override { link_->OnWritable(); }
  void OnDone(bool) override {
    link_->Tell([](BrokerSessionServer* server, BrokerSessionServer::StreamId id) {
      server->OnClosed(id);
    });
  }

 private:
  const std::shared_ptr<Link> link_;
  rpc::RefusalLog* const refusals_;
  const std::shared_ptr<rpc::ServerStream> stream_;
};

// Of a stream that was refused.
class RefusedHandler final : public rpc::StreamHandler {
 public:
  void OnMessage(Bytes) override {}
  void OnHalfClose() override {}
  void OnDone(bool) override {}
};

}  // namespace

std::unique_ptr<rpc::StreamHandler> ServeBrokerSession(BrokerSessionServer* server, Executor* owner,
                                                       const metadata::Authorizer* authorizer,
                                                       rpc::RefusalLog* refusals,
                                                       std::shared_ptr<rpc::ServerStream> stream) {
  const absl::Status allowed =
      AuthorizeOnCluster(*authorizer, stream->context(), metadata::Operation::kClusterAction);
  if (!allowed.ok()) {
    stream->Finish(allowed);
    return std::make_unique<RefusedHandler>();
  }
  auto link = std::make_shared<Link>(server, owner, stream);
  owner->Post([link] { link->Open(); });
  return std::make_unique<SessionHandler>(std::move(link), refusals, std::move(stream));
}

}  // namespace millrace::node
